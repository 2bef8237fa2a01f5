"""What the service has seen at one frame, and what takes it."""

from __future__ import annotations

import functools
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from edge.classifier.classify import Result
from edge.names import SCORE_DIGITS
from edge.service.control import Command
from edge.service.sinks.folders import Folder
from edge.service.zones.steady import Change
from edge.sources.frame import Frame


@dataclass(frozen=True)
class Sighting:
    """What the service has seen at one frame."""

    number: int  # of the frame, from 1
    frame: Frame | None  # None once it is delivered late: its image is gone
    result: Result
    state: str  # the steady one: a label, or "unknown"
    state_score: float  # smoothed, of the state; of the best label where that is unknown
    change: Change | None  # of the state, by this frame
    age_ms: float  # of the frame at its result
    dropped: int  # frames that the source let go since the last one
    wanted: bool = False  # this frame's image was requested
    clock_is_set: bool | None = None  # by the network's time; None: unknown on this system
    zone: str = ""  # the part of the camera's view with a model and labels of its own; "": all

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes: the result's, and what the service adds; a zone that has a name.

        A reader takes a record without "zone" for the one unnamed zone.
        """
        record = self.result.as_dict() | {
            "frame": self.number,
            "state": self.state,
            "state_score": round(self.state_score, SCORE_DIGITS),
            "age_ms": round(self.age_ms, 3),
            "dropped": self.dropped,
        }
        if self.clock_is_set is False:
            record["clock_is_set"] = False
        if self.zone:
            record["zone"] = self.zone
        if self.change:
            record["event"] = {
                "from": self.change.before,
                "to": self.change.after,
                "score": round(self.change.score, SCORE_DIGITS),
                "lasted_s": round(self.change.lasted_s, 3),
            }
        return record

    @functools.cached_property
    def line(self) -> str:
        """One line of JSON, made once for all sinks."""
        return json.dumps(self.as_dict())

    def late(self) -> Sighting:
        """The same without its image, to be kept until it can be delivered."""
        return replace(self, frame=None)


class Sink(ABC):
    """Receives each `Sighting`; subclasses define `__call__`, and set `name` if it varies.

    The loop calls a sink in its own thread: it must not wait for anything. What it raises,
    `delivery.py` counts, reports and retries.
    """

    name = ""  # in reports, STATUS, health and metrics
    folder: Folder | None = None  # that it writes to: it explains what cannot be written

    @abstractmethod
    def __call__(self, sighting: Sighting) -> bool | None:
        """Take a `Sighting`; one without a frame is delivered late, for its state change.

        Returns: False if there was nothing to write, so that nothing is known about writing.
        """

    def note(self, command: Command) -> None:  # noqa: B027  # most keep no record
        """Take a command that was followed, for the record."""

    def close(self) -> None:  # noqa: B027  # most hold nothing
        """Deliver what is left, as far as that goes, and give back what it holds."""

    @property
    def failures(self) -> int:
        """How often what lies behind it has failed; what `__call__` raises is counted elsewhere."""
        return 0

    @property
    def lost(self) -> int:
        """Changes of state that could not wait any longer in a queue of its own."""
        return 0

    @property
    def trouble(self) -> str:
        """What is wrong with it now, in a few words for STATUS; "" for nothing."""
        return ""
