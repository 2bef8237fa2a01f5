"""A USB webcam, or any other V4L2 device that gives MJPEG or YUYV; by the kernel alone.

An MJPEG frame stays encoded, as a file does. The newest frame of those that wait is taken; what was
let go before it is counted by the driver's sequence numbers.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge.errors import SourceError, one_line
from edge.image.preprocess import Picture
from edge.image.yuv import yuyv_to_rgb
from edge.sources.camera_faults import busy, no_rights
from edge.sources.camera_format import CameraSettings
from edge.sources.device import Device, Shot, framed
from edge.sources.v4l2 import abi

BUFFERS = 4
FPS = 30  # what nearly every webcam has; the last program may have left it at less
MJPEG = (abi.fourcc("MJPG"), abi.fourcc("JPEG"))
YUYV = abi.fourcc("YUYV")
NAMES = {MJPEG[0]: "MJPEG", MJPEG[1]: "JPEG", YUYV: "YUYV"}


class Facts(NamedTuple):
    """What a device is."""

    path: str
    card: str  # its name
    formats: tuple[int, ...]  # those that can be read here, the preferred first


class V4l2Camera(Device):
    """An open device that streams."""

    def __init__(self, path: str, settings: CameraSettings, report: Callable[[str], None]) -> None:
        """Open it, agree on a size, and start. Raises: SourceError."""
        self._path, self._settings = path, settings
        self._maps: list[mmap.mmap] = []
        self._sequence: int | None = None
        self._file = _open(path)
        try:
            facts = _facts(path, self._file)
            self._format = self._agree(facts)
            rate = self._agree_on_rate()
            self._start()
        except OSError as error:
            self.close()
            raise _explained(path, error) from error
        except BaseException:
            self.close()
            raise
        format_name = NAMES[self._format.pixelformat]
        size = f"{self._format.width} x {self._format.height}"
        report(f"{path}: {facts.card}, {format_name} {size}{rate}")

    def _agree(self, facts: Facts) -> abi.PixelFormat:
        """Request a format and size; the driver takes the nearest that it has."""
        if not facts.formats:
            fault = f"{facts.card} supports neither MJPEG nor YUYV"
            remedy = (
                "choose a device that edge-doctor lists; for a ribbon-cable camera: --source camera"
            )
            raise SourceError(self._path, fault, remedy)
        asked = abi.Format(type=abi.CAPTURE)
        asked.fmt.pix.width, asked.fmt.pix.height = self._settings.width, self._settings.height
        asked.fmt.pix.pixelformat = facts.formats[0]
        asked.fmt.pix.field = abi.FIELD_ANY
        fcntl.ioctl(self._file, abi.S_FMT, asked)
        if asked.fmt.pix.pixelformat not in NAMES:
            raise SourceError(self._path, "changed its format while it was opened", "replug it")
        agreed: abi.PixelFormat = asked.fmt.pix
        return agreed

    def _agree_on_rate(self) -> str:
        """Request FPS, and return the nearest rate that the driver has, if it knows any."""
        asked = abi.Parameters(type=abi.CAPTURE)
        asked.parm.capture.numerator, asked.parm.capture.denominator = 1, FPS
        with suppress(OSError):
            fcntl.ioctl(self._file, abi.S_PARM, asked)
        rate = asked.parm.capture
        if not (rate.numerator and rate.denominator):
            return ""
        return f", {rate.denominator / rate.numerator:.3g} frames a second"

    def _start(self) -> None:
        request = abi.RequestBuffers(count=BUFFERS, type=abi.CAPTURE, memory=abi.MMAP)
        fcntl.ioctl(self._file, abi.REQBUFS, request)
        for index in range(request.count):
            buffer = self._buffer(index)
            fcntl.ioctl(self._file, abi.QUERYBUF, buffer)
            self._maps.append(
                mmap.mmap(self._file, buffer.length, mmap.MAP_SHARED, offset=buffer.m.offset)
            )
            fcntl.ioctl(self._file, abi.QBUF, self._buffer(index))
        fcntl.ioctl(self._file, abi.STREAMON, ctypes.c_int(abi.CAPTURE))

    def _buffer(self, index: int = 0) -> abi.Buffer:
        return abi.Buffer(index=index, type=abi.CAPTURE, memory=abi.MMAP)

    def capture(self, timeout_s: float) -> Shot | None:
        """Return the newest frame; None where none came in time. Raises: SourceError."""
        until = time.monotonic() + timeout_s
        try:
            while True:
                left_s = max(0.0, until - time.monotonic())
                if not select.select([self._file], [], [], left_s)[0]:
                    return None
                if buffer := self._newest():
                    try:
                        return self._shot(buffer)
                    finally:
                        fcntl.ioctl(self._file, abi.QBUF, self._buffer(buffer.index))
        except OSError as error:
            raise _explained(self._path, error) from error

    def _newest(self) -> abi.Buffer | None:
        """Take all filled buffers, and give back all but the last that is whole."""
        newest = None
        for _ in range(len(self._maps)):
            buffer = self._buffer()
            try:
                fcntl.ioctl(self._file, abi.DQBUF, buffer)
            except BlockingIOError:
                break
            is_whole = buffer.bytesused and not buffer.flags & abi.FLAG_ERROR
            back = newest if is_whole else buffer
            if back:
                fcntl.ioctl(self._file, abi.QBUF, self._buffer(back.index))
            if is_whole:
                newest = buffer
        return newest

    def _shot(self, buffer: abi.Buffer) -> Shot:
        picture = framed(self._picture(buffer), self._settings)
        before, self._sequence = self._sequence, buffer.sequence
        dropped = max(0, buffer.sequence - before - 1) if before is not None else 0
        stamp_ns = buffer.seconds * 10**9 + buffer.microseconds * 1000
        if buffer.flags & abi.TIMESTAMP_MASK != abi.TIMESTAMP_MONOTONIC:
            stamp_ns = time.monotonic_ns()
        return Shot(picture, {"SensorTimestamp": stamp_ns}, dropped)

    def _picture(self, buffer: abi.Buffer) -> Picture:
        memory, pix = self._maps[buffer.index], self._format
        if pix.pixelformat in MJPEG:
            return bytes(memory[: buffer.bytesused])
        stride = pix.bytesperline or 2 * pix.width
        stored = np.frombuffer(memory[: stride * pix.height], np.uint8)
        rows = stored.reshape(pix.height, stride)[:, : 2 * pix.width]
        return yuyv_to_rgb(rows, is_full_range=pix.quantization == abi.FULL_RANGE)

    def close(self) -> None:
        """Stop it, and give back its memory."""
        if self._file < 0:
            return
        with suppress(OSError):
            fcntl.ioctl(self._file, abi.STREAMOFF, ctypes.c_int(abi.CAPTURE))
        for memory in self._maps:
            memory.close()
        self._maps.clear()
        os.close(self._file)
        self._file = -1

    def silent(self, name: str, seconds: float) -> SourceError:
        """Return why no frame came."""
        remedy = "replug it, at another port or without a hub; sudo dmesg | tail"
        return SourceError(name, f"opened, but sent no frame within {seconds:.1f} s", remedy)


def devices(dev: Path = Path("/dev")) -> Iterator[Facts]:
    """Yield the devices that can capture in a format that can be read here, by number."""
    nodes = dev.glob("video[0-9]*")
    for node in sorted(nodes, key=lambda path: int(path.name.removeprefix("video"))):
        with suppress(OSError, SourceError), closing(_Node(str(node))) as opened:
            facts = _facts(str(node), opened.file)
            if facts.formats:
                yield facts


class _Node:
    """An open device, for a look."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def close(self) -> None:
        """Close it."""
        os.close(self.file)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(path, error) from error


def _facts(path: str, file: int) -> Facts:
    """Return what a device is. Raises: OSError; SourceError where it cannot capture."""
    capability = abi.Capability()
    try:
        fcntl.ioctl(file, abi.QUERYCAP, capability)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            fault = "is not a video device"
            raise SourceError(path, fault, "run edge-doctor to list the video devices") from error
        raise
    able = capability.capabilities
    if able & abi.CAP_DEVICE_CAPS:
        able = capability.device_caps
    card = one_line(bytes(capability.card).split(b"\0")[0].decode(errors="replace"))
    if not (able & abi.CAP_VIDEO_CAPTURE and able & abi.CAP_STREAMING):
        fault = f"this node of {card} cannot capture"
        raise SourceError(path, fault, "run edge-doctor to list the video devices")
    offered = list(_formats(file))
    return Facts(path, card, tuple(kind for kind in NAMES if kind in offered))


def _formats(file: int) -> Iterator[int]:
    for index in range(100):
        description = abi.FormatDescription(index=index, type=abi.CAPTURE)
        try:
            fcntl.ioctl(file, abi.ENUM_FMT, description)
        except OSError:
            return
        yield description.pixelformat


def _explained(path: str, error: OSError) -> SourceError:
    """Name the cause of what the kernel reports."""
    if error.errno == errno.ENOENT:
        return SourceError(
            path, "no such device", "plug it in; edge-doctor lists the connected ones"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return no_rights(path, [path])
    if error.errno == errno.EBUSY:
        return busy(path)
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return SourceError(path, "was unplugged", "plug it in again")
    remedy = "replug it; sudo dmesg | tail"
    return SourceError(path, f"failed ({error.strerror})", remedy)
