"""A folder of images as a source of frames: what a camera is to the service, without a camera."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.errors import SourceError
from edge.sources.frame import Frame, Source, Waiting
from edge.sources.photos import photos

LOOK_AGAIN_S = 0.5


class Replay(Source):
    """A file, folder or pattern as a source: see `replay`."""

    goes_on = True

    def __init__(self, path: Path, *, repeat: bool = False, give_up_s: float = 0.0) -> None:
        """Args: as for `replay`."""
        self._path, self._repeat, self._give_up_s = path, repeat, give_up_s

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield its images. Raises: SourceError."""
        return replay(self._path, repeat=self._repeat, give_up_s=self._give_up_s)


def replay(
    path: Path, *, repeat: bool = False, give_up_s: float = 0.0
) -> Iterator[Frame | Waiting]:
    """Yield a file's, folder's or pattern's images; again and again, newly listed, if `repeat`.

    Args:
        path: what `edge.sources.photos.photos` takes, but "-".
        repeat: begin again at the end, forever.
        give_up_s: maximum time to wait for a source that is missing, and report it.

    Raises: SourceError if there is none for that time.
    """
    if not repeat:
        yield from _wait_for(path, give_up_s)
        yield from photos([path])
        return
    while True:
        yield from _wait_for(path, give_up_s)
        with suppress(SourceError):  # gone since a moment ago: it is waited for
            yield from _round(path)


def _round(path: Path) -> Iterator[Frame]:
    """Yield what is there now; an image that is gone since then ends it, for others may be too."""
    for frame in photos([path]):
        if not os.path.lexists(frame.source):
            return
        yield frame


def _wait_for(path: Path, give_up_s: float) -> Iterator[Waiting]:
    until = time.monotonic() + give_up_s
    while fault := _fault(path):
        if time.monotonic() >= until:
            raise fault
        yield Waiting(f"{fault.subject}: {fault.fault}")
        time.sleep(LOOK_AGAIN_S)


def _fault(path: Path) -> SourceError | None:
    """Why there is no image; None where there is one."""
    if not os.path.lexists(path) and not glob.has_magic(str(path)):
        return SourceError(path, "no such file or folder", "check the path")
    try:
        next(photos([path]))
    except SourceError as error:
        return error
    except OSError as error:
        return SourceError(path, f"cannot be read ({error.strerror})", "change its permissions")
    return None
