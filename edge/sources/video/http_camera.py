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
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from edge.errors import SourceError, reason_of
from edge.sources.address import Address, with_password
from edge.sources.camera_format import CameraSettings
from edge.sources.device import Device, Shot, framed

MAX_IMAGE = 32_000_000  # bytes; a JPEG of 50 megapixels has 20
MAX_LINE = 65_536
PASSWORD_REMEDY = (
    "put the user into the URL, and the password in camera.password_file or $EDGE_CAMERA_PASSWORD"
)
_STATUS = {
    401: ("wrong user or password", PASSWORD_REMEDY),
    403: ("the camera forbids it (403)", "check the user's permissions in the camera"),
    404: ("no such page (404)", "look up the path in the camera's manual"),
}


class HttpCamera(Device):
    """An open connection, read by a thread that keeps the newest image."""

    has_fixed_size = False

    def __init__(self, address: Address, settings: CameraSettings) -> None:
        """Connect, and begin to read. Raises: SourceError, ConfigurationError."""
        self._name, self._settings = address.name, settings
        self._opener, self._url = _opener(address, settings.password())
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
        elif kind.startswith("image/"):
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
        boundary = self._response.headers.get_param("boundary", "")
        for content in _parts(self._response, str(boundary).strip('"').lstrip("-").encode()):
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


def _opener(address: Address, password: str) -> tuple[urllib.request.OpenerDirector, str]:
    """What opens the page, by basic or digest authentication, and the URL without the user."""
    url = with_password(address, password) if "{password}" in address.text else address.text
    parts = urlsplit(url)
    handlers: list[urllib.request.BaseHandler] = [_NoOtherHost()]
    if parts.username is not None:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        known.add_password(None, url, unquote(parts.username), password)
        handlers += [
            _Digest(known),
            urllib.request.HTTPBasicAuthHandler(known),
        ]
    return urllib.request.build_opener(*handlers), url


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """Closes the first response, which urllib leaves open; it comes before the basic handler."""

    def http_error_401(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        """Repeat the request with the password, where the server wants a digest."""
        fp.close()
        return super().http_error_401(req, fp, code, msg, headers)


class _NoOtherHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the camera's host: not to a file, nor into another network."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Raises: URLError."""
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if before.hostname != after.hostname or after.scheme not in ("http", "https"):
            fp.close()
            raise urllib.error.URLError("redirects to another host")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _parts(response: Any, boundary: bytes) -> Iterator[bytes]:
    """Yield the contents of a multipart/x-mixed-replace response. Raises: ValueError, OSError."""
    is_at_part = _is_boundary_next(response, boundary)
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


def _is_boundary_next(response: Any, boundary: bytes) -> bool:
    """Skip to the line after the boundary; whether there is one."""
    for _ in range(1000):
        line = response.readline(MAX_LINE)
        if not line:
            return False
        if _is_boundary(line, boundary):
            return True
    raise ValueError("it is not a multipart stream")


def _is_boundary(line: bytes, boundary: bytes) -> bool:
    return line.startswith(b"--") and line.strip().strip(b"-") == boundary.strip(b"-")


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
        if _is_boundary(line, boundary):
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
