"""What Pillow makes nothing of, or too much, in PNG files (ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2  # colour types
TEXTS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
LOWER = 0x20  # in a kind's first letter: its chunk carries no pixels
TRANSPARENCY = b"tRNS"  # which is part of the pixels all the same


class ColourKey(NamedTuple):
    """The one grey or RGB value that is transparent, as it is stored."""

    bits: int  # of each sample
    values: tuple[int, ...]  # one, or three


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's kind, and where it begins and ends; up to the first that is cut short."""
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        end = at + 12 + length
        if end > len(content):
            return
        yield content[at + 4 : at + 8], at, end
        at = end


def without_texts(content: bytes) -> bytes | None:
    """Leave out chunks that carry no pixels and stop Pillow; None where there are none.

    Pillow gives up on more than a megabyte of text, and on a wrong checksum wherever it is.
    """
    kept, dropped = [SIGNATURE], False
    for kind, start, end in _chunks(content):
        carries_pixels = not kind[0] & LOWER or kind == TRANSPARENCY
        crc = int.from_bytes(content[end - 4 : end], "big")
        if carries_pixels or (
            kind not in TEXTS and zlib.crc32(content[start + 4 : end - 4]) == crc
        ):
            kept.append(content[start:end])
        else:
            dropped = True
    return b"".join(kept) if dropped else None


def colour_key(content: bytes) -> ColourKey | None:
    """Return the value that is transparent, where it is one of grey or RGB samples."""
    if content[12:16] != b"IHDR":
        return None
    bits, colour = content[24], content[25]
    for kind, start, end in _chunks(content):
        if kind == b"IDAT":
            break
        count = {GREY: 1, RGB: 3}.get(colour, 0)
        if kind == TRANSPARENCY and count and end - start - 12 >= 2 * count:
            values = struct.unpack_from(f">{count}H", content, start + 8)
            return ColourKey(bits, tuple(value & (2**bits - 1) for value in values))
    return None
