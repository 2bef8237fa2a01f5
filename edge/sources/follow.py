"""A folder as a source that lasts: its images once each, then those that are new or changed.

It is listed again and again. inotify would hear nothing of what another machine writes to a
network share.
"""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.errors import SourceError
from edge.sources.frame import Frame, Source, Waiting
from edge.sources.photos import is_picture_name

LOOK_S = 0.5  # between two listings, and between two signs of life
LOOK_SHARE = 0.1  # of one core for listing: 100,000 images take 0.5 s on x86-64
# An image that is being written changes within SETTLED_S. One older than OLD_S is complete: the
# time of a file is that of the last write, on FAT in steps of 2 s.
SETTLED_S, OLD_S = 1.0, 3.0
IDLE = "no new image"

Signature = tuple[int, int, int]  # modification time in ns, bytes, inode


@dataclass(frozen=True)
class Clock:
    """The times to go by."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time  # by which files are dated
    sleep: Callable[[float], None] = time.sleep


class Follow(Source):
    """A folder, pattern or file as a source: see `follow`."""

    goes_on = True

    def __init__(self, path: Path, *, give_up_s: float = 0.0) -> None:
        """Args: as for `follow`."""
        self._path, self._give_up_s = path, give_up_s

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield its images. Raises: SourceError."""
        return follow(self._path, give_up_s=self._give_up_s)


def follow(
    path: Path, *, give_up_s: float = 0.0, clock: Clock | None = None
) -> Iterator[Frame | Waiting]:
    """Yield a folder's, pattern's or file's images once each, and again when they change.

    An image that is still being written waits until its size and time stay the same. A restart
    begins again: which images were seen is kept in memory, 20 MB for 100,000.

    Args:
        path: a folder (the images in it, but not in its sub-folders), a glob pattern or a file.
        give_up_s: how long to wait for a path that is missing or cannot be read.
        clock: the time to go by.

    Raises: SourceError, when that time is over.
    """
    clock = clock or Clock()
    seen, until_s = _Seen(clock), clock.monotonic() + give_up_s
    while True:
        began_s = clock.monotonic()
        try:
            for _ in seen.look(path):
                yield Waiting(IDLE, idle=True)
        except OSError as error:
            if clock.monotonic() >= until_s:
                raise _fault(path, error) from error
            yield Waiting(f"{path}: {_fault(path, error).fault}")
            clock.sleep(LOOK_S)
            continue
        pause_s = max(LOOK_S, (clock.monotonic() - began_s) / LOOK_SHARE)
        yield from seen.frames()
        while pause_s > 0:
            yield Waiting(seen.reason, idle=True)
            clock.sleep(min(pause_s, LOOK_S))
            pause_s -= LOOK_S
        until_s = clock.monotonic() + give_up_s


class _Seen:
    """Which images have been given, and which are due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: set[int] = set()  # hashes of name and signature: a tenth of their memory
        self._due: dict[str, int] = {}
        self._unsettled: dict[str, tuple[Signature, float]] = {}  # and since when it is so

    @property
    def reason(self) -> str:
        """Why there is no image."""
        name = next(iter(self._unsettled), "")
        return f"{name} is still being written" if name else IDLE

    def look(self, path: Path) -> Iterator[None]:
        """List the images; yield now and then meanwhile. Raises: OSError."""
        still, unsettled = set[int](), dict[str, tuple[Signature, float]]()
        due, sign_s = dict[str, int](), self._clock.monotonic()
        for name, status in _entries(path):
            signature = _signature(status)
            mark = hash((name, signature))
            if mark in self._given:
                still.add(mark)
            elif self._is_complete(name, status):
                due[name] = mark
            else:
                before = self._unsettled.get(name)
                is_same = before is not None and before[0] == signature
                since_s = before[1] if before and is_same else self._clock.monotonic()
                unsettled[name] = (signature, since_s)
            if self._clock.monotonic() - sign_s >= LOOK_S:
                sign_s = self._clock.monotonic()
                yield
        self._given, self._unsettled, self._due = still, unsettled, due  # what is gone is forgotten

    def _is_complete(self, name: str, status: os.stat_result) -> bool:
        if self._clock.now() - status.st_mtime >= OLD_S:
            return True
        before = self._unsettled.get(name)
        return (
            before is not None
            and before[0] == _signature(status)
            and status.st_size > 0
            and self._clock.monotonic() - before[1] >= SETTLED_S
        )

    def frames(self) -> Iterator[Frame]:
        """Yield those that are due, by name; one that is gone or has changed meanwhile waits."""
        for name in sorted(self._due):
            status, mark = _status(name), self._due[name]
            if status is None or hash((name, _signature(status))) != mark:
                continue
            self._given.add(mark)
            yield Frame(name, Path(name), datetime.now(UTC), time.monotonic_ns())
        self._due = {}


def _entries(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each image's name and status. Raises: OSError where the path cannot be listed."""
    for name in _names(path):
        status = _status(name)
        if status and not stat.S_ISDIR(status.st_mode):
            yield name, status


def _names(path: Path) -> Iterator[str]:
    text = str(path)
    if path.is_dir():
        with os.scandir(path) as entries:
            yield from (entry.path for entry in entries if is_picture_name(entry.name))
    elif glob.has_magic(text) and not os.path.lexists(path):
        base = next(folder for folder in path.parents if not glob.has_magic(str(folder)))
        base.stat()
        yield from glob.iglob(text, recursive=True)
    else:
        path.lstat()
        yield text


def _status(name: str) -> os.stat_result | None:
    """The file's; the link's where it leads nowhere, which is a bad image; None: it is gone."""
    for read in (os.stat, os.lstat):
        try:
            return read(name)
        except OSError:
            continue
    return None


def _signature(status: os.stat_result) -> Signature:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _fault(path: Path, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(path, "no such file or folder", "check the path")
    return SourceError(path, f"cannot be read ({error.strerror})", "change its permissions")
