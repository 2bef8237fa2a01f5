"""Decoded photos in a memory-mapped file: each photo is decoded once, whatever interrupts it.

A cache folder holds two files for each set and size. `NAME-HxW-vVERSION-KEY.npy` (`.partial` while
photos are missing) is (num_photos, h, w, 3) uint8. Beside it, `.rows` has a record of 40 bytes for
each image that is whole: the photo's SHA-256, its row, and the CRC-32 of its pixels.

An image is done when it is recorded and its pixels have that checksum, so that nothing depends on
the order in which data reach the disk before a power cut. Every file of the same size and
preprocessing gives its images to the next: after a change, only what changed is decoded.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import io
import math
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.data.dataset import Dataset
from convert.data.jpegs import JPEG_BYTES, encode
from convert.data.parallel import each
from convert.data.photo import Photo, PixelRows, content_of, unreadable
from convert.errors import OutputError
from edge.errors import EdgeError
from edge.files import lock as lock_file
from edge.image.preprocess import PREPROCESSING_VERSION, Pixels, Size, resized

RECORD = np.dtype([("sha256", "V32"), ("row", "<u4"), ("crc32", "<u4")])


@dataclass(frozen=True)
class DecodedPhotos:
    """A data set's photos at one size; each set is decoded when it is first needed.

    train, val, test: (num_photos, *size, 3) uint8, of a file in `cache`; see `decode`.
    """

    dataset: Dataset
    size: Size
    cache: Path
    max_gb: float = math.inf  # of all pixels; above, the photos are kept as JPEG images

    @property
    def pixels_gb(self) -> float:
        """What the pixels of all photos take."""
        dataset = self.dataset
        number = len(dataset.train) + len(dataset.val) + len(dataset.test)
        return number * _row_bytes(self.size) / 1e9

    @property
    def are_jpegs(self) -> bool:
        """Whether the photos are kept as JPEG images."""
        return self.pixels_gb > self.max_gb

    @functools.cached_property
    def train(self) -> PixelRows:
        """Those of the training set."""
        return self._decoded(self.dataset.train, "train")

    @functools.cached_property
    def val(self) -> PixelRows:
        """Those of the validation set."""
        return self._decoded(self.dataset.val, "val")

    @functools.cached_property
    def test(self) -> PixelRows:
        """Those of the test set."""
        return self._decoded(self.dataset.test, "test")

    def _decoded(self, photos: Sequence[Photo], name: str) -> PixelRows:
        return decode(photos, self.size, self.cache, name, as_jpegs=self.are_jpegs)


def decode(
    photos: Sequence[Photo], size: Size, cache: Path, name: str, *, as_jpegs: bool = False
) -> PixelRows:
    """Decode photos once, by edge's preprocessing, into a file in `cache`.

    Returns: (num_photos, *size, 3) uint8: mapped from the file, so that memory use does not grow
        with it, or JPEG images that are decoded when they are read.
    Raises: DatasetError, which names the photos that cannot be read; OutputError on a full disk.
    What is decoded is kept in both cases.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache):
            return (encode if as_jpegs else _mapped)(photos, size, cache, name)
    except OSError as error:
        megabytes = (len(photos) * (JPEG_BYTES if as_jpegs else _row_bytes(size)) >> 20) + 1
        remedy = f"free {megabytes} MB, or use another -o; finished work is kept"
        raise OutputError(cache, f"cannot be written ({error.strerror})", remedy) from error


def _mapped(photos: Sequence[Photo], size: Size, cache: Path, name: str) -> Pixels:
    """Complete the file of a set's pixels, and map it."""
    key = hashlib.sha256("".join(photo.sha256 for photo in photos).encode()).hexdigest()[:16]
    path = cache / f"{name}{_kind(size)}{key}.npy"
    if not path.exists():
        _complete(path, photos, size, name)
        _remove_older(path, f"{name}{_kind(size)}")
    pixels: Pixels = np.load(path, mmap_mode="r")
    return pixels


def _kind(size: Size) -> str:
    """What files have in their names that can give each other images."""
    return f"-{size[0]}x{size[1]}-v{PREPROCESSING_VERSION}-"


def _row_bytes(size: Size) -> int:
    return size[0] * size[1] * 3


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Keep out other processes: two runs may share a folder."""
    with (cache / ".lock").open("w") as lock:
        try:
            lock_file(lock)
        except BlockingIOError:
            print(f"convert: {cache}: waiting for another run", file=sys.stderr, flush=True)
            lock_file(lock, wait=True)
        yield


def _complete(path: Path, photos: Sequence[Photo], size: Size, name: str) -> None:
    """Make the whole file, from images that are decoded already where there are such."""
    known = _known(path, size)
    with _growing(path, len(photos), size) as growing:

        def fill(row: int) -> str:
            """Decode one photo into its row; return what is wrong with it."""
            sha256 = photos[row].sha256
            if growing.take(row, sha256, known.get(sha256)):
                return ""
            try:
                growing.put(row, sha256, resized(content_of(photos[row]), size).tobytes())
            except EdgeError as error:
                return f"{photos[row].path} {error.fault}"
            return ""

        outcomes = each(fill, range(len(photos)), f"decode {name}")
        with contextlib.closing(outcomes):
            faults = [fault for fault in outcomes if fault]
        if faults:
            raise unreadable(faults, name)


@dataclass(frozen=True)
class _Source:
    """Where a decoded image lies, and the CRC-32 that its bytes must have."""

    path: Path
    offset: int
    crc32: int


def _known(path: Path, size: Size) -> dict[str, _Source]:
    """Every image of this size that a file in the cache has; first choice is the file itself."""
    known = {}
    records = path.parent.glob(f"*{_kind(size)}*.rows")
    for record in sorted(records, key=lambda record: (record.stem == path.stem, record)):
        for pixels in (record.with_suffix(".npy"), record.with_suffix(".partial")):
            if pixels.exists():
                for sha256, row, crc32 in _records(record):
                    offset = len(_header(0, size)) + row * _row_bytes(size)
                    known[sha256.tobytes().hex()] = _Source(pixels, offset, int(crc32))
    return known


def _records(path: Path) -> NDArray[np.void]:
    """(n,) RECORD; a last one that was cut short is left out."""
    content = path.read_bytes()
    return np.frombuffer(content, RECORD, count=len(content) // RECORD.itemsize)


def _header(num_photos: int, size: Size) -> bytes:
    """What an .npy file begins with; numpy pads it to the same length for any number of photos."""
    stream = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": (num_photos, *size, 3)}
    write_header: Any = np.lib.format.write_array_header_1_0  # untyped in some versions
    write_header(stream, facts)
    return stream.getvalue()


@dataclass(frozen=True)
class _Growing:
    """A file of pixels in the making, and its record. Threads write different rows of it.

    It is written, not mapped: a full disk under a mapped file would end the process.
    """

    path: Path  # of the pixels, while some are missing
    start: int  # of the first row, in bytes
    row_bytes: int
    pixels: int  # file descriptor
    record: int  # file descriptor, which appends

    def take(self, row: int, sha256: str, source: _Source | None) -> bool:
        """Take a row from where it is decoded already; return whether it is whole there."""
        if source is None:
            return False
        with source.path.open("rb") as file:
            content = os.pread(file.fileno(), self.row_bytes, source.offset)
        if len(content) < self.row_bytes or zlib.crc32(content) != source.crc32:
            return False
        if (source.path, source.offset) != (self.path, self._offset(row)):
            self.put(row, sha256, content)
        return True

    def put(self, row: int, sha256: str, content: bytes) -> None:
        """Write a row's pixels, then record it as done."""
        _write_at(self.pixels, content, self._offset(row))
        entry = np.array((bytes.fromhex(sha256), row, zlib.crc32(content)), RECORD).tobytes()
        if os.write(self.record, entry) < len(entry):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _offset(self, row: int) -> int:
        return self.start + row * self.row_bytes


@contextlib.contextmanager
def _growing(path: Path, num_photos: int, size: Size) -> Iterator[_Growing]:
    """Open a file, or what an earlier run left of it; it gets its name when all went well."""
    partial, record = path.with_suffix(".partial"), path.with_suffix(".rows")
    header, row_bytes = _header(num_photos, size), _row_bytes(size)
    with partial.open("ab"), record.open("ab") as end:  # made, or left as they are
        end.truncate(end.tell() // RECORD.itemsize * RECORD.itemsize)
    with partial.open("r+b", buffering=0) as pixels, record.open("ab", buffering=0) as rows:
        try:
            _reserve(pixels.fileno(), len(header) + num_photos * row_bytes)
            _write_at(pixels.fileno(), header, 0)
            yield _Growing(partial, len(header), row_bytes, pixels.fileno(), rows.fileno())
            os.fsync(pixels.fileno())
            os.fsync(rows.fileno())
            partial.rename(path)
        finally:
            if num_photos and not os.fstat(rows.fileno()).st_size:  # nothing of it is of use
                partial.unlink(missing_ok=True)
                record.unlink(missing_ok=True)


def _reserve(file: int, size: int) -> None:
    """Take the whole space now: a full disk shows before hours of work, not in their midst."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # some file systems cannot
            raise


def _write_at(file: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _remove_older(path: Path, prefix: str) -> None:
    """Remove what held other photos of this set and size; whoever has it mapped keeps it."""
    for old in path.parent.iterdir():
        if old.name.startswith(prefix) and old.stem != path.stem:
            old.unlink(missing_ok=True)
