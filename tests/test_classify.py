"""Ranking, the threshold, and what a result says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from edge.classifier.classify import UNKNOWN, Category, classify, rank
from edge.classifier.model import Model
from edge.errors import ImageError
from edge.sources.frame import Frame
from edge.sources.photos import photos

LABELS = ("a", "b", "c", "d")
AGREED = (
    "schema source label score categories preprocess_ms invoke_ms model runtime captured_at".split()
)


@pytest.fixture(scope="module")
def model(model_path: Path) -> Iterator[Model]:
    with Model(model_path) as opened:
        yield opened


@pytest.fixture
def frame(photo_folder: Path) -> Frame:
    return next(photos([photo_folder]))


def test_the_best_comes_first_and_equals_by_index() -> None:
    scores = np.array([0.25, 0.4, 0.1, 0.25], np.float32)
    assert [category.index for category in rank(scores, LABELS)] == [1, 0, 3, 2]
    assert rank(scores, LABELS, 1) == (Category(1, "b", float(np.float32(0.4))),)
    assert rank(scores[[0, 2, 3]], LABELS, 1) == rank(scores[[0, 2, 3]], LABELS, 2)[:1]


def test_all_equal_keep_their_order() -> None:
    assert "".join(c.label for c in rank(np.full(4, 0.25, np.float32), LABELS)) == "abcd"


@pytest.mark.parametrize("top_k, count", [(0, 4), (2, 2), (4, 4), (9, 4)])
def test_top_k_is_how_many_and_0_is_all(top_k: int, count: int) -> None:
    assert len(rank(np.zeros(4, np.float32), LABELS, top_k)) == count


def test_below_the_threshold_the_label_is_unknown_and_the_categories_stay(
    model: Model, frame: Frame
) -> None:
    sure = classify(model, frame, top_k=0)
    assert sure.label == sure.categories[0].label
    assert classify(model, frame, threshold=sure.score).label == sure.label
    unsure = classify(model, frame, top_k=0, threshold=np.nextafter(sure.score, 2))
    assert unsure.label == UNKNOWN
    assert unsure.categories == sure.categories
    assert unsure.score == sure.score


def test_each_label_has_a_threshold_of_its_own(model: Model, frame: Frame) -> None:
    sure = classify(model, frame)
    limits = np.zeros(len(model.labels))
    assert classify(model, frame, threshold=limits).label == sure.label
    limits[sure.categories[0].index] = np.nextafter(sure.score, 2)
    assert classify(model, frame, threshold=limits).label == UNKNOWN


def test_a_result_as_a_dict_has_the_agreed_keys_and_is_json(model: Model, frame: Frame) -> None:
    result = classify(model, frame, top_k=2)
    found = json.loads(json.dumps(result.as_dict()))
    assert list(found) == AGREED
    assert [list(category) for category in found["categories"]] == [["index", "label", "score"]] * 2
    assert found["source"] == frame.source
    assert found["model"] == "model-int8.tflite"
    assert found["preprocess_ms"] > 0
    assert found["invoke_ms"] > 0
    assert datetime.fromisoformat(found["captured_at"]).tzinfo is not None


def test_the_same_frame_gives_the_same_scores(model: Model, frame: Frame) -> None:
    first, second = (classify(model, frame, top_k=0) for _ in range(2))
    assert first.categories == second.categories


def test_a_model_that_met_a_bad_frame_goes_on(model: Model, frame: Frame, tmp_path: Path) -> None:
    before = classify(model, frame, top_k=0).categories
    (tmp_path / "bad.jpg").write_bytes(b"not an image")
    kept = []
    for _ in range(2):
        try:
            classify(model, next(photos([tmp_path / "bad.jpg"])))
        except ImageError as error:
            kept.append(error)  # with all that its traceback holds
    assert len(kept) == 2
    assert classify(model, frame, top_k=0).categories == before
