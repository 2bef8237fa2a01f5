"""A source that rests: while it is paused or outside its hours there is no frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from edge.sources.frame import Frame, Source, Waiting

LOOK_S = 0.5  # between two looks at whether it still rests


class Rest(NamedTuple):
    """Why there is no frame, as intended."""

    state: str  # "paused" or "asleep", as ZoneState has them
    reason: str  # one line


class Gated(Source):
    """Yields a source's frames but for the times when it rests; a camera is closed then."""

    def __init__(
        self,
        open_source: Callable[[], Source],
        rest: Callable[[], Rest | None],
        sleep: Callable[[float], None],
    ) -> None:
        """Args: what opens the source, whether it rests now, and what waits between two looks."""
        self._open, self._rest, self._sleep = open_source, rest, sleep
        self._source: Source | None = None
        self._frames: Iterator[Frame | Waiting] = iter(())
        self._earlier = 0  # openings of sources that were closed for a rest, but for the last ones
        self._closed = False

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield what the source does. Raises: SourceError."""
        while not self._closed:
            if rest := self._rest():
                self._shut()
                yield Waiting(rest.reason, idle=True, rest=rest.state)
                self._sleep(LOOK_S)
                continue
            if self._source is None:
                self._source = self._open()
                self._frames = iter(self._source)
            item = next(self._frames, None)
            if item is None:
                return
            if not (isinstance(item, Frame) and self._rest()):  # paused while it was captured
                yield item

    def _shut(self) -> None:
        """Close what has a camera; a folder is not looked at, and goes on where it was."""
        if self._source and not self._source.goes_on:
            self._earlier += max(0, self._source.openings - 1)
            self._source.close()
            self._source = None

    def close(self) -> None:
        """Close it."""
        self._closed = True
        if self._source:
            self._source.close()

    @property
    def openings(self) -> int:  # type: ignore[override]
        """How often it was opened; once more after a rest does not count."""
        return self._earlier + (self._source.openings if self._source else 1)
