"""Frames from image files: single ones, folders, globs, lists, and one on stdin."""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from edge.errors import ConfigurationError, SourceError
from edge.image.formats import SUFFIXES
from edge.image.preprocess import Picture
from edge.sources.address import is_clip_name
from edge.sources.frame import Frame

# What stdin may hold: an endless one must not fill the memory.
LARGEST_PICTURE = 256_000_000  # bytes
LARGEST_LIST = 64_000_000  # bytes; half a million paths


def photos(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = False,
    literal: bool = False,
    onerror: Callable[[SourceError], None] | None = None,
    video: Callable[[Path], Iterable[Frame]] | None = None,
    wanted: Callable[[str], bool] | None = None,
) -> Iterator[Frame]:
    """Yield a frame for each image; a bad file fails only when it is classified.

    Args:
        paths: files, folders (their images, by name), glob patterns, or "-" for stdin.
        recursive: descend into the folders' folders.
        literal: take each path as a file's or folder's name, whatever is in it.
        onerror: takes what stands in the way of a path; the others go on.
        video: returns the frames of a video file; None: folders' video files are left out.
        wanted: whether to read a file, by its path; None reads all.

    Raises:
        SourceError: a folder or pattern has no image, or cannot be read, and there is no
            `onerror`.
    """
    for path in paths:
        if str(path) == "-" and not literal:
            try:
                content = _stdin("-", LARGEST_PICTURE)
            except SourceError as error:
                _tell(error, onerror)
            else:
                yield _frame("-", content)
        else:
            with_clips = video is not None
            for file in files(
                path, recursive=recursive, literal=literal, onerror=onerror, clips=with_clips
            ):
                if wanted and not wanted(str(file)):
                    continue
                if video and is_clip_name(file.name):
                    yield from _clip(video(file), onerror)
                else:
                    yield _frame(str(file), file)


def _clip(
    frames: Iterable[Frame], onerror: Callable[[SourceError], None] | None
) -> Iterator[Frame]:
    try:
        yield from frames
    except SourceError as error:
        _tell(error, onerror)
    except ConfigurationError as error:  # without PyAV: the images beside it need none
        _tell(SourceError(error.subject, error.fault, error.remedy), onerror)


def files(
    path: str | os.PathLike[str],
    *,
    recursive: bool = False,
    literal: bool = False,
    onerror: Callable[[SourceError], None] | None = None,
    clips: bool = False,
) -> Iterator[Path]:
    """Yield the image files that a path, folder or pattern stands for, as `photos` does.

    Args: as for `photos`; whether folders' video files are among them.

    Raises: SourceError, where there is no `onerror`.
    """
    name = os.fspath(path)
    found: Iterator[Path | SourceError]
    if not name:
        _tell(SourceError("''", "empty path", "check the script or list that supplies it"), onerror)
        return
    if _is_folder(Path(name)):
        found = _pictures(Path(name), recursive, clips)
        remedy = "use a folder of images, or search its sub-folders (recursive)"
    elif not literal and set("*?[") & set(name) and not os.path.lexists(name):
        found = _matches(name, recursive, clips)
        remedy = "check the pattern"
    else:
        yield Path(name)
        return
    empty = True
    for item in found:
        empty = False
        if isinstance(item, SourceError):
            _tell(item, onerror)
        else:
            yield item
    if empty:
        _tell(SourceError(path, "contains no images", remedy), onerror)


def listed(path: str) -> list[str]:
    """Read a list of paths, "-" is stdin: NUL-separated where it has a NUL, else one per line.

    It is read to its end first. Raises: SourceError.
    """
    try:
        if path == "-":
            content = _stdin("the list on stdin", LARGEST_LIST)
        else:
            with open(path, "rb") as stream:
                content = _bounded(stream, path, LARGEST_LIST)
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise SourceError(path, fault, "use a file of paths, one per line") from error
    if b"\0" in content:
        names = content.split(b"\0")
    else:
        names = [line.removesuffix(b"\r") for line in content.split(b"\n")]
        names[0] = names[0].removeprefix(codecs.BOM_UTF8)
    found = [os.fsdecode(name) for name in names if name]
    if not found:
        raise SourceError(path, "contains no paths", "use a file of paths, one per line")
    return found


def _stdin(subject: str, limit: int) -> bytes:
    if sys.stdin is None:
        raise SourceError(subject, "stdin is closed", "pipe something into it")
    try:
        return _bounded(sys.stdin.buffer, subject, limit)
    except OSError as error:  # a folder
        fault = f"cannot be read ({error.strerror})"
        raise SourceError(subject, fault, "pipe something into it") from error


def _bounded(stream: BinaryIO, subject: str, limit: int) -> bytes:
    content = stream.read(limit + 1)
    if len(content) > limit:
        fault = f"is larger than {limit // 1_000_000} MB"
        raise SourceError(subject, fault, "pass fewer images at a time")
    return content


def _tell(error: SourceError, onerror: Callable[[SourceError], None] | None) -> None:
    if onerror is None:
        raise error
    onerror(error)


def _matches(pattern: str, recursive: bool, clips: bool) -> Iterator[Path | SourceError]:
    """What a pattern matches, by name; folders only where they are to be looked into."""
    from glob import glob  # for patterns alone

    for name in sorted(glob(pattern, recursive=True)):
        if not _is_folder(Path(name)):
            yield Path(name)
        elif recursive:
            yield from _pictures(Path(name), recursive, clips)


def _pictures(folder: Path, recursive: bool, clips: bool) -> Iterator[Path | SourceError]:
    """Images of a folder by name, hidden ones left out; an error where one cannot be read."""
    for entry in walk(folder, lambda _: recursive):
        if isinstance(entry, SourceError):
            yield entry
        elif not entry.is_folder and (
            is_picture(entry.path) or (clips and is_clip_name(entry.path.name))
        ):
            yield entry.path


@dataclass(frozen=True)
class Entry:
    """What a folder holds: a file, or a folder, which comes before what it holds itself."""

    path: Path
    is_folder: bool


def walk(folder: Path, enter: Callable[[Path], bool]) -> Iterator[Entry | SourceError]:
    """Yield all that is in a folder and below it, by name; an error for a folder that is closed.

    Hidden folders are named, not entered; nor is one that links to a folder above itself.

    Args:
        folder: where to begin.
        enter: whether to look into a folder, by its path.
    """
    # Not by recursion: as deep as Python can call, a path can be deeper.
    waiting: list[tuple[Entry, frozenset[tuple[int, int]]]] = [(Entry(folder, True), frozenset())]
    while waiting:
        entry, above = waiting.pop()
        path = entry.path
        if path != folder:
            yield entry
            if not entry.is_folder or path.name.startswith(".") or not enter(path):
                continue
        try:
            status = path.stat()
            inner = sorted(path.iterdir(), reverse=True)
        except OSError as error:
            yield SourceError(path, f"cannot be read ({error.strerror})", "change its permissions")
            continue
        identity = (status.st_dev, status.st_ino)
        if identity not in above:  # else a link to where we come from
            waiting += [(Entry(one, _is_folder(one)), above | {identity}) for one in inner]


def is_picture(path: Path) -> bool:
    """Whether a file is an image by its name; hidden ones are not meant."""
    return is_picture_name(path.name)


def is_picture_name(name: str) -> bool:
    """Whether a file's name is that of an image: this costs a tenth of making a Path."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and f"{dot}{suffix}".lower() in SUFFIXES and not name.startswith(".")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no one may look, or the name is too long: opening it will report that
        return False


def _frame(source: str, picture: Picture) -> Frame:
    return Frame(source, picture, datetime.now(UTC), time.monotonic_ns())
