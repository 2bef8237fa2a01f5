"""What edge-benchmark --apply wrote is what the other commands do, where not told otherwise."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run

from edge import board
from edge.classifier import tuned
from edge.classifier.runtime import installed_runtimes
from edge.classifier.tuned import Best, Tuned
from edge.names import TUNED

pytestmark = pytest.mark.skipif(
    installed_runtimes() != ["litert", "tflite"], reason="needs both runtimes, to tell them apart"
)

SMALL = ROOT / "models" / "hotdog-small.tflite"
PHOTO = ROOT / "tests" / "data" / "hotdog.jpg"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user for whom a copy of the small model, one thread and tflite-runtime were found best."""
    model = tmp_path / "mine.tflite"
    shutil.copy(SMALL, model)
    best = {model.name: Best(model.stat().st_size, "tflite", 1, 4.0)}
    machine = board.model() or board.processor()
    found = Tuned(machine, board.num_cores(), "2026-11-25T05:00:00+00:00", str(model), best)
    tuned.write(found, tmp_path / "edge-classify" / TUNED)
    return os.environ | {"XDG_CONFIG_HOME": str(tmp_path)}


def said(environment: dict[str, str], *options: str) -> dict[str, str]:
    done = run("-m", "edge", "classify", "--format", "jsonl", *options, str(PHOTO), env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_what_is_not_chosen_is_as_was_found_best(environment: dict[str, str]) -> None:
    answer = said(environment)
    assert answer["model"] == "mine.tflite"
    assert answer["runtime"].startswith("tflite-runtime ")


def test_what_is_chosen_stands(environment: dict[str, str]) -> None:
    assert said(environment, "--runtime", "litert")["runtime"].startswith("ai-edge-litert ")
    assert said(environment, "-m", str(SMALL))["model"] == SMALL.name


def test_the_service_does_the_same(environment: dict[str, str]) -> None:
    done = run("-m", "edge", "watch", "--check", env=environment)
    assert done.returncode == 0, done.stderr
    assert "mine.tflite: good" in done.stdout
    assert "tflite-runtime" in done.stdout


def test_a_model_that_has_gone_is_not_looked_for(environment: dict[str, str]) -> None:
    (Path(environment["XDG_CONFIG_HOME"]) / "mine.tflite").unlink()
    assert said(environment)["model"] == "hotdog.tflite"
