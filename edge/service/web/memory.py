"""What the live page shows: the newest result, the last minutes, the last state changes.

The loop writes, the server's thread reads. A frame costs the loop a few microseconds; all that is
more expensive waits for a request.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from edge.classifier.classify import Category
from edge.names import SCORE_DIGITS
from edge.service.sighting import Sighting
from edge.service.zones.steady import Change

HISTORY_S = 600.0
POINT_S = 0.5  # between two points of the history
LATENCIES = 500  # frames
EVENTS = 50
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Point:
    """One frame's scores, for the chart."""

    number: int
    at: datetime
    up_s: float  # since the service started: the clock may be set, this only grows
    state: str
    categories: tuple[Category, ...]  # best first

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes."""
        scores = {
            category.label: round(category.score, SCORE_DIGITS) for category in self.categories
        }
        return {
            "frame": self.number,
            "unix_s": round(self.at.timestamp(), 3),
            "up_s": round(self.up_s, 3),
            "state": self.state,
            "scores": scores,
        }


@dataclass(frozen=True)
class Event:
    """A change of state."""

    number: int  # of the frame that changed it
    at: datetime
    change: Change

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the server adds the path of its image."""
        return {
            "at": self.at.isoformat(timespec="milliseconds"),
            "frame": self.number,
            "from": self.change.before,
            "to": self.change.after,
            "score": round(self.change.score, SCORE_DIGITS),
            "lasted_s": round(self.change.lasted_s, 3),
        }


class Memory:
    """What has been seen recently, within bounds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Args: the time to go by."""
        self.newest: Sighting | None = None
        self.dropped = 0  # frames that the source let go, since it began
        self._monotonic, self._began_s = monotonic, monotonic()
        self._lock = threading.Lock()  # a deque must not change while it is read through
        self._point_s = -POINT_S
        self._points: deque[Point] = deque(maxlen=round(HISTORY_S / POINT_S))
        self._latencies: deque[tuple[float, float]] = deque(maxlen=LATENCIES)
        self._events: deque[Event] = deque(maxlen=EVENTS)

    def __call__(self, sighting: Sighting) -> None:
        """Take a `Sighting`; a late one counts for its state change only."""
        result, now = sighting.result, self._monotonic()
        with self._lock:
            if sighting.change:
                self._events.append(Event(sighting.number, result.captured_at, sighting.change))
            if sighting.frame is None:
                return
            self._latencies.append((result.invoke_ms, sighting.age_ms))
            if now - self._point_s >= POINT_S:
                self._point_s = now
                at, up_s = result.captured_at, now - self._began_s
                self._points.append(
                    Point(sighting.number, at, up_s, sighting.state, result.categories)
                )
        self.dropped += sighting.dropped
        self.newest = sighting

    def points(self, since: int = 0) -> list[Point]:
        """The points of the frames after that number, the oldest first."""
        with self._lock:
            return [point for point in self._points if point.number > since]

    def events(self) -> list[Event]:
        """The last changes, the newest first."""
        with self._lock:
            return list(reversed(self._events))

    def latencies(self) -> dict[str, dict[str, float]] | None:
        """Percentiles over the last frames, in milliseconds; None before the first."""
        with self._lock:
            samples = list(self._latencies)
        if not samples:
            return None
        invoke, whole = zip(*samples, strict=True)
        return {"invoke": _percentiles(invoke), "end_to_end": _percentiles(whole)}


def _percentiles(samples: Sequence[float]) -> dict[str, float]:
    values = np.percentile(samples, PERCENTILES)
    return {f"p{p}": round(float(v), 3) for p, v in zip(PERCENTILES, values, strict=True)}
