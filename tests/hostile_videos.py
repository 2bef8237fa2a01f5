"""Matroska files that no camera writes, by their bytes: many streams, and a frame that inflates."""

from __future__ import annotations

import zlib


def element(identity: int, content: bytes) -> bytes:
    """An EBML element, its length in eight bytes."""
    name = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


def number(identity: int, value: int) -> bytes:
    return element(identity, value.to_bytes(8, "big"))


def matroska(jpeg: bytes, *, streams: int = 1, deflated: bool = False) -> bytes:
    """A file of one frame, in the first of its streams.

    Args:
        jpeg: the frame.
        streams: of MJPEG, 64 x 48.
        deflated: whether frames are zlib's.
    """
    encoding = element(0x6D80, element(0x6240, element(0x5034, number(0x4254, 0))))
    tracks = b"".join(
        element(
            0xAE,
            number(0xD7, track)
            + number(0x73C5, track)
            + number(0x83, 1)
            + element(0x86, b"V_MJPEG")
            + (encoding if deflated else b"")
            + element(0xE0, number(0xB0, 64) + number(0xBA, 48)),
        )
        for track in range(1, streams + 1)
    )
    frame = zlib.compress(jpeg, 9) if deflated else jpeg
    block = element(0xA3, b"\x81\x00\x00\x80" + frame)
    segment = element(0x1549A966, number(0x2AD7B1, 1_000_000))
    segment += element(0x1654AE6B, tracks)
    segment += element(0x1F43B675, number(0xE7, 0) + block)
    return element(0x1A45DFA3, element(0x4282, b"matroska")) + element(0x18538067, segment)
