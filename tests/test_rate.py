"""Models at the rate of a camera: whether they hold it, and what is printed meanwhile."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run

from edge.benchmark import drawn_picture
from edge.benchmark.rate import Interval, Turns, verdicts
from edge.benchmark.stream import Paced, paced
from edge.classifier.model import Model
from edge.image.preprocess import read_image
from edge.sources.frame import Frame, Waiting

MODEL = ROOT / "models" / "hotdog-scratch.tflite"
OTHER = ROOT / "models" / "hotdog-small.tflite"
INTERVAL = Interval(
    10.0, "a.tflite", "ai-edge-litert 2.3.0", 2, 100, 10.0, 1.0, 12.0, 15.0, 0.71, 3.2, 62.0, 0.1,
    1800.0, "", 0.05, False,
)  # fmt: skip


def judged(**changes: object) -> tuple[bool, str]:
    (one,) = verdicts([replace(INTERVAL, **changes)] * 3, 10)
    return one.holds, one.words


def test_a_rate_is_held_where_frames_are_in_time() -> None:
    assert judged() == (True, "holds 10 fps at 62 Celsius, 71% of one core, 300 frames")
    assert judged(celsius=None)[1] == "holds 10 fps, 71% of one core, 300 frames"
    assert "does not hold 10 fps: 8% late at 62" in judged(in_time=0.92)[1]
    assert judged(in_time=0.92)[1].endswith("frames; the model is the limit")
    assert "model" not in judged(in_time=0.92, load_of_others=1.5)[1]  # it may be the others
    both = judged(in_time=0.92, source_is_limit=True, frames_per_second=5.0)[1]
    assert both.endswith("the model is the limit; the source supplied 5.0 of 10 frames a second")
    assert "for long: throttled at 84 Celsius (hot" in judged(throttling="throttled", celsius=84)[1]
    assert "and rising by 2.5 a minute" in judged(celsius_per_minute=2.5)[1]
    assert judged(throttling=None)[0]  # unknown
    assert judged(load_of_others=1.5)[1].endswith("other processes used 1.50 cores")
    holds, words = judged(source_is_limit=True, frames_per_second=5.2, frames=52)
    assert not holds and words.startswith("the source is the limit: it supplied 5.2 of 10")


def test_each_model_has_a_verdict_of_its_own() -> None:
    slow = replace(INTERVAL, model="b.tflite", in_time=0.5)
    assert [one.holds for one in verdicts([INTERVAL, slow, slow, INTERVAL], 10)] == [True, False]


class Slow:
    """A source of frames that come at a rate, with Waiting before each as a camera has it."""

    def __init__(self, fps: float, opening_s: float = 0.0) -> None:
        self.period_s, self.opening_s, self.first_s = 1 / fps, opening_s, 0.0

    def __iter__(self) -> Iterator[Frame | Waiting]:
        yield Waiting("being opened")
        time.sleep(self.opening_s)
        self.first_s = time.monotonic()
        while True:
            yield Frame("slow", drawn_picture(), datetime.now(UTC), time.monotonic_ns())
            time.sleep(0.9 * self.period_s)
            yield Waiting("no frame yet")
            time.sleep(0.1 * self.period_s)

    def close(self) -> None:
        pass


def test_waiting_for_a_source_is_counted_and_its_opening_is_not() -> None:
    with Model(MODEL, num_threads=1) as model:
        found = paced(model, Slow(5), 10, 1.0)
        assert found.frames <= 1 + 5 * found.seconds
        assert found.waited_s > 0.4 * found.seconds
        source = Slow(200, opening_s=0.5)
        opened_late = paced(model, source, 20, 0.2)
        assert opened_late.seconds <= time.monotonic() - source.first_s


def test_a_source_is_the_limit_where_the_time_that_is_missing_was_spent_waiting() -> None:
    def waits(frames: int, waited_s: float, source: str = "camera") -> bool:
        return Turns([], 10, source)._waits(Paced(10.0, frames, 0, waited_s, (), 1.0))

    assert waits(50, 6.0)
    assert waits(90, 3.0)  # a camera of 9 frames a second, and a model of 70 ms
    assert waits(0, 10.0)
    assert not waits(50, 0.5)  # the model
    assert not waits(98, 9.0)
    assert not waits(50, 6.0, source="")


def rated(*options: object) -> str:
    done = run("-m", "edge", "benchmark", *map(str, options), "--warmup-runs", "1", timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_models_take_turns_and_a_line_of_each_is_printed() -> None:
    head, first, second, *judgements = rated(MODEL, OTHER, "--rate", 5, "--soak", 2).splitlines()
    assert "in time" in head and "throttling" in head
    assert MODEL.name in first and OTHER.name[:24] in second
    assert len(judgements) == 2 and all("5 fps" in line for line in judgements)


def test_a_lost_terminal_costs_no_line_that_was_measured() -> None:
    options = [MODEL, OTHER, "--rate", "5", "--soak", "5", "--warmup-runs", "1", "--format", "csv"]
    command = [sys.executable, "-m", "edge", "benchmark", *map(str, options)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        head, first = process.stdout.readline(), process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGHUP)  # while the second model runs
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGHUP
    assert head.startswith("at_s,model,") and MODEL.name in first
    assert (rest, "Traceback" in errors) == ("", False)
    until = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < until, "a worker outlived it"
        time.sleep(0.1)


def test_a_folder_is_a_source_and_csv_and_json_have_the_same_columns(
    photo_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    options = (MODEL, "--rate", 10, "--soak", 1, "--source", photo_folder)
    (row,) = csv.DictReader(io.StringIO(rated(*options, "--format", "csv")))
    assert 3 <= int(row["frames"]) <= 11
    plot = tmp_path / "rate.png"
    lines = rated(*options, "--format", "json", "--plot", plot).splitlines()
    assert json.loads(lines[0]).keys() == {"schema", *row}
    assert json.loads(lines[1])["verdict"]["model"] == MODEL.name
    assert min(read_image(plot).shape[:2]) > 200


def test_a_model_or_source_that_is_none_is_one_line(tmp_path: Path) -> None:
    done = run("-m", "edge", "benchmark", "absent.tflite", "--rate", "5", "--soak", "1")
    assert done.returncode == 1 and "no such model file" in done.stderr
    absent = str(tmp_path / "absent")
    done = run("-m", "edge", "benchmark", str(MODEL), "--rate", "5", "--source", absent)
    assert done.returncode == 1 and "no such file or folder" in done.stderr
    assert "Traceback" not in done.stderr
