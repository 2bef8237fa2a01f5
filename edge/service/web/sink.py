"""The live page as a sink: what the service's loop has to do with it."""

from __future__ import annotations

from collections.abc import Callable

from edge.service.sighting import Sighting, Sink
from edge.service.web.server import Server
from edge.service.web.settings import WebSettings
from edge.service.web.station import Station


class Web(Sink):
    """Takes each `Sighting`, and serves it over HTTP.

    An address that is not to be had (taken, or not ours yet) fails the sink, not the service: it
    is retried.
    """

    def __init__(
        self, settings: WebSettings, station: Station, report: Callable[[str], None]
    ) -> None:
        """Args: where to listen, the documents to serve, and what logs the address."""
        self.name = f"web page on {settings.listen}"
        self._settings, self._station, self._report = settings, station, report
        self._server: Server | None = None
        self._fault: OSError | None = None
        try:
            self._start()  # before the first frame: the page shows why there is none
        except OSError as error:
            self._fault = error

    def __call__(self, sighting: Sighting) -> None:
        """Take a `Sighting`. Raises: OSError while the address is not available."""
        fault, self._fault = self._fault, None
        if fault:
            raise fault
        if self._server is None:
            self._start()
        self._station(sighting)
        if self._server and sighting.change and sighting.frame:
            pictures = self._station.views[sighting.zone].pictures
            self._server.call(pictures.keep_thumbnail, sighting)

    def close(self) -> None:
        """End the server."""
        if self._server:
            self._server.close()

    def _start(self) -> None:
        server = Server(self._station)
        host, port = self._settings.address
        server.start(host, port)
        self._server = server
        shown = f"[{host}]" if ":" in host else host
        self._report(f"live page: http://{shown}:{server.port}/")
