"""The live page's server: a thread of its own, from which the service's loop is only looked at.

Tornado's loop serves all connections in one thread. What a client sends is bounded in size and in
time, and so is how many there are; a slow one waits for itself alone.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application

from edge.service.web.handlers import ROUTES, Missing
from edge.service.web.station import Station

MAX_CONNECTIONS = 160
MAX_PER_ADDRESS = 120  # a proxy is one address to us
MAX_HEADER_BYTES = 16_384
MAX_BODY_BYTES = 16_384  # the tables of all zones; else a label and a number
IDLE_S = 20.0  # without a request, or with half of one
BODY_S = 5.0  # for a body to arrive
CLOSE_S = 1.0


class Server:
    """A server that runs from `start` to `close`."""

    def __init__(self, station: Station) -> None:
        """Args: the service's documents and controls."""
        self._station = station
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.port = 0  # once it listens

    def start(self, host: str, port: int) -> None:
        """Listen, and serve in a thread. Raises: OSError where the address is not to be had."""
        for name in ("tornado.access", "tornado.general"):  # anybody could fill the journal
            logging.getLogger(name).setLevel(logging.CRITICAL)
        sockets = _bound(host, port)
        self.port = sockets[0].getsockname()[1]
        self._loop, listens = asyncio.new_event_loop(), threading.Event()
        work = (self._loop, sockets, listens)
        self._thread = threading.Thread(target=self._serve, args=work, name="web", daemon=True)
        self._thread.start()
        listens.wait(CLOSE_S)

    def _serve(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: list[socket.socket],
        listens: threading.Event,
    ) -> None:
        """Serve until the loop is stopped; the thread's own work."""
        asyncio.set_event_loop(loop)

        async def begin() -> None:  # tornado looks for the loop that runs
            _server(self._station).add_sockets(sockets)

        loop.run_until_complete(begin())
        listens.set()
        loop.run_forever()
        for each in sockets:
            each.close()

    def call(self, work: Callable[..., None], *args: Any) -> None:
        """Have the server's thread do something, soon."""
        if self._loop:
            self._loop.call_soon_threadsafe(work, *args)

    def close(self) -> None:
        """End it; open connections are cut."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_S)
            self._loop = self._thread = None


def try_listen(host: str, port: int) -> None:
    """See whether an address can be listened on. Raises: OSError."""
    with _explained(host, port):
        found = socket.getaddrinfo(
            "" if host == "*" else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, *_, address in found:
            socket.create_server(address, family=family).close()


def _bound(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen; host * is all addresses of IPv4 and IPv6. Raises: OSError."""
    with _explained(host, port):
        return bind_sockets(port, "" if host == "*" else host)


@contextmanager
def _explained(host: str, port: int) -> Iterator[None]:
    """Name the address in an error of the system. Raises: OSError."""
    try:
        yield
    except UnicodeError as error:  # no DNS name, such as one with a label of 70 letters
        raise OSError(errno.EADDRNOTAVAIL, f"no such host: {host}") from error
    except PermissionError as error:
        line = f"port {port} is reserved for root; use one above 1023, or a proxy in front"
        raise OSError(errno.EACCES, line) from error


class _Bounded(HTTPServer):
    """Bounds the connections, in all and by address: each costs memory and a file.

    Above the limit, the one that was idle for the most time is closed. A host
    with a hundred half-sent requests so makes room for honest ones, its own included.
    """

    def initialize(self, *args: Any, **options: Any) -> None:
        """Begin without connections; tornado's own classes are made so."""
        super().initialize(*args, **options)
        self._open: dict[IOStream, str] = {}  # by age, with the client's address
        self._busy: weakref.WeakSet[IOStream] = args[0].settings["busy"]

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a new connection, or close it."""
        self._open = {each: of for each, of in self._open.items() if not each.closed()}
        same = [each for each, of in self._open.items() if of == address[0]]
        too_many = same if len(same) >= MAX_PER_ADDRESS else []
        if not too_many and len(self._open) >= MAX_CONNECTIONS:
            too_many = list(self._open)
        if too_many:
            leaving = next((each for each in too_many if each not in self._busy), stream)
            leaving.close()
            if leaving is stream:
                return
        self._open[stream] = address[0]
        super().handle_stream(stream, address)


def _server(station: Station) -> HTTPServer:
    return _Bounded(
        _application(station),
        max_header_size=MAX_HEADER_BYTES,
        max_body_size=MAX_BODY_BYTES,
        max_buffer_size=MAX_HEADER_BYTES + MAX_BODY_BYTES,
        idle_connection_timeout=IDLE_S,
        body_timeout=BODY_S,
    )


def _application(station: Station) -> Application:
    return Application(
        [(path, handler, {"station": station}) for path, handler in ROUTES],
        default_handler_class=Missing,
        default_handler_args={"station": station},
        log_function=lambda handler: None,
        compress_response=False,
        busy=weakref.WeakSet(),  # connections with a request in progress
    )
