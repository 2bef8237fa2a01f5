"""Which runtime and how many threads are fastest is measured once, and kept for all commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run

from edge.classifier import selection, tuned
from edge.classifier.model import Model, default_model
from edge.classifier.runtime import default_num_threads, installed_runtimes
from edge.classifier.selection import ModelChoice, choose_model, measure
from edge.errors import ModelError

MODEL = ROOT / "models" / "hotdog-scratch.tflite"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which what was measured is kept."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "etc"))
    return tuned.place()


def test_a_batch_measures_each_runtime_and_number_of_threads_once(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = choose_model(MODEL, "auto", None)
    assert given == ModelChoice(MODEL, "auto", None)
    how = given.measured({})
    (one,) = json.loads(place.read_text())["measured"].values()
    counts = [str(n) for n in range(1, default_num_threads() + 1)]
    assert {name: [*each] for name, each in one["invoke_ms"].items()} == dict.fromkeys(
        installed_runtimes(), counts
    )
    monkeypatch.setattr(selection, "measure", None)
    assert choose_model(MODEL, "auto", None).measured({}) == how
    copy = Path(shutil.copy(MODEL, tmp_path / "copy.tflite"))  # the same model by another name
    assert choose_model(copy, "auto", None) == how._replace(path=copy)
    with Model(MODEL, runtime=how.runtime) as model:
        assert model.runtime_name == how.runtime


def test_another_version_of_a_runtime_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_model(MODEL, "auto", None).measured({}).known
    monkeypatch.setattr(selection, "installed_version", lambda name: "2.99.0")
    assert choose_model(MODEL, "auto", None) == ModelChoice(MODEL, "auto", None)


def test_what_is_given_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"litert": {1: 2.0, 2: 1.0}, "tflite": {1: 40.0, 2: 60.0}}
    monkeypatch.setattr(selection, "default_num_threads", lambda: 2)
    versions = selection.versions()
    selection.keep(MODEL, tuned.Measured(MODEL.name, "now", versions, times))
    assert choose_model(MODEL, "auto", None)[1:] == ("litert", 2, True)
    assert choose_model(MODEL, "tflite", None)[1:] == ("tflite", 1, True)
    assert choose_model(MODEL, "auto", 1)[1:] == ("litert", 1, True)
    assert choose_model(MODEL, "auto", 7)[1:] == ("litert", 7, True)
    monkeypatch.setattr(selection, "default_num_threads", lambda: 1)  # such as in a container
    assert choose_model(MODEL, "auto", None)[1:] == ("litert", 1, True)


def test_where_nothing_can_be_kept_it_is_measured_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for name in ("XDG_CONFIG_HOME", "CONFIGURATION_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "file" / "below"))
    assert choose_model(MODEL, "auto", None).measured({}).known


def test_a_model_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        measure(tmp_path / "absent.tflite")
    absent = ModelChoice(tmp_path / "absent.tflite", "auto", None)
    assert absent.measured({}) == absent


def test_tune_measures_in_seconds_and_says_what_is_used(place: Path) -> None:
    done = run("-m", "edge", "benchmark", "--tune", str(MODEL))
    assert done.returncode == 0, done.stderr
    assert f"{MODEL.name}: " in done.stdout and f"; kept in {place}\n" in done.stdout
    kept = place.read_text()
    run("-m", "edge", "benchmark", "--tune", str(MODEL))
    assert place.read_text() == kept
    done = run("-m", "edge", "benchmark", "--tune", "absent.tflite")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such model file" in done.stderr


def test_a_configuration_names_the_model_that_is_tuned(place: Path, tmp_path: Path) -> None:
    (tmp_path / "watch.toml").write_text(f"model = '{MODEL}'\n")
    done = run("-m", "edge", "benchmark", "--tune", "--config", str(tmp_path / "watch.toml"))
    assert done.stdout.startswith(f"{MODEL}: "), done.stderr


def test_what_runs_a_model_is_told() -> None:
    choose_model(None, "auto", None).measured({})
    done = run("-m", "edge", "classify", "-v", str(ROOT / "tests" / "data" / "hotdog.jpg"))
    with Model(default_model()) as model:
        delegated = model.delegated()
    assert delegated is not None and 0 < delegated.taken <= delegated.operators
    assert str(delegated) in done.stderr
    if len(installed_runtimes()) > 1:
        assert "here" in done.stderr.splitlines()[-1]
