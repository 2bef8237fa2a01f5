"""How often a frame is classified: at most so often, and less while the machine is hot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LOOK_S = 5.0  # between two looks at the temperature: it changes slowly
COOLER_BY = 5.0  # degrees below the limit before the rate rises again, else it would swing
LEAST_SHARE = 1 / 16
SLOWEST_S = 8.0  # a configured pause may be longer, but heat alone makes none: the watchdog
NAP_S = 0.5  # maximum time between two turns of the loop


@dataclass(frozen=True)
class PaceSettings:
    """The settings of the frame rate."""

    fps: float = 0.0
    max_temperature: float = 0.0


class Pace:
    """Keeps the loop from running faster than it should."""

    def __init__(
        self,
        settings: PaceSettings,
        temperature: Callable[[], float | None],
        report: Callable[[str], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        """Args: the rate; the temperature; what takes a line; the time; whether one is due now."""
        self._monotonic, self._sleep, self._hurry = monotonic, sleep, hurry
        self.celsius: float | None = None
        self._settings, self._read, self._report = settings, temperature, report
        self._share = 1.0  # of the usual rate
        self._due_s = self._monotonic()
        self._began_s: float | None = None  # the newest frame
        self._look_s = self._due_s
        self._interval_s = 0.0  # between two beginnings, smoothed

    @property
    def fps(self) -> float:
        """Frames a second, recently; 0 before the second frame."""
        return 1 / self._interval_s if self._interval_s else 0.0

    def begin(self) -> None:
        """Note that a frame is about to be classified."""
        now = self._monotonic()
        if self._began_s is not None:
            interval_s = max(now - self._began_s, 1e-6)
            self._interval_s += (interval_s - self._interval_s) * (0.1 if self._interval_s else 1)
        else:
            self._due_s = now  # a camera that opened late owes no frames
        self._began_s = now

    def rest(self) -> Iterator[None]:
        """Wait until the next frame is due, and yield at least every NAP_S and once.

        What was missed is not made up for.
        """
        now = self._monotonic()
        self._look(now)
        busy_s = now - self._began_s if self._began_s is not None else 0.0
        # From the last due time, not from now: else each would be late by a little more.
        self._due_s = max(self._due_s + self._period_s(busy_s), now)
        yield from self._wait_until(self._due_s)

    def pause(self, seconds: float = 0.0) -> Iterator[None]:
        """Wait this long for a frame; what is due remains due. Yields as `rest` does."""
        now = self._monotonic()
        self._look(now)
        yield from self._wait_until(now + seconds)

    def start_over(self) -> None:
        """Forget the rate: while it rests, no frame is expected."""
        self._began_s, self._interval_s = None, 0.0

    def _wait_until(self, until_s: float) -> Iterator[None]:
        yield
        while (left := until_s - self._monotonic()) > 0 and not self._hurry():
            self._sleep(min(left, NAP_S))
            yield

    def _period_s(self, busy_s: float) -> float:
        usual = 1 / self._settings.fps if self._settings.fps else 0.0
        if self._share == 1:
            return usual
        return max(usual, min(max(usual, busy_s) / self._share, SLOWEST_S))

    def _look(self, now: float) -> None:
        """Halve the rate while it is too hot, and double it again once it is cool."""
        if now < self._look_s:
            return
        self._look_s, self.celsius = now + LOOK_S, self._read()
        limit = self._settings.max_temperature
        if self.celsius is None or not limit:
            return
        if self.celsius > limit and self._share > LEAST_SHARE:
            self._turn(self._share / 2, f"above {limit:g}", "reduced")
        elif self.celsius < limit - COOLER_BY and self._share < 1:
            self._turn(self._share * 2, f"below {limit - COOLER_BY:g}", "raised")

    def _turn(self, share: float, why: str, how: str) -> None:
        self._share = share
        rate = "full" if share == 1 else f"1/{1 / share:g}"
        self._report(f"{self.celsius:.1f} Celsius, {why}: frame rate {how} to {rate}")
