"""When a video shows what: its frames' labels, those of the same label as one span."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.terminal import cell, clock
from edge.errors import ConfigurationError, EdgeError, one_line
from edge.files import replace_file

if TYPE_CHECKING:
    from edge.classifier.classify import Result

COLUMNS = ("source", "label", "from_s", "to_s", "frames", "mean_score")


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
        mean = round(self.total / self.frames, 6)
        values = (self.source, self.label, round(self.from_s, 3), round(self.to_s, 3))
        return dict(zip(COLUMNS, (*values, self.frames, mean), strict=True))


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

    def counting(self, outcomes: Iterable[Result | EdgeError]) -> Iterator[Result | EdgeError]:
        """Yield the outcomes, each added before."""
        for outcome in outcomes:
            if not isinstance(outcome, EdgeError):
                self.add(outcome)
            yield outcome

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return what JSON takes."""
        return [span.as_dict() for span in self.spans]

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Say it to people, in cells."""
        yield ("  source", "label", "from", "to", "frames", "mean score")
        for span in self.spans:
            times = (clock(span.from_s, digits=1), clock(span.to_s, digits=1))
            mean = f"{span.total / span.frames:.3f}"
            names = (f"  {one_line(span.source)}", one_line(span.label))
            yield (*names, *times, str(span.frames), mean)

    def write(self, path: Path) -> None:
        """Write a .csv or .json file, whole or not at all. Raises: ConfigurationError."""
        if path.suffix.lower() == ".json":
            text = json.dumps(self.as_dicts(), indent=1) + "\n"
        else:
            text = self._csv()
        try:
            replace_file(path, text.encode())
        except OSError as error:
            fault = f"cannot be written ({error.strerror})"
            raise ConfigurationError(f"--timeline {path}", fault, "give another file") from error

    def _csv(self) -> str:
        stream = io.StringIO()
        rows = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        rows.writeheader()
        for record in self.as_dicts():
            rows.writerow({name: cell(value) for name, value in record.items()})
        return stream.getvalue()
