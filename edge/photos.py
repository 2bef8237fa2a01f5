"""Frames from image files: single ones, folders, globs, and one on stdin."""

from __future__ import annotations

import glob
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.errors import SourceError
from edge.preprocess import Picture

SUFFIXES = frozenset(
    ".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .heic .heif .avif".split()
)


@dataclass(frozen=True)
class Frame:
    """One picture on its way to the model.

    A file stays encoded until the model's input size is known, so that it is decoded at the
    smallest scale that suffices; `edge.preprocess.read_image(frame.picture)` gives its pixels.
    """

    source: str  # a path, "-", or the camera's name
    picture: Picture
    captured_at: datetime  # when the source delivered it; UTC
    captured_ns: int  # the same by time.monotonic_ns(): ages do not follow a clock that jumps
    dropped: int = 0  # frames that the source let go since the last one it gave


@dataclass(frozen=True)
class Waiting:
    """Instead of a frame: why there is none yet."""

    reason: str  # one line


def photos(paths: Iterable[str | os.PathLike[str]], *, recursive: bool = False) -> Iterator[Frame]:
    """Yield a frame for each picture; a bad file fails only when it is classified.

    Args:
        paths: files, folders (their pictures, by name), glob patterns, or "-" for stdin.
        recursive: descend into the folders' folders.

    Raises: SourceError where a folder or pattern has no picture.
    """
    for path in paths:
        if str(path) == "-":
            if sys.stdin is None:
                raise SourceError("-", "stdin is closed", "pipe a picture into it")
            yield _frame("-", sys.stdin.buffer.read())
        else:
            for file in files(path, recursive=recursive):
                yield _frame(str(file), file)


def files(path: str | os.PathLike[str], *, recursive: bool = False) -> Iterator[Path]:
    """Yield the picture files that a path, folder or pattern stands for. Raises: SourceError."""
    folder = Path(path)
    if folder.is_dir():
        found = _pictures(folder, recursive)
        remedy = "give a folder of pictures, or look into its folders (recursive)"
    elif glob.has_magic(str(path)) and not folder.exists():
        names = sorted(glob.glob(str(path), recursive=True))
        found = (Path(name) for name in names if not Path(name).is_dir())
        remedy = "check the pattern"
    else:
        yield folder
        return
    empty = True
    for file in found:
        empty = False
        yield file
    if empty:
        raise SourceError(path, "no picture in it", remedy)


def _pictures(folder: Path, recursive: bool) -> Iterator[Path]:
    """Pictures of a folder by name, hidden files and folders left out."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise SourceError(
            folder, f"cannot be read ({error.strerror})", "change its rights"
        ) from error
    for entry in entries:
        if entry.suffix.lower() in SUFFIXES and not entry.is_dir():
            yield entry
        elif recursive and entry.is_dir():
            yield from _pictures(entry, recursive)


def _frame(source: str, picture: Picture) -> Frame:
    return Frame(source, picture, datetime.now(UTC), time.monotonic_ns())
