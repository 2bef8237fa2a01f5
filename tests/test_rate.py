"""Models at the rate of a camera: whether they hold it, and what is printed meanwhile."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run

from edge.benchmark.rate import Interval, verdicts
from edge.image.preprocess import read_image

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
    assert "for long: throttled at 84 Celsius (hot" in judged(throttling="throttled", celsius=84)[1]
    assert "and rising by 2.5 a minute" in judged(celsius_per_minute=2.5)[1]
    assert judged(throttling=None)[0]  # unknown
    assert judged(load_of_others=1.5)[1].endswith("other processes used 1.50 cores")
    holds, words = judged(source_is_limit=True, frames_per_second=5.2, frames=52)
    assert not holds and words.startswith("the source is the limit: it supplied 5.2 of 10")


def test_each_model_has_a_verdict_of_its_own() -> None:
    slow = replace(INTERVAL, model="b.tflite", in_time=0.5)
    assert [one.holds for one in verdicts([INTERVAL, slow, slow, INTERVAL], 10)] == [True, False]


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
    options = [MODEL, OTHER, "--rate", "5", "--soak", "2", "--warmup-runs", "1", "--format", "csv"]
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
