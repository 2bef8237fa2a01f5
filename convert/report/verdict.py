"""Whether a model is fit for use: ship, usable with care, or do not ship, with the reasons.

The limits are rules of thumb about what a figure is worth, chosen beforehand and on no test set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convert.measure.scores import (
    Accuracy,
    Groups,
    Labels,
    Scores,
    accuracy,
    answers,
    balanced_accuracy,
    per_class,
)

SHIP, CARE, NO = "ship", "usable with care", "do not ship"
ONE_ANSWER = 0.99  # share of photos that get the same prediction
ABOVE_CHANCE = 0.1  # of balanced accuracy, below which nothing was learned
FEW_FOUND = 0.1  # recall of a class that is not found
HALF_FOUND = 0.5  # recall of a class that is found too rarely
WIDE = 0.2  # width of a 95 % interval that is too wide to decide
MUCH_LOST, SOME_LOST = 10.0, 3.0  # points, by quantization


@dataclass(frozen=True)
class Verdict:
    """One of SHIP, CARE and NO, and why it is no better."""

    level: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        """`do not ship: it answers many to everything`."""
        return f"{self.level}: {'; '.join(self.reasons)}" if self.reasons else self.level


def judge(
    scores: Scores,
    labels: Labels,
    names: Sequence[str],
    keras: Accuracy,
    groups: Groups | None = None,
) -> Verdict:
    """Judge a model by its predictions for photos that it was not trained on.

    Args:
        scores: (n, num_labels), of the validation and test photos.
        labels: (n,).
        names: of the labels.
        keras: accuracy of the network before it was converted.
        groups: (n,), equal for photos that belong together; None: each is alone.
    """
    refusals = _refusals(scores, labels, names, keras)
    if refusals:
        return Verdict(NO, tuple(refusals))
    right = accuracy(scores, labels, groups)
    cautions = _cautions(scores, labels, names, keras, right)
    return Verdict(CARE, tuple(cautions)) if cautions else Verdict(SHIP)


def _refusals(scores: Scores, labels: Labels, names: Sequence[str], keras: Accuracy) -> list[str]:
    if not np.isfinite(scores).all():
        return ["its scores are NaN: the training diverged; use a lower --learning-rate"]
    given = np.bincount(answers(scores), minlength=len(names))
    most = int(given.argmax())
    share = np.bincount(labels, minlength=len(names)).max() / len(labels)
    right = accuracy(scores, labels)
    balanced = balanced_accuracy(scores, labels)
    if given[most] >= ONE_ANSWER * len(labels):
        return [
            f"it predicts {names[most]} for {given[most]} of {len(labels)} photos; its accuracy of "
            f"{right.value:.3f} is the share of that class"
        ]
    present = len(np.unique(labels))
    if balanced < 1 / present + ABOVE_CHANCE:
        return [
            f"it is no better than guessing: balanced accuracy {balanced:.3f}, by chance "
            f"{1 / present:.3f}"
        ]
    found = []
    if right.value <= share and right.value < 1:
        found.append(
            f"it is no better than always predicting the most common label, which is right on "
            f"{share:.3f}; its accuracy is {right.value:.3f}"
        )
    found += [
        f"it finds {round(of.recall * of.count)} of {of.count} photos of {name}"
        for name, of in zip(names, per_class(scores, labels), strict=True)
        if of.count and of.recall <= FEW_FOUND
    ]
    lost = 100 * (keras.value - right.value)
    if lost > MUCH_LOST:
        found.append(_lost(lost, keras))
    return found


def _cautions(
    scores: Scores, labels: Labels, names: Sequence[str], keras: Accuracy, right: Accuracy
) -> list[str]:
    low, high = right.interval
    found = [
        f"it finds only {round(of.recall * of.count)} of {of.count} photos of {name}"
        for name, of in zip(names, per_class(scores, labels), strict=True)
        if of.count and of.recall < HALF_FOUND
    ]
    if high - low > WIDE:
        photos = f"{right.total} photos"
        if right.independent:
            photos += f", which count as {right.independent:.0f} without copies,"
        found.append(f"{photos} are too few: its accuracy lies between {low:.2f} and {high:.2f}")
    lost = 100 * (keras.value - right.value)
    if lost > SOME_LOST:
        found.append(_lost(lost, keras))
    return found


def _lost(points: float, keras: Accuracy) -> str:
    return (
        f"the file is {points:.1f} points worse than the network that was trained "
        f"({keras.value:.3f}); ship float32"
    )
