"""What a format of results is: a writer, and what it needs to know."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edge.classifier.classify import Result
    from edge.commands.results.summary import Summary


class Writer:
    """Write results one by one, each at once."""

    def result(self, result: Result) -> None:
        """Write a result."""
        raise NotImplementedError

    def failure(self, source: str, error: str) -> None:
        """Write that an image failed; stderr has the message too."""

    def summary(self, summary: Summary) -> None:
        """Write what the batch came to: to stderr, unless the format has a place for it."""
        print(*summary.lines(), sep="\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Write what comes last, interrupted or not."""


@dataclass(frozen=True)
class Output:
    """What a writer needs to know before the first result."""

    form: str  # text, json, jsonl, csv, parquet, timelapse or timelapse-csv
    model: str  # its file's name
    labels: tuple[str, ...]  # the model's
    top_k: int  # maximum number of labels per image
    threshold: float  # the highest confidence threshold below which a label is unknown
    widths: tuple[int, int]  # columns of the names and labels to come, as far as known; for text
    is_timed: bool  # there are videos, whose frames have a time
    folder: str  # the only folder of images that was named, or ""


class Lines(Protocol):
    """What takes lines: a stream, or a file that is resumed."""

    def write(self, text: str, /) -> object:
        """Take one or several lines."""

    def flush(self) -> None:
        """Send them on."""
