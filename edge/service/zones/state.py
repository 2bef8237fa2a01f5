"""The states of a zone: the one vocabulary of page, metrics, MQTT and STATUS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

FRESH_S = 10.0  # a result is fresh for this time, or for FRESH_FRAMES at the current rate
FRESH_FRAMES = 3


class ZoneState(StrEnum):
    """What a zone does. All but LOST are as intended: no alarm, and its last label stands."""

    LIVE = "live"  # its newest result is fresh
    IDLE = "idle"  # there is nothing new to classify
    PAUSED = "paused"  # by a command
    ASLEEP = "asleep"  # outside its hours
    LOST = "lost"  # no fresh result, for a reason


class CameraProblem(StrEnum):
    """What is wrong with a camera's view; all zones of the camera have the problem."""

    FROZEN = "frozen"  # it gives the same frame again and again
    DARK = "dark"  # suddenly; at nightfall there is no problem
    COVERED = "covered"  # something is before the lens
    BLURRED = "blurred"  # its fine detail is gone
    MOVED = "moved"  # it shows another view

    @property
    def reason(self) -> str:
        """It in a few words."""
        return f"the camera is {self}"


@dataclass(frozen=True)
class ZoneStatus:
    """A zone's state at one moment."""

    state: ZoneState
    reason: str = ""  # one line; of LOST, or of a problem with the camera's view
    problem: bool | None = False  # None: too early to know
    camera: CameraProblem | None = None  # None: nothing, or it is not checked

    @property
    def is_available(self) -> bool:
        """Whether its label can be relied on."""
        return self.state is not ZoneState.LOST


class Freshness:
    """How old a zone's newest result is, and how often there is one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Args: the time to go by."""
        self._monotonic = monotonic
        self._started_s = monotonic()
        self._result_s: float | None = None  # the newest result
        self._interval_s = 0.0  # between two results, smoothed

    def note(self) -> None:
        """Note a result."""
        now = self._monotonic()
        if self._result_s is not None:
            interval_s = max(now - self._result_s, 1e-6)
            self._interval_s += (interval_s - self._interval_s) * (0.1 if self._interval_s else 1)
        self._result_s = now

    def start_over(self) -> None:
        """Count silence from here on: while it rests, no result is expected."""
        self._started_s, self._result_s, self._interval_s = self._monotonic(), None, 0.0

    @property
    def fps(self) -> float:
        """Results a second, recently; 0 before the second one."""
        return 1 / self._interval_s if self._interval_s else 0.0

    @property
    def silent_s(self) -> float:
        """Seconds since the newest result, or since the start while there was none."""
        return self._monotonic() - (self._started_s if self._result_s is None else self._result_s)

    @property
    def has_result(self) -> bool:
        """Whether there was a result in this run."""
        return self._result_s is not None


def fresh_s(fps: float) -> float:
    """How long a result is fresh at a rate, in seconds."""
    return max(FRESH_S, FRESH_FRAMES / fps if fps else 0.0)


def zone_status(
    silent_s: float,
    within_s: float,
    *,
    has_result: bool,
    waiting: str,
    idle: bool,
    rest: str = "",
    camera: CameraProblem | None = None,
) -> ZoneStatus:
    """Return a zone's state.

    Args:
        silent_s: seconds since the newest result, or since the start while there was none.
        within_s: how long a result is fresh.
        has_result: whether there was a result in this run.
        waiting: why the source gives no frame; "" while it does.
        idle: whether that is because there is nothing new.
        rest: "paused" or "asleep" where it is not to look; "" where it is.
        camera: what is wrong with the camera's view. The label stands, for it is of what is seen.
    """
    if rest:
        return ZoneStatus(ZoneState(rest))
    is_fresh = silent_s <= within_s
    reason = camera.reason if camera else ""
    if has_result and is_fresh:
        return ZoneStatus(ZoneState.LIVE, reason, bool(camera), camera)
    if idle:
        return ZoneStatus(ZoneState.IDLE, reason, bool(camera), camera)
    reason = waiting or (f"no result for {silent_s:.0f} s" if has_result else "no frame yet")
    return ZoneStatus(ZoneState.LOST, reason, None if is_fresh else True)
