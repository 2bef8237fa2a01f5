"""Local features of photos: ORB (Rublee et al. 2011, https://doi.org/10.1109/ICCV.2011.6126544).

A photo's features take 17 kB. Those of many photos lie in temporary files that are mapped, so that
memory does not grow with them.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.errors import OutputError
from edge.image.decode import Pixels

Array = NDArray[Any]

SIDE = 160  # longer side of what features are detected in, in pixels
MAX_ENLARGED = 2.5  # times; what is smaller has no detail to compare
MAX_FEATURES = 150  # of a photo
BITS = 256  # of a feature
CHUNK = 64 << 20  # bytes: 3,500 photos and more, which are held in memory; others in a file


@dataclass(frozen=True, eq=False, slots=True)  # arrays have no truth value
class Features:
    """The local features of a photo, the strongest first, and of its mirror image.

    They are one array of bytes, since millions of small arrays take more memory than they hold.
    """

    content: Array  # (size,) uint8: points, mirrored points, bits, mirrored bits, grey
    number: int
    mirrored_number: int
    height: int
    width: int

    @property
    def points(self) -> Array:
        """(number, 2) float32: x, y, in pixels of SIDE."""
        return self._floats(0, self.number)

    @property
    def mirrored_points(self) -> Array:
        """(mirrored_number, 2) float32, in the mirror image."""
        return self._floats(8 * self.number, self.mirrored_number)

    @property
    def bits(self) -> Array:
        """(number, 32) uint8."""
        return self._bytes(8 * (self.number + self.mirrored_number), self.number, BITS // 8)

    @property
    def mirrored_bits(self) -> Array:
        """(mirrored_number, 32) uint8."""
        start = 8 * (self.number + self.mirrored_number) + BITS // 8 * self.number
        return self._bytes(start, self.mirrored_number, BITS // 8)

    @property
    def grey(self) -> Array:
        """(height, width) uint8, at most SIDE / 2."""
        start = (8 + BITS // 8) * (self.number + self.mirrored_number)
        return self._bytes(start, self.height, self.width)

    def _bytes(self, start: int, rows: int, columns: int) -> Array:
        return self.content[start : start + rows * columns].reshape(rows, columns)

    def _floats(self, start: int, rows: int) -> Array:
        return self._bytes(start, rows, 8).view(np.float32)


def features_of(pixels: Pixels) -> Features:
    """Compute the features of (h, w, 3) uint8 RGB pixels, best of twice SIDE or less."""
    grey = _scaled(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), SIDE)
    points, bits = _detect(grey)
    mirrored_points, mirrored_bits = _detect(np.ascontiguousarray(grey[:, ::-1]))
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    parts = (points, mirrored_points, bits, mirrored_bits, half)
    content = np.concatenate([np.ascontiguousarray(part).view(np.uint8).ravel() for part in parts])
    return Features(content, len(points), len(mirrored_points), *half.shape)


def _scaled(grey: Array, side: int) -> Array:
    """Resize to a longer side, and keep the aspect; what is very small stays smaller."""
    scale = min(side / max(grey.shape), MAX_ENLARGED)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _detect(grey: Array) -> tuple[Array, Array]:
    """Detect features: (n, 2) points and (n, 32) bits, the strongest first."""
    none = np.zeros((0, 2), np.float32), np.zeros((0, BITS // 8), np.uint8)
    if min(grey.shape) < 32:  # the smallest patch does not fit
        return none
    orb = cv2.ORB.create(
        nfeatures=MAX_FEATURES,
        scaleFactor=1.2,
        nlevels=8,
        edgeThreshold=10,
        patchSize=22,
        fastThreshold=4,
    )
    keys, bits = orb.detectAndCompute(grey, None)  # type: ignore[call-overload]
    if bits is None:
        return none
    strongest = sorted(range(len(keys)), key=lambda i: -keys[i].response)[:MAX_FEATURES]
    return np.array([keys[i].pt for i in strongest], np.float32), bits[strongest]


class Shelf:
    """Holds what many photos need: the first of it in memory, the rest in temporary files.

    Any number of threads may put things on it. The files have no names, and go with the process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Args: where the files lie; None: where the system has its temporary files."""
        self._folder = folder
        self._lock = threading.Lock()
        self._room: Array = np.empty(CHUNK, np.uint8)

    def put(self, features: Features) -> Features:
        """Return features that lie on the shelf. Raises: OutputError, on a full disk."""
        return replace(features, content=self.hold(features.content))

    def hold(self, content: Array) -> Array:
        """Return (size,) uint8 that lie on the shelf. Raises: OutputError, on a full disk."""
        size = len(content)
        with self._lock:
            if size > len(self._room):
                self._room = _mapped(self._folder, max(size, CHUNK))
            place, self._room = self._room[:size], self._room[-(-size // 8) * 8 :]
        place[:] = content
        return place


def _mapped(given: Path | None, size: int) -> Array:
    """Map a temporary file of a size. Raises: OutputError."""
    folder = given or Path(tempfile.gettempdir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            reserve(file.fileno(), size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        fault = f"cannot be written ({error.strerror})"
        elsewhere = "use another -o" if given else "set TMPDIR to another folder"
        remedy = f"free 25 MB for each thousand photos, or {elsewhere}"
        raise OutputError(folder, fault, remedy) from error
    return np.frombuffer(mapped, np.uint8)


def reserve(file: int, size: int) -> None:
    """Give a file its place on the disk: a full disk under a mapped file would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)
