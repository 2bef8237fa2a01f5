"""When photos were taken, or at least in which order: from EXIF, JSON, names or file times."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from convert.data.photo import Photo
from edge.errors import ImageError
from edge.image.decode import read_taken

ENOUGH = 0.8  # of the photos must have a time for it to be used
SPREAD_S = 60.0  # file times closer together are those of a copy
_STAMP = re.compile(
    r"(?<!\d)(?P<date>(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01]))"
    r"[-_. T]?(?:at )?(?P<time>(?:[01]\d|2[0-3])[-_.:]?[0-5]\d[-_.:]?[0-5]\d)"
)
_NUMBER = re.compile(r"\d+")

Times = list[float | None]


def taken_times(photos: Sequence[Photo], *, unasked: bool = False) -> tuple[str, Times]:
    """Where the times of photos are known from, and the seconds; None for a photo without.

    The source is "" where too few photos have a time.

    Args:
        photos: of one class.
        unasked: use only what certainly is the time of the photo: EXIF and edge-watch's JSON.
    """
    readers: dict[str, Callable[[Path], float | None]] = {
        "EXIF": _exif,
        "JSON beside the photos": _record,
        "the names": _stamp,
        "file times": _modified,
    }
    for source, read in list(readers.items())[: 2 if unasked else None]:
        times = _read_all(photos, read)
        known = [time for time in times if time is not None]
        if not known:
            continue
        spread = max(known) - min(known)
        if source != "file times" or spread >= max(SPREAD_S, len(photos)):
            return source, times
    return "", [None] * len(photos)


def order_of(photos: Sequence[Photo]) -> tuple[str, list[int]]:
    """Indices of photos in the order in which they were taken, and where that is known from."""
    source, times = taken_times(photos)
    if source and source != "file times":
        return source, sorted(range(len(photos)), key=lambda i: (times[i] or 0.0, photos[i].sha256))
    numbers = [_numbers(photo.path.stem) for photo in photos]
    if all(numbers) and len(set(numbers)) > len(photos) // 2:
        return "the numbers in the names", sorted(
            range(len(photos)), key=lambda i: (str(photos[i].path.parent), numbers[i])
        )
    if source:
        return source, sorted(range(len(photos)), key=lambda i: (times[i] or 0.0, photos[i].sha256))
    return "", sorted(range(len(photos)), key=lambda i: photos[i].sha256)


def _read_all(photos: Sequence[Photo], read: Callable[[Path], float | None]) -> Times:
    """The times of photos; none once too many lack one, so that few files are opened in vain."""
    times: Times = []
    lacking = 0
    for photo in photos:
        times.append(read(photo.path))
        lacking += times[-1] is None
        if lacking > (1 - ENOUGH) * len(photos):
            return []
    return times


@functools.lru_cache(maxsize=100_000)
def _exif(path: Path) -> float | None:
    try:
        return _seconds(read_taken(path), "%Y:%m:%d %H:%M:%S")
    except ImageError:
        return None


def _record(path: Path) -> float | None:
    """The time in the JSON file that edge-watch writes beside an image."""
    try:
        record = json.loads(path.with_suffix(".json").read_bytes())
        return datetime.fromisoformat(record["captured_at"]).timestamp()
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _stamp(path: Path) -> float | None:
    found = _STAMP.search(path.stem)
    if found is None:
        return None
    return _seconds("".join(_NUMBER.findall(found["date"] + found["time"])), "%Y%m%d%H%M%S")


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _seconds(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text[:19], form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _numbers(stem: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(stem)))
