"""Find near-duplicates: photos scaled, compressed, turned, cropped or sheared; bursts.

Photos that look alike as a whole are joined first: convert.data.grouping.looks. What that cannot
follow (a few degrees, a crop, shear, shift), local features do: convert.data.grouping.copies.
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
from convert.data.grouping.index import candidates
from convert.data.grouping.joined import connected
from convert.data.grouping.looks import LOOK, SIDE, groups_alike, look
from convert.data.parallel import each
from convert.data.photo import Photo
from convert.files import write
from edge.errors import ImageError
from edge.image.preprocess import PREPROCESSING_VERSION, read_image, resized

Array = NDArray[Any]

VERSION = f"{PREPROCESSING_VERSION}.3"  # of what is kept in a cache
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
        numbers = group(list(first), readable, cache)
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


def group(keys: Sequence[str], seen: Sequence[Seen], folder: Path | None = None) -> Array:
    """Group photos by what is seen of them and by their keys, equal for equal content.

    Args: what is known of each photo; where temporary files lie, None: where the system has them.
    Returns: (n,) int64.
    """
    first: dict[str | bytes, int] = {}  # of those with the same content or look, by their keys
    numbers = np.empty(len(keys), np.int64)
    chosen: list[Seen] = []
    for index in sorted(range(len(keys)), key=lambda i: keys[i]):
        look = seen[index].look
        same = keys[index] if look["plain"] else look.tobytes()
        numbers[index] = first.setdefault(same, len(first))
        if len(chosen) < len(first):
            chosen.append(seen[index])
    return connected(_grouped(chosen, folder)[numbers], [])


def _grouped(seen: Sequence[Seen], folder: Path | None) -> Array:
    """Group photos, no two of which are the same, in an order that their content decides."""
    numbers = groups_alike(np.array([of_photo.look for of_photo in seen], LOOK))
    readable = np.array([i for i, of_photo in enumerate(seen) if of_photo.features], np.int64)
    features = [of_photo.features for of_photo in seen if of_photo.features]
    pairs = candidates(features, numbers[readable], folder)
    found = copies(features, pairs, numbers[readable])
    return connected(numbers, readable[np.array(found, np.int64).reshape(-1, 2)])


def _key(hashes: Iterable[str]) -> str:
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()[:16]


def _load(path: Path) -> Overview | None:
    """What an earlier run kept; None where it cannot be read."""
    try:
        return Overview(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
