"""What is asked, and what is answered: a class for each path."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from edge.errors import EdgeError, one_line
from edge.service.web.dataset import LabelError, QuotaError
from edge.service.web.metrics import CONTENT_TYPE
from edge.service.web.station import Station

STATIC = Path(__file__).parent / "static"
KINDS = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
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
BOUNDARY = "frame"
STALLED_S = 10.0  # a viewer that takes nothing for so long is let go
LOOK_S = 5.0  # how soon it is seen that a viewer has left, while no frames come


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

    def set_default_headers(self) -> None:
        """Say how the answer may be used."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def compute_etag(self) -> None:
        """None: what is answered is new each time."""

    def prepare(self) -> None:
        """Refuse what was meant for another name: a site elsewhere can have its name lead here."""
        host = self.request.host_name.lower()
        if not _is_address(host) and not self.station.is_called(host):
            raise RefusedError(421, f"not called {host}; ask by the machine's name or address")

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


class Missing(Handler):
    """A path that is none."""

    def prepare(self) -> None:
        """Say so."""
        raise RefusedError(404, "no such page")


class Static(Handler):
    """The page's own files."""

    def get(self, name: str = "") -> None:
        """Answer one of them."""
        name = name or "index.html"
        self.set_header("Content-Type", KINDS[name])
        self.set_header("Cache-Control", "no-cache")
        self.finish((STATIC / name).read_bytes())


class Latest(Handler):
    """The newest result, and how the service fares."""

    def get(self) -> None:
        """Answer it."""
        self.json(self.station.latest())


class History(Handler):
    """The scores of the last minutes."""

    def get(self) -> None:
        """Answer those after frame `since`."""
        since = self.get_query_argument("since", "0")
        if not since.isdecimal() or len(since) > 15:
            raise RefusedError(400, "since must be a frame's number")
        points = self.station.memory.points(int(since))
        self.json({"points": [point.as_dict() for point in points]})


class Events(Handler):
    """The last changes of state."""

    def get(self) -> None:
        """Answer them, the newest first."""
        self.json({"events": self.station.events()})


class Thumbnail(Handler):
    """The small picture of a change."""

    def get(self, number: str) -> None:
        """Answer it."""
        self.picture(self.station.pictures.thumbnail(int(number)))


class Newest(Handler):
    """The newest frame."""

    def get(self) -> None:
        """Answer it, and its number in a header."""
        shown = _or_gone(self.station.pictures.newest)
        if shown:
            self.set_header("X-Frame", str(shown.number))
        self.picture(shown.jpeg if shown else None)


class Seen(Handler):
    """What the model sees of the newest frame."""

    def get(self) -> None:
        """Answer it."""
        station = self.station
        self.picture(_or_gone(lambda: station.pictures.seen_by(station.models.model)), "image/png")


class Live(Handler):
    """One frame after the other, until the viewer leaves."""

    has_left = False

    def on_connection_close(self) -> None:
        """Note that the viewer has left."""
        self.has_left = True

    async def get(self) -> None:
        """Answer for ever. A slow viewer misses frames; one that takes nothing is let go."""
        self.set_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.write(f"--{BOUNDARY}\r\n")
        stream, number = self.station.stream, 0
        with stream.looking():
            while not self.has_left:
                try:
                    shown = await asyncio.wait_for(stream.after(number), LOOK_S)
                except TimeoutError:
                    continue
                number = shown.number
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(shown.jpeg)}\r\n\r\n"
                # With the next part's boundary: a browser shows a part once it has seen its end.
                self.write(head.encode() + shown.jpeg + f"\r\n--{BOUNDARY}\r\n".encode())
                try:
                    await asyncio.wait_for(asyncio.shield(self.flush()), STALLED_S)
                except TimeoutError:
                    self.detach().close()
                    return
                except StreamClosedError:
                    return


class Health(Handler):
    """Whether it works."""

    def get(self) -> None:
        """Answer 200, or 503 and why."""
        fault = self.station.fault()
        self.text(fault or "ok", 503 if fault else 200)


class Monitor(Handler):
    """The metrics."""

    def get(self) -> None:
        """Answer them in Prometheus's text format."""
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(self.station.metrics.text())


class Control(Handler):
    """What may be asked for with the token."""

    def prepare(self) -> None:
        """Let nobody else through. The token is in a header, which another site cannot send."""
        super().prepare()
        if self.request.method != "POST":
            return
        if not self.station.has_controls:
            raise RefusedError(404, "there are no controls; start with --web-token FILE")
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not self.station.admits(token.strip()):
            self.set_header("WWW-Authenticate", "Bearer")
            raise RefusedError(401, "wrong token")


class Snapshot(Control):
    """Keeps the next frame's picture."""

    def post(self) -> None:
        """Ask for it."""
        self.station.ask()
        self.text("the next frame is kept", 202)


class Keep(Control):
    """Keeps a frame as an example of a label."""

    def post(self) -> None:
        """Write it where `python -m convert` will find it."""
        label, number = self._wanted()
        pictures, dataset = self.station.pictures, self.station.dataset
        if number is None:
            newest = _or_gone(pictures.newest)
            number = newest.number if newest else 0
        jpeg = pictures.shown(number)
        if jpeg is None:
            raise RefusedError(409, "that frame is gone; take the newest")
        try:
            path = dataset.keep(jpeg, label, datetime.now(UTC), number)
        except LabelError as error:
            raise RefusedError(400, str(error)) from error
        except QuotaError as error:
            raise RefusedError(507, str(error)) from error
        except OSError as error:
            raise RefusedError(507, f"cannot be written ({error.strerror})") from error
        self.json({"file": str(path.relative_to(dataset.folder)), "frame": number}, 201)

    def _wanted(self) -> tuple[str, int | None]:
        """The label and the frame's number that the body names."""
        try:
            body = json.loads(self.request.body)
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, "the body must be JSON") from error
        fields = body if isinstance(body, dict) else {}
        label, number = fields.get("label"), fields.get("frame")
        is_number = isinstance(number, int) and not isinstance(number, bool)
        if not isinstance(label, str) or not label.strip() or not (is_number or number is None):
            raise RefusedError(400, 'the body must be {"label": "...", "frame": NUMBER}')
        return label, number


def _or_gone(picture: Any) -> Any:
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


ROUTES: list[tuple[str, type[Handler]]] = [
    (r"/", Static),
    (r"/(page\.css|page\.js|icon\.svg)", Static),
    (r"/latest\.json", Latest),
    (r"/history\.json", History),
    (r"/events\.json", Events),
    (r"/events/([0-9]{1,12})\.jpg", Thumbnail),
    (r"/frame\.jpg", Newest),
    (r"/input\.png", Seen),
    (r"/stream\.mjpg", Live),
    (r"/healthz", Health),
    (r"/metrics", Monitor),
    (r"/snapshot", Snapshot),
    (r"/keep", Keep),
]
