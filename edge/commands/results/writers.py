"""Output formats of results: text, JSON, JSON lines, CSV; others in modules of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TextIO

from edge.classifier.classify import UNKNOWN
from edge.commands.results.writer import Lines, Output, Writer
from edge.commands.terminal import clock, is_coloured, width_of
from edge.errors import cell, one_line
from edge.names import RESULT_SCHEMA

if TYPE_CHECKING:
    from edge.classifier.classify import Result
    from edge.commands.results.summary import Summary

WIDEST_SOURCE = 120  # columns; a longer name pushes its own line only
WIDEST_LABEL = 24
BOLD, YELLOW, PLAIN = "\x1b[1m", "\x1b[33m", "\x1b[0m"


def resumed(lines: Lines) -> Writer:
    """Return a writer of JSON lines to a file of earlier results."""
    return _JsonLines(lines)


def writer(output: Output, stream: TextIO) -> Writer:
    """Return a writer of a format to a stream. Raises: ConfigurationError."""
    if output.form == "text":
        return _Text(output, stream)
    if output.form == "csv":
        return _Csv(output, stream)
    if output.form == "parquet":
        from edge.commands.results.parquet import Parquet

        return Parquet(output, stream)
    if output.form.startswith("timelapse"):
        from edge.commands.results import timelapse

        kind = timelapse.Table if output.form == "timelapse-csv" else timelapse.Recognitions
        return kind(output, stream)
    return _Json(stream) if output.form == "json" else _JsonLines(stream)


class _Text(Writer):
    """`dinner.jpg  hotdog 0.981`, aligned; failures are on stderr alone."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        self._stream = stream
        self._source_width = min(output.widths[0], WIDEST_SOURCE)
        self._label_width = min(output.widths[1], WIDEST_LABEL)
        self._coloured = is_coloured(stream)

    def result(self, result: Result) -> None:
        """Print a line: the image, its best label, then the others up to top-k."""
        source = one_line(result.source)
        if result.position_s is not None:
            source = f"{source} {clock(result.position_s, digits=2)}"
        # Names that were not known beforehand widen the column for those that follow.
        self._source_width = max(self._source_width, min(width_of(source), WIDEST_SOURCE))
        colour = YELLOW if result.label == UNKNOWN else BOLD
        best = self._category(result.label, result.score, colour)
        others = [self._category(c.label, c.score) for c in result.categories[1:]]
        said = ", ".join([best, *others])
        print(f"{_padded(source, self._source_width)}  {said}", file=self._stream, flush=True)

    def _category(self, label: str, score: float, colour: str = "") -> str:
        shown = one_line(label)
        padded = _padded(shown, self._label_width)
        if colour and self._coloured:
            padded = f"{colour}{shown}{PLAIN}{padded[len(shown) :]}"
        return f"{padded} {score:.3f}"

    def summary(self, summary: Summary) -> None:
        print("", *summary.lines(), sep="\n", file=self._stream, flush=True)


class _JsonLines(Writer):
    def __init__(self, stream: Lines) -> None:
        self._stream = stream

    def result(self, result: Result) -> None:
        self._write(result.as_dict())

    def failure(self, source: str, error: str) -> None:
        self._write({"schema": RESULT_SCHEMA, "source": source, "error": error})

    def summary(self, summary: Summary) -> None:
        self._write({"schema": RESULT_SCHEMA, "summary": summary.as_dict()})

    def _write(self, record: dict[str, Any]) -> None:
        self._stream.write(f"{json.dumps(record)}\n")
        self._stream.flush()


class _Json(_JsonLines):
    """One array, written as it grows, closed even when interrupted."""

    def __init__(self, stream: Lines) -> None:
        super().__init__(stream)
        self._before = "["

    def _write(self, record: dict[str, Any]) -> None:
        self._stream.write(f"{self._before}\n  {json.dumps(record)}")
        self._stream.flush()
        self._before = ","

    def close(self) -> None:
        self._stream.write("[]\n" if self._before == "[" else "\n]\n")
        self._stream.flush()


class _Csv(Writer):
    """A line an image, whatever is in its name: a spreadsheet, awk and a terminal may read it."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        import csv

        self._stream = stream
        columns = ["source", *(["time_s"] if output.is_timed else []), "label", "score"]
        for place in range(2, output.top_k + 1):
            columns += [f"label_{place}", f"score_{place}"]
        columns += ["preprocess_ms", "invoke_ms", "model", "runtime", "captured_at", "error"]
        self._writer = csv.DictWriter(stream, columns, lineterminator="\n")
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
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))
