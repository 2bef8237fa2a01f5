"""What edge-benchmark --apply wrote is what the other commands do, where not told otherwise."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run

from edge.classifier import selection, tuned
from edge.classifier.model import model_sha256
from edge.classifier.runtime import installed_runtimes

pytestmark = pytest.mark.skipif(
    installed_runtimes() != ["litert", "tflite"], reason="needs both runtimes, to tell them apart"
)

SMALL = ROOT / "models" / "hotdog-small.tflite"
MODEL = ROOT / "models" / "hotdog-tutorial.tflite"
PHOTO = ROOT / "tests" / "data" / "hotdog.jpg"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A user for whom a copy of the small model, one thread and tflite-runtime were found best."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "etc"))
    model = tmp_path / "mine.tflite"
    shutil.copy(SMALL, model)
    times = {"litert": {1: 8.0}, "tflite": {1: 4.0}}
    found = tuned.Measured(model.name, selection.now(), selection.versions(), times)
    tuned.keep({model_sha256(model): found}, str(model))
    return dict(os.environ)


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
    assert said(environment, "-m", str(MODEL))["model"] == MODEL.name


def test_a_model_is_known_by_its_content(environment: dict[str, str]) -> None:
    assert said(environment, "-m", str(SMALL))["runtime"].startswith("tflite-runtime ")
    assert said(environment, "-m", str(MODEL))["runtime"].startswith("ai-edge-litert ")


def test_the_service_does_the_same(environment: dict[str, str]) -> None:
    done = run("-m", "edge", "watch", "--check", env=environment)
    assert done.returncode == 0, done.stderr
    assert "mine.tflite: good" in done.stdout
    assert "tflite-runtime" in done.stdout


def test_a_model_that_has_gone_is_not_looked_for(environment: dict[str, str]) -> None:
    (Path(environment["XDG_CONFIG_HOME"]) / "mine.tflite").unlink()
    assert said(environment)["model"] == "hotdog.tflite"
