"""Which photos belong together, so that no split parts them, and what its figures are worth.

Photos are joined by content, looks, stems of names, folders inside a class and bursts. Where that
much is joined that a class cannot be split, as with a fixed camera, its photos are cut into
sessions instead: stretches of the time, or of the order, in which they were taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.data.grouping.joined import connected
from convert.data.grouping.stems import pairs_of
from convert.data.grouping.times import order_of, taken_times
from convert.data.photo import Photo

Array = NDArray[Any]
Pairs = list[tuple[int, int]]

BURST_S = 2.0  # photos taken so close together are one burst
SESSION_S = 600.0  # a pause that ends a session
MIN_FOLDERS = 3  # of a class, for a folder to be kept in one set
SESSIONS = 12  # that a class which cannot be split otherwise is cut into, where it has the photos
MIN_REST = 0.2  # of a class's photos must lie outside of its biggest group
OTHER_PHOTOS = "photos that differ from those of the training"
SAME_SCENE = "the same scene at other times; other light, places and objects are not covered"


@dataclass(frozen=True)
class Joined:
    """What was kept together for one reason."""

    reason: str
    groups: int  # of two or more photos
    photos: int  # in them


@dataclass(frozen=True)
class Grouping:
    """The group of each photo, by its SHA-256, and what people should know of it."""

    numbers: dict[str, int]
    joined: tuple[Joined, ...] = ()
    worth: str = OTHER_PHOTOS  # what figures on held-out photos are measured on
    warnings: tuple[str, ...] = ()


def grouped(
    photos: Sequence[Photo], labels: Sequence[str], alike: Array, sets: int, by: str = "auto"
) -> Grouping:
    """Group photos so that each class can be split into some sets.

    Args:
        photos: those that are split.
        labels: names of the classes.
        alike: (num_photos,) int64, equal for near-duplicates.
        sets: how many sets each class goes to.
        by: of convert.names.GROUP_BY.
    """
    numbers = np.unique([photo.sha256 for photo in photos], return_inverse=True)[1]
    joined = []
    for reason, pairs in _reasons(photos, alike, by):
        pairs = [(a, b) for a, b in pairs if numbers[a] != numbers[b]]
        if pairs:
            numbers = connected(numbers, pairs)
            joined.append(_joined(reason, len(photos), pairs))
    stuck = _stuck(photos, numbers, sets) if by != "none" else {}
    warnings: list[str] = []
    if stuck:
        numbers, told = _cut(photos, numbers, stuck, labels)
        warnings += told
    warnings += _one_session(photos, labels)
    worth = SAME_SCENE if stuck else OTHER_PHOTOS
    if by == "none":
        worth = "photos that may be near-duplicates of the training photos"
    of_content = {photo.sha256: int(n) for photo, n in zip(photos, numbers, strict=True)}
    return Grouping(of_content, tuple(joined), worth, tuple(warnings))


def _reasons(photos: Sequence[Photo], alike: Array, by: str) -> Iterable[tuple[str, Pairs]]:
    """Each reason to keep photos together, and pairs that it joins."""
    if by == "auto":
        yield "near-duplicates", _equal(alike.tolist())
    if by in ("auto", "name"):
        # Cameras begin to count again: the same name in another folder is another photo.
        places = [str(photo.path.parent) for photo in photos]
        yield "names of copies", _within(photos, places, _stems)
    labels = [photo.label for photo in photos]
    if by in ("auto", "folder"):
        yield "folders of a class", _within(photos, labels, _folders)
    if by in ("auto", "time"):
        pause = BURST_S if by == "auto" else SESSION_S
        yield "taken at the same time", _within(photos, labels, lambda own: _close(own, by, pause))


def _equal(keys: Sequence[Any]) -> Pairs:
    first: dict[Any, int] = {}
    pairs = [(first.setdefault(key, index), index) for index, key in enumerate(keys)]
    return [(one, other) for one, other in pairs if one != other]


def _within(
    photos: Sequence[Photo], keys: Sequence[Any], pairs: Callable[[list[Photo]], Pairs]
) -> Pairs:
    """Join photos of equal keys alone."""
    own: defaultdict[Any, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        own[key].append(index)
    return [
        (indices[a], indices[b])
        for indices in own.values()
        for a, b in pairs([photos[i] for i in indices])
    ]


def _stems(photos: Sequence[Photo]) -> Pairs:
    return pairs_of([photo.path.stem for photo in photos])


def _folders(photos: Sequence[Photo]) -> Pairs:
    """Join the photos of each folder, where the class has enough of them."""
    names = {photo.folder for photo in photos if photo.folder}
    if len(names) < MIN_FOLDERS:
        return []
    inside = [i for i, photo in enumerate(photos) if photo.folder]
    return [(inside[a], inside[b]) for a, b in _equal([photos[i].folder for i in inside])]


def _close(photos: Sequence[Photo], by: str, pause_s: float) -> Pairs:
    """Join photos that were taken within a pause of each other; unasked, by EXIF alone."""
    source, times = taken_times(photos, unasked=by == "auto")
    if not source:
        return []
    order = sorted((time, i) for i, time in enumerate(times) if time is not None)
    return [(a, b) for (before, a), (after, b) in pairwise(order) if after - before <= pause_s]


def _joined(reason: str, count: int, pairs: Pairs) -> Joined:
    sizes = Counter(connected(np.arange(count), pairs).tolist()).values()
    several = [size for size in sizes if size > 1]
    return Joined(reason, len(several), sum(several))


def _stuck(photos: Sequence[Photo], numbers: Array, sets: int) -> dict[int, int]:
    """The classes that cannot be split by these groups, and the biggest group of each."""
    found = {}
    for label in sorted({photo.label for photo in photos}):
        sizes = Counter(
            number
            for photo, number in zip(photos, numbers.tolist(), strict=True)
            if photo.label == label
        )
        group, largest = sizes.most_common(1)[0]
        total = sum(sizes.values())
        if largest > 1 and (len(sizes) < sets or total - largest < MIN_REST * total):
            found[label] = group
    return found


def _cut(
    photos: Sequence[Photo], numbers: Array, stuck: dict[int, int], labels: Sequence[str]
) -> tuple[Array, list[str]]:
    """Cut the groups that are too large into sessions, class by class."""
    cut = numbers.copy()
    sources = set()
    free = int(numbers.max()) + 1
    for group in set(stuck.values()):
        for label in sorted({p.label for p, n in zip(photos, numbers, strict=True) if n == group}):
            own = [
                i for i, photo in enumerate(photos) if numbers[i] == group and photo.label == label
            ]
            source, order = order_of([photos[i] for i in own])
            sources.add(source or "an unknown order")
            for part in _parts(len(own)):
                cut[[own[order[i]] for i in part]] = free
                free += 1
    same = _equal([photo.sha256 for photo in photos])
    names = ", ".join(labels[label] for label in sorted(stuck))
    warning = (
        f"photos of {names} are near-duplicates, as from a fixed camera: cut into sessions by "
        f"{' and '.join(sorted(sources))}, so validation and test measure {SAME_SCENE}"
    )
    return connected(cut, same), [warning]


def _parts(count: int) -> list[range]:
    """Cut a stretch of photos into sessions of about the same length."""
    parts = min(SESSIONS, count)
    ends = [round(count * part / parts) for part in range(parts + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


def _one_session(photos: Sequence[Photo], labels: Sequence[str]) -> list[str]:
    """Warn of classes that come from one session, where others come from more."""
    sessions = {}
    for label in sorted({photo.label for photo in photos}):
        source, times = taken_times([p for p in photos if p.label == label], unasked=True)
        known = sorted(time for time in times if time is not None)
        if source:
            sessions[label] = 1 + sum(b - a > SESSION_S for a, b in pairwise(known))
    return [
        f"all photos of {labels[label]} were taken in one session: what the network learns may be "
        "the light or the place; add photos from other days"
        for label, count in sessions.items()
        if count == 1 and len(sessions) > 1
    ]
