"""What a .tflite file says of itself: labels, normalization, edge.json, and how its graph ends.

The official TFLite Metadata is a flatbuffer inside the model's own flatbuffer, with associated
files in a zip at the end of the file. The field numbers are those of
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
https://github.com/tensorflow/tflite-support/blob/master/tensorflow_lite_support/metadata/metadata_schema.fbs
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any

from edge.classifier.flatbuffer import Buffer, Table
from edge.classifier.labels import MOST_BYTES, parse_labels
from edge.errors import ModelError
from edge.image.preprocess import Normalization

EDGE_JSON = "edge.json"
LABELS_TXT = "labels.txt"
METADATA_NAME = "TFLITE_METADATA"

# Field numbers, in the schemas' order.
MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_BUFFERS = 1, 2, 4
MODEL_METADATA, MODEL_SIGNATURES = 6, 7
SIGNATURE_INPUTS, SIGNATURE_OUTPUTS, SIGNATURE_KEY = 0, 1, 2
SUBGRAPH_TENSORS, SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS, SUBGRAPH_OPERATORS = 0, 1, 2, 3
TENSOR_SHAPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANTIZATION = 0, 2, 3, 4
QUANTIZATION_ITEM_BYTES = (4, 4, 4, 8)  # min, max, scale, zero_point
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS = 0, 1, 2
OPERATOR_OPTIONS, OPERATOR_CUSTOM_OPTIONS = 4, 5
CODE_DEPRECATED, CODE_VERSION, CODE_BUILTIN = 0, 2, 3
AXIS_LABELS_FILE = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
NORMALIZATION_OPTIONS = 1  # ProcessUnitOptions.NormalizationOptions

# Builtin codes of operators that hand values on: DEQUANTIZE, RESHAPE, SQUEEZE, CAST, EXPAND_DIMS,
# QUANTIZE.
_HANDING_ON = frozenset((6, 22, 43, 53, 70, 114))


@dataclass(frozen=True)
class Metadata:
    """What the file says of itself; empty where it says nothing."""

    labels: tuple[str, ...] = ()
    normalization: Normalization | None = None
    edge: dict[str, Any] = field(default_factory=dict)  # edge.json
    operators: tuple[tuple[int, int], ...] = ()  # (builtin code, version), sorted, each once
    # Index of each output tensor -> builtin code of the operator that computes its values.
    ends: dict[int, int] = field(default_factory=dict)
    unfit: str = ""  # why the normalization that it has cannot be used


def read_metadata(content: bytes, subject: object) -> Metadata:
    """Read what a model file says of itself, and see that its tables lie within the file.

    A native runtime trusts a model's offsets, so that a file cut short would end the process.

    Args:
        content: the whole .tflite file.
        subject: what to call it in an error.

    Raises: ModelError where it is not a TFLite file, or damaged.
    """
    if content[4:8] != b"TFL3":
        raise ModelError(subject, "is not a TFLite model", "give a .tflite file")
    try:
        model = Buffer(content).root()
        operators, ends = _walk(model)
        description = _metadata_table(model)
        files = _AssociatedFiles(content)
        labels = _labels(description, files)
        edge = _checked(json.loads(files.read(EDGE_JSON) or b"{}"))
        normalization, unfit = _normalization(description)
    except _DAMAGE as error:
        raise ModelError(subject, "is truncated or damaged", "copy the file again") from error
    return Metadata(tuple(edge.get("labels", labels)), normalization, edge, operators, ends, unfit)


# json, zipfile and zlib meet damaged data in ways of their own; RecursionError is a RuntimeError.
_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError)
_DAMAGE = (ValueError, RuntimeError, *_ZIP_DAMAGE)


def _checked(edge: Any) -> dict[str, Any]:
    """See that edge.json has the kinds of values that are read from it. Raises: ValueError."""
    if not isinstance(edge, dict):
        raise ValueError("edge.json must be an object")
    labels, golden = edge.get("labels", []), edge.get("golden", {})
    preprocessing = edge.get("preprocessing", {})
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
    )
    if not well_formed:
        raise ValueError("edge.json holds values of other kinds")
    return edge


def _are_shares(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and 0 <= value <= 1 for value in values
    )


def _walk(model: Table) -> tuple[tuple[tuple[int, int], ...], dict[int, int]]:
    """Visit every table; return the operators' (builtin code, version), and the graph's ends."""
    buffers = [buffer.vector(0, 1) for buffer in model.tables(MODEL_BUFFERS)]
    codes = [_operator(code) for code in model.tables(MODEL_OPERATOR_CODES)]
    subgraphs = list(model.tables(MODEL_SUBGRAPHS))
    if not subgraphs:
        raise ValueError("no subgraph")
    used: set[tuple[int, int]] = set()
    ends: list[dict[int, int]] = []
    for subgraph in subgraphs:
        tensors = list(subgraph.tables(SUBGRAPH_TENSORS))
        for tensor in tensors:
            _checked_index(tensor.integer(TENSOR_BUFFER), len(buffers))
            _visit_tensor(tensor)
        makers: dict[int, tuple[int, tuple[int, ...]]] = {}  # tensor -> (code, inputs)
        for operator in subgraph.tables(SUBGRAPH_OPERATORS):
            code = codes[_checked_index(operator.integer(OPERATOR_CODE), len(codes))]
            inputs = _tensor_indices(operator, OPERATOR_INPUTS, len(tensors))
            outputs = _tensor_indices(operator, OPERATOR_OUTPUTS, len(tensors))
            makers |= dict.fromkeys(outputs, (code[0], inputs))
            used.add(code)
            operator.table(OPERATOR_OPTIONS)
            operator.vector(OPERATOR_CUSTOM_OPTIONS, 1)
        _tensor_indices(subgraph, SUBGRAPH_INPUTS, len(tensors))
        outputs = _tensor_indices(subgraph, SUBGRAPH_OUTPUTS, len(tensors))
        ends.append({output: _end(output, makers) for output in outputs})
    for signature in model.tables(MODEL_SIGNATURES):
        _visit_signature(signature)
    return tuple(sorted(used)), ends[0]


def _visit_tensor(tensor: Table) -> None:
    tensor.vector(TENSOR_SHAPE, 4)
    tensor.vector(TENSOR_NAME, 1)
    if quantization := tensor.table(TENSOR_QUANTIZATION):
        for number, item_bytes in enumerate(QUANTIZATION_ITEM_BYTES):
            quantization.vector(number, item_bytes)


def _visit_signature(signature: Table) -> None:
    signature.vector(SIGNATURE_KEY, 1)
    for number in (SIGNATURE_INPUTS, SIGNATURE_OUTPUTS):
        for entry in signature.tables(number):
            entry.vector(0, 1)  # its name


def _checked_index(index: int, length: int) -> int:
    if not -1 <= index < length:
        raise ValueError("a table names another that is not there")
    return index


def _tensor_indices(table: Table, number: int, num_tensors: int) -> tuple[int, ...]:
    """A vector of tensors' indices; -1 stands for none."""
    return tuple(_checked_index(i, num_tensors) for i in table.numbers(number, "i"))


def _end(output: int, makers: dict[int, tuple[int, tuple[int, ...]]]) -> int:
    """The builtin code of what computes an output's values; -1 where nothing does."""
    for _ in range(len(makers)):
        code, inputs = makers.get(output, (-1, ()))
        if code not in _HANDING_ON or not inputs:
            return code
        output = inputs[0]
    return -1


def _operator(code: Table) -> tuple[int, int]:
    # Codes above 127 do not fit the old field; the larger of the two is meant.
    builtin = max(code.integer(CODE_DEPRECATED, "<b"), code.integer(CODE_BUILTIN, "<i"))
    return builtin, code.integer(CODE_VERSION, "<i", default=1)


def _metadata_table(model: Table) -> Table | None:
    """The official metadata's root table, ModelMetadata; None where there is none."""
    for entry in model.tables(MODEL_METADATA):
        if entry.data(0) == METADATA_NAME.encode():
            buffers = list(model.tables(MODEL_BUFFERS))
            return Buffer(buffers[_checked_index(entry.integer(1), len(buffers))].data(0)).root()
    return None


def _tensors_metadata(description: Table | None, number: int) -> list[Table]:
    """TensorMetadata of the inputs (field 2 of SubGraphMetadata), or of the outputs (3)."""
    subgraph = next(description.tables(3), None) if description else None
    return list(subgraph.tables(number)) if subgraph else []


def _normalization(description: Table | None) -> tuple[Normalization | None, str]:
    """What is done to pixels, or why it cannot be."""
    for tensor in _tensors_metadata(description, 2)[:1]:
        for unit in tensor.tables(4):
            options = unit.table(1)
            if options and unit.integer(0, "<B") == NORMALIZATION_OPTIONS:
                return _single(options.numbers(0, "f"), options.numbers(1, "f"))
    return None, ""


def _single(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Normalization | None, str]:
    usable = all(math.isfinite(value) and abs(value) < 1e6 for value in (*mean, *std))
    if len(set(mean)) == len(set(std)) == 1 and usable and std[0] > 1e-6:
        return Normalization(mean[0], std[0]), ""
    shown = [", ".join(f"{value:g}" for value in values[:4]) for values in (mean, std)]
    return None, f"normalizes by channel, or by nothing (mean {shown[0]}; std {shown[1]})"


class _AssociatedFiles:
    """The files in the zip at the end of the model, read when they are asked for."""

    def __init__(self, content: bytes) -> None:
        stream = io.BytesIO(content)
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


_KNOWN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def _labels(description: Table | None, files: _AssociatedFiles) -> tuple[str, ...]:
    """Labels by the file that an output names for them, or else by a file's name."""
    named = [
        file.data(0).decode()
        for tensor in _tensors_metadata(description, 3)
        for file in tensor.tables(6)
        if file.integer(2, "<b") == AXIS_LABELS_FILE
    ]
    likely = [name for name in files.names if "label" in name.lower() and name.endswith(".txt")]
    for name in (*named, LABELS_TXT, *likely):
        if name in files.names:
            return parse_labels(files.read(name).decode())
    if named:  # the zip is at the end: a file that was cut short loses it first
        raise ValueError("its labels are missing")
    return ()
