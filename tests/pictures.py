"""Images that tests draw, files of them, and how far two arrays are apart."""

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
    """Lay an image down as a camera stores it under an orientation (EXIF 2.32, tag 0x0112).

    The tag names where the stored row 0 and column 0 are in the upright image.
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
    """A file that holds the image laid down, and the tag that says how."""
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


def png(
    pixels: NDArray[Any], colour: int, *, interlaced: bool = False, chunks: bytes = b""
) -> bytes:
    """A PNG of (H, W, channels) 8 or 16-bit values, of kinds that Pillow does not write.

    `chunks` come before the pixels.
    """
    height, width = pixels.shape[:2]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    lines = []
    for column, row, across, down in passes:
        part = pixels[row::down, column::across]
        lines += [b"\0" + line.tobytes() for line in part.astype(part.dtype.newbyteorder(">"))]
    depth = 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    data = png_chunk(b"IDAT", zlib.compress(b"".join(lines)))
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + chunks + data + png_chunk(b"IEND", b"")
    )


def png_chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def packed_png(values: NDArray[np.uint8], bits: int, chunks: bytes = b"") -> bytes:
    """A grey PNG of (H, W) values of 1, 2 or 4 bits; W fills whole bytes."""
    height, width = values.shape
    bytes_ = packed(values, bits)
    lines = b"".join(b"\0" + line.tobytes() for line in bytes_)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    data = png_chunk(b"IDAT", zlib.compress(lines))
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    return start + chunks + data + png_chunk(b"IEND", b"")


def packed(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """(H, W) values of a few bits each as whole bytes (H, W * bits / 8), the first uppermost."""
    places = np.arange(bits)[::-1]
    ones = (values[..., None] >> places) & 1
    return np.packbits(ones.reshape(len(values), -1).astype(np.uint8), axis=1)


def tiff(size: tuple[int, int], bits: int, data: bytes, **tags: tuple[int, ...]) -> bytes:
    """A little-endian TIFF 6.0 of one uncompressed strip, of kinds that Pillow does not write.

    Args: (height, width); bits of a sample; the strip; tags by name, which replace the usual ones.
    """
    numbers = {"photometric": (1,), "samples": (1,), "planar": (1,), "format": (1,)} | tags
    count = numbers["samples"][0]
    values: dict[int, tuple[int, ...]] = {
        256: (size[1],),
        257: (size[0],),
        258: (bits,) * count,
        259: (1,),
        262: numbers["photometric"],
        277: (count,),
        278: (size[0],),
        284: numbers["planar"],
        339: numbers["format"] * count,
    }
    others = {"subfile": 254, "colours": 320, "directories": 330, "extra": 338, "subsampling": 530}
    others |= {"dng": 50706}
    values |= {number: tags[name] for name, number in others.items() if name in tags}
    planes = count if numbers["planar"] == (2,) else 1
    values[273] = values[279] = (0,) * planes  # offsets and lengths of strips, set below
    head_bytes = 8 + 2 + 12 * len(values) + 4
    later = sum(2 * len(v) * (1 + (tag in (273, 279))) for tag, v in values.items() if len(v) > 2)
    start, length = head_bytes + later + 8 * planes, len(data) // planes
    values[273] = tuple(start + plane * length for plane in range(planes))
    values[279] = (length,) * planes
    entries, extra = b"", b""
    for tag, found in sorted(values.items()):
        is_long = tag in (273, 279)
        raw = struct.pack(f"<{len(found)}{'I' if is_long else 'H'}", *found)
        where = raw.ljust(4, b"\0")
        if len(raw) > 4:
            where = struct.pack("<I", head_bytes + len(extra))
            extra += raw
        entries += struct.pack("<HHI", tag, 4 if is_long else 3, len(found)) + where
    body = struct.pack("<H", len(values)) + entries + b"\0\0\0\0" + extra
    return (b"II*\0\x08\0\0\0" + body).ljust(start, b"\0") + data


def boxed(kind: bytes, data: bytes) -> bytes:
    """A box of an ISO base media file (ISO/IEC 14496-12)."""
    return struct.pack(">I", 8 + len(data)) + kind + data


def aperture(*numbers: int) -> bytes:
    """A clean aperture: width, height, and offsets across and down, each N and D."""
    return boxed(b"clap", struct.pack(">IIIIiIiI", *numbers))


def with_property(content: bytes, box: bytes) -> bytes:
    """An AVIF or HEIF of one item, as Pillow and libheif write it, with one property more."""
    grown = bytearray(content)
    added = len(box) + 1
    for kind in (b"meta", b"iprp", b"ipco", b"ipma"):
        at = grown.index(kind) - 4
        size = struct.unpack_from(">I", grown, at)[0]
        more = {b"ipco": len(box), b"ipma": 1}.get(kind, added)
        struct.pack_into(">I", grown, at, size + more)
    iloc = grown.index(b"iloc") + 4  # version, flags, sizes of offsets, number of items
    assert grown[iloc] == 0 and grown[iloc + 4] == 0x44
    # The only item's base offset, or where it has none, that of its only extent.
    offset = iloc + 4 + 2 + 2 + 2 + 2 + (0 if grown[iloc + 5] >> 4 else 2)
    struct.pack_into(">I", grown, offset, struct.unpack_from(">I", grown, offset)[0] + added)
    ipma = grown.index(b"ipma") + 4
    count = grown[ipma + 10]
    ipco = grown.index(b"ipco") - 4
    old_bytes = struct.unpack_from(">I", grown, ipco)[0] - len(box)
    inside, at = 0, ipco + 8
    while at < ipco + old_bytes:
        at += struct.unpack_from(">I", grown, at)[0]
        inside += 1
    grown[ipma + 10] = count + 1
    grown[ipma + 11 + count : ipma + 11 + count] = bytes([0x80 | (inside + 1)])
    grown[ipco + old_bytes : ipco + old_bytes] = box
    return bytes(grown)
