"""Pictures that tests draw, files of them, and how far two arrays are apart."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 0x0112

Pixels = NDArray[np.uint8]


def quadrants(height: int = 320, width: int = 480) -> Pixels:
    """Red and green over blue and yellow: no two of its eight turns look the same."""
    pixels = np.empty((height, width, 3), np.uint8)
    rows, columns = height // 2, width // 2
    pixels[:rows, :columns], pixels[:rows, columns:] = (220, 30, 30), (30, 200, 30)
    pixels[rows:, :columns], pixels[rows:, columns:] = (30, 30, 220), (220, 220, 40)
    return pixels


def scene(height: int, width: int) -> Pixels:
    """Smooth waves with detail at many scales, as a photo has."""
    y = np.linspace(0, 1, height)[:, None]
    x = np.linspace(0, 1, width)[None, :]
    channels = [
        128 + 60 * np.sin(9 * x + 5 * y + phase) + 50 * np.sin((40 + 9 * phase) * x * y + 60 * y)
        for phase in range(3)
    ]
    return np.clip(np.stack(channels, axis=2), 0, 255).astype(np.uint8)


def stored(upright: Pixels, orientation: int) -> Pixels:
    """Lay a picture down as a camera stores it under an orientation (EXIF 2.32, tag 0x0112).

    The tag names where the stored row 0 and column 0 are in the upright picture.
    """
    mirrored, flipped = upright[:, ::-1], upright[::-1]
    both = flipped[:, ::-1]
    sides = [mirrored, both, flipped, upright, mirrored, both, flipped]  # of 2..8
    pixels = upright if orientation == 1 else sides[orientation - 2]
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels)


def encoded(image: Image.Image | Pixels, format: str, **options: Any) -> bytes:
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def turned(upright: Pixels, orientation: int, format: str) -> bytes:
    """A file that holds the picture laid down, and the tag that says how."""
    if format == "TIFF":
        return encoded(stored(upright, orientation), "TIFF", tiffinfo={ORIENTATION: orientation})
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(format, {})
    return encoded(stored(upright, orientation), format, exif=exif, **options)


def mean_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def max_difference(one: NDArray[Any], other: NDArray[Any]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


# PNG (ISO/IEC 15948): first column and row, and steps, of Adam7's seven passes.
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def png(pixels: NDArray[Any], colour: int, *, interlaced: bool = False) -> bytes:
    """A PNG of (H, W, channels) 8 or 16-bit values, of kinds that Pillow does not write."""
    height, width = pixels.shape[:2]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    lines = []
    for column, row, across, down in passes:
        part = pixels[row::down, column::across]
        lines += [b"\0" + line.tobytes() for line in part.astype(part.dtype.newbyteorder(">"))]
    depth = 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    data = png_chunk(b"IDAT", zlib.compress(b"".join(lines)))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + data + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
