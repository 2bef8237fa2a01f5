"""One photo of a class, known by its content."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from convert.errors import DatasetError


@dataclass(frozen=True)
class Photo:
    """One photo of a class."""

    path: Path
    label: int  # index into the labels
    sha256: str  # of the file's content
    folder: str = ""  # inside the class's folder: a day, an animal


def sha256_of(path: Path) -> str:
    """Hash a file's content. Raises: DatasetError."""
    with _readable(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_of(photo: Photo) -> bytes:
    """Read a photo that is still what it was when it was hashed. Raises: DatasetError."""
    with _readable(photo.path):
        content = photo.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != photo.sha256:
        raise DatasetError(photo.path, "changed while the photos were being read", "run again")
    return content


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for ever
            raise DatasetError(path, "is not a regular file", "remove it")
        yield
    except OSError as error:
        raise DatasetError(path, f"cannot be read ({error.strerror})", "remove it") from error
