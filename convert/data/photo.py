"""One photo of a class, known by its content."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from convert.errors import DatasetError

MAX_NAMED = 20  # photos in one error line


@dataclass(frozen=True)
class Photo:
    """One photo of a class."""

    path: Path
    label: int  # index into the labels
    sha256: str  # of the file's content
    folder: str = ""  # inside the class's folder: a day, an animal


class PixelRows(Protocol):
    """(num_photos, h, w, 3) uint8 that is read by rows: an array, or images decoded when read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(num_photos, h, w, 3)."""

    def __len__(self) -> int:
        """Return the number of photos."""

    def __getitem__(self, index: Any, /) -> Any:
        """Return (h, w, 3) of a number, or (n, h, w, 3) of a slice or several numbers."""


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


def unreadable(faults: Sequence[str], name: str) -> DatasetError:
    """Make the error of photos of a set that cannot be read. Args: a line for each; the set."""
    more = ", ..." if len(faults) > MAX_NAMED else ""
    return DatasetError(
        f"{len(faults)} photo{'s' if len(faults) > 1 else ''} of {name}",
        f"cannot be read: {', '.join(faults[:MAX_NAMED])}{more}",
        "remove or replace them; what could be read is kept",
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait forever
            raise DatasetError(path, "is not a regular file", "remove it")
        yield
    except OSError as error:
        raise DatasetError(path, f"cannot be read ({error.strerror})", "remove it") from error
