"""What all answers have in common: whose name is called, headers, errors in one line."""

from __future__ import annotations

import ipaddress
import json
import re
from http import HTTPStatus
from typing import Any

from tornado.iostream import IOStream
from tornado.web import HTTPError, RequestHandler

from edge.errors import EdgeError, one_line
from edge.service.web.station import Station

HEADERS = {
    "Server": "edge-watch",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The camera's pictures are for this page, not for those that would embed them.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
MAX_FRAME_DIGITS = 15


class RefusedError(HTTPError):
    """A request that is answered with a status, and one line that says why."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(status)
        self.line = line


class Handler(RequestHandler):
    """What all have in common: whose name is called, what every answer carries."""

    def initialize(self, station: Station) -> None:
        """Args: what the server knows."""
        self.station = station
        self.stream: IOStream = self.request.connection.stream  # type: ignore[union-attr]

    def set_default_headers(self) -> None:
        """Say how the answer may be used."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def __init_subclass__(cls) -> None:
        """Answer HEAD as GET, without the body (RFC 9110, 9.3.2)."""
        if "get" in cls.__dict__ and "head" not in cls.__dict__:
            cls.head = cls.get

    def frame_number(self, name: str) -> int | None:
        """A frame's number in the query; None where there is none. Raises: RefusedError."""
        text = self.get_query_argument(name, "")
        if text and not (re.fullmatch("[0-9]+", text) and len(text) <= MAX_FRAME_DIGITS):
            raise RefusedError(400, f"{name} must be a frame's number")
        return int(text) if text else None

    def compute_etag(self) -> None:
        """None: what is answered is new each time."""

    def prepare(self) -> None:
        """Reject what was meant for another name: any site's name can lead here (DNS rebinding)."""
        self.application.settings["busy"].add(self.stream)
        host = self.request.host_name.lower()
        if not _is_address(host) and not self.station.is_called(host):
            name = host if re.fullmatch(r"[a-z0-9._-]{1,100}", host) else "that"
            line = f'not called {name}; add it to the configuration: [web] hosts = ["{name}"]'
            raise RefusedError(421, line)

    def on_finish(self) -> None:
        """Let the connection be closed again where too many are open."""
        self.application.settings["busy"].discard(self.stream)

    def text(self, line: str, status: int = 200) -> None:
        """Answer one line."""
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(one_line(line) + "\n")

    def json(self, document: dict[str, Any], status: int = 200) -> None:
        """Answer a document."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(document))

    def picture(self, content: bytes | None, kind: str = "image/jpeg") -> None:
        """Answer a picture, or that there is none."""
        if content is None:
            raise RefusedError(404, "no picture of it")
        self.set_header("Content-Type", kind)
        self.finish(content)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer what went wrong in one line."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        said = error.line if isinstance(error, RefusedError) else ""
        self.text(said or HTTPStatus(status_code).phrase.lower(), status_code)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Say nothing of what a client did wrong; a fault of ours is shown as Python does."""
        if not isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)


def or_gone(picture: Any) -> Any:
    """A picture, or the answer that its file is gone."""
    try:
        return picture()
    except EdgeError as error:
        raise RefusedError(404, f"no picture ({error.fault})") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
