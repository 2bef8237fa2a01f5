"""A network camera by HTTP: an MJPEG stream, or snapshots that are polled; by its Content-Type.

Frames stay encoded, as a file does: each is decoded at the smallest scale that the model needs.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import threading
import time
import urllib.error
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from edge.errors import SourceError, reason_of
from edge.sources.address import Address
from edge.sources.camera_format import CameraSettings
from edge.sources.device import Device, Shot, framed
from edge.sources.video.http_login import opener

MAX_IMAGE = 32_000_000  # bytes; a JPEG of 50 megapixels has 20
MAX_LINE = 65_536
JPEG = b"\xff\xd8\xff"  # how one begins
PASSWORD_REMEDY = (
    "put the user into the URL, and the password in camera.password_file or $EDGE_CAMERA_PASSWORD"
)
_STATUS = {
    401: ("wrong user or password", PASSWORD_REMEDY),
    403: ("the camera denies access (403)", "check the user's permissions in the camera"),
    404: ("no such page (404)", "look up the path in the camera's manual"),
}


class HttpCamera(Device):
    """An open connection, read by a thread that keeps the newest image."""

    has_fixed_size = False

    def __init__(self, address: Address, settings: CameraSettings) -> None:
        """Connect, and begin to read. Raises: SourceError, ConfigurationError."""
        self._name, self._settings = address.name, settings
        self._opener, self._url = opener(address, settings.password())
        self._news = threading.Condition()
        self._newest: tuple[bytes, int] | None = None  # with when it had arrived
        self._count = self._given = 0
        self._fault: SourceError | None = None
        self._is_closed = False
        self._is_wanted = threading.Event()  # a snapshot
        self._response = self._open()
        kind = self._response.headers.get_content_type()
        if kind.startswith("multipart/"):
            work = self._stream
        elif kind.startswith("image/") or self._is_jpeg():
            work = self._poll
        else:
            self._response.close()
            remedy = "use the address of its MJPEG stream, of a snapshot, or rtsp://"
            raise SourceError(self._name, f"is {kind}, neither MJPEG nor an image", remedy)
        threading.Thread(target=self._read, args=(work,), daemon=True).start()

    def capture(self, timeout_s: float) -> Shot | None:
        """Return the newest image; None where none came in time. Raises: SourceError."""
        self._is_wanted.set()
        with self._news:
            self._news.wait_for(lambda: self._newest or self._fault, timeout_s)
            if self._newest is None:
                if self._fault:
                    raise self._fault
                return None
            (content, arrived_ns), self._newest = self._newest, None
            dropped, self._given = self._count - self._given - 1, self._count
        picture = framed(content, self._settings)
        return Shot(picture, {"SensorTimestamp": arrived_ns}, dropped)

    def close(self) -> None:
        """End the connection, and with it the thread, whatever that waits for."""
        self._is_closed = True
        self._is_wanted.set()
        with suppress(OSError, ValueError, AttributeError):  # closed already
            copy = socket.socket(fileno=os.dup(self._response.fileno()))
            with copy:
                copy.shutdown(socket.SHUT_RDWR)

    def silent(self, name: str, seconds: float) -> SourceError:
        """Return why no frame came."""
        return SourceError(name, f"sent nothing for {seconds:.1f} s", "check camera and network")

    def _open(self) -> Any:
        """Request the page. Raises: SourceError."""
        try:
            return self._opener.open(self._url, timeout=self._settings.deadline_s)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _explained(self._name, error) from None  # whose text may show the password

    def _is_jpeg(self) -> bool:
        """Whether the page is a JPEG, whatever it is called. Raises: SourceError."""
        try:
            return bool(self._response.peek(len(JPEG))[: len(JPEG)] == JPEG)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._response.close()
            raise _explained(self._name, error) from None

    def _read(self, work: Any) -> None:
        try:
            work()
            fault = SourceError(self._name, "the stream ended", "it is reopened")
        except (OSError, ValueError, http.client.HTTPException) as error:
            fault = _explained(self._name, error)
        except SourceError as error:
            fault = error
        finally:
            with suppress(OSError):
                self._response.close()
        with self._news:
            self._fault = fault
            self._news.notify()

    def _keep(self, content: bytes) -> None:
        with self._news:
            self._newest = (content, time.monotonic_ns())
            self._count += 1
            self._news.notify()

    def _stream(self) -> None:
        for content in _parts(self._response):
            if self._is_closed:
                return
            if content:
                self._keep(content)

    def _poll(self) -> None:
        """Fetch a snapshot each time that one is wanted: one that waited would be old."""
        while True:
            content = self._response.read(MAX_IMAGE + 1)
            self._response.close()
            if len(content) > MAX_IMAGE:
                raise SourceError(self._name, "the image is too large", "reduce it in the camera")
            self._keep(content)
            self._is_wanted.clear()
            self._is_wanted.wait()
            if self._is_closed:
                return
            self._response = self._open()


def _parts(response: Any) -> Iterator[bytes]:
    """Yield the contents of a multipart/x-mixed-replace response. Raises: ValueError, OSError."""
    boundary = _first_boundary(response)
    is_at_part = bool(boundary)
    while is_at_part:
        length = _content_length(response)
        if length is None:
            content, is_at_part = _until_boundary(response, boundary)
            yield content
            continue
        if length > MAX_IMAGE:
            raise ValueError(f"an image of {length} bytes is too large")
        content = response.read(length)
        if len(content) < length:
            return
        yield content
        is_at_part = _is_boundary_next(response, boundary)


def _first_boundary(response: Any) -> bytes:
    """Skip to the first part; return its boundary, empty where there is no part.

    The response's headers name it as well, but cameras name another one there, or none.
    """
    for line in _lines(response):
        boundary = line.strip().strip(b"-")
        if line.startswith(b"--") and boundary:
            return boundary
    return b""


def _is_boundary_next(response: Any, boundary: bytes) -> bool:
    """Skip to the line after the boundary; whether there is one."""
    return any(_before(line, boundary) is not None for line in _lines(response))


def _lines(response: Any) -> Iterator[bytes]:
    for _ in range(1000):
        line = response.readline(MAX_LINE)
        if not line:
            return
        yield line
    raise ValueError("it is not a multipart stream")


def _before(line: bytes, boundary: bytes) -> bytes | None:
    """What is in a line before the boundary, as some cameras write it; None where it has none."""
    text = line.rstrip().rstrip(b"-")
    return text[: -len(boundary)].rstrip(b"-") if text.endswith(b"--" + boundary) else None


def _content_length(response: Any) -> int | None:
    """Read a part's headers; its Content-Length, None where it has none."""
    length = None
    for _ in range(100):
        line = response.readline(MAX_LINE)
        if not line.strip():
            return length
        name, _colon, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
    raise ValueError("a part has too many headers")


def _until_boundary(response: Any, boundary: bytes) -> tuple[bytes, bool]:
    """Read a part without a Content-Length; whether another one follows."""
    content = bytearray()
    while len(content) <= MAX_IMAGE:
        line = response.readline(MAX_LINE)
        if not line:
            return b"", False
        before = _before(line, boundary)
        if before is not None:
            content += before
            return bytes(content.removesuffix(b"\r\n")), True
        content += line
    raise ValueError("an image is too large")


def _explained(name: str, error: Exception) -> SourceError:
    """Name the cause, without the URL, which may hold a password."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        fault, remedy = _STATUS.get(
            error.code, (f"responds with {error.code}", "look up the path in the camera's manual")
        )
        return SourceError(name, fault, remedy)
    reason: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, socket.gaierror):
        return SourceError(name, "unknown host", "check the name, or use the IP address")
    if isinstance(reason, ssl.SSLCertVerificationError):
        fault = f"its certificate is not valid ({reason.verify_message})"
        return SourceError(
            name, fault, "use the host name in the certificate and a trusted CA, or http://"
        )
    if isinstance(reason, TimeoutError):
        return SourceError(name, "does not respond", "check the address and the network")
    if isinstance(reason, ConnectionRefusedError):
        return SourceError(name, os.strerror(errno.ECONNREFUSED), "check the port")
    said = reason_of(reason) if isinstance(reason, BaseException) else str(reason)
    return SourceError(name, f"failed ({said})", "check camera and network")
