"""Evaluation gives what the device gives, photo by photo, in the order of the labels."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from convert.data.photo import Photo
from convert.measure.evaluate import evaluate
from edge.classifier.classify import classify
from edge.classifier.model import Model
from edge.errors import ImageError, ModelError
from edge.sources.photos import photos as frames_of

MODEL = Path(__file__).resolve().parent.parent / "models" / "hotdog-tutorial.tflite"


@pytest.fixture
def photos(photo_folder: Path) -> list[Photo]:
    """Six of the drawn photos; which label is theirs matters to no one."""
    paths = sorted(photo_folder.glob("*.jpg"))[:6]
    return [Photo(path, index % 2, "") for index, path in enumerate(paths)]


def test_scores_are_the_devices_in_label_order(photos: list[Photo]) -> None:
    found = evaluate(MODEL, photos, "test")
    assert found.scores.shape == (6, 2)
    assert found.scores.dtype == np.float32
    with Model(MODEL) as model:
        for row, frame in enumerate(frames_of([photo.path for photo in photos])):
            by_label = {c.label: c.score for c in classify(model, frame, top_k=0).categories}
            expected = [by_label[label] for label in model.labels]
            np.testing.assert_array_equal(found.scores[row], np.float32(expected))


def test_labels_accuracy_and_times_come_along(photos: list[Photo]) -> None:
    found = evaluate(MODEL, photos, "test")
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.accuracy.total == 6
    assert found.accuracy.correct == (found.scores.argmax(1) == found.labels).sum()
    assert found.invoke_p50_ms > 0
    assert found.preprocess_p50_ms > 0


def test_progress_is_shown_by_name_on_stderr(
    photos: list[Photo], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(MODEL, photos, "int8 on val")
    shown = capsys.readouterr()
    assert "int8 on val: 100%" in shown.err
    assert "6/6" in shown.err
    assert shown.out == ""


def test_a_photo_that_grew_corrupt_is_named(photos: list[Photo], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photos[0].path.read_bytes()[:200])
    with pytest.raises(ImageError, match=r"broken\.jpg: .*; "):
        evaluate(MODEL, [*photos, Photo(broken, 0, "")], "test")


def test_names_that_look_like_patterns_are_names(photos: list[Photo], tmp_path: Path) -> None:
    odd = tmp_path / "a[0-9]*.jpg"
    odd.write_bytes(photos[0].path.read_bytes())
    (tmp_path / "a1.jpg").write_bytes(photos[1].path.read_bytes())
    found = evaluate(MODEL, [Photo(odd, 0, "")], "test")
    np.testing.assert_array_equal(found.scores[0], evaluate(MODEL, photos[:1], "test").scores[0])


def test_native_code_that_ends_the_process_ends_only_its_own(
    photos: list[Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    abort = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr("edge.child.python", lambda *_: abort)
    with pytest.raises(ModelError, match=r"crashes the runtime \(SIGABRT\); "):
        evaluate(MODEL, photos, "test")
