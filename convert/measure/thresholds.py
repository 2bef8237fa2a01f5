"""A confidence threshold for each label, and the precision that it promises of other photos."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from convert.measure.scores import Labels, Scores, answers, ratio
from edge.classifier.model import NEVER

CONFIDENCE = 0.9  # of a promise: it holds 9 times in 10
LEVELS = 10  # thresholds of a label to choose from: of all its scores, it would hold 8.5 times
RIGHT_BELOW = 0.03  # share of the correct predictions that a threshold may always cost
ABOVE_CHANCE = 0.1  # of the way from chance to certainty: no threshold is lower


@dataclass(frozen=True)
class LabelThreshold:
    """The score below which one label is "unknown"."""

    value: float  # NEVER for a label that means none of the others
    correct: int  # of the predictions of this label at or above the value
    accepted: int  # these predictions, on the photos that it was chosen on

    @property
    def precision(self) -> float:
        """Share of the accepted predictions that are correct; 0 if there are none."""
        return self.correct / self.accepted if self.accepted else 0.0

    @property
    def promise(self) -> float:
        """The precision that can be expected of other photos, `CONFIDENCE` of the time."""
        return float(least_precision(np.array([self.correct]), np.array([self.accepted]))[0])


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of all labels, in their order."""

    wanted: float  # the requested precision of each label
    of_labels: tuple[LabelThreshold, ...]
    photos: str = "the validation set"  # that they were chosen on

    @property
    def values(self) -> NDArray[np.float64]:
        """(num_labels,) scores."""
        return np.array([label.value for label in self.of_labels])

    @property
    def highest(self) -> float:
        """The one threshold at which no label promises less."""
        return max((label.value for label in self.real), default=0.0)

    @property
    def real(self) -> list[LabelThreshold]:
        """Those of the labels that are ever accepted."""
        return [label for label in self.of_labels if label.value < NEVER]

    @property
    def promise(self) -> float:
        """The precision that every label promises."""
        return min((label.promise for label in self.real), default=0.0)

    @property
    def reached(self) -> bool:
        """Whether every label promises the wanted precision."""
        return self.promise >= self.wanted

    def facts(self, labels: Sequence[str]) -> dict[str, object]:
        """Return what a model file carries of them."""
        named = dict(zip(labels, self.of_labels, strict=True))
        # Not rounded: a rounded one would reject the photo that it comes from.
        return {
            "threshold": self.highest,
            "thresholds": {name: t.value for name, t in named.items() if t.value < NEVER},
            "unknown_labels": [name for name, t in named.items() if t.value >= NEVER],
        }


@dataclass(frozen=True)
class AtThreshold:
    """A model's predictions when those below their threshold count as "unknown"."""

    coverage: float  # share of photos, of labels that are ever accepted, above the threshold
    precision: float  # share of the accepted predictions that are correct; 0 if there are none
    false_positives: tuple[float, ...]  # per label: share of other labels' photos predicted as it


def least_precision(correct: NDArray[np.int64], accepted: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the precision that is exceeded `CONFIDENCE` of the time, 0 where nothing is correct.

    Source: Clopper and Pearson 1934, https://doi.org/10.1093/biomet/26.4.404: exact, one-sided.
    """
    some = np.maximum(correct, 1)
    low = betaincinv(some, np.maximum(accepted - some, 0) + 1, 1 - CONFIDENCE)
    return np.asarray(np.where(correct > 0, low, 0.0), np.float64)


def photos_needed(precision: float) -> int:
    """Return how many accepted photos without an error promise a precision: 45 for 0.95."""
    counts = np.arange(1, 100_000)
    return int(np.argmax(least_precision(counts, counts) >= precision)) + 1


def choose_thresholds(
    scores: Scores,
    labels: Labels,
    precision: float,
    unknown: Collection[int] = (),
    photos: str = "the validation set",
) -> Thresholds:
    """Choose for each label the lowest threshold that promises a precision, or the best promise.

    A promise is made by the photos that the threshold was chosen on, and holds nevertheless where
    there are few thresholds to choose from: `python benchmarks/thresholds.py`.

    No threshold is 0: if all predictions are correct, nothing is known about other photos. It
    rejects at least scores lower than those of nearly all correct predictions.

    Args:
        scores: (n, num_labels).
        labels: (n,).
        precision: that every label should promise, 0 to 1.
        unknown: indices of labels that mean none of the others: they are never accepted.
        photos: what the scores are of, in words.
    """
    given, top = answers(scores), scores.max(axis=1)
    least = _least(scores, given == labels)
    found = []
    for label in range(scores.shape[1]):
        own = given == label
        if label in unknown:
            found.append(LabelThreshold(NEVER, 0, 0))
        else:
            found.append(_chosen(top[own], labels[own] == label, least, precision))
    return Thresholds(precision, tuple(found), photos)


def _chosen(
    top: NDArray[np.float32], correct: NDArray[np.bool_], least: np.float32, precision: float
) -> LabelThreshold:
    """Choose among the scores of one label's predictions: (n,), and whether each is correct."""
    if not len(top):
        return LabelThreshold(float(least), 0, 0)
    order = np.argsort(-top, kind="stable")
    last = np.append(np.flatnonzero(np.diff(top[order])), len(top) - 1)  # equal scores together
    levels = top[order][last]
    allowed = levels >= least
    allowed[0] = True  # it may not fall silent
    few = np.unique(np.ceil(np.arange(1, LEVELS + 1) / LEVELS * allowed.sum()).astype(int)) - 1
    levels, last = levels[allowed][few], last[allowed][few]
    hits, accepted = np.cumsum(correct[order])[last], last + 1
    promises = least_precision(hits, accepted)
    enough = np.flatnonzero(promises >= precision)
    best = int(enough[-1]) if len(enough) else int(np.argmax(promises))
    value = levels[best]
    if best == len(levels) - 1:  # all that it may accept: so may others that score as much
        value = min(value, least)
    return LabelThreshold(float(value), int(hits[best]), int(accepted[best]))


def _least(scores: Scores, right: NDArray[np.bool_]) -> np.float32:
    """Return a threshold below nearly all correct predictions, and above the score of chance."""
    chance = 1 / scores.shape[1]
    least = chance + ABOVE_CHANCE * (1 - chance)
    if right.any():
        top = scores.max(axis=1)[right]
        least = max(least, float(np.quantile(top, RIGHT_BELOW, method="lower")))
    return np.float32(least)


def at_threshold(
    scores: Scores, labels: Labels, values: float | NDArray[np.float64]
) -> AtThreshold:
    """Measure the predictions at or above a threshold.

    Args:
        scores: (n, num_labels).
        labels: (n,).
        values: the threshold of all labels, or (num_labels,) of each.
    """
    limits = np.broadcast_to(np.asarray(values, np.float64), scores.shape[1])
    given = answers(scores)
    answered = scores.max(axis=1) >= limits[given]
    right = answered & (given == labels)
    known = limits[labels] < NEVER
    false = np.bincount(given[answered & ~right], minlength=scores.shape[1])
    others = len(labels) - np.bincount(labels, minlength=scores.shape[1])
    return AtThreshold(
        coverage=float(ratio((answered & known).sum(), known.sum())),
        precision=float(ratio(right.sum(), answered.sum())),
        false_positives=tuple(ratio(false, others).tolist()),
    )
