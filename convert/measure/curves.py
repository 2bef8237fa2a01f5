"""Curves over all thresholds, one label against the rest, and how honest the scores are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.measure.scores import Labels, Scores, answers

BINS = 10
STEPS = 201  # of a mean curve's horizontal axis


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of a curve in the unit square, and the figure that sums it up."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    area: float  # ROC: area under it; precision-recall: average precision


@dataclass(frozen=True, eq=False)
class Reliability:
    """Top scores in bins of equal width: is 0.8 right in 80 of 100 cases?"""

    confidence: NDArray[np.float64]  # (bins,), mean top score; the bin's middle where it is empty
    accuracy: NDArray[np.float64]  # (bins,), share of correct predictions; 0 if it is empty
    count: NDArray[np.int64]  # (bins,), photos
    error: float  # expected calibration error, in [0, 1]


def roc(scores: NDArray[np.float32], positive: NDArray[np.bool_]) -> Curve:
    """Return false positives (x) against recall (y) of one label's scores, (n,), with its area.

    Equal scores are one point. Source: Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010.
    """
    hits, alarms = _counts(scores, positive)
    x = np.append(0.0, alarms / max(1, alarms[-1]))
    y = np.append(0.0, hits / max(1, hits[-1]))
    return Curve(x, y, float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2)))


def precision_recall(scores: NDArray[np.float32], positive: NDArray[np.bool_]) -> Curve:
    """Return recall (x) against precision (y) of one label's scores, with the average precision.

    The average is a sum of steps, not of trapezoids, which are too optimistic: Davis and
    Goadrich 2006, https://doi.org/10.1145/1143844.1143874.
    """
    hits, alarms = _counts(scores, positive)
    recall, precision = hits / max(1, hits[-1]), hits / (hits + alarms)
    area = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    return Curve(np.append(0.0, recall), np.append(precision[:1], precision), area)


def one_against_rest(scores: Scores, labels: Labels) -> dict[int, tuple[Curve, Curve]]:
    """Return the ROC and the precision-recall curve of every label that has photos."""
    curves = {}
    for label in np.unique(labels).tolist():
        own, positive = scores[:, label], labels == label
        curves[label] = roc(own, positive), precision_recall(own, positive)
    return curves


def micro(scores: Scores, labels: Labels) -> tuple[Curve, Curve]:
    """Return both curves over every pair of a photo and a label: frequent labels count more."""
    positive = (labels[:, None] == np.arange(scores.shape[1])).ravel()
    return roc(scores.ravel(), positive), precision_recall(scores.ravel(), positive)


def macro(curves: dict[int, tuple[Curve, Curve]]) -> tuple[Curve, Curve]:
    """Return the mean of the labels' curves: every label counts the same."""
    x = np.linspace(0.0, 1.0, STEPS)
    rocs = [np.interp(x, curve.x, curve.y) for curve, _ in curves.values()]
    precisions = [_steps(x, curve) for _, curve in curves.values()]
    return (
        Curve(x, np.mean(rocs, axis=0), _mean_area(curve for curve, _ in curves.values())),
        Curve(x, np.mean(precisions, axis=0), _mean_area(curve for _, curve in curves.values())),
    )


def reliability(scores: Scores, labels: Labels, bins: int = BINS) -> Reliability:
    """Compare top scores with how often they are right.

    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599 (expected calibration error).
    """
    top = scores.max(axis=1).astype(np.float64)
    right = (answers(scores) == labels).astype(np.float64)
    place = np.clip(np.ceil(top * bins).astype(int) - 1, 0, bins - 1)  # (low, high], as there
    count = np.bincount(place, minlength=bins)
    filled = np.maximum(count, 1)
    confidence = np.bincount(place, top, bins) / filled
    accuracy = np.bincount(place, right, bins) / filled
    error = float(np.sum(count * np.abs(accuracy - confidence)) / len(labels))
    middles = (np.arange(bins) + 0.5) / bins
    return Reliability(np.where(count > 0, confidence, middles), accuracy, count, error)


def _counts(
    scores: NDArray[np.float32], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hits and false positives at or above each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(positive[order], dtype=np.int64)[last]
    return hits, last + 1 - hits


def _steps(x: NDArray[np.float64], curve: Curve) -> NDArray[np.float64]:
    """Precision at each recall: the best of any point that recalls as much or more.

    Source: Manning et al. 2008, Introduction to Information Retrieval, section 8.4.
    """
    best = np.maximum.accumulate(curve.y[::-1])[::-1]
    found: NDArray[np.float64] = best[np.minimum(np.searchsorted(curve.x, x), len(best) - 1)]
    return found


def _mean_area(curves: Iterable[Curve]) -> float:
    return float(np.mean([curve.area for curve in curves]))
