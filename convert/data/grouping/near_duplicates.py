"""Find near-duplicates: photos scaled, compressed, turned, cropped or sheared; bursts.

Each photo gets a perceptual hash of 255 bits (the signs of its lowest cosine frequencies) and a
coarse map of its colours. Two photos look alike when nearly all bits agree, or most of them do
and the colours do as well, in any of eight orientations. What a hash cannot follow (a few degrees,
a crop, shear, shift), local features do: convert.data.grouping.copies.

The limits of the hash were chosen on 6,200 real photos, 19 million pairs.
benchmarks/near_duplicates.py prints recall, false joins and cost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.data.grouping.copies import copies
from convert.data.grouping.features import SIDE as DECODED
from convert.data.grouping.features import Features, Shelf, features_of
from convert.data.parallel import each
from convert.data.photo import Photo
from convert.files import write
from edge.errors import ImageError
from edge.image.preprocess import PREPROCESSING_VERSION, Pixels, read_image, resized

Array = NDArray[Any]

VERSION = f"{PREPROCESSING_VERSION}.2"  # of what is kept in a cache
SIDE = 32  # what is hashed, in pixels
FREQUENCIES = 16  # in both directions, the mean left out
SAME_BITS = 51  # maximum number of 255 bits that differ; colours are not compared
ALIKE_BITS = 76  # or this many, where the colours differ by at most
ALIKE_COLOURS = 10.0  # of 255, on average
FAINT = 14.0  # a frequency below this is noise: three times what rounding pixels makes
COLOURS = SIDE // 4  # side of the map of colours
ROWS, COLUMNS = 1024, 1024  # photos that are compared at once
# Of 255 bits: those that agree, less those that differ.
LEAST_SAME, LEAST_ALIKE = 255 - 2 * SAME_BITS, 255 - 2 * ALIKE_BITS

LOOK = np.dtype(
    [
        ("bits", "u1", (FREQUENCIES * FREQUENCIES // 8,)),
        ("colours", "i1", (COLOURS, COLOURS, 2)),
        ("plain", "?"),  # has no shape of its own
    ]
)
UNREADABLE = np.zeros((), LOOK)
UNREADABLE["plain"] = True


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Seen:
    """What is compared of a photo."""

    look: Array  # () LOOK
    features: Features | None  # None: it cannot be read


UNSEEN = Seen(UNREADABLE, None)


@dataclass(frozen=True)
class Overview:
    """What looking at photos gave, by their SHA-256."""

    groups: dict[str, int]  # equal for near-duplicates
    faults: dict[str, str]  # why a photo cannot be read


def look_over(photos: Sequence[Photo], cache: Path | None = None) -> Overview:
    """Look at photos once: which are near-duplicates, and which cannot be read.

    A photo that cannot be read is like its exact copies only. Neither order nor names matter.

    Args:
        photos: of any sets and classes.
        cache: a folder that keeps the result, by content; None: nothing is kept.
    """
    first = {photo.sha256: photo.path for photo in photos}
    path = cache and cache / f"near-duplicates-v{VERSION}-{_key(first)}.json"
    known = _load(path) if path else None
    if known is None:
        shelf = Shelf(cache)

        def see_or_not(path: Path) -> Seen | str:
            """See a photo, or return why it cannot be read."""
            try:
                return see(path, shelf)
            except ImageError as error:
                return error.fault

        seen = dict(zip(first, each(see_or_not, list(first.values()), "compare"), strict=True))
        faults = {sha256: found for sha256, found in seen.items() if isinstance(found, str)}
        readable = [UNSEEN if isinstance(found, str) else found for found in seen.values()]
        numbers = group(list(first), readable)
        known = Overview(dict(zip(first, numbers.tolist(), strict=True)), faults)
        if path and all(first[sha256].exists() for sha256 in faults):  # else it may come back
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, json.dumps(asdict(known)).encode())
    return known


def groups(photos: Sequence[Photo], cache: Path | None = None) -> Array:
    """Number photos so that near-duplicates have the same number: (num_photos,) int64."""
    found = look_over(photos, cache).groups
    return np.unique([found[p.sha256] for p in photos], return_inverse=True)[1].astype(np.int64)


def see(picture: Path | bytes, shelf: Shelf | None = None) -> Seen:
    """Look at a photo.

    Args: the photo; what holds its features, where there are many; None: the result does.
    Raises: ImageError; OutputError where the shelf has no place.
    """
    pixels = read_image(picture, at_least=(DECODED, DECODED))
    features = features_of(pixels)
    return Seen(look(resized(pixels, (SIDE, SIDE))), shelf.put(features) if shelf else features)


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


def group(keys: Sequence[str], seen: Sequence[Seen]) -> Array:
    """Group photos by what is seen of them and by their keys, equal for equal content.

    Returns: (n,) int64.
    """
    numbers = np.unique(np.array(keys, "U64"), return_inverse=True)[1]
    looks = np.array([of_photo.look for of_photo in seen], LOOK)
    readable = [i for i, of_photo in enumerate(seen) if of_photo.features is not None]
    features = [seen[i].features for i in readable]
    numbers = _join_alike(numbers, looks)
    whole = [f for f in features if f is not None]
    pairs = copies(whole, [keys[i] for i in readable], numbers[readable])
    return connected(numbers, [(readable[one], readable[other]) for one, other in pairs])


def connected(numbers: Array, pairs: Iterable[tuple[int, int]]) -> Array:
    """Join groups, (n,) int, by pairs of members; the result is numbered from 0."""
    parent = list(range(int(numbers.max(initial=-1)) + 1))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for one, other in pairs:
        a, b = root(int(numbers[one])), root(int(numbers[other]))
        parent[max(a, b)] = min(a, b)
    roots = np.array([root(number) for number in numbers.tolist()], np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _join_alike(numbers: Array, looks: Array) -> Array:
    """Join groups of photos, (n,) LOOK, whose hashes agree in some orientation."""
    shaped = np.flatnonzero(~looks["plain"])  # what has no shape would all look alike
    bits, colours, joined = looks["bits"][shaped], looks["colours"][shaped], _Joined(numbers)
    for start in range(0, len(shaped), ROWS):
        rows = _signs(bits[start : start + ROWS])
        views = [_by_parity(rows[:, order]) for order in TURNS]
        for first in range(start, len(shaped), COLUMNS):  # each pair is looked at once
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


class _Joined:
    """Groups of photos, (n,) int64, that are joined one after the other."""

    def __init__(self, numbers: Array) -> None:
        self.numbers = numbers.copy()
        order = np.argsort(numbers, kind="stable")
        ends = np.flatnonzero(np.diff(numbers[order])) + 1
        parts = np.split(order, ends)
        self._members = {int(numbers[part[0]]): part for part in parts if len(part)}

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


def _key(hashes: Iterable[str]) -> str:
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()[:16]


def _load(path: Path) -> Overview | None:
    """What an earlier run kept; None where it cannot be read."""
    try:
        return Overview(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
