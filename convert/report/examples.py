"""Sheets of photos with a model's predictions, correct and wrong marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convert.data.photo import PixelRows
from convert.measure.scores import Labels, Scores, answers
from convert.report.sheet import sheet
from edge.image.heat import heated

MOST_PHOTOS = 20  # the tutorial's
MOST_RIGHT = 10  # of them correct, where evidence is shown
COLUMNS = 5


def sample(labels: Labels, seed: int = 0, count: int = MOST_PHOTOS) -> NDArray[np.int64]:
    """Choose photos, seeded: each label in turn gives one, as long as it has any; (n,) indices."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    turn = np.zeros(len(labels), np.int64)  # a photo is its label's first, second, ...
    for label in np.unique(labels):
        own = order[labels[order] == label]
        turn[own] = np.arange(len(own))
    return order[np.argsort(turn[order], kind="stable")][:count]


def mistakes(scores: Scores, labels: Labels, count: int = MOST_PHOTOS) -> NDArray[np.int64]:
    """Return the wrong predictions, those with the highest scores first: (n,) indices."""
    wrong = np.flatnonzero(answers(scores) != labels)
    return wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")][:count]


def evidence_png(
    pixels: PixelRows,
    scores: Scores,
    labels: Labels,
    names: Sequence[str],
    heat: NDArray[np.float32],
) -> bytes:
    """Lay out the worst mistakes, then correct predictions, with the evidence over them.

    Args:
        pixels: (n, h, w, 3) uint8.
        scores: (n, num_labels).
        labels: (n,).
        names: of the labels.
        heat: (n, rows, columns), the evidence for each photo's prediction.
    """
    right = np.flatnonzero(answers(scores) == labels)
    few = right[sample(labels[right], count=MOST_RIGHT)] if len(right) else right
    shown = np.concatenate([mistakes(scores, labels, MOST_PHOTOS - MOST_RIGHT), few])
    over = np.stack([heated(pixels[index], heat[index]) for index in shown.tolist()])
    return answers_png(over, scores[shown], labels[shown], names, np.arange(len(shown)))


def answers_png(
    pixels: PixelRows,
    scores: Scores,
    labels: Labels,
    names: Sequence[str],
    indices: NDArray[np.int64],
) -> bytes:
    """Lay out photos with their predictions; a wrong one is marked, with its true label.

    Args:
        pixels: (n, h, w, 3) uint8.
        scores: (n, num_labels).
        labels: (n,).
        names: of the labels.
        indices: of the photos to show; one or more.
    """
    given = answers(scores)
    tiles, marks = [], []
    for index in indices.tolist():
        right = given[index] == labels[index]
        caption = f"{scores[index].max():.2f} {names[given[index]]}"
        tiles.append((pixels[index], caption if right else f"{caption}, is {names[labels[index]]}"))
        marks.append("right" if right else "wrong")
    return sheet(tiles, columns=COLUMNS, marks=marks)
