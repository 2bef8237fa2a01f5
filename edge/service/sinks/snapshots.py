"""Save snapshots within quotas; off by default, since people may be in them."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ConfigurationError, checked
from edge.files import replace_file
from edge.image.preprocess import encode_jpeg, read_image
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.folders import Folder

OCCASIONS = ("change", "label", "low", "request")
# What `_name` makes, and nothing else: images that others put into the folder are left alone.
OURS = re.compile(r"(\d{8,})-\d{8}T\d{6}\.\d{3}Z-.*-[01]\.\d\d\.(jpg|json)")


@dataclass(frozen=True)
class SnapshotSettings:
    """The configuration's [snapshots] section, whose keys `edge.commands.keys` describes."""

    folder: str = ""
    on: tuple[str, ...] = ("change",)
    labels: tuple[str, ...] = ()
    below: float = 0.5
    every_s: float = 10.0
    max_files: int = 1000
    max_mb: float = 200.0

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("snapshots.below", self.below, 0.0, 1.0)
        checked("snapshots.every_s", self.every_s, 0.0, 86400.0)
        checked("snapshots.max_files", self.max_files, 1, 1_000_000)
        checked("snapshots.max_mb", self.max_mb, 0.1, 1e6)
        for occasion in self.on:
            if occasion not in OCCASIONS[:3]:
                fault = f"must be one or more of {', '.join(OCCASIONS[:3])}. Received: {occasion!r}"
                raise ConfigurationError(
                    "snapshots.on", fault, "use only these words, or remove the key"
                )


@dataclass
class _Kept:
    """The images in the folder, oldest first, and their bytes with their JSON.

    Their order is that of the number that their names begin with: by a clock that was wrong, the
    newest images would be removed as the oldest.
    """

    sizes: deque[tuple[Path, int]] = field(default_factory=deque)
    total: int = 0
    newest: int = 0  # the highest number

    def add(self, path: Path, size: int) -> None:
        """Add an image, the newest."""
        self.sizes.append((path, size))
        self.total += size
        self.newest = max(self.newest, _serial(path))


@dataclass(frozen=True)
class _Snapshot:
    """An image that is to be written."""

    name: str  # without the number that comes first
    jpeg: bytes
    record: bytes  # the JSON beside it
    of: tuple[int, str]  # its frame's number, and its zone
    is_change: bool


class Snapshots(Sink):
    """A folder of JPEGs, with name, scores and time in a JSON file beside each.

    The newest image that could not be written is kept in memory and written at the next call, so
    that the folder is known to work again only when an image is in it.
    """

    def __init__(
        self, settings: SnapshotSettings, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Args: when and where, and the time to go by. The folder is made when it is needed."""
        self.name = f"snapshots in {settings.folder}"
        self._settings, self._monotonic = settings, monotonic
        self._folder = Path(settings.folder)
        self.folder = Folder("snapshots.folder", self._folder, is_made=True)
        self._lost = 0  # images that could not be kept
        self._unwritten: _Snapshot | None = None
        self._written = (0, "")  # of which the newest image in the folder is
        self._kept: _Kept | None = None  # not looked at yet
        self._last_s: dict[str, float] = {}  # the newest image, by zone

    def __call__(self, sighting: Sighting) -> bool:
        """Save the frame if there is an occasion; return whether a snapshot was written.

        Raises: OSError, ImageError.
        """
        occasion = self._occasion(sighting)
        if occasion and sighting.frame is None:  # delivered late: its image is here, or gone
            of = sighting.number, sighting.zone
            self._lost += of not in (self._unwritten and self._unwritten.of, self._written)
        elif occasion:
            made = self._make(sighting, occasion)
            if self._unwritten and not self._unwritten.is_change:  # a change comes again, late
                self._lost += 1
            self._unwritten = made
        if self._unwritten is None:
            return False
        self._write(self._unwritten)
        self._unwritten = None
        return True

    @property
    def lost(self) -> int:
        """Images that could not be kept."""
        return self._lost

    def file_of(self, sighting: Sighting) -> str:
        """Return the name of its image if it is the newest; "" otherwise."""
        of = sighting.number, sighting.zone
        is_newest = self._kept and self._kept.sizes and self._written == of
        return self._kept.sizes[-1][0].name if self._kept and is_newest else ""

    def _occasion(self, sighting: Sighting) -> str:
        """Why to keep this one; "" for no reason."""
        settings = self._settings
        if sighting.wanted:
            return "request"
        of_interest = sighting.state in settings.labels
        if sighting.change and "change" in settings.on and (of_interest or not settings.labels):
            return "change"
        last_s = self._last_s.get(sighting.zone, -settings.every_s)
        if self._monotonic() - last_s < settings.every_s:
            return ""
        if "label" in settings.on and of_interest:
            return "label"
        if "low" in settings.on and sighting.result.score < settings.below:
            return "low"
        return ""

    def _make(self, sighting: Sighting, occasion: str) -> _Snapshot:
        assert sighting.frame is not None
        jpeg = encode_jpeg(read_image(sighting.frame.picture))
        record = json.dumps(sighting.as_dict() | {"occasion": occasion}).encode()
        of = sighting.number, sighting.zone
        return _Snapshot(_name(sighting), jpeg, record, of, sighting.change is not None)

    def _write(self, made: _Snapshot) -> None:
        try:
            self._put(made)
        except OSError:
            self._kept = None  # the folder may be another one now: it is looked at again
            raise
        self._last_s[made.of[1]], self._written = self._monotonic(), made.of

    def _put(self, made: _Snapshot) -> None:
        kept, size = self._look(), len(made.jpeg) + len(made.record)
        self._make_room(kept, size)
        path = self._folder / f"{kept.newest + 1:08}-{made.name}"
        replace_file(path.with_suffix(".json"), made.record)
        try:
            replace_file(path, made.jpeg)
        except OSError:
            path.with_suffix(".json").unlink(missing_ok=True)
            raise
        kept.add(path, size)

    def _look(self) -> _Kept:
        """See, once, what earlier runs have left; halves of pairs are cleared away."""
        if self._kept is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            kept = _Kept()
            ours = [path for path in self._folder.iterdir() if OURS.fullmatch(_whole(path))]
            for path in sorted(ours, key=lambda path: (_serial(path), path.name)):
                if path.suffix == ".jpg":
                    kept.add(path, _size(path) + _size(path.with_suffix(".json")))
                elif path.suffix == ".partial" or not path.with_suffix(".jpg").exists():
                    path.unlink(missing_ok=True)
            self._kept = kept
        return self._kept

    def _make_room(self, kept: _Kept, size: int) -> None:
        settings = self._settings
        while kept.sizes and (
            len(kept.sizes) >= settings.max_files or kept.total + size > settings.max_mb * 1e6
        ):
            path, freed = kept.sizes[0]
            for part in (path, path.with_suffix(".json")):
                part.unlink(missing_ok=True)
            kept.sizes.popleft()
            kept.total -= freed


def _name(sighting: Sighting) -> str:
    """Time, zone, state and score, which follow the image's number in the folder."""
    at = sighting.result.captured_at.strftime("%Y%m%dT%H%M%S.%f")[:-3]
    label = "".join(c if c.isalnum() or c in "-_" else "_" for c in sighting.state)[:40]
    zone = sighting.zone and f"{sighting.zone}-"
    return f"{at}Z-{zone}{label}-{sighting.result.score:.2f}.jpg"


def _whole(path: Path) -> str:
    """The name that a file has, or will have once it is whole."""
    return path.name.removeprefix(".").removesuffix(".partial")


def _serial(path: Path) -> int:
    return int(_whole(path).partition("-")[0])


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
