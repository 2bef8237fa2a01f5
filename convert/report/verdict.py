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
MOST_NAMED = 5  # classes in a sentence
MUCH_LOST, SOME_LOST = 10.0, 3.0  # points, by quantization
DIVERGED = "use a lower --learning-rate, or --precision float32"
NOTHING_LEARNED = (
    "look at a few photos of each class and at suspects.csv; then add photos, or use a lower "
    "--learning-rate or more --epochs"
)


@dataclass(frozen=True)
class Verdict:
    """One of SHIP, CARE and NO, and why it is no better."""

    level: str
    reasons: tuple[str, ...] = ()
    remedy: str = ""  # of NO: what to try

    def __str__(self) -> str:
        """`do not ship: it answers many to everything`."""
        return f"{self.level}: {'; '.join(self.reasons)}" if self.reasons else self.level


@dataclass(frozen=True)
class _Lost:
    """What a file loses against the network that it was made of, for the same photos."""

    keras: Accuracy
    of_file: Accuracy

    @property
    def points(self) -> float:
        return 100 * (self.keras.value - self.of_file.value)

    def __str__(self) -> str:
        return (
            f"the file is {self.points:.1f} points worse than the network that was trained "
            f"({self.of_file.value:.3f} instead of {self.keras.value:.3f})"
        )


def judge(
    scores: Scores,
    labels: Labels,
    names: Sequence[str],
    keras: Accuracy,
    groups: Groups | None = None,
    of_file: Accuracy | None = None,
) -> Verdict:
    """Judge a model by its predictions for photos that it was not trained on.

    Args:
        scores: (n, num_labels), of the validation and test photos.
        labels: (n,).
        names: of the labels.
        keras: accuracy of the network before it was converted.
        groups: (n,), equal for photos that belong together; None: each is alone.
        of_file: the model's accuracy for the photos of `keras`; None: these are all of them.
    """
    lost = _Lost(keras, of_file or accuracy(scores, labels))
    refusals = _refusals(scores, labels, names, lost)
    if refusals:
        remedies = dict.fromkeys(remedy for _, remedy in refusals)
        return Verdict(NO, tuple(reason for reason, _ in refusals), "; ".join(remedies))
    right = accuracy(scores, labels, groups)
    cautions = _cautions(scores, labels, names, lost, right)
    return Verdict(CARE, tuple(cautions)) if cautions else Verdict(SHIP)


def _refusals(
    scores: Scores, labels: Labels, names: Sequence[str], lost: _Lost
) -> list[tuple[str, str]]:
    """Return each reason not to ship, and what to try."""
    if not np.isfinite(scores).all():
        return [("its scores are NaN: the training diverged", DIVERGED)]
    right = accuracy(scores, labels)
    if nothing := _nothing_learned(scores, labels, names, right):
        return [(nothing, NOTHING_LEARNED)]
    share = np.bincount(labels, minlength=len(names)).max() / len(labels)
    found = []
    if right.value <= share and right.value < 1:
        reason = (
            f"it is no better than always predicting the most common label, which is right on "
            f"{share:.3f}; its accuracy is {right.value:.3f}"
        )
        found.append((reason, NOTHING_LEARNED))
    found += [
        (reason, "add photos of these classes, or check that they are in the right folders")
        for reason in _not_found(scores, labels, names, FEW_FOUND, "it finds")
    ]
    if lost.points > MUCH_LOST:
        found.append((str(lost), "ship float32"))
    return found


def _nothing_learned(
    scores: Scores, labels: Labels, names: Sequence[str], right: Accuracy
) -> str | None:
    """Return how a model shows that it has learned nothing; None if it does not."""
    given = np.bincount(answers(scores), minlength=len(names))
    most = int(given.argmax())
    if given[most] >= ONE_ANSWER * len(labels):
        return (
            f"it predicts {names[most]} for {given[most]} of {len(labels)} photos; its accuracy of "
            f"{right.value:.3f} is the share of that class"
        )
    balanced, present = balanced_accuracy(scores, labels), len(np.unique(labels))
    if balanced < 1 / present + ABOVE_CHANCE:
        return (
            f"it is no better than guessing: balanced accuracy {balanced:.3f}, by chance "
            f"{1 / present:.3f}"
        )
    return None


def _cautions(
    scores: Scores, labels: Labels, names: Sequence[str], lost: _Lost, right: Accuracy
) -> list[str]:
    low, high = right.interval
    below = float(np.nextafter(HALF_FOUND, 0))
    found = _not_found(scores, labels, names, below, "it finds only")
    if high - low > WIDE:
        photos = f"{right.total} photos"
        if right.independent:
            photos += f", which count as {right.independent:.0f} without copies,"
        found.append(f"{photos} are too few: its accuracy lies between {low:.2f} and {high:.2f}")
    if lost.points > SOME_LOST:
        found.append(f"{lost}; ship float32")
    return found


def _not_found(
    scores: Scores,
    labels: Labels,
    names: Sequence[str],
    most: float,
    words: str,
) -> list[str]:
    """Name the classes of which at most a share is found; of more than a few, the worst."""
    missed = sorted(
        (of.recall, name, of.count)
        for name, of in zip(names, per_class(scores, labels), strict=True)
        if of.count and of.recall <= most
    )
    if len(missed) <= MOST_NAMED:
        return [
            f"{words} {round(r * count)} of {count} photos of {name}" for r, name, count in missed
        ]
    worst = ", ".join(name for _, name, _ in missed[:MOST_NAMED])
    share = f"{100 * most:.0f} % or fewer"
    return [
        f"{words} {share} of the photos of {len(missed)} of {len(names)} classes, such as {worst}"
    ]
