"""Motion: a frame is classified only while something moves, and now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edge.errors import EdgeError, checked
from edge.sources.frame import Frame, Source, Waiting
from edge.sources.grey import Cells

LEARN = 0.05  # share of a look in the background: what stays is part of it after a minute or so
NOISES = 5.0  # a cell has changed beyond this many times the sensor's noise
STILL = "nothing moves"


@dataclass(frozen=True)
class MotionSettings:
    """The configuration's [motion] section, whose keys `edge.commands.keys` describes."""

    on: bool = False
    threshold: float = 12.0
    area: float = 0.003
    hold_s: float = 2.0
    every_s: float = 60.0
    fps: float = 5.0

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("motion.threshold", self.threshold, 1.0, 255.0)
        checked("motion.area", self.area, 0.0001, 1.0)
        checked("motion.hold_s", self.hold_s, 0.0, 86400.0)
        checked("motion.every_s", self.every_s, 0.0, 86400.0)
        checked("motion.fps", self.fps, 0.1, 60.0)


class Motion:
    """Compares frames with a background that follows slowly."""

    def __init__(self, settings: MotionSettings) -> None:
        """Args: what counts as motion."""
        self._settings = settings
        self._background: Cells | None = None
        self._level = 0.0  # the median of the newest frame
        self._noise = 0.0  # of a cell from look to look, smoothed

    def __call__(self, grey: Cells) -> bool:
        """Whether something has moved; the first frame and one of another size always have.

        Args: grey: a frame's cells, (height, width) of 0..255.
        """
        if self._background is None or self._background.shape != grey.shape:
            self._background, self._level = grey, _middle(grey)
            return True
        # Exposure and clouds change all of it by one factor: that is not motion.
        level, expected = _middle(grey), self._background
        if self._level and abs(level - self._level) > 0.25:
            expected = expected * ((level + 1.0) / (self._level + 1.0))
        self._level = level
        difference = grey - expected
        change = np.abs(difference)
        limit = max(self._settings.threshold, NOISES * self._noise)
        moved = np.count_nonzero(change > limit) >= max(2.0, self._settings.area * change.size)
        # What is new everywhere is not noise; but a night's noise must not be motion forever.
        self._noise += (0.01 if moved else 0.1) * (_middle(change) - self._noise)
        self._background = expected + LEARN * difference
        return bool(moved)


class Moving(Source):
    """Yields a source's frames while something moves in them."""

    def __init__(
        self,
        source: Source,
        settings: MotionSettings,
        sleep: Callable[[float], None],
        wanted: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: the source; what counts; what waits; whether a frame is wanted now; the time."""
        self._source, self._settings, self._sleep = source, settings, sleep
        self._wanted, self._monotonic = wanted, monotonic
        self.goes_on = source.goes_on

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield what the source does. Raises: SourceError."""
        settings, motion = self._settings, Motion(self._settings)
        moved_s = passed_s = self._monotonic()
        for item in self._source:
            if isinstance(item, Waiting):
                yield item
                continue
            now = self._monotonic()
            try:
                moved_s = now if motion(item.grey.cells) else moved_s
            except EdgeError:  # a damaged file: the loop reports it
                moved_s = now
            is_due = settings.every_s and now - passed_s >= settings.every_s
            if now - moved_s <= settings.hold_s or is_due or self._wanted():
                passed_s = now
                yield item
            else:
                yield Waiting(STILL, idle=True)
                self._sleep(1 / settings.fps)

    @property
    def openings(self) -> int:  # type: ignore[override]
        """How often the source was opened."""
        return self._source.openings

    def close(self) -> None:
        """Close it."""
        self._source.close()


def _middle(cells: Cells) -> float:
    """The median of one cell in nine; `np.median` takes five times as long."""
    some = cells[::3, ::3].ravel()
    below, above = (some.size - 1) // 2, some.size // 2
    ordered = np.partition(some, (below, above))
    return (float(ordered[below]) + float(ordered[above])) / 2
