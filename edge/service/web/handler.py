"""Base of all request handlers: Host check, headers, errors in one line."""

from __future__ import annotations

import ipaddress
import json
import re
from http import HTTPStatus
from typing import Any

from tornado.iostream import IOStream
from tornado.web import HTTPError, RequestHandler

from edge.errors import EdgeError, one_line
from edge.service.web.station import Station, View

HEADERS = {
    "Server": "edge-watch",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The camera's images are for this page, not for those that would embed them.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
MAX_FRAME_DIGITS = 15


class RefusedError(HTTPError):
    """A request that fails with a status and one line as the reason."""

    def __init__(self, status: int, line: str, challenge: str = "") -> None:
        super().__init__(status)
        self.line, self.challenge = line, challenge  # what a 401 requires


class Handler(RequestHandler):
    """Base of all request handlers: the Host check and the headers of every response."""

    is_open = False  # whether it requires no token for viewing

    def initialize(self, station: Station) -> None:
        """Args: what the server knows."""
        self.station = station
        self.stream: IOStream = self.request.connection.stream  # type: ignore[union-attr]

    def set_default_headers(self) -> None:
        """Set the security headers of the response."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def __init_subclass__(cls) -> None:
        """Handle HEAD as GET, without the body (RFC 9110, 9.3.2)."""
        if "get" in cls.__dict__ and "head" not in cls.__dict__:
            cls.head = cls.get

    @property
    def view(self) -> View:
        """The zone that the query names, or else the first. Raises: RefusedError."""
        name = self.get_query_argument("zone", "")
        return self.view_of(name)

    def view_of(self, name: str) -> View:
        """A zone by its name; "" is the first one. Raises: RefusedError."""
        views = self.station.views
        if name and name not in views:
            raise RefusedError(404, f"no such zone; there are {', '.join(filter(None, views))}")
        return views[name] if name else self.station.first

    def frame_number(self, name: str) -> int | None:
        """A frame's number in the query; None where there is none. Raises: RefusedError."""
        text = self.get_query_argument(name, "")
        if text and not (re.fullmatch("[0-9]+", text) and len(text) <= MAX_FRAME_DIGITS):
            raise RefusedError(400, f"{name} must be a frame number")
        return int(text) if text else None

    def compute_etag(self) -> None:
        """None: each response is new."""

    def prepare(self) -> None:
        """Reject what was meant for another name: any site's name can lead here (DNS rebinding)."""
        self.application.settings["busy"].add(self.stream)
        host = self.request.host_name.lower()
        if not _is_address(host) and not self.station.is_called(host):
            name = host if re.fullmatch(r"[a-z0-9._-]{1,100}", host) else "name"
            line = f'unknown host {name}; add it to the configuration: [web] hosts = ["{name}"]'
            raise RefusedError(421, line)
        given = self.request.headers.get("Authorization", "")
        if not self.is_open and not self.station.may_view(given):
            # Browsers have a dialog for Basic, and send it with every image.
            kind = "Bearer" if given.lower().startswith("bearer") else 'Basic realm="edge-watch"'
            raise RefusedError(401, "a password is required", kind)

    def on_finish(self) -> None:
        """Let the connection be closed again where too many are open."""
        self.application.settings["busy"].discard(self.stream)

    def text(self, line: str, status: int = 200) -> None:
        """Send one line of text."""
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(one_line(line) + "\n")

    def json(self, document: dict[str, Any], status: int = 200) -> None:
        """Send a JSON document."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(document))

    def picture(self, content: bytes | None, kind: str = "image/jpeg") -> None:
        """Send an image, or 404 if there is none."""
        if content is None:
            raise RefusedError(404, "no image of it")
        self.set_header("Content-Type", kind)
        self.finish(content)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send the error in one line."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        said = error.line if isinstance(error, RefusedError) else ""
        if isinstance(error, RefusedError) and error.challenge:
            self.set_header("WWW-Authenticate", error.challenge)
        self.text(said or HTTPStatus(status_code).phrase.lower(), status_code)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Do not log clients' errors; log our own with a traceback."""
        if not isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)


def or_gone(picture: Any) -> Any:
    """Return an image; raise 404 if its file is gone."""
    try:
        return picture()
    except EdgeError as error:
        raise RefusedError(404, f"no image ({error.fault})") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
