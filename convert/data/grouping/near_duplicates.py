"""Find near-duplicates: photos scaled, compressed, turned, cropped or sheared; bursts.

Each photo gets a perceptual hash of 255 bits (the signs of its lowest cosine frequencies) and a
coarse map of its colours. Two photos look alike when nearly all bits agree, or most of them do
and the colours do as well, in any of eight orientations. What a hash cannot follow (a few degrees,
a crop, shear, shift), local features do: convert.data.grouping.copies.

The limits of the hash were chosen on 6,200 real photos, 19 million pairs.
benchmarks/near_duplicates.py prints recall, false joins and cost.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.data.grouping.copies import SIDE as DECODED
from convert.data.grouping.copies import Features, copies, features_of
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
BLOCK = 512  # photos compared with all others at once

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
        seen = dict(zip(first, each(_see_or_not, list(first.values()), "compare"), strict=True))
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


def see(picture: Path | bytes) -> Seen:
    """Look at a photo. Raises: ImageError."""
    pixels = read_image(picture, at_least=(DECODED, DECODED))
    return Seen(look(resized(pixels, (SIDE, SIDE))), features_of(pixels))


def _see_or_not(path: Path) -> Seen | str:
    """See a photo, or return why it cannot be read."""
    try:
        return see(path)
    except ImageError as error:
        return error.fault


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
    pairs = copies([f for f in features if f is not None], [keys[i] for i in readable])
    joined = [(readable[one], readable[other]) for one, other in pairs]
    return connected(_join_alike(numbers, looks), joined)


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
    signs = _signs(looks["bits"][shaped])
    colours = looks["colours"][shaped].astype(np.float32)
    for start in range(0, len(shaped), BLOCK):
        views = _views(signs[start : start + BLOCK])
        later = signs[start:].T  # each pair is looked at once
        agree = functools.reduce(np.maximum, (view @ later for view in views))
        near = np.triu(agree >= 255 - 2 * ALIKE_BITS, 1)  # 255 - 2 * differing bits
        for row in np.flatnonzero(near.any(axis=1)):
            index = start + row
            others = start + np.flatnonzero(near[row])
            others = others[numbers[shaped[others]] != numbers[shaped[index]]]
            if not len(others):
                continue
            same = agree[row, others - start] >= 255 - 2 * SAME_BITS
            same |= _colour_distance(colours[index], colours[others]) <= ALIKE_COLOURS
            joined = numbers[shaped[[index, *others[same]]]]
            if len(joined) > 1:
                numbers[np.isin(numbers, joined)] = joined.min()
    return numbers


def _cosines() -> Array:
    """The lowest frequencies of the discrete cosine transform (II): (FREQUENCIES, SIDE)."""
    centres = np.arange(SIDE) + 0.5
    return np.cos(np.pi / SIDE * np.arange(FREQUENCIES)[:, None] * centres).astype(np.float32)


COSINES = _cosines()
# Mirroring left to right turns the odd horizontal frequencies over, upside down the odd vertical
# ones; turning by 90 degrees also exchanges the two.
ODD = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)
FLIPS = [np.outer(down, across).ravel()[1:] for down in (ODD**2, ODD) for across in (ODD**2, ODD)]
TRANSPOSED = np.arange(FREQUENCIES**2).reshape(FREQUENCIES, FREQUENCIES).T.ravel()[1:] - 1


def _signs(bits: Array) -> Array:
    """(n, 32) uint8 -> (n, 255) float32 of 1 and -1: their products count what agrees."""
    signs: Array = np.unpackbits(bits, axis=1)[:, 1:].astype(np.float32) * 2 - 1
    return signs


def _views(signs: Array) -> Iterator[Array]:
    """Yield the (n, 255) signs of the eight orientations."""
    for turned in (signs, signs[:, TRANSPOSED]):
        for flip in FLIPS:
            yield turned * flip


def _colour_distance(one: Array, others: Array) -> Array:
    """Mean difference, 0..255, of one map of colours and (n, ...) others, in any orientation."""
    views = [flipped for turned in (one, one.swapaxes(0, 1)) for flipped in _flipped(turned)]
    each_view = [2 * np.abs(others - view).mean((1, 2, 3)) for view in views]
    nearest: Array = np.min(each_view, axis=0)
    return nearest


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
