"""What the server can read and do: its documents and controls."""

from __future__ import annotations

import base64
import contextlib
import hmac
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from edge import __version__
from edge.board import Throttling
from edge.names import PAGE_SCHEMA
from edge.service.control import Control
from edge.service.health import Vital, Vitals
from edge.service.sighting import Sighting
from edge.service.sinks.dataset import Dataset
from edge.service.sinks.history.reader import Reader
from edge.service.web.memory import Memory
from edge.service.web.metrics import Metrics
from edge.service.web.pictures import LISTED_THUMBNAILS, Pictures
from edge.service.web.settings import WebSettings
from edge.service.web.stream import Stream
from edge.service.zones.state import ZoneState
from edge.service.zones.zone import Zone

LOCAL_DOMAINS = ("local", "lan", "home", "home.arpa", "internal", "localdomain")


class RegionChecks(Protocol):
    """What the region editor requests: `edge.service.web.regions.Regions`."""

    def document(self) -> dict[str, Any]:
        """Return the [[zone]] tables of the configuration."""

    def check(self, text: str) -> dict[str, Any]:
        """Return what is wrong with other tables."""


class View:
    """One zone, as it is seen over HTTP."""

    def __init__(self, zone: Zone, vitals: Vital, fps: float) -> None:
        """Args: the zone; what reads its health; maximum encoded frames per second."""
        self.zone, self._vitals = zone, vitals
        self.memory = Memory()
        self.pictures = Pictures(lambda: self.memory.newest, fps)
        self.stream = Stream(self.pictures, fps)

    @property
    def vitals(self) -> Vitals:
        """The health, as far as this zone depends on it."""
        return self._vitals(self.zone.name)

    def summary(self) -> dict[str, Any]:
        """What the page shows of each zone at once."""
        vitals = self.vitals
        return {
            "name": self.zone.name,
            "state": vitals.zone.state,
            "reason": vitals.zone.reason,
            "label": self.zone.state,
            "roi": vitals.roi,
        }

    def events(self) -> list[dict[str, Any]]:
        """The last changes, the newest first, with where their images are."""
        told, name = [], self.zone.name
        query = name and f"?zone={name}"
        for index, event in enumerate(self.memory.events()):
            has = index < LISTED_THUMBNAILS and self.pictures.thumbnail(event.number) is not None
            image = f"events/{event.number}.jpg{query}" if has else None
            told.append(event.as_dict() | {"image": image})
        return told


class Station:
    """One service, as it is seen over HTTP."""

    def __init__(
        self,
        settings: WebSettings,
        vitals: Vital,
        zones: Sequence[Zone],
        control: Control,
        dataset: Dataset,
        history: Reader | None = None,
        regions: RegionChecks | None = None,
    ) -> None:
        """Gather it. Raises: ConfigurationError where the token cannot be had.

        Args:
            settings: the configuration's.
            vitals: reads the health of the service.
            zones: with their models.
            control: what commands change.
            dataset: of the frames that are kept as a label.
            history: reads it; None while it is off.
            regions: what the region editor requests; None: there is none.
        """
        self.control = control
        self.views = {zone.name: View(zone, vitals, settings.stream_fps) for zone in zones}
        self.first = self.views[zones[0].name]
        self.metrics = Metrics(vitals, list(self.views))
        self.dataset, self.history, self.regions = dataset, history, regions
        self.explaining = False  # a frame: one at a time, for the loop's sake
        self.proxy_kbit_s = settings.proxy_kbit_s
        self.device = socket.gethostname()
        self.hosts = {
            "localhost",
            self.device.lower(),
            settings.address[0].lower(),
            *(name.lower() for name in settings.hosts),
        }
        self._token = settings.token().encode()
        self._view_token = settings.view_token().encode()

    def __call__(self, sighting: Sighting) -> None:
        """Take a `Sighting`, in the service's loop."""
        self.views[sighting.zone].memory(sighting)
        self.metrics(sighting)

    @property
    def has_controls(self) -> bool:
        """Whether there are controls, which need a token."""
        return bool(self._token)

    def admits(self, token: str) -> bool:
        """Whether it is the token; that takes as long for a wrong one."""
        return self.has_controls and hmac.compare_digest(token.encode(), self._token)

    def may_view(self, authorization: str) -> bool:
        """Whether a request may see what the camera sees.

        Args:
            authorization: the header's value: Basic, whose password counts, or Bearer.
        """
        if not self._view_token:
            return True
        kind, _, given = authorization.partition(" ")
        token = given.strip().encode()
        if kind.lower() == "basic":
            with contextlib.suppress(ValueError):
                token = base64.b64decode(token, validate=True).partition(b":")[2]
        is_viewer = hmac.compare_digest(token, self._view_token)
        return is_viewer or (self.has_controls and hmac.compare_digest(token, self._token))

    def is_called(self, host: str) -> bool:
        """Whether a request's host is ours: another site's name may lead here (DNS rebinding).

        The machine's name counts in the domains of its network alone: anyone can have a
        raspberrypi.example.
        """
        host = host.removesuffix(".")
        name, _, domain = host.partition(".")
        own = self.device.lower().partition(".")[0]
        return host in self.hosts or (name == own and domain in {"", *network_domains()})

    def fault(self) -> str:
        """Why a zone is lost, in one line; "" where none is."""
        for name, view in self.views.items():
            vitals = view.vitals
            if not vitals.zone.is_available:
                waiting = f": {vitals.waiting}" if vitals.waiting else ""
                return f"{name and f'{name}: '}no result for {vitals.silent_s:.0f} s{waiting}"
        return ""

    def latest(self, view: View) -> dict[str, Any]:
        """All that there is to know now of a zone."""
        vitals, newest = view.vitals, view.memory.newest
        return {
            "schema": PAGE_SCHEMA,
            "now": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "device": self.device,
            "edge_classify": __version__,
            "zone": view.summary(),
            "zones": [each.summary() for each in self.views.values()],
            "fresh": vitals.zone.state is ZoneState.LIVE,
            "fresh_within_s": round(vitals.fresh_within_s, 1),
            "result": newest.as_dict() if newest else None,
            "paused": self.control.paused,
            "threshold": vitals.threshold,
            "thresholds": vitals.thresholds,
            "latency_ms": view.memory.latencies(),
            "health": _health(vitals),
            "dropped": view.memory.dropped,
            "controls": self.has_controls,
            "history": self.history is not None,
            "viewers": sum(each.stream.viewers for each in self.views.values()),
        }


def network_domains(path: Path = Path("/etc/resolv.conf")) -> Iterator[str]:
    """Yield the domains that no site has, and those of this network (man 5 resolv.conf)."""
    yield from LOCAL_DOMAINS
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            key, *domains = line.split() or [""]
            if key in ("search", "domain"):
                yield from (domain.lower().strip(".") for domain in domains)


def _health(vitals: Vitals) -> dict[str, Any]:
    return {
        "up_s": round(vitals.up_s, 1),
        "fps": round(vitals.fps, 2),
        "waiting": vitals.waiting,
        "idle": vitals.idle,
        "silent_s": round(vitals.silent_s, 1),
        "has_result": vitals.has_result,
        "reopened": vitals.reopened,
        "unreadable": vitals.unreadable,
        "temperature_c": vitals.celsius,
        "throttling": _throttling(vitals.throttling),
        "model": vitals.model,
        "model_version": vitals.version,
        "model_problem": vitals.trouble,
        "runtime": vitals.runtime,
        "labels": vitals.labels,
        "camera": (vitals.camera or "good") if vitals.camera_checked else None,
        "sinks": {name: asdict(sink) for name, sink in vitals.sinks.items()},
    }


def _throttling(throttling: Throttling | None) -> dict[str, list[str]] | None:
    if throttling is None:
        return None
    return {"now": list(throttling.now), "since_boot": list(throttling.since_boot)}
