"""How many threads invoke a model fastest is measured once, and kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.classifier.model import Model, default_model, models_folder
from edge.classifier.runtime import default_num_threads
from edge.classifier.selection import measured_threads
from edge.cores import usable_cores
from edge.errors import ModelError

pytestmark = pytest.mark.skipif(
    default_num_threads() == 1, reason="one core: there is nothing to measure"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which what was measured is kept."""
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edge-classify"


def test_it_is_measured_once_and_kept(cache: Path) -> None:
    measured = measured_threads(default_model())
    assert 1 <= measured <= default_num_threads()
    (note,) = cache.iterdir()
    assert note.read_text() == f"{measured}\n"
    other = 2 if measured == 1 else 1
    note.write_text(f"{other}\n")
    assert measured_threads(default_model()) == other  # it was read, not measured


def test_models_are_told_apart_by_content_and_runtime(cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tflite"
    copy.write_bytes(default_model().read_bytes())
    measured_threads(default_model())
    measured_threads(copy)
    (note,) = cache.iterdir()
    with Model() as model:
        assert model.runtime.replace(" ", "-") in note.name
    assert f"-{usable_cores()}-cores-" in note.name
    measured_threads(models_folder() / "hotdog-small.tflite")
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("content", ["", "many", "0", "4711", "-1", "\0"])
def test_a_note_that_cannot_be_right_is_measured_again(cache: Path, content: str) -> None:
    measured_threads(default_model())
    (note,) = cache.iterdir()
    note.write_text(content)
    assert note.read_text() != (measured := measured_threads(default_model()))
    assert note.read_text() == f"{measured}\n"


def test_without_a_cache_it_is_measured_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", os.devnull)
    assert 1 <= measured_threads(default_model()) <= default_num_threads()


def test_a_model_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        measured_threads(tmp_path / "absent.tflite")
