"""Request handlers: a class for each path."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
import time
from pathlib import Path

from tornado.iostream import StreamClosedError

from edge.image.decode import encode_png
from edge.image.preprocess import encode_jpeg
from edge.names import PAGE_SCHEMA
from edge.service.web import history, regions
from edge.service.web.controls import Commands, Keep, Snapshot
from edge.service.web.explain import Explain
from edge.service.web.handler import Handler, RefusedError, or_gone
from edge.service.web.metrics import CONTENT_TYPE

STATIC = Path(__file__).parent / "static"
KINDS = {
    "index.html": "text/html; charset=utf-8",
    "history.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "history.js": "text/javascript; charset=utf-8",
    "regions.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
SEND_BUFFER_BYTES = 32_768  # the kernel doubles it: a third of a second at 2 Mbit/s
DELIVERY_LOOK_S = 0.01
BOUNDARY = "frame"
# nginx speaks HTTP/1.0 by default; Caddy, Traefik and many nginx recipes add headers.
PROXY_HEADERS = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")
STALLED_S = 10.0  # a viewer that reads nothing for this long is disconnected
LOOK_S = 5.0  # how soon it is seen that a viewer has left, while no frames come


class Missing(Handler):
    """A path that is none."""

    def prepare(self) -> None:
        """Send 404."""
        raise RefusedError(404, "no such page")


class Static(Handler):
    """The page's own files."""

    def get(self, name: str = "") -> None:
        """Send one of them."""
        name = name or "index.html"
        self.set_header("Content-Type", KINDS[name])
        self.set_header("Cache-Control", "no-cache")
        self.finish((STATIC / name).read_bytes())


class Latest(Handler):
    """The newest result, and the health of the service."""

    def get(self) -> None:
        """Send it."""
        self.json(self.station.latest(self.view))


class History(Handler):
    """The scores of the last minutes."""

    def get(self) -> None:
        """Send those after frame `since`."""
        points = self.view.memory.points(self.frame_number("since") or 0)
        self.json({"schema": PAGE_SCHEMA, "points": [point.as_dict() for point in points]})


class Events(Handler):
    """The last changes of state."""

    def get(self) -> None:
        """Send them, the newest first."""
        self.json({"schema": PAGE_SCHEMA, "events": self.view.events()})


class Thumbnail(Handler):
    """The small image of a change."""

    def get(self, number: str) -> None:
        """Send it."""
        self.picture(self.view.pictures.thumbnail(int(number)))


class Next(Handler):
    """The result of the next frame that is shown: its images are there by its number."""

    async def get(self) -> None:
        """Send it as soon as there is a frame other than `after`; 204 if none comes."""
        view, after = self.view, self.frame_number("after") or 0
        stream = view.stream
        stream.polls(self.stream)
        try:
            shown = await asyncio.wait_for(stream.after(after), LOOK_S)
        except TimeoutError:
            self.set_status(204)
            return
        if shown.sighting is None:
            raise RefusedError(404, "that frame is no longer available; use the newest")
        or_gone(lambda: view.pictures.keep_input(shown, view.zone.input))
        self.json(shown.sighting.as_dict())


class Newest(Handler):
    """The newest frame, or the one whose number is given."""

    def get(self) -> None:
        """Send it, and its number in a header."""
        number, pictures = self.frame_number("frame"), self.view.pictures
        shown = or_gone(pictures.newest) if number is None else pictures.shown(number)
        if shown:
            self.set_header("X-Frame", str(shown.number))
        self.picture(shown.jpeg if shown else None)


class Seen(Handler):
    """What the model sees of the newest frame, or of the one whose number is given."""

    def get(self, kind: str) -> None:
        """Send it: png has each pixel, jpg a tenth of the bytes."""
        view, number = self.view, self.frame_number("frame")
        pixels = or_gone(lambda: view.pictures.seen_by(view.zone.input, number))
        encode = encode_png if kind == "png" else encode_jpeg
        content = None if pixels is None else encode(pixels)
        self.picture(content, "image/png" if kind == "png" else "image/jpeg")


class Live(Handler):
    """One frame after the other, until the viewer leaves."""

    has_left = False

    def on_connection_close(self) -> None:
        """Note that the viewer has left."""
        self.has_left = True

    def head(self) -> None:
        """Send the headers of a stream only."""
        self.set_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")

    async def get(self) -> None:
        """Stream forever. A slow viewer misses frames; a stalled one is disconnected."""
        self.head()
        # Frames that wait in a proxy or in the kernel are old when they are seen: nginx holds
        # minutes of them, and a socket's own buffer 13 s at 2 Mbit/s. With this, nginx still takes
        # 18 s of them into its sockets' buffers, which are not visible here: hence a limit.
        self.set_header("X-Accel-Buffering", "no")
        kbit_s = self.station.proxy_kbit_s if self._is_proxied() else 0.0
        _keep_few_bytes(self.stream.socket)
        self.write(f"--{BOUNDARY}\r\n")
        stream, number = self.view.stream, 0
        with stream.looking():
            while not self.has_left:
                try:
                    shown = await asyncio.wait_for(stream.after(number), LOOK_S)
                except TimeoutError:
                    continue
                number, began = shown.number, time.monotonic()
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(shown.jpeg)}\r\n\r\n"
                # With the next part's boundary: a browser shows a part once it has seen its end.
                self.write(head.encode() + shown.jpeg + f"\r\n--{BOUNDARY}\r\n".encode())
                try:
                    await asyncio.wait_for(asyncio.shield(self._delivered()), STALLED_S)
                except TimeoutError:
                    self.detach().close()
                    return
                except StreamClosedError:
                    return
                if kbit_s:
                    due = began + len(shown.jpeg) * 8 / 1000 / kbit_s
                    await asyncio.sleep(min(due - time.monotonic(), LOOK_S))

    def _is_proxied(self) -> bool:
        """Whether a proxy is between, so that the viewer's own line is not known."""
        request = self.request
        return request.version == "HTTP/1.0" or any(n in request.headers for n in PROXY_HEADERS)

    async def _delivered(self) -> None:
        """Wait until the viewer has almost all of the image: the next one is chosen then."""
        await self.flush()
        while not self.has_left and _undelivered(self.stream.socket) > SEND_BUFFER_BYTES // 4:
            await asyncio.sleep(DELIVERY_LOOK_S)


class Health(Handler):
    """Whether it works."""

    is_open = True  # for monitors; it shows nothing of what the camera sees

    def get(self) -> None:
        """Send 200, or 503 and the reason."""
        fault = self.station.fault()
        self.text(fault or "ok", 503 if fault else 200)


class Monitor(Handler):
    """The metrics."""

    def get(self) -> None:
        """Send them in Prometheus's text format."""
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(self.station.metrics.text())


def _keep_few_bytes(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SEND_BUFFER_BYTES)


def _undelivered(connection: socket.socket) -> int:
    """Bytes that the kernel holds or that are on their way (man 7 tcp, SIOCOUTQ)."""
    count = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(count, sys.byteorder)


ROUTES: list[tuple[str, type[Handler]]] = [
    (r"/", Static),
    (r"/(page\.css|page\.js|history\.html|history\.js|regions\.js|icon\.svg)", Static),
    (r"/history/events\.(json|csv)", history.Events),
    (r"/history/hours\.(json|csv)", history.Hours),
    (r"/history/([0-9]{1,12})\.jpg", history.Image),
    (r"/zones\.json", regions.Configured),
    (r"/zones/check", regions.Check),
    (r"/latest\.json", Latest),
    (r"/history\.json", History),
    (r"/events\.json", Events),
    (r"/events/([0-9]{1,12})\.jpg", Thumbnail),
    (r"/frame\.json", Next),
    (r"/frame\.jpg", Newest),
    (r"/input\.(png|jpg)", Seen),
    (r"/stream\.mjpg", Live),
    (r"/healthz", Health),
    (r"/metrics", Monitor),
    (r"/snapshot", Snapshot),
    (r"/keep", Keep),
    (r"/explain", Explain),
    (r"/command", Commands),
]
