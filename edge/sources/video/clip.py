"""A video file's frames, each with its time within the clip."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge.errors import SourceError, checked
from edge.image.preprocess import Size
from edge.sources.frame import Frame, Source, Waiting
from edge.sources.video.process import Decoder, Reply, ensure_pyav

OPEN_S = 20.0  # to open a file, at most
SIGN_S = 20.0  # without a sign of life a decoder hangs; it gives one a second, between packets


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are wanted. Raises: ConfigurationError."""

    start_s: float = 0.0  # within the clip
    fps: float = 1.0  # frames a second of the clip's own time; 0: all
    every: int = 1  # of these, or of all where fps is 0, each Nth

    def __post_init__(self) -> None:
        checked("start", self.start_s, 0.0, 1e7)
        checked("fps", self.fps, 0.0, 1000.0)
        checked("every", self.every, 1, 1_000_000)


class Clip:
    """A video file; iterating yields its sampled frames. The next is decoded meanwhile."""

    def __init__(
        self, path: Path, sampling: Sampling, suffices: Callable[[Size], Size | None] | None = None
    ) -> None:
        """Name what is wanted; the file is opened by iterating.

        Args:
            path: the video file.
            sampling: which frames.
            suffices: takes the (height, width) of the clip, upright, and returns the one that its
                frames need to cover; they are scaled down to the smallest that does. None: full.
        """
        self._path, self._sampling = path, sampling
        self._suffices = suffices or (lambda _: None)
        self.duration_s = 0.0  # known once the first frame is there

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises: SourceError: it cannot be read; or, after its last frame, it was cut off;
            ConfigurationError without PyAV.
        """
        path = self._path
        ensure_pyav(str(path))
        if path.is_file() and not path.stat().st_size:
            raise SourceError(path, "is empty (0 bytes)", "copy it again")
        with closing(Decoder(str(path), _request(path, self._sampling))) as decoder:
            opened = _answer(decoder, path, OPEN_S)["opened"]
            self.duration_s = opened["duration_s"]
            if opened["size"] is None:
                ends = f"no frame after {self._sampling.start_s:g} s"
                fault = ends if self._sampling.start_s else "contains no frame that can be decoded"
                raise SourceError(path, fault, f"it lasts {self.duration_s:.1f} s")
            yield from self._frames(decoder, opened)

    def _frames(self, decoder: Decoder, opened: Reply) -> Iterator[Frame]:
        name, began = str(self._path), _begin(opened["created"])
        at_least = self._suffices((opened["size"][0], opened["size"][1]))
        decoder.ask(at_least)
        while "end" not in (reply := _answer(decoder, self._path, SIGN_S)):
            pixels, at_s = decoder.pixels(reply["frame"]), reply["at_s"]
            decoder.ask(at_least)
            captured = began + timedelta(seconds=at_s) if began else datetime.now(UTC)
            yield Frame(name, pixels, captured, time.monotonic_ns(), position_s=at_s)
        if reply["end"]:
            raise SourceError(name, *reply["end"])


class ClipSource(Source):
    """A video file as a service's source; its rate makes it last as long as it did."""

    goes_on = True

    def __init__(self, path: Path, sampling: Sampling, *, repeat: bool = False) -> None:
        """Args: the file, which frames, whether to begin again at the end, forever."""
        self._path, self._sampling, self._repeat = path, sampling, repeat
        self._frames: Generator[Frame, None, None] | None = None

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield its frames. Raises: SourceError, ConfigurationError."""
        while True:
            self._frames = self._round()
            yield from self._frames
            if not self._repeat:
                return

    def _round(self) -> Generator[Frame, None, None]:
        yield from Clip(self._path, self._sampling)

    def close(self) -> None:
        """End the decoder."""
        if self._frames:
            self._frames.close()


def _request(path: Path, sampling: Sampling) -> Reply:
    return {
        "open": str(path),
        "is_file": True,
        "open_s": OPEN_S,
        "read_s": SIGN_S,
        "start_s": sampling.start_s,
        "step_s": 1 / sampling.fps if sampling.fps else 0.0,
        "every": sampling.every,
    }


def _answer(decoder: Decoder, path: Path, timeout_s: float) -> Reply:
    """Return the next reply but signs of life. Raises: SourceError where it hangs."""
    while reply := decoder.reply(timeout_s):
        if "alive" not in reply:
            return reply
    raise SourceError(path, f"decoding hangs: nothing for {timeout_s:g} s", "check it with ffprobe")


def _begin(created: str) -> datetime | None:
    """When the clip was begun, by the container's metadata; None where it has none of use."""
    try:
        began = datetime.fromisoformat(created)
    except ValueError:
        return None
    if began.tzinfo is None:
        began = began.replace(tzinfo=UTC)
    return began if began.year > 1970 else None  # a camera whose clock was never set
