"""Whether a model is fit for use: a verdict that can say no."""

from __future__ import annotations

import numpy as np
import pytest

from convert.measure.scores import Accuracy, accuracy, balanced_accuracy
from convert.report.verdict import CARE, DIVERGED, NO, NOTHING_LEARNED, SHIP, judge

KERAS = Accuracy(95, 100)


def scores_of(given: np.ndarray, num_labels: int) -> np.ndarray:
    """Scores of 0.9 for the answers."""
    scores = np.full((len(given), num_labels), 0.1 / (num_labels - 1), np.float32)
    scores[np.arange(len(given)), given] = 0.9
    return scores


def judged(labels: np.ndarray, given: np.ndarray, keras: Accuracy = KERAS) -> tuple[str, str]:
    names = [f"class{n}" for n in range(max(2, int(labels.max()) + 1))]
    found = judge(scores_of(given, len(names)), labels, names, keras)
    return found.level, str(found)


def test_a_good_model_ships() -> None:
    labels = np.arange(200) % 2
    given = labels.copy()
    given[:8] = 1 - given[:8]
    assert judged(labels, given) == (SHIP, SHIP)


def test_one_answer_for_all_does_not_ship() -> None:
    labels = np.array([0] * 200 + [1] * 8)
    level, words = judged(labels, np.zeros(208, np.int64))
    assert level == NO
    assert "it predicts class0 for 208 of 208 photos" in words
    found = judge(scores_of(np.zeros(208, np.int64), 2), labels, ["a", "b"], KERAS)
    assert found.remedy == NOTHING_LEARNED


def test_chance_does_not_ship() -> None:
    labels = np.arange(200) % 4
    level, words = judged(labels, np.random.default_rng(0).integers(0, 4, 200))
    assert level == NO
    assert "no better than guessing" in words


def test_a_class_that_is_never_found_does_not_ship() -> None:
    labels = np.arange(300) % 3
    level, words = judged(labels, np.where(labels == 2, 0, labels))
    assert level == NO
    assert "it finds 0 of 100 photos of class2" in words


def test_scores_that_are_no_numbers_do_not_ship() -> None:
    found = judge(np.full((10, 2), np.nan, np.float32), np.arange(10) % 2, ["a", "b"], KERAS)
    assert found.level == NO
    assert found.remedy == DIVERGED


@pytest.mark.parametrize(("wrong", "level"), [(0, SHIP), (10, CARE), (30, NO)])
def test_a_file_much_worse_than_its_network(wrong: int, level: str) -> None:
    labels = np.arange(200) % 2
    given = labels.copy()
    given[:wrong] = 1 - given[:wrong]
    assert judged(labels, given, Accuracy(1000, 1000))[0] == level


def test_few_photos_say_too_little() -> None:
    labels = np.arange(10) % 2
    level, words = judged(labels, labels)
    assert level == CARE
    assert "10 photos are too few: its accuracy lies between 0.72 and 1.00" in words


def test_many_copies_of_few_photos_say_too_little() -> None:
    labels = np.arange(200) % 2
    groups = np.arange(200) // 20
    found = judge(scores_of(labels, 2), labels, ["class0", "class1"], KERAS, groups)
    assert found.level == CARE
    assert "200 photos, which count as 10 without copies, are too few" in str(found)


def test_a_class_that_is_found_too_rarely_is_used_with_care() -> None:
    labels = np.arange(300) % 3
    given = np.where((labels == 2) & (np.arange(300) % 5 > 1), 0, labels)
    level, words = judged(labels, given, Accuracy(80, 100))
    assert level == CARE
    assert "it finds only 40 of 100 photos of class2" in words


def test_a_rare_class_counts_as_any_other_in_balanced_accuracy() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    assert balanced_accuracy(scores_of(np.zeros(100, np.int64), 2), labels) == 0.5


def test_of_many_classes_that_are_not_found_the_worst_are_named() -> None:
    labels = np.repeat(np.arange(300), 4)
    given = np.where(labels < 60, 299, labels)
    level, words = judged(labels, given)
    assert level == NO
    assert "it finds 10 % or fewer of the photos of 60 of 300 classes, such as class0, " in words
    assert len(words) < 300


def test_a_loss_is_of_the_photos_that_both_were_measured_on() -> None:
    labels = np.arange(400) % 2
    scores = np.where(np.eye(2)[labels] > 0, 0.9, 0.1).astype(np.float32)
    scores[360:] = scores[360:, ::-1]  # of the test set, all are wrong
    keras = accuracy(scores[:200], labels[:200])
    same = judge(scores, labels, ["a", "b"], keras, None, accuracy(scores[:200], labels[:200]))
    assert "worse than the network" not in str(same)
    scores[:20] = scores[:20, ::-1]
    worse = judge(scores, labels, ["a", "b"], keras, None, accuracy(scores[:200], labels[:200]))
    assert "10.0 points worse than the network that was trained (0.900 instead of 1.000)" in str(
        worse
    )
