"""Find classes that a change of the training photos would confuse.

Mirrored photos confuse classes that are each other's mirror image, by their names or their looks;
other colours and sizes confuse classes that are named after them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.data.photo import PixelRows
from edge.image.preprocess import Pixels

Array = NDArray[Any]

SIDE = 64  # pixels of what is looked at
BINS = 16  # directions of an edge, over the full circle
MOST_PHOTOS = 200  # of a class
OPPOSITE = 0.8  # cosine of one class's handedness with the other's, turned over
CERTAIN = 4.0  # times the handedness that chance would give
_SIDES = {"left": "right", "l": "r", "port": "starboard", "clockwise": "counterclockwise"}
COLOURS = frozenset(
    "red green blue yellow orange amber purple violet pink brown black white grey gray beige cyan "
    "magenta turquoise gold silver ripe unripe".split()
)
SIZES = frozenset(
    "tiny small little medium large big huge xs s m l xl xxl short long tall near far thin thick "
    "full half empty".split()
)


def mirror_images(names: Sequence[str], pixels: PixelRows, labels: Array) -> list[tuple[str, str]]:
    """Return pairs of labels that are each other's mirror image, by their names or their photos.

    Args:
        names: of the labels.
        pixels: (n, h, w, 3) uint8.
        labels: (n,).
    """
    by_name = {pair for pair in combinations(names, 2) if _named_after_sides(*pair)}
    handed = [_handedness(pixels, np.flatnonzero(labels == label)) for label in range(len(names))]
    by_looks = {
        (names[one], names[other])
        for one, other in combinations(range(len(names)), 2)
        if _are_opposite(handed[one], handed[other])
    }
    return sorted(by_name | by_looks)


def named_after(words: frozenset[str], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of names that differ only in some words: `cap red` and `cap green`."""
    return [
        (one, other)
        for one, other in combinations(names, 2)
        if (differing := _differing(one, other)) and frozenset().union(*differing) <= words
    ]


def _named_after_sides(one: str, other: str) -> bool:
    """Whether two names differ only in left and right: `turn_left` and `turn_right`."""
    differing = _differing(one, other)
    return bool(differing) and differing <= {frozenset(pair) for pair in _SIDES.items()}


def _differing(one: str, other: str) -> set[frozenset[str]]:
    """The words in which two names differ, in pairs; none where they do not compare."""
    words = [re.split(r"[\W_]+", name.casefold()) for name in (one, other)]
    if len(words[0]) != len(words[1]):
        return set()
    return {frozenset(pair) for pair in zip(*words, strict=True) if pair[0] != pair[1]}


def _handedness(pixels: PixelRows, indices: Array) -> tuple[Array, float]:
    """How edges differ from those of the mirror image, (BINS,), and how surely: times chance."""
    chosen = indices[:: max(1, -(-len(indices) // MOST_PHOTOS))]
    each = np.array([_edges(pixels[i]) - _edges(pixels[i][:, ::-1]) for i in chosen])
    if len(each) < 2:
        return np.zeros(BINS), 0.0
    mean = each.mean(axis=0)
    by_chance = float(np.sqrt(each.var(axis=0).sum() / len(each)))
    return mean, float(np.linalg.norm(mean)) / by_chance if by_chance else 0.0


def _edges(pixels: Pixels) -> Array:
    """Histogram of the directions of an image's edges, by their strength: (BINS,), sum 1."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    across, down = cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)
    # Bins are centred on the axes, so that each is exactly another's mirror image.
    bins = np.rint(np.arctan2(down, across) / (2 * np.pi) * BINS).astype(int) % BINS
    strength = np.hypot(across, down)
    histogram: Array = np.bincount(bins.ravel(), strength.ravel(), BINS)
    return histogram / max(1e-9, float(histogram.sum()))


def _are_opposite(one: tuple[Array, float], other: tuple[Array, float]) -> bool:
    (ours, our_certainty), (theirs, their_certainty) = one, other
    if min(our_certainty, their_certainty) < CERTAIN:
        return False
    lengths = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float(-ours @ theirs) >= OPPOSITE * lengths
