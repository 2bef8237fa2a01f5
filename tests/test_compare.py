"""A benchmark held against another: what is compared, and what is called slower."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trees import raspberry_pi

from edge.benchmark import compare as comparing
from edge.benchmark.compare import (
    ALIKE,
    FASTER,
    SLOWER,
    BaselineError,
    Outcome,
    compare,
    read_baseline,
    record,
)
from edge.benchmark.conditions import During, look
from edge.benchmark.plot import findings_png
from edge.benchmark.report import Findings, Row
from edge.benchmark.samples import paired_ratio, ratio, summarize
from edge.benchmark.tables import csv_text
from edge.commands.benchmark import _after
from edge.commands.benchmark.options import read_options
from edge.image.preprocess import read_image
from edge.names import BENCHMARK_SCHEMA

MS = 1_000_000


def rounds(p50_ms: float, seed: int, runs: int = 200, number: int = 10) -> list[list[int]]:
    """Times around a p50, in nanoseconds, by round."""
    random = np.random.default_rng(seed)
    times = (p50_ms * MS * random.lognormal(0, 0.05, runs)).astype(np.int64)
    return [part.tolist() for part in np.array_split(times, number)]


def row(invoke_ms: float = 10.0, seed: int = 0, **changed: Any) -> Row:
    """A row of a model, as if it had been measured."""
    samples = {
        "invoke": rounds(invoke_ms, seed),
        "whole": rounds(invoke_ms + 5, seed + 1000),
        "decode": rounds(4, seed + 2000),
        "rank": rounds(0.012, seed + 3000),
    }
    facts: dict[str, Any] = {
        "model": "a.tflite", "path": "/a.tflite", "size_bytes": 1, "sha256": "a" * 64,
        "accuracy": None, "val_accuracy": None, "labels": (), "input": "",
        "runtime": "ai-edge-litert 2.3.0", "runtime_name": "litert", "threads": 1,
        "warm_up": None, "delegated": None, "clock": None, "whole": None, "stages_ms": {},
        "stages_sum_ms": None, "cold_start": None, "notes": (), "error": None,
        "invoke": summarize(np.array([10 * MS] * 100)), "samples_ns": samples,
    }  # fmt: skip
    return Row(**facts | changed)


@pytest.fixture
def found(tmp_path: Path) -> Findings:
    """What was found of one model on a Raspberry Pi 4 at rest."""
    there = replace(look(raspberry_pi(tmp_path / "pi", 4), 0.02), affinity=(0, 1, 2, 3))
    return Findings(
        schema=BENCHMARK_SCHEMA, edge_classify="0.1.0", measured_at="now",
        command="edge-benchmark", role="",
        image="a drawn image", image_sha256="b" * 64, partial=False,
        packages={"numpy": "1.26.4"}, doubts=(), remarks=(), before=there,
        during=During(1, None, None, ()), after=there, rows=(row(),),
    )  # fmt: skip


@pytest.fixture
def keep(found: Findings, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Keep a record of what was found, with changes, and read it again as a baseline."""

    def kept(**changes: Any) -> dict[str, Any]:
        path = tmp_path / "base.json"
        path.write_text(json.dumps(record(replace(found, **changes), None, raw=True)))
        return read_baseline(path)

    return kept


def verdict(outcome: Outcome, what: str = "invoke") -> str:
    (one,) = (one for one in outcome.comparisons if one.what == what)
    return one.verdict


def test_a_tenth_is_found_and_nothing_else_is_called_changed(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    base = keep()
    assert not compare(found, record(found, None, raw=True)).obstacles  # not from a file
    for seed in range(7, 10):
        slower = compare(replace(found, rows=(row(11.0, seed),)), base)
        assert verdict(slower) == SLOWER
        assert verdict(compare(replace(found, rows=(row(9.0, seed),)), base)) == FASTER
        same = compare(replace(found, rows=(row(10.0, seed),)), base)
        assert {one.verdict for one in same.comparisons} == {ALIKE}
    assert slower.failed(1.05) and not slower.failed(1.5) and not slower.failed(None)


def test_a_neighbour_that_takes_some_runs_makes_nothing_slower(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    times = rounds(10.0, 5)
    disturbed = [[ns * 2 if place % 5 < 3 else ns for place, ns in enumerate(r)] for r in times]
    now = row(samples_ns={"invoke": disturbed})
    outcome = compare(replace(found, rows=(now,)), keep())
    assert outcome.comparisons[0].ratio.value > 1.5
    assert verdict(outcome) == ALIKE


def test_a_stage_of_microseconds_is_not_called_slower(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    samples = {"rank": rounds(0.024, 1), "decode": rounds(6, 2)}
    outcome = compare(replace(found, rows=(row(samples_ns=samples),)), keep())
    assert verdict(outcome, "rank") == ALIKE
    assert verdict(outcome, "decode") == SLOWER


def test_a_busy_machine_has_no_verdict(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    busy = replace(found.after, load_of_others=3.9)
    outcome = compare(replace(found, after=busy, rows=(row(15.0),)), keep())
    assert verdict(outcome) == comparing.BUSY


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cpu_quota", 1.0, "the CPU quota was none, and is 1.0"),
        ("affinity", (0, 1), "the affinity was 0, 1, 2, 3, and is 0, 1"),
        ("model", "Raspberry Pi 5", "the board was Raspberry Pi 4"),
        ("memory_limit_bytes", 64_000_000, "the memory limit was none"),
    ],
)
def test_another_machine_or_share_of_it_is_named_before_and_has_no_verdict(
    found: Findings, keep: Callable[..., dict[str, Any]], name: str, value: Any, words: str
) -> None:
    now = replace(found, after=replace(found.after, **{name: value}), rows=(row(20.0),))
    outcome = compare(now, keep())
    assert words in next(outcome.lines())
    assert not any(one.verdict in (SLOWER, FASTER) for one in outcome.comparisons)
    assert outcome.failed(10.0)


def test_another_image_compares_what_depends_on_none(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    outcome = compare(replace(found, image_sha256="c" * 64), keep())
    assert {one.what for one in outcome.comparisons} == {"invoke", "invoke p90", "rank"}
    assert any("another image, a drawn image" in line for line in outcome.lines())


def test_an_upgrade_is_compared_across_runtimes_links_and_names(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    older = row(40.0, runtime="tflite-runtime 2.14.0", runtime_name="tflite")
    base = keep(rows=(older,), packages={"numpy": "1.24.2"})
    outcome = compare(replace(found, rows=(row(model="current.tflite"),)), base)
    lines = "\n".join(outcome.lines())
    assert verdict(outcome) == FASTER
    assert "the baseline's runtime was tflite-runtime 2.14.0" in lines
    assert "was called a.tflite" in lines
    assert "numpy was 1.24.2, and is 1.26.4" in lines


def test_two_files_of_one_name_are_two_unless_their_role_is_one(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    retrained = replace(found, rows=(row(sha256="d" * 64),))
    outcome = compare(retrained, keep())
    assert not outcome.comparisons and outcome.failed(None)
    assert "nothing to compare" in "\n".join(outcome.lines())
    outcome = compare(replace(retrained, role="current"), keep(role="current"))
    assert verdict(outcome) == ALIKE
    assert "its file differs from the baseline's" in "\n".join(outcome.lines())


def test_too_few_runs_have_no_interval(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    one_run = row(samples_ns={"invoke": [[20 * MS]]})
    outcome = compare(replace(found, rows=(one_run,)), keep())
    (invoke, _) = outcome.comparisons
    assert invoke.ratio.low is None and invoke.ratio.high is None
    assert "too few runs" in invoke.verdict and "no interval" in str(invoke)
    assert outcome.failed(100.0)
    assert summarize(np.arange(1, 100)).p99_ms is None
    assert ratio([np.array([1])], [np.array([1])]).low is None


def test_rounds_that_took_turns_are_compared_in_pairs() -> None:
    random = np.random.default_rng(0)
    drifting = [10 * MS * (1 + place) for place in range(10)]  # heat hits both
    fast = [[round(ns * random.normal(1, 0.01)) for _ in range(20)] for ns in drifting]
    slow = [[round(1.75 * ns * random.normal(1, 0.01)) for _ in range(20)] for ns in drifting]
    found = paired_ratio(slow, fast)
    assert found.low is not None and found.high is not None
    assert 1.7 < found.low <= found.value <= found.high < 1.8


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "3", '{"schema": 0}', '{"schema": 2}', '{"schema": 2, "rows": [{}]}',
        '{"schema": 2, "rows": 7, "after": {}, "packages": null}',
    ],
)  # fmt: skip
def test_a_baseline_that_is_none_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "base.json").write_text(content)
    with pytest.raises(BaselineError, match="--save"):
        read_baseline(tmp_path / "base.json")


def test_a_damaged_baseline_is_one_line(
    keep: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    whole = keep()
    for name in ("rows", "after", "packages", "doubts", "image", "role", "partial"):
        damaged = {key: value for key, value in whole.items() if key != name}
        (tmp_path / "damaged.json").write_text(json.dumps(damaged))
        with pytest.raises(BaselineError, match="is damaged"):
            read_baseline(tmp_path / "damaged.json")
    whole["rows"][0]["samples_ns"]["invoke"] = [["x"]]
    (tmp_path / "damaged.json").write_text(json.dumps(whole))
    with pytest.raises(BaselineError, match="is damaged"):
        read_baseline(tmp_path / "damaged.json")


def test_a_record_holds_what_explains_a_difference(found: Findings) -> None:
    kept = json.loads(
        json.dumps(record(found, compare(found, record(found, None, raw=True)), raw=True))
    )
    assert {"kernel", "os_release", "model", "affinity", "isolated", "cpu_quota"} <= {
        *kept["after"]
    }
    assert {"memory_limit_bytes", "governor", "clock_mhz", "celsius"} <= {*kept["after"]}
    assert all("throttling" in kept[when] for when in ("before", "during", "after"))
    assert {"lowest_clock_mhz", "highest_celsius"} <= {*kept["during"]}
    assert {"packages", "image_sha256", "doubts", "comparison", "command"} <= {*kept}
    (one,) = kept["rows"]
    assert {"runtime", "delegated", "threads", "sha256", "warm_up", "samples_ns"} <= {*one}
    assert one["invoke"]["num_runs"] and kept["comparison"]["comparisons"][0]["verdict"] == ALIKE


def test_csv_quotes_names_and_protects_spreadsheets(found: Findings) -> None:
    names = ('a, "b".tflite', "=1+1.tflite", "two\nlines.tflite")
    text = csv_text(replace(found, rows=tuple(row(model=name) for name in names)))
    read = [line["model"] for line in csv.DictReader(io.StringIO(text))]
    assert read == ['a, "b".tflite', "'=1+1.tflite", "two\\nlines.tflite"]


def test_before_and_after_are_one_picture(
    found: Findings, keep: Callable[..., dict[str, Any]]
) -> None:
    pytest.importorskip("matplotlib")
    for invoke_ms in (11.0, 90.0):  # with the line of 100 ms where it suits
        drawn = findings_png(replace(found, rows=(row(invoke_ms),)), keep())
        assert min(read_image(drawn).shape[:2]) > 200


def test_doubts_fail_with_strict_and_stop_nothing_else(
    found: Findings, keep: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    base = keep()
    for words, doubts, status in (
        ("--fail-above 2", ("hot",), 0),
        ("--fail-above 2 --strict", ("hot",), 1),
        ("--fail-above 2 --strict", (), 0),
        ("--fail-above 0.5", (), 1),
    ):
        args = read_options(f"--compare base.json {words}".split())
        now = replace(found, doubts=doubts)
        assert _after(now, compare(now, base), base, args) == status
        assert ("--strict" in capsys.readouterr().out) == ("strict" in words and bool(doubts))
