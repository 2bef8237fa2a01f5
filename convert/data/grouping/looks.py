"""What a photo looks like as a whole: a perceptual hash, and a coarse map of its colours.

The hash has 255 bits, the signs of the lowest cosine frequencies. Two photos look alike when nearly
all bits agree, or most of them do and the colours do as well, in any of eight orientations. The
limits were chosen on 6,200 real photos, 19 million pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.image.preprocess import Pixels

Array = NDArray[Any]

SIDE = 32  # what is hashed, in pixels
FREQUENCIES = 16  # in both directions, the mean left out
SAME_BITS = 51  # maximum number of 255 bits that differ; colours are not compared
ALIKE_BITS = 76  # or this many, where the colours differ by at most
ALIKE_COLOURS = 10.0  # of 255, on average
FAINT = 14.0  # a frequency below this is noise: three times what rounding pixels makes
COLOURS = SIDE // 4  # side of the map of colours
ROWS, COLUMNS = 1024, 1024  # photos that are compared at once
REACH = 16_384  # photos of the next colours that each is compared with: up to here, all
# Of 255 bits: those that agree, less those that differ.
LEAST_SAME, LEAST_ALIKE = 255 - 2 * SAME_BITS, 255 - 2 * ALIKE_BITS

LOOK = np.dtype(
    [
        ("bits", "u1", (FREQUENCIES * FREQUENCIES // 8,)),
        ("colours", "i1", (COLOURS, COLOURS, 2)),
        ("plain", "?"),  # has no shape of its own
    ]
)


def look(pixels: Pixels) -> Array:
    """See what is compared of an image: () LOOK.

    Args:
        pixels: (SIDE, SIDE, 3) uint8, the whole image, stretched to a square.
    """
    seen = np.zeros((), LOOK)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)  # (SIDE, SIDE)
    lowest = (COSINES @ grey @ COSINES.T).ravel()  # (FREQUENCIES * FREQUENCIES,)
    seen["bits"] = np.packbits(lowest > 0)
    seen["plain"] = np.mean(np.abs(lowest[1:]) > FAINT) < 0.5
    means = pixels.reshape(COLOURS, 4, COLOURS, 4, 3).mean((1, 3), dtype=np.float32)
    light = means @ np.array([0.299, 0.587, 0.114], np.float32)
    seen["colours"] = np.rint((means[..., [2, 0]] - light[..., None]) / 2)  # blue, red; -128..127
    return seen


def groups_alike(looks: Array) -> Array:
    """Number photos, (n,) LOOK, so that those whose hashes agree have the same number: (n,) int64.

    They are compared in the order of their mean colours, with REACH others each.
    """
    shaped = np.flatnonzero(~looks["plain"])  # what has no shape would all look alike
    shaped = shaped[np.argsort(_mean_colour(looks["colours"][shaped]), kind="stable")]
    bits, colours, joined = looks["bits"][shaped], looks["colours"][shaped], _Joined(len(looks))
    for start in range(0, len(shaped), ROWS):
        rows = _signs(bits[start : start + ROWS])
        views = [_by_parity(rows[:, order]) for order in TURNS]
        for first in range(start, min(len(shaped), start + REACH), COLUMNS):  # once each pair
            agree = _agreement(views, _by_parity(_signs(bits[first : first + COLUMNS])))
            near = np.triu(agree >= LEAST_ALIKE, 1 + start - first)
            for row in np.flatnonzero(near.any(axis=1)).tolist():
                others = np.flatnonzero(near[row])
                others = others[joined.differ(shaped[start + row], shaped[first + others])]
                if len(others):
                    same = agree[row, others] >= LEAST_SAME
                    same |= _colours_agree(colours[start + row], colours[first + others])
                    joined.join(shaped[[start + row, *(first + others[same])]])
    return joined.numbers


def _mean_colour(colours: Array) -> Array:
    """(n, rows, columns, 2) -> (n,): how blue or red photos are, in any orientation."""
    means: Array = colours.astype(np.float32).mean(axis=(1, 2)) @ np.array([-1, 1], np.float32)
    return means


class _Joined:
    """Groups of photos, (n,) int64, that are joined one after the other; at first each is one."""

    def __init__(self, size: int) -> None:
        self.numbers = np.arange(size)
        self._members = dict(enumerate(np.arange(size)[:, None]))

    def differ(self, one: int, others: Array) -> Array:
        """Whether photos are in other groups than one is: (len(others),) bool."""
        apart: Array = self.numbers[others] != self.numbers[one]
        return apart

    def join(self, photos: Array) -> None:
        """Make one group of those of some photos."""
        first, *others = np.unique(self.numbers[photos]).tolist()
        if others:
            members = [self._members.pop(number) for number in (first, *others)]
            self._members[first] = np.concatenate(members)
            self.numbers[self._members[first]] = first


def _agreement(views: Sequence[Sequence[Array]], columns: Sequence[Array]) -> Array:
    """How much hashes agree, agreeing less differing bits, in the best orientation of eight.

    To mirror an image turns the signs of some parities over, so that the products of each parity
    are computed once, and summed for the four ways to mirror it.

    Args: (n, bits) signs by parity, of the image and of it turned; (m, bits) of others.
    Returns: (n, m) float32.
    """
    best = None
    for rows in views:
        even, across, down, both = (a @ b.T for a, b in zip(rows, columns, strict=True))
        total, apart = across + down, np.subtract(across, down, out=across)
        total = np.abs(total, out=total) + even + both
        apart = np.abs(apart, out=apart) + even - both
        here = np.maximum(total, apart, out=total)
        best = here if best is None else np.maximum(best, here, out=best)
    agreement: Array = np.asarray(best)
    return agreement


def _cosines() -> Array:
    """The lowest frequencies of the discrete cosine transform (II): (FREQUENCIES, SIDE)."""
    centres = np.arange(SIDE) + 0.5
    return np.cos(np.pi / SIDE * np.arange(FREQUENCIES)[:, None] * centres).astype(np.float32)


COSINES = _cosines()
# Mirroring left to right turns the odd horizontal frequencies over, upside down the odd vertical
# ones; turning by 90 degrees also exchanges the two. The mean is left out.
NUMBERS = np.arange(FREQUENCIES**2).reshape(FREQUENCIES, FREQUENCIES)
TURNS = [NUMBERS.ravel()[1:] - 1, NUMBERS.T.ravel()[1:] - 1]
PARITIES = [
    np.array([n - 1 for n in NUMBERS[down::2, across::2].ravel() if n])
    for down in (0, 1)
    for across in (0, 1)
]


def _signs(bits: Array) -> Array:
    """(n, 32) uint8 -> (n, 255) float32 of 1 and -1: their products count what agrees."""
    signs: Array = np.unpackbits(bits, axis=1)[:, 1:].astype(np.float32) * 2 - 1
    return signs


def _by_parity(signs: Array) -> list[Array]:
    """(n, 255) signs -> those that are even and odd across and down: four of (n, 63 or 64)."""
    return [signs[:, of_parity] for of_parity in PARITIES]


def _colours_agree(one: Array, others: Array) -> Array:
    """Whether maps of colours, (...) and (n, ...), are alike in any orientation: (n,) bool."""
    ours, theirs = one.astype(np.float32), others.astype(np.float32)
    views = [flipped for turned in (ours, ours.swapaxes(0, 1)) for flipped in _flipped(turned)]
    each_view = [2 * np.abs(theirs - view).mean((1, 2, 3)) for view in views]
    alike: Array = np.min(each_view, axis=0) <= ALIKE_COLOURS  # of 255, mean difference
    return alike


def _flipped(colours: Array) -> tuple[Array, ...]:
    return colours, colours[:, ::-1], colours[::-1], colours[::-1, ::-1]
