"""The metadata of a .tflite file: labels, normalization, edge.json, and its graph.

The official TFLite Metadata is a flatbuffer inside the model's own flatbuffer, with associated
files in a zip at the end of the file. The field numbers are those of
https://github.com/tensorflow/tflite-support/blob/master/tensorflow_lite_support/metadata/metadata_schema.fbs
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any

from edge.classifier.file.flatbuffer import Buffer, Table
from edge.classifier.file.graph import (
    MODEL_BUFFERS,
    MODEL_METADATA,
    Graph,
    checked_index,
    read_graph,
)
from edge.classifier.labels import MOST_BYTES, described_labels, parse_labels
from edge.errors import ModelError
from edge.image.preprocess import Normalization

EDGE_JSON = "edge.json"
LABELS_TXT = "labels.txt"
METADATA_NAME = "TFLITE_METADATA"

# AssociatedFileType, and ProcessUnitOptions.
AXIS_LABELS_FILE = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
NORMALIZATION_OPTIONS = 1  # ProcessUnitOptions.NormalizationOptions


@dataclass(frozen=True)
class Metadata:
    """The metadata of a model file; empty if it has none."""

    labels: tuple[str, ...] = ()
    normalization: Normalization | None = None
    edge: dict[str, Any] = field(default_factory=dict)  # edge.json
    graph: Graph = field(default_factory=Graph)
    # Which of the outputs has the labels; None: not in the file.
    labelled_output: int | None = None

    @property
    def operators(self) -> tuple[tuple[int, int], ...]:
        """(builtin code, version) of the operators, sorted, each once."""
        return self.graph.operators


def read_metadata(content: bytes, subject: object) -> Metadata:
    """Read a model file's metadata, and check that its tables lie within the file.

    A native runtime trusts a model's offsets, so that a file cut short would end the process.

    Args:
        content: the whole .tflite file.
        subject: what to call it in an error.

    Raises: ModelError where it is not a TFLite file, or damaged.
    """
    if content[4:8] != b"TFL3":
        raise ModelError(subject, "is not a TFLite model", "use a .tflite file")
    try:
        model = Buffer(content).root()
        graph = read_graph(model)
        description = _metadata_table(model)
        files = _AssociatedFiles(content, subject)
        labels, labelled = _labels(description, files)
        edge = _checked(json.loads(files.read(EDGE_JSON) or b"{}"))
        normalization = _normalization(description)
    except _DAMAGE as error:
        raise ModelError(subject, "is truncated or damaged", "copy the file again") from error
    return Metadata(tuple(edge.get("labels", labels)), normalization, edge, graph, labelled)


# json, zipfile and zlib meet damaged data in ways of their own; RecursionError is a RuntimeError.
_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError)
_DAMAGE = (ValueError, RuntimeError, *_ZIP_DAMAGE)


def _checked(edge: Any) -> dict[str, Any]:
    """See that edge.json has the kinds of values that are read from it. Raises: ValueError."""
    if not isinstance(edge, dict):
        raise ValueError("edge.json must be an object")
    labels, golden = edge.get("labels", []), edge.get("golden", {})
    preprocessing = edge.get("preprocessing", {})
    thresholds, unknown = edge.get("thresholds", {}), edge.get("unknown_labels", [])
    well_formed = (
        isinstance(labels, list)
        and all(isinstance(label, str) for label in labels)
        and isinstance(preprocessing, dict)
        and isinstance(preprocessing.get("version", 1), int)
        and isinstance(golden, dict)
        and _are_shares([golden.get("tolerance", 0.0)])
        and isinstance(golden.get("scores", []), list)
        and all(_are_shares(scores) for scores in golden.get("scores", []))
        and (edge.get("threshold") is None or _are_shares([edge["threshold"]]))
        and isinstance(thresholds, dict)
        and _are_shares(list(thresholds.values()))
        and isinstance(unknown, list)
        and all(isinstance(label, str) for label in unknown)
    )
    if not well_formed:
        raise ValueError("edge.json has values of the wrong type")
    return edge


def _are_shares(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and 0 <= value <= 1 for value in values
    )


def _metadata_table(model: Table) -> Table | None:
    """The official metadata's root table, ModelMetadata; None where there is none."""
    for entry in model.tables(MODEL_METADATA):
        if entry.data(0) == METADATA_NAME.encode():
            buffers = list(model.tables(MODEL_BUFFERS))
            return Buffer(buffers[checked_index(entry.integer(1), len(buffers))].data(0)).root()
    return None


def _tensors_metadata(description: Table | None, number: int) -> list[Table]:
    """TensorMetadata of the inputs (field 2 of SubGraphMetadata), or of the outputs (3)."""
    subgraph = next(description.tables(3), None) if description else None
    return list(subgraph.tables(number)) if subgraph else []


def _normalization(description: Table | None) -> Normalization | None:
    """Return the normalization; None if it is missing or impossible."""
    for tensor in _tensors_metadata(description, 2)[:1]:
        for unit in tensor.tables(4):
            options = unit.table(1)
            if options and unit.integer(0, "<B") == NORMALIZATION_OPTIONS:
                return _usable(options.numbers(0, "f"), options.numbers(1, "f"))
    return None


def _usable(mean: tuple[float, ...], std: tuple[float, ...]) -> Normalization | None:
    """One mean and std, or one a channel; None where numbers are none, or do not fit pixels."""
    finite = all(math.isfinite(value) and abs(value) < 1e6 for value in (*mean, *std))
    if not finite or min(map(abs, std), default=0.0) < 1e-6 or not mean:
        return None
    if len(set(mean)) == len(set(std)) == 1:
        return Normalization(mean[0], std[0])
    if {len(mean), len(std)} <= {1, 3}:
        means, stds = (values * (3 // len(values)) for values in (mean, std))
        return Normalization(means, stds)
    return None


class _AssociatedFiles:
    """The files in the zip at the end of the model, each read when it is needed."""

    def __init__(self, content: bytes, subject: object) -> None:
        self._subject, stream = subject, io.BytesIO(content)
        self._zip = zipfile.ZipFile(stream) if zipfile.is_zipfile(stream) else None
        self.names = self._zip.namelist() if self._zip else []

    def read(self, name: str) -> bytes:
        """Return a file's content, empty where it is absent."""
        if self._zip is None or name not in self.names:
            return b""
        file = self._zip.getinfo(name)
        if file.file_size > MOST_BYTES or file.compress_type not in _KNOWN_COMPRESSION:
            raise ValueError(f"{name} is damaged")
        return self._zip.read(file)

    def labels(self, name: str) -> tuple[str, ...]:
        """Return the labels in a file. Raises: ModelError where they are in another encoding."""
        try:
            return parse_labels(self.read(name))
        except UnicodeError as error:
            fault = "its labels are not in UTF-8"
            raise ModelError(self._subject, fault, "convert it again with others") from error


_LIKELY = r"label[^/]*\.(txt|json)$|^(.*/)?dict\.txt$"  # names of label files; the last is AutoML's
_DESCRIPTION = "metadata.json"  # Ultralytics's, without the official metadata since 2025
_KNOWN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def _labels(
    description: Table | None, files: _AssociatedFiles
) -> tuple[tuple[str, ...], int | None]:
    """Labels by the file that an output names for them, or else by a file's name; which output."""
    for number, tensor in enumerate(_tensors_metadata(description, 3)):
        named = [
            (file.data(3).decode("utf-8", "replace"), file.data(0).decode("utf-8", "replace"))
            for file in tensor.tables(6)
            if file.integer(2, "<b") == AXIS_LABELS_FILE
        ]
        if name := _by_locale(named, files.names):
            return files.labels(name), number
        if named:  # the zip is at the end: a file that was cut short loses it first
            raise ValueError("its labels are missing")
    likely = filter(re.compile(_LIKELY, re.IGNORECASE).search, files.names)
    for name in (LABELS_TXT, *likely):
        if name in files.names:
            return files.labels(name), None
    return described_labels(files.read(_DESCRIPTION)), None


def _by_locale(named: list[tuple[str, str]], present: list[str]) -> str:
    """Of (locale, file), the file that a user wants to read; "" where none is there.

    Files with a locale hold names to display, the one without holds ids such as /m/01yrx: the
    user's language comes first, then English, then any other, then ids.
    """
    wanted = (_language(), "en")

    def place(item: tuple[str, str]) -> int:
        language = re.split("[-_]", item[0].lower())[0]
        return wanted.index(language) if language in wanted else 2 if language else 3

    there = [item for item in named if item[1] in present]
    return min(there, key=place)[1] if there else ""


def _language() -> str:
    """Return the user's language, such as "de"; "en" if the system has none set (POSIX)."""
    settings = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    language = re.split("[-_.@]", next(filter(None, settings), "").lower())[0]
    return language if language not in ("", "c", "posix") else "en"
