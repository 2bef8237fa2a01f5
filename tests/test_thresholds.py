"""The threshold of each label, and what it promises of other photos."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convert.measure.scores import Accuracy
from convert.measure.thresholds import (
    LabelThreshold,
    at_threshold,
    choose_thresholds,
    least_precision,
    photos_needed,
)
from edge.classifier.model import NEVER


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two labels, the surer the likelier to be right; and the labels."""
    random = np.random.default_rng(seed)
    sure = random.uniform(0.5, 1.0, count).astype(np.float32)
    given = np.arange(count) % 2
    right = random.random(count) < sure**0.4
    scores = np.stack([np.where(given == 0, sure, 1 - sure), np.where(given, sure, 1 - sure)], 1)
    return scores, np.where(right, given, 1 - given)


def test_the_promise_is_clopper_and_pearsons() -> None:
    # By hand: n photos without an error promise 0.1 ** (1 / n).
    counts = np.array([1, 45, 114])
    assert least_precision(counts, counts) == pytest.approx(0.1 ** (1 / counts))
    assert (photos_needed(0.95), photos_needed(0.98)) == (45, 114)
    assert least_precision(np.array([0]), np.array([9]))[0] == 0
    assert LabelThreshold(0.5, 90, 100).promise == pytest.approx(0.8501, abs=1e-3)


def test_no_lower_threshold_of_a_label_promises_as_much() -> None:
    scores, labels = drawn(2000, 0)
    found = choose_thresholds(scores, labels, 0.95)
    assert found.reached
    given = scores.argmax(1)
    for label, of_label in enumerate(found.of_labels):
        own = np.unique(scores[given == label, label])
        assert of_label.value in own
        tenths = np.sort(own[own >= 0.55])[:: -(len(own[own >= 0.55]) // 10)]
        for value in tenths[tenths < of_label.value]:
            accepted = (given == label) & (scores[:, label] >= value)
            hits = (labels[accepted] == label).sum()
            assert least_precision(np.array([hits]), np.array([accepted.sum()]))[0] < 0.95


@pytest.mark.parametrize("count", [60, 600])
def test_a_promise_holds_9_times_in_10_on_other_photos(count: int) -> None:
    others, truth = drawn(20_000, 1)
    held = []
    for seed in range(200):
        found = choose_thresholds(*drawn(count, 2 + seed), 0.95)
        for label, of_label in enumerate(found.of_labels):
            accepted = (others.argmax(1) == label) & (others.max(1) >= of_label.value)
            precision = (truth[accepted] == label).mean()
            held.append(precision >= min(0.95, of_label.promise))
    assert Accuracy(sum(held), len(held)).interval[1] >= 0.9


def test_few_photos_make_the_highest_promise_that_they_allow() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8]], np.float32)
    found = choose_thresholds(scores, np.array([1, 0, 0, 1]), 0.95)  # the surest one is wrong
    assert not found.reached
    first, second = found.of_labels
    assert (first.correct, first.accepted) == (2, 3)
    assert (second.correct, second.accepted, second.promise) == (1, 1, pytest.approx(0.1))
    assert found.promise == min(first.promise, second.promise)


def test_a_threshold_is_never_zero() -> None:
    sure = np.random.default_rng(0).uniform(0.9, 1.0, 400).astype(np.float32)
    labels = np.arange(400) % 2
    scores = np.stack([np.where(labels == 0, sure, 1 - sure), np.where(labels, sure, 1 - sure)], 1)
    found = choose_thresholds(scores, labels, 0.98)
    assert all(0.9 < value < 0.91 for value in found.values)
    assert 0.96 <= at_threshold(scores, labels, found.values).coverage < 1.0


def test_a_threshold_is_above_what_chance_scores() -> None:
    scores = np.full((8, 4), 0.24, np.float32)
    scores[:, 0] = 0.28
    scores[0, 0], scores[0, 1:] = 0.4, 0.2
    found = choose_thresholds(scores, np.zeros(8, np.int64), 0.98)
    assert 0.3249 < found.of_labels[0].value <= np.float32(0.4)
    assert found.of_labels[1].value == pytest.approx(0.325)  # never predicted


def test_a_label_of_other_things_is_never_accepted_and_its_photos_count_as_errors() -> None:
    scores = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]], np.float32)
    labels = np.array([0, 1, 1, 1])  # label 1 is of other things; one of them looks like label 0
    found = choose_thresholds(scores, labels, 0.5, unknown=(1,))
    assert found.values[1] == NEVER
    assert found.facts(("cup", "none", "key"))["unknown_labels"] == ["none"]
    assert "none" not in found.facts(("cup", "none", "key"))["thresholds"]
    at = at_threshold(scores, labels, np.array([0.5, NEVER, 0.5]))
    assert (at.coverage, at.precision) == (1.0, 0.5)
    assert at.false_positives == (1 / 3, 0.0, 0.0)


def test_figures_at_a_threshold_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.6, 0.4]], np.float32)
    found = at_threshold(scores, np.array([0, 0, 1, 1]), 0.60)
    assert (found.coverage, found.precision) == (3 / 4, pytest.approx(2 / 3))
    assert found.false_positives == (1 / 2, 0.0)
    none = at_threshold(scores, np.array([0, 0, 1, 1]), 0.99)
    assert (none.coverage, none.precision, sum(none.false_positives)) == (0.0, 0.0, 0.0)


def test_chosen_thresholds_survive_json() -> None:
    scores, labels = drawn(100, 3)
    found = choose_thresholds(scores, labels, 0.9)
    again = json.loads(json.dumps(found.facts(("a", "b"))))["thresholds"]
    at = at_threshold(scores, labels, np.array([again["a"], again["b"]]))
    assert at == at_threshold(scores, labels, found.values)
