"""What is around the service in tests/soak.py, and goes wrong by a seed."""

from __future__ import annotations

import faulthandler
import json
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from edge.classifier import golden
from edge.classifier.model import models_folder
from edge.errors import SourceError
from edge.image.preprocess import Picture, read_image, resize
from edge.service.models import ModelStore
from edge.service.sighting import Sighting, Sink
from edge.sources.frame import Frame, Waiting

HOTDOG = Path(__file__).parent / "data" / "hotdog.jpg"
MODELS = ("hotdog-small.tflite", "hotdog-tutorial.tflite")
WATCHDOG_S = 60
FRAME_S = 0.1  # by the clock that pauses and reloads go by: it counts frames
# Of a frame: what is wrong with it, or before it. Of a sink: at one sighting.
BAD_PICTURE, STALL, SILENCE, JUMP = 1 / 200, 1 / 400, 1 / 2000, 1 / 1000
FAILS_BEFORE, FAILS_AFTER, FOLDER_GONE, SLOW = 1 / 500, 1 / 500, 1 / 2000, 1 / 200
BAD = "bad images"
LONGEST_OUTAGE, LONGEST_SCENE = 60, 40  # frames


def key(frame: str, before: str, after: str) -> str:
    """What tells a change of state from all others: the frame has its number in its name."""
    return json.dumps([frame, before, after])


class Frames:
    """A camera that nothing can be expected of."""

    def __init__(self, seed: int, counted: Counter[str]) -> None:
        """Args: the draw's seed, and where faults are counted."""
        self._random, self._counted = random.Random(seed), counted
        self._skew = timedelta()
        hotdog = read_image(HOTDOG)
        others = [np.ascontiguousarray(golden.draw(seed, (224, 224))) for seed in range(3)]
        sizes = ((480, 640), (97, 301), (1, 1000))
        self._scenes: list[list[Picture]] = [
            [resize(hotdog, (224, 224))] * 24 + [resize(hotdog, size) for size in sizes] + [HOTDOG],
            others * 8 + [resize(others[0], size) for size in sizes],
        ]
        self._scene, self._left = 0, 0

    def before(self) -> Iterator[Waiting]:
        """Yield what comes instead of a frame, now and then."""
        if self._drawn(STALL, "stalls"):
            for _ in range(self._random.randint(1, 20)):
                yield Waiting("the cable is loose")
                time.sleep(0.005)
        if self._drawn(SILENCE, "silences"):
            time.sleep(self._random.uniform(0.05, 0.5))

    def frame(self, name: str) -> Frame:
        """Return a frame; its image may be bad, and its date wrong."""
        if not self._left:
            self._scene, self._left = 1 - self._scene, self._random.randint(1, LONGEST_SCENE)
        self._left -= 1
        if self._drawn(JUMP, "jumps of the clock"):
            self._skew = timedelta(seconds=self._random.uniform(-1e6, 1e6))
        picture = self._random.choice(self._scenes[self._scene])
        if self._drawn(BAD_PICTURE, BAD):
            picture = self._random.choice(_BAD)
        dropped = self._random.choice((0, 0, 0, 1, 5))
        return Frame(name, picture, datetime.now(UTC) + self._skew, time.monotonic_ns(), dropped)

    def _drawn(self, chance: float, what: str) -> bool:
        hit = self._random.random() < chance
        self._counted[what] += hit
        return hit


_BAD: tuple[Picture, ...] = (
    np.zeros((0, 0, 3), np.uint8),
    np.zeros((48, 64), np.uint8),
    np.zeros((48, 64, 3), np.float32),
    b"",
    b"not an image",
    HOTDOG.read_bytes()[:20000],
    HOTDOG.with_name("absent.jpg"),
)


class Faulty(Sink):
    """A sink that raises, before or after its work, is slow, or loses its folder.

    It writes down each change of state that its sink has taken, for a look when all is over.
    """

    def __init__(
        self,
        sink: Sink,
        folder: Path | None,
        taken: Path,
        draw: random.Random,
        counted: Counter[str],
        now: Callable[[], int],
    ) -> None:
        """Args: the sink, its folder, the file to write down in, what draws, where to count, and
        the frame that it is at: an event that comes late is of an earlier one.
        """
        self.calm = False
        self._now = now
        self.name = taken.stem
        self._sink, self._folder, self._counted = sink, folder, counted
        self._random = draw
        self._taken = taken.open("a")
        self._fails_until = self._gone_until = 0

    def __call__(self, sighting: Sighting) -> None:
        """Take one, or fail. Raises: OSError, ValueError."""
        if not self.calm:
            self._fail(self._now())
        self._sink(sighting)
        if sighting.change:
            change = sighting.change
            self._taken.write(key(sighting.result.source, change.before, change.after) + "\n")
        if not self.calm and self._drawn(FAILS_AFTER, "failures after the work"):
            raise ValueError("the answer is lost")

    def _fail(self, number: int) -> None:
        if number >= self._gone_until:
            self._bring_back()
        if self._drawn(SLOW, "slow sinks"):
            time.sleep(self._random.uniform(0.001, 0.03))
        if self._folder and self._drawn(FOLDER_GONE, "folders gone") and self._folder.exists():
            self._folder.rename(_away(self._folder))
            self._gone_until = number + self._random.randint(1, LONGEST_OUTAGE)
        if self._drawn(FAILS_BEFORE, "failures before the work"):
            self._fails_until = number + self._random.randint(1, LONGEST_OUTAGE)
        if number < self._fails_until:
            raise OSError(28, "No space left on device")

    def _bring_back(self) -> None:
        if self._folder and _away(self._folder).exists():
            _away(self._folder).rename(self._folder)

    def mend(self) -> None:
        """Let nothing be wrong any more: what waits must now be deliverable."""
        self.calm = True
        self._bring_back()

    def close(self) -> None:
        """Close the sink and the file."""
        getattr(self._sink, "close", lambda: None)()
        self._taken.close()

    def _drawn(self, chance: float, what: str) -> bool:
        hit = self._random.random() < chance
        self._counted[what] += hit
        return hit


def _away(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.away")


_GOOD = ("touched", "replaced", "asked for")
_DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "holed": lambda content: _zeroed(content, len(content) // 3, len(content) // 3),
    "wrong": lambda content: _zeroed(content, len(content) // 2, 50_000),  # it loads, and errs
}


def _zeroed(content: bytes, start: int, length: int) -> bytes:
    return content[:start] + bytes(length) + content[start + length :]


class ModelFile:
    """The model's file, which someone changes while it is in use: rightly, or not."""

    def __init__(self, path: Path, seed: int, counted: Counter[str]) -> None:
        """Args: where it is to be, the seed, and where to count."""
        self.path = path
        self.wrong: list[str] = []  # what should not have become of a file
        self._random, self._counted = random.Random(seed), counted
        self._awaited: bool | None = None  # whether the file is to be loaded
        self._good = True
        self._contents = [(models_folder() / name).read_bytes() for name in MODELS]
        self.mend()

    @property
    def settled(self) -> bool:
        """Whether nothing is to become of the file any more."""
        return self._awaited is None

    def change(self, models: ModelStore) -> None:
        """Change the file, and await what is right."""
        kind = "mended"
        if self._good:
            kind = self._random.choice((*_GOOD, *_DAMAGED, "removed"))
        self._counted[f"model {kind}"] += 1
        self._good = self._awaited = kind in ("mended", *_GOOD)
        if kind == "touched":
            os.utime(self.path)
        elif kind == "asked for":
            models.ask()
        elif kind == "removed":
            self.path.unlink()
        else:
            small = self._contents[0]
            content = self._random.choice(self._contents) if kind == "replaced" else small
            self._write(_DAMAGED[kind](content) if kind in _DAMAGED else content)

    def heard(self, line: str) -> None:
        """Take a line that the service has said."""
        loaded, refused = (
            "new model loaded" in line,
            line.endswith("the current model stays in use"),
        )
        if not loaded and not refused:
            return
        self._counted["models loaded"] += loaded
        self._counted["models rejected"] += refused
        if loaded is not self._awaited:
            self.wrong.append(line)
        self._awaited = None

    def mend(self) -> None:
        """Put a good one there."""
        self._write(self._contents[0])
        self._good, self._awaited = True, None

    def _write(self, content: bytes) -> None:
        """In one piece or, as `cp` does, in place: half of the time each."""
        if self._random.random() < 0.5:
            self.path.write_bytes(content)
            return
        new = self.path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(self.path)


class Scene:
    """All of it, a frame after the other: the source of the loop."""

    def __init__(
        self, frames: Frames, file: ModelFile, every: int, more: Callable[[], bool]
    ) -> None:
        """Args: the camera, the model's file, frames between two changes of it, and when to end."""
        self.number = 0  # of frames that were given
        self._frames, self._file, self._every, self._more = frames, file, every, more
        self._changed = 0

    def clock(self) -> float:
        """The time that pauses and reloads go by, in seconds."""
        return self.number * FRAME_S

    def play(
        self, length: int, models: ModelStore, sinks: list[Faulty]
    ) -> Iterator[Frame | Waiting]:
        """Yield a life's frames. Raises: SourceError, as a camera that does not come back."""
        end = self.number + length
        while self.number < end and self._more():
            self.number += 1
            if not self._file.settled:
                self._changed = self.number
            elif self.number - self._changed >= self._every:
                self._file.change(models)
            yield from self._frames.before()
            yield self._frames.frame(f"frame {self.number}")
        for sink in sinks:
            sink.mend()
        self._file.mend()
        if self._more():
            raise SourceError("camera 0", "does not come back", "check the cable")


class Systemd(threading.Thread):
    """Listens at $NOTIFY_SOCKET; shows where a loop is dead, and ends it."""

    def __init__(self, folder: Path) -> None:
        """Args: the folder for the socket."""
        super().__init__(daemon=True)
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify")}
        self.longest_s = 0.0  # without a word
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.environment["NOTIFY_SOCKET"])

    def run(self) -> None:
        """Hear each message."""
        heard_s = time.monotonic()
        while True:
            faulthandler.dump_traceback_later(WATCHDOG_S, exit=True)
            if b"WATCHDOG=1" in self._socket.recv(4096):
                now = time.monotonic()
                self.longest_s, heard_s = max(self.longest_s, now - heard_s), now
