"""Health of the service, as shown on the live page, in Prometheus and at the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge import board
from edge.board import Throttling
from edge.service.intake.gate import Rest
from edge.service.process.pace import Pace
from edge.service.sighting import Sink
from edge.service.zones.state import CameraProblem, ZoneStatus, fresh_s, zone_status
from edge.service.zones.zone import Zone
from edge.sources.frame import Frame, Source, Waiting


@dataclass(frozen=True)
class Failures:
    """How often a sink has failed, and what was lost by it."""

    failures: int  # since the service began
    lost: int  # changes of state that could not wait any longer


@dataclass(frozen=True)
class Vitals:
    """Health of the service at one moment, as far as one zone depends on it."""

    up_s: float  # since it began
    fps: float  # of the zone, recently; 0 before the second frame
    waiting: str  # why there is no frame; "" while they come
    idle: bool  # there is no frame because nothing is new
    rest: str  # "paused" or "asleep" where it is not to look
    silent_s: float  # since the zone's newest result; since the start while there was none
    has_result: bool  # in this run
    reopened: int  # how often the source was opened again
    unreadable: int  # images that could not be read
    celsius: float | None  # of the processor
    throttling: Throttling | None  # None: unknown on this machine
    model: str  # the file's name
    version: str  # of the model: of `sha256sum` its first 12 digits
    runtime: str
    labels: tuple[str, ...]
    sinks: Mapping[str, Failures]  # by the sink's name
    trouble: str  # why a new model was rejected; "" for nothing
    name: str = ""  # of the zone
    threshold: float = 0.0  # of the zone, that holds now; the highest of its labels
    thresholds: Mapping[str, float] = field(default_factory=dict)  # of labels with their own
    roi: tuple[float, ...] = ()  # of the zone, as shares of the frame; (): all
    camera: CameraProblem | None = None  # what is wrong with its view
    camera_checked: bool = False  # whether it is looked at
    usual_fps: float = 0.0  # of the zone by the configuration, at most; 0: no limit

    @property
    def fresh_within_s(self) -> float:
        """How long a result is fresh; frames that a command requests do not change the rate."""
        return max(fresh_s(self.fps), fresh_s(self.usual_fps))

    @property
    def zone(self) -> ZoneStatus:
        """The state of the zone."""
        return zone_status(
            self.silent_s,
            self.fresh_within_s,
            has_result=self.has_result,
            waiting=self.waiting,
            idle=self.idle,
            rest=self.rest,
            camera=self.camera,
        )


class Watched(Source):
    """A source that remembers why it gives no frame."""

    def __init__(self, source: Source) -> None:
        """Args: the source itself."""
        self.waiting, self.idle = "", False  # "" while frames come
        self._source = source

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield what the source does."""
        for item in self._source:
            self.waiting = item.reason if isinstance(item, Waiting) else ""
            self.idle = isinstance(item, Waiting) and item.idle
            yield item

    def close(self) -> None:
        """Close it."""
        self._source.close()

    @property
    def reopened(self) -> int:
        """How often it was opened again; a folder is not opened."""
        return max(0, self._source.openings - 1)


# Reads the health by the name of a zone; "" or none for the first one.
Vital = Callable[..., Vitals]


class Counting(Protocol):
    """What counts: `edge.service.watch.Unreadable`."""

    count: int


class Viewing(Protocol):
    """What looks at the camera's view: `edge.service.intake.health.Health`."""

    problem: CameraProblem | None


def vital_signs(
    source: Watched,
    pace: Pace,
    zones: Sequence[Zone],
    sinks: Collection[Sink],
    unreadable: Counting,
    rest: Callable[[], Rest | None] = lambda: None,
    monotonic: Callable[[], float] = time.monotonic,
    view: Viewing | None = None,
) -> Vital:
    """Return a function that reads the health: from any thread, in well below a millisecond.

    It takes the name of a zone; without one it is that of the first.

    Args:
        source: where frames come from.
        pace: how often.
        zones: with their models.
        sinks: receive each result; sinks that are added later are included.
        unreadable: counts images that cannot be read.
        rest: why it is not to look now.
        monotonic: the time to go by.
        view: what is wrong with the camera's view; None: it is not checked.
    """
    began_s = monotonic()
    named = {"": zones[0]} | {zone.name: zone for zone in zones}

    def read(name: str = "") -> Vitals:
        """Read them all, as they are now."""
        zone, resting = named[name], rest()
        fresh, models, model = zone.freshness, zone.models, zone.models.model
        return Vitals(
            up_s=monotonic() - began_s,
            fps=fresh.fps,
            waiting=resting.reason if resting else source.waiting,
            idle=bool(resting) or source.idle,
            rest=resting.state if resting else "",
            silent_s=fresh.silent_s,
            has_result=fresh.has_result,
            reopened=source.reopened,
            unreadable=unreadable.count,
            celsius=pace.celsius,
            throttling=board.throttling(),
            model=model.path.name,
            version=models.version,
            runtime=model.runtime,
            labels=zone.labels,
            sinks={sink.name: Failures(sink.failures, sink.lost) for sink in sinks},
            trouble=models.trouble,
            name=zone.name,
            threshold=zone.threshold,
            thresholds=zone.thresholds,
            roi=zone.settings.box or (),
            camera=view.problem if view else None,
            camera_checked=view is not None,
            usual_fps=zone.usual_fps,
        )

    return read
