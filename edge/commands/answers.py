"""Output formats of results: text, JSON, JSON lines, CSV."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from edge.commands.terminal import clock, is_coloured, width_of
from edge.errors import cell, one_line
from edge.names import RESULT_SCHEMA

if TYPE_CHECKING:
    from edge.classifier.classify import Result
    from edge.commands.summary import Summary

WIDEST_SOURCE = 120  # columns; a longer name pushes its own line only
WIDEST_LABEL = 24
BOLD, YELLOW, PLAIN = "\x1b[1m", "\x1b[33m", "\x1b[0m"


class Writer:
    """Write results one by one, each at once."""

    def result(self, result: Result) -> None:
        """Write a result."""
        raise NotImplementedError

    def failure(self, source: str, error: str) -> None:
        """Write that an image failed; stderr has the message too."""

    def summary(self, summary: Summary) -> None:
        """Write what the batch came to."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what comes last, interrupted or not."""


def writer(
    form: str, *, top_k: int, widths: tuple[int, int], threshold: float, timed: bool = False
) -> Writer:
    """Return a writer to stdout.

    Args:
        form: text, json, jsonl or csv.
        top_k: maximum number of labels per image.
        widths: columns of the names and of the labels to come, as far as they are known; for text.
        threshold: confidence threshold below which the label is unknown.
        timed: whether there are videos, whose frames have a time.
    """
    if form == "csv":
        return _Csv(top_k, timed)
    if form == "text":
        return _Text(widths, threshold)
    return _Json() if form == "json" else _JsonLines()


class _Text(Writer):
    """`dinner.jpg  hotdog 0.981`, aligned; failures are on stderr alone."""

    def __init__(self, widths: tuple[int, int], threshold: float) -> None:
        self._source_width = min(widths[0], WIDEST_SOURCE)
        self._label_width = min(widths[1], WIDEST_LABEL)
        self._threshold = threshold
        self._coloured = is_coloured(sys.stdout)

    def result(self, result: Result) -> None:
        """Print a line: the image, its best label, then the others up to top-k."""
        source = one_line(result.source)
        if result.position_s is not None:
            source = f"{source} {clock(result.position_s, digits=2)}"
        # Names that were not known beforehand widen the column for those that follow.
        self._source_width = max(self._source_width, min(width_of(source), WIDEST_SOURCE))
        colour = YELLOW if result.score < self._threshold else BOLD
        best = self._category(result.label, result.score, colour)
        others = [self._category(c.label, c.score) for c in result.categories[1:]]
        said = ", ".join([best, *others])
        print(f"{_padded(source, self._source_width)}  {said}", flush=True)

    def _category(self, label: str, score: float, colour: str = "") -> str:
        shown = one_line(label)
        padded = _padded(shown, self._label_width)
        if colour and self._coloured:
            padded = f"{colour}{shown}{PLAIN}{padded[len(shown) :]}"
        return f"{padded} {score:.3f}"

    def summary(self, summary: Summary) -> None:
        print("", *summary.lines(), sep="\n", flush=True)


class _JsonLines(Writer):
    def result(self, result: Result) -> None:
        self._write(result.as_dict())

    def failure(self, source: str, error: str) -> None:
        self._write({"schema": RESULT_SCHEMA, "source": source, "error": error})

    def summary(self, summary: Summary) -> None:
        self._write({"schema": RESULT_SCHEMA, "summary": summary.as_dict()})

    def _write(self, record: dict[str, Any]) -> None:
        print(json.dumps(record), flush=True)


class _Json(_JsonLines):
    """One array, written as it grows, closed even when interrupted."""

    def __init__(self) -> None:
        self._before = "["

    def _write(self, record: dict[str, Any]) -> None:
        print(f"{self._before}\n  {json.dumps(record)}", end="", flush=True)
        self._before = ","

    def close(self) -> None:
        print("[]" if self._before == "[" else "\n]", flush=True)


class _Csv(Writer):
    """A line an image, whatever is in its name: a spreadsheet, awk and a terminal may read it."""

    def __init__(self, top_k: int, timed: bool) -> None:
        import csv

        columns = ["source", *(["time_s"] if timed else []), "label", "score"]
        for place in range(2, top_k + 1):
            columns += [f"label_{place}", f"score_{place}"]
        columns += ["preprocess_ms", "invoke_ms", "model", "runtime", "captured_at", "error"]
        self._writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        self._writer.writeheader()

    def result(self, result: Result) -> None:
        record = result.as_dict()
        del record["schema"]  # a CSV file has one header
        for place, category in enumerate(record.pop("categories")[1:], start=2):
            record |= {f"label_{place}": category["label"], f"score_{place}": category["score"]}
        self._write(record)

    def failure(self, source: str, error: str) -> None:
        self._write({"source": source, "error": error})

    def _write(self, record: dict[str, Any]) -> None:
        self._writer.writerow({name: cell(value) for name, value in record.items()})
        sys.stdout.flush()

    def summary(self, summary: Summary) -> None:
        print(*summary.lines(), sep="\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        sys.stdout.flush()


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))
