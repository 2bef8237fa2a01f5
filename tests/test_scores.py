"""Arithmetic on scores, against numbers computed by hand and textbook examples."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from convert.measure.scores import (
    Accuracy,
    accuracy,
    compare,
    confusion,
    effective_size,
    fit_temperature,
    log_scores,
    mcnemar_p,
    per_class,
    tempered,
)

# Six photos of three labels; the second is a wrong answer, the last a tie, which index 0 wins.
SCORES = np.array(
    [
        [0.90, 0.05, 0.05],
        [0.30, 0.60, 0.10],
        [0.10, 0.80, 0.10],
        [0.20, 0.70, 0.10],
        [0.05, 0.05, 0.90],
        [0.45, 0.10, 0.45],
    ],
    np.float32,
)
LABELS = np.array([0, 0, 1, 1, 2, 2])


def synthetic(num_labels: int, n: int = 4000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their very softmax: temperature 1 is right."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, num_labels))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (random.random((n, 1)) > np.cumsum(chances, axis=1)).sum(axis=1)
    return logits, np.minimum(labels, num_labels - 1)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


# --- accuracy


def test_accuracy_counts_top_categories() -> None:
    assert accuracy(SCORES, LABELS) == Accuracy(4, 6)


@pytest.mark.parametrize(
    "correct, total, low, high",
    [
        # Newcombe 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E
        # Table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(correct: int, total: int, low: float, high: float) -> None:
    assert Accuracy(correct, total).interval == pytest.approx((low, high), abs=5e-5)


def test_an_interval_stays_in_the_unit_range() -> None:
    for total in range(1, 50):
        assert Accuracy(0, total).interval[0] == 0.0
        assert Accuracy(total, total).interval[1] == 1.0


def test_an_accuracy_reads_as_a_figure_with_its_interval() -> None:
    assert str(Accuracy(81, 263)) == "0.308 (0.255 to 0.366)"


# --- comparison


def test_mcnemar_is_the_exact_binomial_test() -> None:
    # 1 head or fewer, or 9 or more, in 10 tosses: 2 * (1 + 10) / 1024
    assert mcnemar_p(1, 9) == mcnemar_p(9, 1) == pytest.approx(22 / 1024)
    # Fay's vignette of R's exact2x2, mcnemar.exact(rbind(c(21, 9), c(2, 12))): p-value = 0.06543
    assert mcnemar_p(9, 2) == pytest.approx(0.06543, abs=5e-6)


@pytest.mark.parametrize("lost, gained", [(0, 0), (1, 0), (3, 3), (500, 500)])
def test_mcnemar_sees_nothing_where_there_is_nothing(lost: int, gained: int) -> None:
    assert mcnemar_p(lost, gained) == 1.0


def test_mcnemar_stands_thousands_of_photos() -> None:
    assert 0.0 <= mcnemar_p(4000, 6000) < 1e-80
    assert mcnemar_p(0, 5000) == 0.0


def test_a_comparison_is_paired() -> None:
    other = SCORES.copy()
    other[1] = 0.65, 0.25, 0.10  # was wrong, is right
    other[2] = 0.50, 0.45, 0.05  # was right, is wrong
    other[3] = 0.60, 0.30, 0.10  # was right, is wrong
    found = compare(SCORES, other, LABELS)
    assert (found.lost, found.gained) == (2, 1)
    assert found.agreement == 0.5
    assert found.mcnemar_p == 1.0
    assert found.largest_change == pytest.approx(0.40)


def test_a_model_agrees_with_itself() -> None:
    found = compare(SCORES, SCORES, LABELS)
    assert (found.agreement, found.mcnemar_p, found.largest_change) == (1.0, 1.0, 0.0)


# --- per label


def test_confusion_has_labels_in_rows_and_answers_in_columns() -> None:
    assert confusion(SCORES, LABELS).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]


def test_per_class_figures_are_those_by_hand() -> None:
    cup, fish, key = per_class(SCORES, LABELS)
    assert (cup.precision, cup.recall, cup.f1) == (1 / 2, 1 / 2, 1 / 2)
    assert (fish.precision, fish.recall) == (2 / 3, 1.0)
    assert fish.f1 == pytest.approx(4 / 5)
    assert (key.precision, key.recall) == (1.0, 1 / 2)
    assert key.f1 == pytest.approx(2 / 3)
    assert [c.count for c in (cup, fish, key)] == [2, 2, 2]
    assert [c.predicted for c in (cup, fish, key)] == [2, 3, 1]


def test_a_label_without_photos_or_answers_divides_by_nothing() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0]], np.float32)
    absent = per_class(scores, np.array([0, 1]))[2]
    assert asdict(absent) == {"precision": 0, "recall": 0, "f1": 0, "count": 0, "predicted": 0}


# --- temperature


@pytest.mark.parametrize("num_labels", [2, 3, 10])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found_again(num_labels: int, temperature: float) -> None:
    logits, labels = synthetic(num_labels)
    found = fit_temperature(logits * temperature, labels)
    assert found == pytest.approx(temperature, rel=0.08)


def test_log_scores_serve_as_logits() -> None:
    logits, labels = synthetic(3)
    assert fit_temperature(log_scores(softmax(2 * logits)), labels) == pytest.approx(
        fit_temperature(2 * logits, labels), rel=1e-3
    )


def test_no_temperature_nearby_makes_the_labels_likelier() -> None:
    logits, labels = synthetic(4, n=300)
    logits = 5 * logits

    def likelihood(temperature: float) -> float:
        z = logits / temperature
        likely = z[np.arange(len(labels)), labels] - np.logaddexp.reduce(z, axis=1)
        return float(likely.mean())

    found = fit_temperature(logits, labels)
    tried = np.geomspace(0.05, 20, 200)
    assert likelihood(found) >= max(map(likelihood, tried)) - 1e-6


def test_for_two_labels_it_is_the_sigmoid_of_a_divided_logit() -> None:
    z = np.array([-3.0, -0.5, 0.0, 2.0])
    p = 1 / (1 + np.exp(-z))
    scores = np.stack([1 - p, p], 1).astype(np.float32)
    expected = 1 / (1 + np.exp(-z / 1.7))
    np.testing.assert_allclose(tempered(scores, 1.7)[:, 1], expected, atol=1e-6)


def test_a_temperature_changes_no_answer() -> None:
    logits, labels = synthetic(5, n=500)
    scores = softmax(logits)
    assert accuracy(tempered(scores, 4.2), labels) == accuracy(scores, labels)
    np.testing.assert_allclose(tempered(scores, 1.0), scores, atol=1e-6)


def test_a_faultless_validation_teaches_no_temperature() -> None:
    assert fit_temperature(np.eye(3) * 4, np.arange(3)) == 1.0


def test_a_hopeless_model_gets_the_highest_temperature() -> None:
    found = fit_temperature(np.eye(3) * 4, np.array([1, 2, 0]))
    assert found == pytest.approx(20.0, rel=1e-3)


def test_scores_of_zero_stay_finite() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    assert np.isfinite(fit_temperature(log_scores(scores), np.array([0, 1, 1])))
    assert np.isfinite(tempered(scores, 0.05)).all()


def test_copies_widen_the_interval() -> None:
    groups = np.repeat(np.arange(12), 7)  # 12 photos, each with six copies
    labels = np.zeros(84, np.int64)
    scores = np.tile(np.array([[0.9, 0.1]], np.float32), (84, 1))
    scores[:14] = scores[:14, ::-1]
    found = accuracy(scores, labels, groups)
    assert (found.correct, found.total, found.independent) == (70, 84, pytest.approx(12))
    assert found.interval == pytest.approx(Accuracy(10, 12).interval)
    assert accuracy(scores, labels, np.arange(84)).interval == Accuracy(70, 84).interval


def test_a_large_group_tells_little_more_than_one_photo() -> None:
    assert effective_size(np.repeat([0, 1], [99, 1])) == pytest.approx(1.02, abs=0.01)
    assert effective_size(np.arange(5)) is None
