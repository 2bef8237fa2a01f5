"""The clean aperture of AVIF files, which Pillow does not cut out (as of 13.0).

https://aomediacodec.github.io/av1-avif/ on ISO/IEC 14496-12 (boxes) and 23008-12 (items).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels
MAX_META_BYTES = 4_000_000


def clean_aperture(content: bytes, size: tuple[int, int]) -> Box | None:
    """Return which part of the stored primary item is to be seen; None is all of it.

    Args:
        content: of the file.
        size: (width, height) of the item as it is stored.
    """
    try:
        box = _clap(content)
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        return None  # the decoder has accepted the file, and reports what is wrong with it
    if not box:
        return None
    width, height, across, down = box
    left = round((size[0] - width) / 2 + across)
    top = round((size[1] - height) / 2 + down)
    part = (max(0, left), max(0, top), left + round(width), top + round(height))
    fits = part[0] < part[2] <= size[0] and part[1] < part[3] <= size[1]
    return part if fits and part != (0, 0, *size) else None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each box's kind and content."""
    at = 0
    while at + 8 <= len(data):
        length, header = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + length if length else len(data)
        if end < at + header:
            return
        yield data[at + 4 : at + 8], data[at + header : end]
        at = end


def _clap(content: bytes) -> tuple[float, float, float, float] | None:
    """Width, height and offsets from the centre, in pixels, of the primary item's aperture."""
    meta = dict(_boxes(content)).get(b"meta", b"")[4:]
    if len(meta) > MAX_META_BYTES:
        return None
    inside = dict(_boxes(meta))
    primary = _primary(inside.get(b"pitm", b""))
    properties = dict(_boxes(inside.get(b"iprp", b"")))
    known = list(_boxes(properties.get(b"ipco", b"")))
    for index in _associated(properties.get(b"ipma", b""), primary):
        if not 1 <= index <= len(known):
            continue
        kind, data = known[index - 1]
        if kind == b"clap":
            numbers = struct.unpack(">IIIIiIiI", data[:32])
            pairs = zip(numbers[::2], numbers[1::2], strict=True)
            width, height, across, down = (n / d for n, d in pairs)
            return width, height, across, down
    return None


def _primary(pitm: bytes) -> int:
    wide = pitm[:1] > b"\0"
    return int.from_bytes(pitm[4 : 8 if wide else 6], "big")


def _associated(ipma: bytes, item: int) -> list[int]:
    """Indices, from 1, of the properties that an item has."""
    version, flags = ipma[0], ipma[3]
    (count,) = struct.unpack_from(">I", ipma, 4)
    at, id_bytes, index_bytes = 8, 4 if version else 2, 2 if flags & 1 else 1
    for _ in range(count):
        found = int.from_bytes(ipma[at : at + id_bytes], "big")
        number = ipma[at + id_bytes]
        at += id_bytes + 1
        indices = [
            int.from_bytes(ipma[place : place + index_bytes], "big")
            & (2 ** (8 * index_bytes - 1) - 1)
            for place in range(at, at + number * index_bytes, index_bytes)
        ]
        if found == item:
            return indices
        at += number * index_bytes
    return []
