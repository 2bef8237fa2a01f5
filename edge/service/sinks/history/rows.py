"""What history records, and what waits in memory to be written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge.names import SCORE_DIGITS
from edge.service.sighting import Sighting

HOUR_S = 3600
# Without a frame the last state is taken to last this long: [motion] every_s is 60 by default.
MAX_GAP_S = 90.0
WRITE_S = 60.0  # between two writes while nothing changes
EVENT_S = 5.0  # after a state change, so that several share a write
MAX_WAITING = 1000  # events that wait while they cannot be written; the oldest is lost first


@dataclass(frozen=True)
class Event:
    """A state change."""

    zone: str
    at_s: float  # seconds since 1970, by a clock that may be wrong
    clock_is_set: bool | None  # by the network; None: unknown
    before: str
    after: str
    score: float
    lasted_s: float  # of the state before it
    image: str = ""  # the name of the snapshot's file; "": none
    number: int = 0  # running, from 1, over all runs: the order of events; 0: not written yet

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes; whoever knows the path of the image adds it."""
        return {
            "number": self.number,
            "zone": self.zone,
            "at": iso(self.at_s),
            "clock_is_set": self.clock_is_set,
            "from": self.before,
            "to": self.after,
            "score": round(self.score, SCORE_DIGITS),
            "lasted_s": round(self.lasted_s, 3),
        }


@dataclass(frozen=True)
class Share:
    """How much of an hour a label was the state."""

    zone: str
    hour: int  # since 1970, by a clock that may be wrong
    label: str
    clock_is_set: bool | None
    seconds: float
    frames: int

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes; whoever has all labels of the hour adds the share."""
        return {
            "zone": self.zone,
            "hour": iso(self.hour * HOUR_S),
            "label": self.label,
            "clock_is_set": self.clock_is_set,
            "seconds": round(self.seconds, 1),
            "frames": self.frames,
        }


def iso(at_s: float) -> str:
    """Return seconds since 1970 as ISO 8601, in UTC."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Rows:
    """What one write takes."""

    events: tuple[Event, ...]
    shares: tuple[Share, ...]


Hour = tuple[str, int, str, bool | None]  # zone, hour, label, whether the clock was set


class Batch:
    """What was seen since the last write. Not for several threads at once."""

    def __init__(self) -> None:
        """Begin empty."""
        self.due_s: float | None = None  # when it is to be written, by the monotonic clock
        self.lost = 0  # events
        self._events: list[Event] = []
        self._shares: dict[Hour, list[float]] = {}  # seconds, frames
        self._last: dict[str, tuple[str, int]] = {}  # by zone: its state, and since when in ns

    def add(self, sighting: Sighting, at_s: float, now_s: float, image: str) -> None:
        """Count a frame, and keep its state change if there is one.

        Args:
            sighting: of the frame.
            at_s: seconds since 1970.
            now_s: the monotonic clock.
            image: the name of the file with the frame's snapshot; "" for none.
        """
        zone, set_ = sighting.zone, sighting.clock_is_set
        if sighting.frame is not None:
            self._count(sighting, int(at_s // HOUR_S))
        due_s = now_s + WRITE_S
        if change := sighting.change:
            due_s = now_s + EVENT_S
            self._keep(
                Event(zone, at_s, set_, change.before, change.after, change.score,
                      change.lasted_s, image)
            )  # fmt: skip
        self.due_s = due_s if self.due_s is None else min(self.due_s, due_s)

    def _count(self, sighting: Sighting, hour: int) -> None:
        assert sighting.frame is not None
        zone, set_, now_ns = sighting.zone, sighting.clock_is_set, sighting.frame.captured_ns
        state, since_ns = self._last.get(zone, ("", now_ns))
        self._last[zone] = (sighting.state, now_ns)
        if state:
            lasted_s = min(max(0, now_ns - since_ns) / 1e9, MAX_GAP_S)
            self._shares.setdefault((zone, hour, state, set_), [0.0, 0])[0] += lasted_s
        self._shares.setdefault((zone, hour, sighting.state, set_), [0.0, 0])[1] += 1

    def _keep(self, event: Event) -> None:
        if len(self._events) >= MAX_WAITING:
            del self._events[0]
            self.lost += 1
        self._events.append(event)

    def take(self) -> Rows:
        """Return what is to be written, and begin again."""
        shares = tuple(
            Share(*hour, seconds=seconds, frames=int(frames))
            for hour, (seconds, frames) in self._shares.items()
        )
        rows = Rows(tuple(self._events), shares)
        self._events, self._shares, self.due_s = [], {}, None
        return rows

    def put_back(self, rows: Rows, due_s: float) -> None:
        """Take back what could not be written, to be written at `due_s`."""
        newer, self._events = self._events, []
        for event in (*rows.events, *newer):
            self._keep(event)
        self._add(rows.shares)
        self.due_s = due_s

    def _add(self, shares: Iterable[Share]) -> None:
        for share in shares:
            hour = (share.zone, share.hour, share.label, share.clock_is_set)
            of_hour = self._shares.setdefault(hour, [0.0, 0])
            of_hour[0] += share.seconds
            of_hour[1] += share.frames
