"""The benchmark: what it measures, what it says of the machine, and edge-benchmark as it is met."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, TEST_DATA, run
from model_copies import audio
from trees import lay_out, raspberry_pi, vcgencmd

from edge import board
from edge.benchmark import DRAWN_SIZE, drawn_picture, soak
from edge.benchmark.cold import cold_start
from edge.benchmark.compare import read_baseline
from edge.benchmark.conditions import (
    During,
    Load,
    Sampler,
    doubts,
    look,
    remarks,
    throttling_words,
)
from edge.benchmark.measure import Plan, Taking, measure
from edge.benchmark.recommend import recommend
from edge.benchmark.report import STAGES, Findings, findings
from edge.benchmark.samples import drift, ratio, summarize
from edge.benchmark.soak import Moment
from edge.benchmark.timing import WARM_UP_S, clock, time_runs, warm_up
from edge.benchmark.worker import Combination, Worker
from edge.classifier import tuned
from edge.classifier.runtime import installed_runtimes
from edge.commands.benchmark import _apply, _save
from edge.errors import ImageError, ModelError
from edge.image.preprocess import read_image

MODEL = ROOT / "models" / "hotdog-scratch.tflite"
HOTDOG = ROOT / "tests" / "data" / "hotdog.jpg"
PEERS = TEST_DATA / "peers"
RUNTIME = installed_runtimes()[0]
QUICK = ("--num-runs", "5", "--warmup-runs", "1", "--cold-starts", "0")


@pytest.fixture(scope="module")
def combination() -> Combination:
    return Combination(MODEL, RUNTIME, 1)


@pytest.fixture(scope="module")
def worker(combination: Combination) -> Iterator[Worker]:
    with Worker(combination, drawn_picture()) as opened:
        opened.open(5)
        yield opened


@pytest.fixture(scope="module")
def taking(combination: Combination) -> Taking:
    return measure(Plan((combination,), drawn_picture(), num_runs=40, cold_starts=1))


@pytest.fixture(scope="module")
def found(taking: Taking) -> Findings:
    return findings(taking, "edge-benchmark", "a drawn image")


def benchmark(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return run("-m", "edge", "benchmark", *QUICK, *map(str, arguments), **options)


def spread(p50: float, seed: int, runs: int = 400) -> list[Any]:
    """Rounds of samples around a p50, in nanoseconds."""
    random = np.random.default_rng(seed)
    return np.array_split((p50 * random.lognormal(0, 0.05, runs)).astype(np.int64), 10)


def test_the_drawn_picture_is_a_jpeg_and_the_same_each_time() -> None:
    content = drawn_picture()
    assert content[:2] == b"\xff\xd8"
    assert read_image(content).shape == (*DRAWN_SIZE, 3)
    assert drawn_picture() == content


def test_percentiles_are_those_of_the_samples() -> None:
    latency = summarize(np.arange(1, 101, dtype=np.int64) * 1_000_000)
    assert (latency.num_runs, latency.min_ms, latency.max_ms) == (100, 1, 100)
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (50.5, 90.1, 99.01)
    assert latency.mean_ms == 50.5
    assert latency.runs_per_second == pytest.approx(1000 / 50.5, rel=1e-4)


def test_a_slow_down_of_a_fifth_is_within_its_interval_and_none_is_not_seen() -> None:
    slower = ratio(spread(1.2e6, 1), spread(1e6, 2))
    assert 1.1 < slower.low < 1.2 < slower.high < 1.3
    alike = ratio(spread(1e6, 3), spread(1e6, 4))
    assert alike.low < 1 < alike.high


def test_drift_is_seen_during_a_run_and_not_between_processes() -> None:
    fast, slow = np.array([100, 100]), np.array([125, 125])
    assert drift([fast, fast, fast, slow, slow, slow]) == 0.25
    assert drift([fast, slow, fast] * 3) == 0
    assert drift([fast, slow]) == 0.25
    assert drift([]) == 0


def test_runs_are_counted_or_timed() -> None:
    assert len(time_runs(lambda: None, num_runs=7)) == 7
    samples = time_runs(lambda: time.sleep(0.01), seconds=0.5)
    assert 1 < len(samples) <= 50
    assert samples.min() >= 10_000_000
    assert len(time_runs(lambda: time.sleep(0.02), seconds=0.001)) == 1


def test_no_garbage_is_collected_in_a_timed_run_and_the_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()
    seen = []
    time_runs(lambda: seen.append(gc.isenabled()), num_runs=3)
    assert seen == [False] * 3
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        time_runs(lambda: 1 / 0, num_runs=1)
    assert gc.isenabled()


def test_warming_up_goes_on_until_it_is_stable() -> None:
    waits = [0.02] * 10 + [0.01] * 40
    warmed = warm_up(lambda: time.sleep(waits.pop(0)), 5)
    assert warmed.stable
    assert warmed.runs >= 10
    assert 10 <= warmed.p50_ms < 100


def test_the_loop_costs_less_than_a_hundredth_of_a_millisecond() -> None:
    measured = clock()
    assert measured.monotonic
    assert 0 < measured.step_ns < 100_000
    assert measured.overhead_ns < 10_000


def test_a_worker_at_rest_does_not_spin(worker: Worker) -> None:
    worker.invoke(20, 0.0)
    time.sleep(0.3)  # the runtime's threads look for work for some milliseconds
    before = board.processor_time(worker.pid)
    time.sleep(1)
    after = board.processor_time(worker.pid)
    assert before is not None
    assert after is not None
    assert after - before <= 0.02


def test_every_stage_is_timed_as_often_as_the_whole_way(worker: Worker) -> None:
    whole, stages = worker.whole(12, 0.0)
    assert whole.shape == (12,)
    assert stages.shape == (12, 5)
    assert (stages > 0).all()
    assert (np.median(stages, axis=0) < np.median(whole)).all()  # a part of it


def test_a_worker_that_dies_is_one_line(combination: Combination) -> None:
    with Worker(combination, drawn_picture()) as worker:
        worker.open(1)
        os.kill(worker.pid, signal.SIGSEGV)
        with pytest.raises(ModelError, match=r"crashes the runtime .*SIGSEGV"):
            worker.invoke(5, 0.0)


def test_a_worker_that_the_memory_limit_ended_is_named(
    combination: Combination, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter((4, 5))
    monkeypatch.setattr(board, "out_of_memory_kills", lambda: next(kills))
    monkeypatch.setattr(board, "memory_limit", lambda: 64_000_000)
    with Worker(combination, drawn_picture()) as worker:
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(ModelError, match=r"SIGKILL at the memory limit of 64 MB"):
            worker.invoke(5, 0.0)


def test_what_a_worker_fails_with_is_raised_here(combination: Combination) -> None:
    with Worker(combination, b"no image") as worker, pytest.raises(ImageError):
        worker.open(1)
    absent = replace(combination, path=Path("absent.tflite"))
    with Worker(absent, drawn_picture()) as worker, pytest.raises(ModelError, match="no such"):
        worker.open(1)


def test_a_fresh_process_tells_its_parts_and_its_memory(combination: Combination) -> None:
    start = cold_start(combination, drawn_picture())
    parts = (start.python_ms, start.imports_ms, start.load_ms, start.allocate_ms)
    assert min(parts) > 0
    assert start.first_invoke_ms > 0
    assert sum(parts) + start.first_invoke_ms < start.answer_ms
    assert start.peak_bytes is not None
    assert start.model_bytes is not None
    assert 0 < start.model_bytes < start.peak_bytes
    with pytest.raises(ModelError, match="its process ended before the first result"):
        cold_start(replace(combination, path=Path("absent.tflite")), drawn_picture())


def test_a_row_has_all_that_was_measured(found: Findings) -> None:
    (row,) = found.rows
    assert row.error is None
    assert row.invoke
    assert row.invoke.num_runs == 40
    assert row.whole
    assert row.invoke.p50_ms < row.whole.p50_ms
    assert tuple(row.stages_ms) == STAGES
    assert row.accuracy == 0.891
    assert row.cold_start
    assert sum(map(len, row.samples_ns["invoke"])) == 40
    assert len(row.samples_ns["invoke"]) == 10
    assert set(row.samples_ns) == {"invoke", "whole", "invoke stage", *STAGES}
    alone = np.concatenate([np.array(part) for part in row.samples_ns["invoke"]])
    assert np.median(alone) / 1e6 == pytest.approx(row.invoke.p50_ms, rel=1e-5)


def test_what_is_not_known_is_null_and_says_why(tmp_path: Path) -> None:
    nothing = look(tmp_path)
    assert set(nothing.absent) == {name for name, value in vars(nothing).items() if value is None}
    assert "cpufreq" in nothing.absent["governor"]
    assert "vcgencmd" in nothing.absent["throttling"]


IDLE = During(3, None, None, ())


def test_a_pi_in_order_leaves_no_doubt_and_its_default_governor_is_a_remark(tmp_path: Path) -> None:
    for governor in ("performance", "ondemand"):
        root = raspberry_pi(tmp_path / governor, 4, governor=governor)
        idle = look(root, 0.01)
        assert doubts(idle, During(9, 1800.0, 61.0, ()), idle) == []
        assert any("ondemand" in line for line in remarks(idle)) == (governor == "ondemand")
        assert "load_of_others" not in idle.absent


def test_each_doubt_names_its_reason(tmp_path: Path) -> None:
    before = look(raspberry_pi(tmp_path / "a", 4), 0.0)
    after = look(raspberry_pi(tmp_path / "b", 4, throttled="50005"), 1.5)
    said = "\n".join(doubts(before, During(9, 600.0, 84.0, ("frequency capped",)), after))
    assert "as low as 600 of 1800 MHz under load; the governor is ondemand" in said
    assert "reached 84 Celsius" in said
    assert "under voltage while it ran" in said
    assert "frequency capped while it ran" in said
    assert "throttled at its end" in said
    assert "used 1.50 of 4 cores while it ran" in said
    long_ago = look(raspberry_pi(tmp_path / "c", 4, throttled="50000", governor="performance"), 0.0)
    assert doubts(long_ago, IDLE, long_ago) == []  # no bit rose


def test_throttling_that_is_not_reported_is_unknown(tmp_path: Path) -> None:
    four = look(raspberry_pi(tmp_path / "4", 4))
    assert throttling_words(four.throttling) == "not throttled"
    five = look(raspberry_pi(tmp_path / "5", 5))  # the alarm of its supply is all that it has
    assert throttling_words(five.throttling) == "no undervoltage, throttling unknown"
    assert throttling_words(look(tmp_path / "none").throttling) == "throttling unknown"
    for number, known in ((4, ()), (5, None)):
        sampler = Sampler(tmp_path / str(number))
        sampler.under_load()
        sampler.between_turns()
        assert sampler.result() == During(1, 600.0, 48.3, known)
    vcgencmd(tmp_path / "5", "echo throttled=0x4")
    sampler = Sampler(tmp_path / "5")
    sampler.between_turns()
    assert sampler.result().throttling == ("throttled",)


def test_what_limits_the_process_is_named(tmp_path: Path) -> None:
    lay_out(
        raspberry_pi(tmp_path, 4),
        {
            "proc/self/cgroup": "0::/system.slice/edge.service\n",
            "sys/fs/cgroup/system.slice/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/system.slice/edge.service/cpu.max": "max 100000\n",
            "sys/fs/cgroup/system.slice/edge.service/memory.max": "64000000\n",
            "sys/devices/system/cpu/isolated": "2-3\n",
        },
    )
    there = replace(look(tmp_path), affinity=(0, 1))
    said = "\n".join(remarks(there))
    for words in ("quota of 1.5 cores", "cores 0, 1 of 4", "isolcpus", "limit of 64 MB"):
        assert words in said


def test_a_model_that_changes_or_vanishes_costs_its_row_only(tmp_path: Path) -> None:
    changing, vanishing = (Path(shutil.copy(MODEL, tmp_path / n)) for n in ("a.tflite", "b.tflite"))
    combinations = tuple(Combination(p, RUNTIME, 1) for p in (changing, vanishing, MODEL))

    def meddle(share: float, what: str) -> None:
        if "round 3" in what and vanishing.exists():
            vanishing.unlink()
            changing.write_bytes(changing.read_bytes() + b"\0")

    taking = measure(Plan(combinations, drawn_picture(), num_runs=20, cold_starts=1), meddle)
    first, second, third = findings(taking, "", "").rows
    assert first.error and "a.tflite: changed during the run" in first.error
    assert second.error and "b.tflite: no such model file" in second.error
    assert third.error is None and third.invoke


def test_a_busy_neighbour_is_seen_and_our_own_work_is_not() -> None:
    code = "import time\nuntil = time.monotonic() + 1\nwhile time.monotonic() < until: pass"
    quiet, loud, began = Load(), Load(), time.monotonic()
    with subprocess.Popen([sys.executable, "-c", code]) as busy:
        time.sleep(0.8)
        ours = quiet.look((busy.pid,))
        others = loud.look(())
        got_s = board.processor_time(busy.pid)
        share = got_s / (time.monotonic() - began)  # little, where still others are busy
    assert ours is not None
    assert others is not None
    assert others - ours > share / 2 > 0


def test_the_fastest_that_loses_little_is_recommended(found: Findings) -> None:
    (row,) = found.rows
    assert row.invoke

    def as_if(model: str, val: float | None, p50_ms: float, threads: int = 1) -> Any:
        invoke = replace(row.invoke, p50_ms=p50_ms)
        return replace(
            row, model=model, path=model, val_accuracy=val, invoke=invoke, threads=threads
        )

    large, small, fast = as_if("large", 0.96, 9), as_if("small", 0.953, 5), as_if("fast", 0.9, 1)
    threaded = as_if("small", 0.953, 4.95, threads=4)
    among = replace(found, rows=(large, small, threaded, fast))
    chosen = recommend(among, 0.01)
    assert chosen is not None
    assert chosen.row == small  # as fast with one thread
    assert recommend(among, 0.0).row == large
    assert recommend(among, 0.1).row == fast
    untold = replace(found, rows=(as_if("b", None, 9), as_if("a", None, 1)))
    assert recommend(untold, 0.01).row.model == "b"
    other = replace(fast, labels=("cat", "dog"))
    assert recommend(replace(found, rows=(large, other)), 0.5).row == large
    assert recommend(replace(found, rows=()), 0.01) is None


def test_json_has_a_row_for_each_model_runtime_and_number_of_threads(tmp_path: Path) -> None:
    other = shutil.copy(MODEL, tmp_path / "other.tflite")
    done = benchmark(MODEL, other, "--threads", "1,2", "--runtime", "all", "--format", "json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [(row["model"], row["runtime_name"], row["threads"]) for row in said["rows"]] == [
        (name, runtime, threads)
        for name in (MODEL.name, "other.tflite")
        for runtime in installed_runtimes()
        for threads in (1, 2)
    ]
    for row in said["rows"]:
        assert row["invoke"]["num_runs"] == 5
        assert "samples_ns" not in row
    assert not said["partial"]
    for name in (n for n, value in said["after"].items() if value is None):
        assert said["after"]["absent"][name]


def test_raw_json_has_every_sample() -> None:
    (row,) = json.loads(benchmark(MODEL, "--format", "json", "--raw").stdout)["rows"]
    assert sum(map(len, row["samples_ns"]["invoke"])) == 5


def test_csv_and_the_kept_figures_have_the_same_columns() -> None:
    (row,) = csv.DictReader(io.StringIO(benchmark(MODEL, "--format", "csv").stdout))
    assert float(row["invoke_p50_ms"]) < float(row["whole_p50_ms"])
    kept = list(csv.DictReader(io.StringIO((ROOT / "models" / "latency.csv").read_text())))
    assert list(row) == list(kept[0])
    assert all(line["device"] and "Raspberry" not in line["device"] for line in kept)


def test_the_table_is_aligned_and_says_what_it_was_measured_on(tmp_path: Path) -> None:
    long_name = shutil.copy(MODEL, tmp_path / "a-model-with-quite-a-long-name.tflite")
    done = benchmark(MODEL, long_name)
    header, *rows = done.stdout.splitlines()[:3]
    assert {len(line) for line in (header, *rows)} == {len(header)}
    assert "single-stream" in done.stdout
    assert f"{board.num_cores()} cores" in done.stdout
    assert "recommended: " in done.stdout


def test_markdown_is_a_table() -> None:
    lines = benchmark(MODEL, "--format", "markdown").stdout.splitlines()
    assert lines[1].startswith("|---|---|---:|")
    assert len({line.count("|") for line in lines[:3]}) == 1


def test_a_bad_model_has_a_row_that_says_why_and_the_status_is_1(tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"not a model")
    done = benchmark(tmp_path / "bad.tflite", MODEL, "--format", "json")
    assert done.returncode == 1
    bad, good = json.loads(done.stdout)["rows"]
    assert "not a TFLite model" in bad["error"]
    assert bad["invoke"] is None
    assert good["invoke"]
    assert any("bad.tflite" in line for line in done.stderr.splitlines())
    assert "Traceback" not in done.stderr
    assert "not a TFLite model" in benchmark(tmp_path / "bad.tflite", MODEL).stdout


def test_nothing_to_measure_is_no_success(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "edge", tmp_path / "edge", ignore=shutil.ignore_patterns("models"))
    done = run("-m", "edge", "benchmark", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "contains no models" in done.stderr


def test_more_threads_than_cores_are_measured_and_marked() -> None:
    done = benchmark(MODEL, "--threads", "64")
    assert done.returncode == 0
    assert f"64 threads on {board.num_cores()} cores" in done.stdout


def test_a_picture_of_ones_own(photo_folder: Path, tmp_path: Path) -> None:
    picture = sorted(photo_folder.glob("*.jpg"))[0]
    assert picture.name in benchmark(MODEL, "--image", picture).stdout
    (tmp_path / "bad.jpg").write_bytes(picture.read_bytes()[:300])
    for name in ("absent.jpg", "bad.jpg"):
        done = benchmark(MODEL, "--image", tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
        assert name in done.stderr
        assert done.stderr.count("\n") == 1


def interrupted(*options: object, begun: Callable[[int], bool]) -> tuple[int, str, str]:
    """Send Ctrl-C once that holds of the process, and return how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "benchmark", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    end = time.monotonic() + 120
    while not begun(process.pid):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    time.sleep(WARM_UP_S)  # on a busy machine the warm-up takes all of its time
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def is_measuring(pid: int) -> bool:
    """Whether a process of its own has been at work for longer than loading a model takes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return any((board.processor_time(int(child)) or 0.0) > 3.0 for child in children)


def test_an_interruption_prints_what_there_is() -> None:
    options = (MODEL, "--seconds", 60, "--format", "json", "--cold-starts", 0)
    status, stdout, stderr = interrupted(*options, begun=is_measuring)
    assert status == 130
    said = json.loads(stdout)
    assert said["partial"]
    assert said["rows"][0]["invoke"]["num_runs"] > 1
    assert "Traceback" not in stderr


def test_an_interrupted_source_prints_what_there_is() -> None:
    options = (MODEL, "--seconds", 60, "--format", "json", "--source", HOTDOG)
    status, stdout, stderr = interrupted(*options, begun=is_measuring)
    assert status == 130
    (row,) = json.loads(stdout)
    assert row["partial"] and row["frames"] > 1 and row["seconds"] < 50
    assert "edge-benchmark: partial: it was interrupted\n" in stderr
    assert "Traceback" not in stderr


def test_a_soak_says_what_it_was_under() -> None:
    quiet = [Moment(5.0 * n, 100, 2.0, 2.1, 3.0, 50.0 + n, None, "", 0.02) for n in range(1, 9)]
    assert soak.verdict(quiet) == "p50 at the end is 1.00 times that at the start, 51 to 58 Celsius"
    busy = [replace(m, load_of_others=1.5, throttling="throttled") for m in quiet]
    said = soak.verdict(busy)
    assert "was busy: other processes used 1.50 cores; the firmware reported throttled" in said


def test_a_stage_that_sometimes_takes_no_time_can_be_compared() -> None:
    rounds = [np.array([0, 0, 0, 5, 5, 5, 5], np.int64)] * 5
    found = ratio(rounds, rounds)
    assert found.value == 1 and found.low is not None and found.low <= 1 <= found.high


def test_a_baseline_is_kept_and_held_against(tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    enough = ("--num-runs", "25")
    assert benchmark(MODEL, "--threads", "1", *enough, "--save", base).returncode == 0
    done = benchmark(MODEL, "--threads", "1", "--compare", base, "--fail-above", "1000", *enough)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "invoke: " in done.stdout
    assert "of the baseline (95 %: " in done.stdout
    done = benchmark(MODEL, "--threads", "1", "--compare", base, "--fail-above", "0.001", *enough)
    assert done.returncode == 1, done.stdout + done.stderr
    done = benchmark(MODEL, "--threads", "2", "--compare", base)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "nothing to compare" in done.stdout


def test_a_record_is_saved_whole_to_a_regular_file_and_never_over_a_better_one(
    found: Findings, tmp_path: Path
) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "base.json")
    assert _save(found, None, tmp_path / "link.json") == tmp_path / "base.json"
    assert (tmp_path / "link.json").is_symlink()
    complete = (tmp_path / "base.json").read_bytes()
    partial = replace(found, partial=True)
    assert _save(partial, None, tmp_path / "base.json") == tmp_path / "base.partial.json"
    assert (tmp_path / "base.json").read_bytes() == complete
    assert read_baseline(tmp_path / "base.json")["rows"]
    for place in ("/dev/stdout", "/dev/null", tmp_path):
        done = benchmark(MODEL, "--save", place)
        assert (done.returncode, done.stdout) == (1, "")
        assert "is not a regular file" in done.stderr
    os.mkfifo(tmp_path / "fifo")
    assert "is not a regular file" in benchmark(MODEL, "--save", tmp_path / "fifo").stderr


def test_what_is_unreliable_is_not_applied(
    found: Findings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "etc"))
    said: list[str] = []
    best = recommend(found, 0.01)
    assert best is not None
    assert not _apply(replace(found, doubts=("hot",)), best, False, said.append)
    assert "--force" in said[0] and not tuned.place().exists()
    assert _apply(replace(found, doubts=("hot",)), best, True, said.append)
    assert tuned.place().exists()


def test_output_that_cannot_be_written_is_known_before_measuring(tmp_path: Path) -> None:
    for option in ("--save", "--plot"):
        done = benchmark(MODEL, option, tmp_path / "absent" / "file")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
    if not os.geteuid():  # whom no permission stops, but /proc does
        assert "cannot be written" in benchmark(MODEL, "--save", "/proc/record.json").stderr


def test_nothing_but_an_older_result_is_replaced(tmp_path: Path) -> None:
    for option, what in (("--save", "record"), ("--plot", "PNG file")):
        mine = Path(shutil.copy(MODEL, tmp_path / "mine.tflite"))
        done = benchmark(MODEL, option, mine)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"is not a {what}, and would be overwritten" in done.stderr
        assert mine.read_bytes() == MODEL.read_bytes()
    for content in (b"", b'{"schema": 0}'):
        (tmp_path / "old.json").write_bytes(content)
        assert benchmark(MODEL, "--save", tmp_path / "old.json").returncode == 0


def test_plots_are_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = benchmark(MODEL, "--plot", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    assert min(read_image(tmp_path / "a.png").shape[:2]) > 200


def test_a_plot_without_matplotlib_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = benchmark(MODEL, "--plot", tmp_path / "a.png", env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert "edge-classify[plot]" in done.stderr


def test_what_is_best_is_written_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "etc"))
    done = benchmark(MODEL, "--apply", "--force")
    assert done.returncode == 0, done.stderr
    assert f"written to {tuned.place()}" in done.stdout
    kept = tuned.read()
    assert kept.model == str(MODEL)
    (one,) = kept.measured.values()
    assert one.invoke_ms.keys() == {RUNTIME}


def test_a_folder_is_a_source_of_frames(photo_folder: Path, tmp_path: Path) -> None:
    source = ("-m", "edge", "benchmark", MODEL, "--source")
    done = run(*source, photo_folder, "--seconds", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["frames"] > 5
    assert row["frames_per_second"] == pytest.approx(row["frames"] / row["seconds"])
    assert 0 < row["age"]["p50_ms"] < 1000
    done = run(*source, tmp_path / "absent")
    assert done.returncode == 1
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_soak_is_a_time_series(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("-m", "edge", "benchmark", MODEL, "--soak", "6", "--plot", tmp_path / "soak.png")
    assert done.returncode == 0, done.stderr
    first, second = csv.DictReader(io.StringIO(done.stdout))
    assert 4 < float(first["at_s"]) < float(second["at_s"])
    assert float(first["p50_ms"]) > 0
    assert "times that at the start" in done.stderr
    assert min(read_image(tmp_path / "soak.png").shape[:2]) > 200


@pytest.mark.skipif(not PEERS.is_dir(), reason=f"no models of others: {PEERS} is absent")
def test_a_float_model_that_says_nothing_is_measured_with_its_normalization() -> None:
    model = PEERS / "tflite-support" / "mobilenet_v1_0.25_224_1_default_1.tflite"
    done = benchmark(model, "--normalize", "[-1,1]", "--cold-starts", "1")
    assert (done.returncode, done.stderr) == (0, "")
    alone = benchmark(model, "--format", "json")
    assert alone.returncode == 0, alone.stderr
    (row,) = json.loads(alone.stdout)["rows"]
    assert row["invoke"]["p50_ms"] > 0 and row["whole"] is None
    assert "normalize" in row["notes"][0]


def test_invoke_of_any_model_is_measured_in_a_folder_too(tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path)
    (tmp_path / "sound.tflite").write_bytes(audio())
    done = benchmark(tmp_path, "--format", "json")
    assert done.returncode == 0, done.stderr
    classifier, sound = json.loads(done.stdout)["rows"]
    assert classifier["whole"] and sound["invoke"]["num_runs"] == 5
    assert (sound["whole"], sound["cold_start"], sound["error"]) == (None, None, None)
    assert sound["notes"][0].startswith("invoke only: ")
    assert "invoke only" in benchmark(tmp_path / "sound.tflite").stdout
    done = benchmark(tmp_path / "sound.tflite", "--format", "csv")
    assert done.returncode == 0 and "invoke only" in done.stdout
    (tmp_path / "empty").mkdir()
    done = benchmark(tmp_path / "empty")
    assert (done.returncode, done.stdout) == (1, "") and "no .tflite files" in done.stderr
