"""Arithmetic on scores: how good a model's predictions on labelled photos are.

Everywhere: `scores` is (n, num_labels) float32, one row for each photo; `labels` is (n,) int64. The
prediction for a photo is its top label; among equals the lower index leads, as in
`edge.classifier.classify`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.interval import wilson

Scores = NDArray[np.float32]
Labels = NDArray[np.int64]
Groups = NDArray[np.int64]

LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
LEAST_SCORE = 1e-7  # an int8 score of 0 is not certain, and has no logarithm


@dataclass(frozen=True)
class Accuracy:
    """How many photos have their label as the top category, before any threshold."""

    correct: int
    total: int
    # The number of photos without copies that would be worth as much.
    independent: float | None = None  # None: all of them

    @property
    def value(self) -> float:
        """Share of correct ones, in [0, 1]."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the value, by Wilson, of the independent photos."""
        total = self.independent or self.total
        return wilson(self.value * total, total)

    def __str__(self) -> str:
        """`0.912 (0.889 to 0.931)`."""
        low, high = self.interval
        return f"{self.value:.3f} ({low:.3f} to {high:.3f})"


@dataclass(frozen=True)
class Comparison:
    """Two models on the same photos."""

    agreement: float  # share of photos with the same prediction by both
    mcnemar_p: float  # chance of a difference this large between equally accurate models
    largest_change: float  # of any score of any photo
    lost: int  # photos that only the reference classifies correctly
    gained: int  # photos that only the other classifies correctly


@dataclass(frozen=True)
class ClassScores:
    """One label's figures; 0 where there is nothing to divide by."""

    precision: float  # share of the predictions of this label that are correct
    recall: float  # share of this label's photos that are predicted as it
    f1: float  # harmonic mean of the two
    count: int  # photos of this label
    predicted: int  # photos predicted as this label


def answers(scores: Scores) -> Labels:
    """Return each photo's top category, (n,)."""
    return np.asarray(np.argmax(scores, axis=1), np.int64)


def accuracy(scores: Scores, labels: Labels, groups: Groups | None = None) -> Accuracy:
    """Count the photos whose top category is their label.

    Args:
        scores: of the photos.
        labels: theirs.
        groups: (n,) equal for photos that belong together; None: each is alone.
    """
    correct = int((answers(scores) == labels).sum())
    if groups is None:
        return Accuracy(correct, len(labels))
    return Accuracy(correct, len(labels), effective_size(groups))


def effective_size(groups: Groups) -> float | None:
    """Return how many independent photos are worth as much as these groups; None: as many.

    Kish's effective sample size, if the photos of a group are all right or all wrong together.
    """
    sizes = np.unique(groups, return_counts=True)[1]
    return float(len(groups) ** 2 / (sizes**2).sum()) if sizes.max(initial=1) > 1 else None


def balanced_accuracy(scores: Scores, labels: Labels) -> float:
    """Return the mean recall of the labels that have photos: a rare label counts as any other."""
    recalls = [of_label.recall for of_label in per_class(scores, labels) if of_label.count]
    return float(np.mean(recalls)) if recalls else 0.0


def compare(reference: Scores, scores: Scores, labels: Labels) -> Comparison:
    """Compare two models photo by photo; the reference comes first."""
    theirs, ours = answers(reference), answers(scores)
    lost = int(((theirs == labels) & (ours != labels)).sum())
    gained = int(((theirs != labels) & (ours == labels)).sum())
    return Comparison(
        agreement=float((theirs == ours).mean()),
        mcnemar_p=mcnemar_p(lost, gained),
        largest_change=float(np.abs(scores - reference).max()),
        lost=lost,
        gained=gained,
    )


def mcnemar_p(lost: int, gained: int) -> float:
    """Return the exact two-sided p of McNemar's test: a coin tossed for each discordant photo.

    Source: McNemar 1947, https://doi.org/10.1007/BF02295996; exact by the binomial distribution.
    """
    tosses = lost + gained
    ways, tail = 1, 0
    for heads in range(min(lost, gained) + 1):
        tail += ways  # of C(tosses, heads)
        ways = ways * (tosses - heads) // (heads + 1)
    return min(1.0, float(2 * tail / 2**tosses))  # whole numbers: no overflow, however many photos


def confusion(scores: Scores, labels: Labels) -> NDArray[np.int64]:
    """Count photos by label (row) and prediction (column): (num_labels, num_labels)."""
    num_labels = scores.shape[1]
    cells = np.bincount(labels * num_labels + answers(scores), minlength=num_labels**2)
    return cells.reshape(num_labels, num_labels)


def per_class(scores: Scores, labels: Labels) -> tuple[ClassScores, ...]:
    """Return each label's precision, recall and F1, one against the rest."""
    table = confusion(scores, labels)
    right, counts, given = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    precision, recall = ratio(right, given), ratio(right, counts)
    f1 = ratio(2 * right, given + counts)
    columns = zip(precision, recall, f1, counts, given, strict=True)
    return tuple(
        ClassScores(float(p), float(r), float(f), int(c), int(g)) for p, r, f, c, g in columns
    )


def log_scores(scores: Scores) -> NDArray[np.float64]:
    """Return the logarithms of scores, of which a softmax gives the scores again."""
    return np.asarray(np.log(np.maximum(scores.astype(np.float64), LEAST_SCORE)), np.float64)


def log_loss(scores: Scores, labels: Labels) -> float:
    """Return the mean log loss of (n, num_labels) scores."""
    return -float(log_scores(scores)[np.arange(len(labels)), labels].mean())


def tempered(scores: Scores, temperature: float) -> Scores:
    """Return the scores that the logits divided by a temperature would give, (n, num_labels).

    softmax(log p / T) is softmax(z / T), and for two labels sigmoid(z / T).
    """
    return np.exp(_log_softmax(log_scores(scores) / temperature)).astype(np.float32)


def fit_temperature(logits: NDArray[Any], labels: Labels) -> float:
    """Find the temperature at which the labels are likeliest; above 1 the scores were too sure.

    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599. The likelihood has one hill along
    log T, which a golden section climbs. If every prediction is correct it climbs forever towards
    certainty, so that nothing can be learned: 1.

    Args:
        logits: (n, num_labels), or `log_scores`, which differ from them by a constant a photo.
        labels: (n,).

    Returns: a temperature in [0.05, 20].
    """
    logits = np.asarray(logits, np.float64)
    if bool((answers(logits) == labels).all()):
        return 1.0

    def loss(log_temperature: float) -> float:
        likely = _log_softmax(logits / math.exp(log_temperature))
        return -float(likely[np.arange(len(labels)), labels].mean())

    low, high = math.log(LEAST_TEMPERATURE), math.log(MOST_TEMPERATURE)
    return math.exp(_golden_section(loss, low, high))


def ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    """Divide; 0 where there is nothing to divide by."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0), np.float64)


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float64)


def _golden_section(loss: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one valley is lowest (Kiefer 1953)."""
    shrink = (math.sqrt(5) - 1) / 2
    left, right = high - shrink * (high - low), low + shrink * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-4:  # of log T
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - shrink * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + shrink * (high - low)
            at_right = loss(right)
    return (low + high) / 2
