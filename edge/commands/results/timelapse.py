"""Results for the programs in which camera-trap images are reviewed: Timelapse, AddaxAI.

Source: https://lila.science/megadetector-output-format, version 1.3. The whole image stands for the
box of a detection, whose classifications are the labels.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO

from edge.commands.results.writer import Output, Writer
from edge.errors import cell
from edge.names import SCORE_DIGITS

if TYPE_CHECKING:
    from edge.classifier.classify import Result

FORMAT_VERSION = "1.3"
WHOLE_IMAGE = [0.0, 0.0, 1.0, 1.0]  # left, top, width, height, as shares of the image


class _ByFolder(Writer):
    """Names images as these programs do: relative to the folder that holds all of them."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        self._folder, self._stream = PurePath(output.folder), stream

    def _relative(self, source: str) -> PurePath:
        path = PurePath(source)
        return path.relative_to(self._folder) if path.is_relative_to(self._folder) else path


class Recognitions(_ByFolder):
    """One JSON document, an image a line; complete once it is closed."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        """Write all that precedes the images."""
        super().__init__(output, stream)
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        head = {
            "info": {
                "format_version": FORMAT_VERSION,
                "classifier": output.model,
                "classification_completion_time": now,
                "classifier_metadata": {"typical_classification_threshold": output.threshold},
            },
            "detection_categories": {"1": "image"},
            "classification_categories": {str(i): name for i, name in enumerate(output.labels)},
        }
        stream.write(f'{json.dumps(head)[:-1]}, "images": [')
        self._before = ""

    def result(self, result: Result) -> None:
        """Write an image with its labels and scores."""
        scores = [[str(c.index), round(c.score, SCORE_DIGITS)] for c in result.categories]
        found = {
            "category": "1",
            "conf": round(result.score, SCORE_DIGITS),
            "bbox": WHOLE_IMAGE,
            "classifications": scores,
        }
        self._write(result.source, {"detections": [found]})

    def failure(self, source: str, error: str) -> None:
        """Write an image that could not be read."""
        self._write(source, {"failure": error, "detections": None})

    def close(self) -> None:
        """Write the end, interrupted or not."""
        self._stream.write("\n]}\n")
        self._stream.flush()

    def _write(self, source: str, record: dict[str, Any]) -> None:
        line = json.dumps({"file": self._relative(source).as_posix(), **record})
        self._stream.write(f"{self._before}\n{line}")
        self._stream.flush()
        self._before = ","


class Table(_ByFolder):
    """A CSV file that Timelapse imports into a template with the fields Label and Score."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        """Write the header."""
        super().__init__(output, stream)
        self._rows = csv.writer(stream, lineterminator="\n")
        self._rows.writerow(("RelativePath", "File", "Label", "Score"))

    def result(self, result: Result) -> None:
        """Write an image with its label."""
        self._write(result.source, result.label, f"{result.score:.{SCORE_DIGITS}f}")

    def failure(self, source: str, error: str) -> None:
        """Leave out an image that could not be read: stderr names it."""

    def _write(self, source: str, *values: str) -> None:
        path = self._relative(source)
        folder = "" if path.parent == PurePath() else str(path.parent).replace("/", "\\")
        self._rows.writerow([cell(value) for value in (folder, path.name, *values)])
        self._stream.flush()
