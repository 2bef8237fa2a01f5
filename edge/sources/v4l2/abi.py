"""Video4Linux2's structures and requests, as <linux/videodev2.h> has them (64-bit times).

Source: https://docs.kernel.org/userspace-api/media/v4l/v4l2.html
"""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_uint8, c_uint32, c_ulong
from typing import ClassVar

CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
MMAP = 1  # V4L2_MEMORY_MMAP
CAP_VIDEO_CAPTURE, CAP_STREAMING, CAP_DEVICE_CAPS = 0x1, 0x04000000, 0x80000000
FIELD_ANY = 0
FULL_RANGE = 1  # V4L2_QUANTIZATION_FULL_RANGE
FLAG_ERROR = 0x40
TIMESTAMP_MASK, TIMESTAMP_MONOTONIC = 0xE000, 0x2000


class Capability(ctypes.Structure):
    """What a device is."""

    _fields_: ClassVar = [
        ("driver", c_uint8 * 16),
        ("card", c_uint8 * 32),
        ("bus_info", c_uint8 * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class FormatDescription(ctypes.Structure):
    """A pixel format that it offers."""

    _fields_: ClassVar = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_uint8 * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class PixelFormat(ctypes.Structure):
    """The size and layout of its frames."""

    _fields_: ClassVar = [
        (name, c_uint32)
        for name in (
            "width height pixelformat field bytesperline sizeimage colorspace priv flags encoding "
            "quantization xfer_func"
        ).split()
    ]


class _FormatUnion(ctypes.Union):
    _fields_: ClassVar = [
        ("pix", PixelFormat),
        ("raw", c_uint8 * 200),
        ("pointer", ctypes.c_void_p),  # of other members, for the alignment
    ]


class Format(ctypes.Structure):
    """A pixel format of a kind of stream."""

    _fields_: ClassVar = [("type", c_uint32), ("fmt", _FormatUnion)]


class _CaptureParameters(ctypes.Structure):
    _fields_: ClassVar = [
        ("capability", c_uint32),
        ("capturemode", c_uint32),
        ("numerator", c_uint32),
        ("denominator", c_uint32),
        ("extendedmode", c_uint32),
        ("readbuffers", c_uint32),
        ("reserved", c_uint32 * 4),
    ]


class _ParametersUnion(ctypes.Union):
    _fields_: ClassVar = [("capture", _CaptureParameters), ("raw", c_uint8 * 200)]


class Parameters(ctypes.Structure):
    """The frame rate."""

    _fields_: ClassVar = [("type", c_uint32), ("parm", _ParametersUnion)]


class RequestBuffers(ctypes.Structure):
    """How many buffers are wanted."""

    _fields_: ClassVar = [
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint32),
    ]


class _Memory(ctypes.Union):
    _fields_: ClassVar = [("offset", c_uint32), ("userptr", c_ulong)]


class Buffer(ctypes.Structure):
    """One buffer."""

    _fields_: ClassVar = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("seconds", c_int64),
        ("microseconds", c_int64),
        ("timecode", c_uint32 * 4),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("m", _Memory),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_uint32),
    ]


def _request(direction: int, number: int, kind: type[ctypes.Structure] | type[ctypes.c_int]) -> int:
    return direction << 30 | ctypes.sizeof(kind) << 16 | ord("V") << 8 | number


_WRITE, _READ = 1, 2
QUERYCAP = _request(_READ, 0, Capability)
ENUM_FMT = _request(_READ | _WRITE, 2, FormatDescription)
S_FMT = _request(_READ | _WRITE, 5, Format)
REQBUFS = _request(_READ | _WRITE, 8, RequestBuffers)
QUERYBUF = _request(_READ | _WRITE, 9, Buffer)
QBUF = _request(_READ | _WRITE, 15, Buffer)
DQBUF = _request(_READ | _WRITE, 17, Buffer)
STREAMON = _request(_WRITE, 18, ctypes.c_int)
STREAMOFF = _request(_WRITE, 19, ctypes.c_int)
S_PARM = _request(_READ | _WRITE, 22, Parameters)


def fourcc(text: str) -> int:
    """Return the number of a pixel format's four letters."""
    return int.from_bytes(text.encode(), "little")
