"""What a .tflite file says of itself: labels, normalization, edge.json.

The official TFLite Metadata is a flatbuffer inside the model's own flatbuffer, with associated
files in a zip at the end of the file. `flatbuffers` reads tables; the field numbers are those of
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
https://github.com/tensorflow/tflite-support/blob/master/tensorflow_lite_support/metadata/metadata_schema.fbs
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import flatbuffers.encode
import flatbuffers.packer
from flatbuffers.number_types import Float32Flags, Int32Flags, Uint32Flags
from flatbuffers.table import Table

from edge.errors import ModelError
from edge.preprocess import Normalization

EDGE_JSON = "edge.json"
LABELS_TXT = "labels.txt"
METADATA_NAME = "TFLITE_METADATA"

# Field numbers, in the schemas' order.
MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_BUFFERS, MODEL_METADATA = 1, 2, 4, 6
SUBGRAPH_TENSORS, SUBGRAPH_OPERATORS = 0, 3
TENSOR_BUFFER, TENSOR_NAME = 2, 3
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS = 0, 1, 2
CODE_DEPRECATED, CODE_VERSION, CODE_BUILTIN = 0, 2, 3
AXIS_LABELS_FILE = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
NORMALIZATION_OPTIONS = 1  # ProcessUnitOptions.NormalizationOptions


@dataclass(frozen=True)
class Metadata:
    """What the file says of itself; empty where it says nothing."""

    labels: tuple[str, ...] = ()
    normalization: Normalization | None = None
    edge: dict[str, Any] = field(default_factory=dict)  # edge.json
    operators: tuple[tuple[int, int], ...] = ()  # (builtin code, version), sorted, each once


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
        model = _Reader.root(content)
        operators = _walk(model)
        description = _metadata_table(model)
        files = _associated_files(content)
        labels = _labels(description, files)
        edge = _checked(json.loads(files.get(EDGE_JSON, b"{}")))
        normalization = _normalization(description, subject)
    except (struct.error, IndexError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(subject, "is truncated or damaged", "copy the file again") from error
    return Metadata(tuple(edge.get("labels", labels)), normalization, edge, operators)


def _checked(edge: Any) -> dict[str, Any]:
    """See that edge.json has the kinds of values that are read from it. Raises: ValueError."""
    if not isinstance(edge, dict):
        raise ValueError("edge.json must be an object")
    labels = edge.get("labels", [])
    well_formed = (
        isinstance(labels, list)
        and all(isinstance(label, str) for label in labels)
        and all(isinstance(edge.get(key, {}), dict) for key in ("preprocessing", "golden"))
        and isinstance(edge.get("threshold"), int | float | None)
    )
    if not well_formed:
        raise ValueError("edge.json holds values of other kinds")
    return edge


class _Reader:
    """One flatbuffer table, read by field number, every access held within the buffer."""

    def __init__(self, content: bytes, position: int) -> None:
        self._table = Table(content, position)

    @classmethod
    def root(cls, content: bytes) -> _Reader:
        return cls(content, flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0))

    def _offset(self, number: int) -> int:
        offset: int = self._table.Offset(4 + 2 * number)
        return offset and self._table.Pos + offset

    def integer(self, number: int, flags: Any = Uint32Flags, default: int = 0) -> int:
        at = self._offset(number)
        return int(self._table.Get(flags, at)) if at else default

    def table(self, number: int) -> _Reader | None:
        at = self._offset(number)
        return _Reader(self._table.Bytes, self._table.Indirect(at)) if at else None

    def _vector(self, number: int, item_bytes: int) -> tuple[int, int]:
        """(start, length) of a vector, which must end within the buffer."""
        if not self._offset(number):
            return 0, 0
        relative = self._offset(number) - self._table.Pos
        start, length = self._table.Vector(relative), self._table.VectorLen(relative)
        if start + length * item_bytes > len(self._table.Bytes):
            raise IndexError("a vector ends beyond the file")
        return start, length

    def tables(self, number: int) -> Iterator[_Reader]:
        start, length = self._vector(number, 4)
        for index in range(length):
            yield _Reader(self._table.Bytes, self._table.Indirect(start + 4 * index))

    def numbers(self, number: int, flags: Any) -> tuple[Any, ...]:
        start, length = self._vector(number, flags.bytewidth)
        return tuple(self._table.Get(flags, start + i * flags.bytewidth) for i in range(length))

    def content(self, number: int) -> bytes:
        start, length = self._vector(number, 1)
        return bytes(self._table.Bytes[start : start + length])


def _walk(model: _Reader) -> tuple[tuple[int, int], ...]:
    """Visit every table of the model, and return its operators' (builtin code, version)."""
    buffers = [buffer._vector(0, 1) for buffer in model.tables(MODEL_BUFFERS)]
    codes = [_operator(code) for code in model.tables(MODEL_OPERATOR_CODES)]
    subgraphs = list(model.tables(MODEL_SUBGRAPHS))
    if not subgraphs:
        raise IndexError("no subgraph")
    used = set()
    for subgraph in subgraphs:
        tensors = list(subgraph.tables(SUBGRAPH_TENSORS))
        for tensor in tensors:
            buffers[tensor.integer(TENSOR_BUFFER)]
            tensor.content(TENSOR_NAME)
        for operator in subgraph.tables(SUBGRAPH_OPERATORS):
            used.add(codes[operator.integer(OPERATOR_CODE)])
            for field_number in (OPERATOR_INPUTS, OPERATOR_OUTPUTS):
                for index in operator.numbers(field_number, Int32Flags):
                    if index >= len(tensors):
                        raise IndexError("an operator names a tensor that is not there")
    return tuple(sorted(used))


def _operator(code: _Reader) -> tuple[int, int]:
    # Codes above 127 do not fit the old field; the larger of the two is meant.
    builtin = max(code.integer(CODE_DEPRECATED, _INT8), code.integer(CODE_BUILTIN, Int32Flags))
    return builtin, code.integer(CODE_VERSION, Int32Flags, default=1)


_INT8 = flatbuffers.number_types.Int8Flags


def _metadata_table(model: _Reader) -> _Reader | None:
    """The official metadata's root table, ModelMetadata; None where there is none."""
    buffers = None
    for entry in model.tables(MODEL_METADATA):
        if entry.content(0) == METADATA_NAME.encode():
            buffers = buffers or list(model.tables(MODEL_BUFFERS))
            return _Reader.root(buffers[entry.integer(1)].content(0))
    return None


def _tensor_metadata(description: _Reader | None, inputs: bool) -> _Reader | None:
    """TensorMetadata of the first input, or of the first output."""
    if description is None:
        return None
    subgraph = next(description.tables(3), None)
    return subgraph and next(subgraph.tables(2 if inputs else 3), None)


def _normalization(description: _Reader | None, subject: object) -> Normalization | None:
    tensor = _tensor_metadata(description, inputs=True)
    for unit in tensor.tables(4) if tensor else ():
        options = unit.table(1)
        if (
            options
            and unit.integer(0, flatbuffers.number_types.Uint8Flags) == NORMALIZATION_OPTIONS
        ):
            mean, std = options.numbers(0, Float32Flags), options.numbers(1, Float32Flags)
            if len(set(mean)) != 1 or len(set(std)) != 1 or not std[0]:
                fault = f"normalizes by channel, or by nothing (mean {mean}, std {std})"
                raise ModelError(subject, fault, "give one with a single mean and std")
            return Normalization(float(mean[0]), float(std[0]))
    return None


def _associated_files(content: bytes) -> dict[str, bytes]:
    """The files in the zip at the end of the model, by name."""
    stream = io.BytesIO(content)
    if not zipfile.is_zipfile(stream):
        return {}
    with zipfile.ZipFile(stream) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _labels(description: _Reader | None, files: dict[str, bytes]) -> tuple[str, ...]:
    tensor = _tensor_metadata(description, inputs=False)
    named = [
        file.content(0).decode()
        for file in (tensor.tables(6) if tensor else ())
        if file.integer(2, _INT8) == AXIS_LABELS_FILE
    ]
    for name in (*named, LABELS_TXT):
        if name in files:
            return parse_labels(files[name].decode())
    if named:  # the zip is at the end: a file that was cut short loses it first
        raise ValueError("its labels are missing")
    return ()


def parse_labels(text: str) -> tuple[str, ...]:
    """One label a line; the newline at the end of the file begins no label."""
    lines = text.replace("\r\n", "\n").split("\n")
    return tuple(lines[:-1] if lines[-1] == "" else lines)
