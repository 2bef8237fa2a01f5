"""What a source yields, and what a source is."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from edge.image.preprocess import Picture

if TYPE_CHECKING:
    from edge.sources.grey import Grey


@dataclass(frozen=True)
class Frame:
    """One image on its way to the model.

    A file stays encoded until the model's input size is known, so that it is decoded at the
    smallest scale that suffices; `read_image(frame.picture)` gives its pixels.

    A frame is captured once for all zones of its camera, so that the zone is part of `Sighting`.
    """

    source: str  # a path, "-", or the camera's name
    picture: Picture
    captured_at: datetime  # when the source delivered it; UTC
    captured_ns: int  # the same by time.monotonic_ns(): ages do not follow a clock that jumps
    dropped: int = 0  # frames that the source let go since the last one it gave
    position_s: float | None = None  # within the clip, of a video file's frame
    unmasked: Picture | None = None  # for classification alone, where `picture` has masks

    @functools.cached_property
    def grey(self) -> Grey:
        """A small grey copy, made once for all that look at it. Raises: ImageError."""
        from edge.sources.grey import Grey  # what has no use for it does not load it

        return Grey.of(self.picture)


class Waiting(NamedTuple):
    """Instead of a frame: why there is none yet."""

    reason: str  # one line
    idle: bool = False  # nothing is wrong: there is nothing new, and that has no bound
    rest: str = ""  # "paused" or "asleep": it is not to look


class Source(ABC):
    """Where a service's frames come from; subclasses define `__iter__`.

    One that has no frame yields Waiting, at least once a second and for a bounded time: the
    service's loop then serves signals and feeds the watchdog. A source that is lost for good
    raises SourceError.
    """

    openings = 0  # how often it was opened, failed attempts included; a folder is not opened
    goes_on = False  # whether it need not be closed while nothing is looked at

    @abstractmethod
    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield frames as they come. Raises: SourceError."""

    def close(self) -> None:  # noqa: B027  # a folder has nothing to give back
        """Give back what it holds; the iteration ends."""
