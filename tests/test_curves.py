"""Curves over all thresholds, against numbers computed by hand and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from convert.measure.curves import (
    macro,
    micro,
    one_against_rest,
    precision_recall,
    reliability,
    roc,
)

SCORES = np.array([0.1, 0.4, 0.35, 0.8], np.float32)
POSITIVE = np.array([False, False, True, True])


def test_roc_and_its_area_by_hand() -> None:
    found = roc(SCORES, POSITIVE)
    assert found.x.tolist() == [0, 0, 0.5, 0.5, 1]
    assert found.y.tolist() == [0, 0.5, 0.5, 1, 1]
    assert found.area == 0.75  # 3 of the 4 pairs are in order


def test_the_roc_area_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(3)
    scores = random.integers(0, 20, 200).astype(np.float32)  # with many ties, as int8 gives
    positive = random.random(200) < 0.3
    difference = scores[positive][:, None] - scores[~positive][None]
    expected = ((difference > 0) + 0.5 * (difference == 0)).mean()
    assert roc(scores, positive).area == pytest.approx(expected)


def test_average_precision_by_hand() -> None:
    # 0.8 right: 1/1; 0.4 wrong; 0.35 right: 2/3
    found = precision_recall(SCORES, POSITIVE)
    assert found.area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert found.x.tolist() == [0, 0.5, 0.5, 1, 1]
    assert found.y == pytest.approx([1, 1, 1 / 2, 2 / 3, 1 / 2])


def test_equal_scores_are_one_point() -> None:
    found = roc(np.full(4, 0.5, np.float32), POSITIVE)
    assert found.x.tolist() == [0, 1]
    assert found.area == 0.5


@pytest.mark.parametrize("positive", [True, False])
def test_photos_of_one_kind_only_divide_by_nothing(positive: bool) -> None:
    assert np.isfinite(roc(SCORES, np.full(4, positive)).area)
    assert np.isfinite(precision_recall(SCORES, np.full(4, positive)).area)


def test_a_perfect_model_fills_the_square() -> None:
    labels = np.array([0, 1, 2, 2])
    scores = np.eye(3, dtype=np.float32)[labels]
    for curves in (micro(scores, labels), macro(one_against_rest(scores, labels))):
        assert [curve.area for curve in curves] == [1.0, 1.0]


def test_labels_without_photos_have_no_curve() -> None:
    scores = np.full((2, 4), 0.25, np.float32)
    assert list(one_against_rest(scores, np.array([0, 2]))) == [0, 2]


def test_macro_counts_labels_and_micro_counts_photos() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    scores = np.zeros((100, 2), np.float32)
    scores[:, 0] = np.where(labels == 0, 0.9, 0.6)  # label 1 is never the answer
    scores[:, 1] = 1 - scores[:, 0]
    curves = one_against_rest(scores, labels)
    assert macro(curves)[0].area == pytest.approx(1.0)  # each label by itself is in order
    assert micro(scores, labels)[0].area < 1.0


def test_bins_hold_every_photo_and_the_error_is_that_by_hand() -> None:
    scores = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.42, 0.58]], np.float32)
    found = reliability(scores, np.array([0, 1, 1, 0]))
    assert found.count.tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 2]
    assert found.confidence[[5, 6, 9]] == pytest.approx([0.58, 0.65, 0.95])
    assert found.accuracy[[5, 6, 9]].tolist() == [0.0, 1.0, 0.5]
    assert found.error == pytest.approx((0.58 + 0.35 + 2 * 0.45) / 4)


def test_honest_scores_have_little_error_and_sure_ones_much() -> None:
    random = np.random.default_rng(5)
    p = random.random(20000)
    labels = (random.random(20000) < p).astype(np.int64)
    honest = np.stack([1 - p, p], 1).astype(np.float32)
    sure = np.where(honest > 0.5, 1.0, 0.0).astype(np.float32)
    assert reliability(honest, labels).error < 0.01
    assert reliability(sure, labels).error == pytest.approx(0.25, abs=0.01)


def test_a_score_of_zero_or_one_has_a_bin() -> None:
    found = reliability(np.array([[0.0, 0.0], [1.0, 0.0]], np.float32), np.array([0, 0]))
    assert found.count[[0, -1]].tolist() == [1, 1]
