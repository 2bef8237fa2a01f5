"""What consecutive results come to together: the timeline of a video, the bursts of a camera."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.classifier.classify import UNKNOWN
from edge.commands.terminal import clock
from edge.errors import ConfigurationError, ImageError, cell, one_line
from edge.files import replace_file
from edge.image.decode import read_taken
from edge.names import RESULT_SCHEMA, SCORE_DIGITS

if TYPE_CHECKING:
    from edge.classifier.classify import Result

TIMELINE_COLUMNS = ("source", "label", "from_s", "to_s", "frames", "mean_score")
BURST_COLUMNS = ("first", "last", "from", "to", "images", "label", "mean_score")
PAUSE_S = 60.0  # between two bursts, at least: what Wildlife Insights takes for one event


def write_table(
    option: str, path: Path, columns: Sequence[str], records: Sequence[dict[str, Any]]
) -> None:
    """Write a .csv or .json file, whole or not at all. Raises: ConfigurationError."""
    if path.suffix.lower() == ".json":
        text = json.dumps([{"schema": RESULT_SCHEMA, **each} for each in records], indent=1) + "\n"
    else:
        stream = io.StringIO()
        rows = csv.DictWriter(stream, columns, lineterminator="\n")
        rows.writeheader()
        rows.writerows({name: cell(value) for name, value in each.items()} for each in records)
        text = stream.getvalue()
    try:
        replace_file(path, text.encode())
    except OSError as error:
        fault = f"cannot be written ({error.strerror})"
        raise ConfigurationError(f"{option} {path}", fault, "use another file") from error


@dataclass
class Span:
    """Consecutive frames of one label."""

    source: str
    label: str
    from_s: float
    to_s: float  # the time of the next frame of another label; of the last frame where none is
    frames: int = 0
    total: float = 0.0  # of the frames' scores

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes."""
        mean = round(self.total / self.frames, SCORE_DIGITS)
        values = (self.source, self.label, round(self.from_s, 3), round(self.to_s, 3))
        return dict(zip(TIMELINE_COLUMNS, (*values, self.frames, mean), strict=True))


class Timeline:
    """Collects spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, result: Result) -> None:
        """Take a result; an image has no time, and is passed over."""
        at_s = result.position_s
        if at_s is None:
            return
        last = self.spans[-1] if self.spans else None
        if last and last.source == result.source:
            last.to_s = at_s
        if not last or (last.source, last.label) != (result.source, result.label):
            last = Span(result.source, result.label, at_s, at_s)
            self.spans.append(last)
        last.frames += 1
        last.total += result.score

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return what JSON takes."""
        return [span.as_dict() for span in self.spans]

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Return the table for people, as cells."""
        yield ("  source", "label", "from", "to", "frames", "mean score")
        for span in self.spans:
            times = (clock(span.from_s, digits=1), clock(span.to_s, digits=1))
            mean = f"{span.total / span.frames:.3f}"
            names = (f"  {one_line(span.source)}", one_line(span.label))
            yield (*names, *times, str(span.frames), mean)

    def write(self, path: Path) -> None:
        """Write a .csv or .json file. Raises: ConfigurationError."""
        write_table("--timeline", path, TIMELINE_COLUMNS, self.as_dicts())


@dataclass
class Burst:
    """Consecutive images of one folder, taken within PAUSE_S of each other."""

    first: str
    last: str
    began: datetime | None  # None: its image carries no time, and is alone
    ended: datetime | None
    images: int
    total: NDArray[np.float64]  # (num_labels,), the sum of the images' scores


class Bursts:
    """Lets the images of a burst vote: by the mean of their scores, label by label."""

    def __init__(
        self, labels: Sequence[str], thresholds: NDArray[Any], chosen: NDArray[np.bool_] | None
    ) -> None:
        """Args: the model's labels; (num_labels,) thresholds; whether each is allowed, or None."""
        self._labels, self._thresholds = labels, thresholds
        self._barred = None if chosen is None else ~chosen
        self._open: Burst | None = None
        self._records: list[dict[str, Any]] = []

    def add(self, result: Result) -> None:
        """Take the result of the next image; frames of videos and cameras are passed over."""
        if result.position_s is not None or not Path(result.source).is_file():
            return
        taken = _taken(result.source)
        if self._open is None or not _belongs(self._open, result.source, taken):
            self._close()
            zeros = np.zeros(len(self._labels))
            self._open = Burst(result.source, result.source, taken, taken, 0, zeros)
        self._open.last, self._open.ended = result.source, taken
        self._open.images += 1
        self._open.total += result.scores

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return what JSON takes, once no image follows."""
        self._close()
        return self._records

    def write(self, path: Path) -> None:
        """Write a .csv or .json file. Raises: ConfigurationError."""
        write_table("--bursts", path, BURST_COLUMNS, self.as_dicts())

    def _close(self) -> None:
        burst, self._open = self._open, None
        if burst is None:
            return
        means = burst.total / burst.images
        if self._barred is not None:
            means[self._barred] = -1.0
        best = int(means.argmax())
        label = self._labels[best] if means[best] >= self._thresholds[best] else UNKNOWN
        times = [time.isoformat() if time else "" for time in (burst.began, burst.ended)]
        values = (burst.first, burst.last, *times, burst.images, label)
        mean = round(float(means[best]), SCORE_DIGITS)
        self._records.append(dict(zip(BURST_COLUMNS, (*values, mean), strict=True)))


def _belongs(burst: Burst, source: str, taken: datetime | None) -> bool:
    if burst.ended is None or taken is None or Path(source).parent != Path(burst.last).parent:
        return False
    return abs((taken - burst.ended).total_seconds()) <= PAUSE_S


def _taken(source: str) -> datetime | None:
    """When an image was taken, by its EXIF: the camera's time, without a zone."""
    try:
        return datetime.strptime(read_taken(source), "%Y:%m:%d %H:%M:%S")
    except (ImageError, ValueError):
        return None
