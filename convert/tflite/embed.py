"""Write labels, normalization and edge.json into a .tflite file, as official TFLite Metadata.

The tables are written with `flatbuffers`; field numbers and enumerators are those of
https://github.com/tensorflow/tflite-support/blob/master/tensorflow_lite_support/metadata/metadata_schema.fbs
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.classifier.metadata import (
    AXIS_LABELS_FILE,
    EDGE_JSON,
    LABELS_TXT,
    METADATA_NAME,
    NORMALIZATION_OPTIONS,
)
from edge.errors import one_line
from edge.image.preprocess import Normalization

IMAGE_PROPERTIES = 2  # ContentProperties.ImageProperties
FEATURE_PROPERTIES = 1  # ContentProperties.FeatureProperties
RGB = 1  # ColorSpaceType.RGB
DESCRIPTIONS_FILE = 1  # AssociatedFileType.DESCRIPTIONS
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is written


def embed(
    content: bytes,
    *,
    name: str,
    labels: Sequence[str],
    normalization: Normalization,
    edge: dict[str, Any],
) -> bytes:
    """Return the model with its metadata; what it had before is replaced.

    Args:
        content: a .tflite flatbuffer.
        name: of the model, for people.
        labels: one for each output. labels.txt holds one per line, so that a newline in one is
            escaped there; a reader that knows edge.json takes them from it.
        normalization: what a float input wants done to pixels 0..255.
        edge: what goes into edge.json.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    _set_metadata(model, _description(name, normalization))
    files = {
        LABELS_TXT: "".join(f"{one_line(label)}\n" for label in labels),
        EDGE_JSON: _fact_by_fact(edge),
    }
    return _with_files(packed(model, len(content)), files)


def packed(model: Any, size: int) -> bytes:
    """Return the flatbuffer of a model (schema.ModelT); `size` is a guess in bytes."""
    builder = _AlignedBuilder(size + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _fact_by_fact(edge: dict[str, Any]) -> str:
    """JSON with a line for each fact: 4,000 golden scores take one line, not 4,000."""
    facts = (f" {json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in sorted(edge.items()))
    return "{\n" + ",\n".join(facts) + "\n}\n"


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]  # has no types
    """Begins weights at multiples of 16 bytes: the schema demands it, its Python code forgets."""

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802
        self.Prep(16, x.nbytes)
        return int(super().CreateNumpyVector(x))


def _set_metadata(model: Any, description: bytes) -> None:
    data = np.frombuffer(description, np.uint8)
    for entry in model.metadata or []:
        if entry.name == METADATA_NAME.encode():
            model.buffers[entry.buffer].data = data
            return
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = data
    model.metadata = [*(model.metadata or []), entry]


def _with_files(content: bytes, files: dict[str, str]) -> bytes:
    """Append a zip of stored, uncompressed files: readers map them without unpacking."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), text)
    return stream.getvalue()


def _description(name: str, normalization: Normalization) -> bytes:
    """Write ModelMetadata: one image input with its normalization, one output with its labels."""
    builder = flatbuffers.Builder(1024)
    edge_file = _file(
        builder, EDGE_JSON, "what edge-classify knows of the model", DESCRIPTIONS_FILE
    )
    subgraph = _table(
        builder,
        {
            2: _vector(builder, [_input(builder, normalization)]),
            3: _vector(builder, [_output(builder)]),
        },
    )
    root = _table(
        builder,
        {
            0: builder.CreateString(one_line(name)),
            3: _vector(builder, [subgraph]),
            6: _vector(builder, [edge_file]),
            7: builder.CreateString("1.0.0"),  # min_parser_version
        },
    )
    builder.Finish(root, b"M001")
    return bytes(builder.Output())


def _input(builder: Any, normalization: Normalization) -> int:
    options = _table(
        builder,
        {
            0: builder.CreateNumpyVector(np.array(normalization.mean, np.float32, ndmin=1)),
            1: builder.CreateNumpyVector(np.array(normalization.std, np.float32, ndmin=1)),
        },
    )
    unit = _table(builder, {1: options}, {0: NORMALIZATION_OPTIONS})
    image = _table(builder, {}, {0: RGB})
    ends = normalization.of(np.array([0.0, 255.0]), 3)
    stats = _stats(builder, float(ends.min()), float(ends.max()))
    return _table(
        builder,
        {
            0: builder.CreateString("image"),
            1: builder.CreateString("RGB image, upright"),
            3: _table(builder, {1: image}, {0: IMAGE_PROPERTIES}),
            4: _vector(builder, [unit]),
            5: stats,
        },
    )


def _output(builder: Any) -> int:
    content = _table(builder, {1: _table(builder, {})}, {0: FEATURE_PROPERTIES})
    labels = _file(builder, LABELS_TXT, "one label for each score", AXIS_LABELS_FILE)
    return _table(
        builder,
        {
            0: builder.CreateString("score"),
            1: builder.CreateString("score of each label, 0 to 1"),
            3: content,
            5: _stats(builder, 0.0, 1.0),
            6: _vector(builder, [labels]),
        },
    )


def _stats(builder: Any, low: float, high: float) -> int:
    """The range of a tensor's real values."""
    largest, smallest = (np.array([value], np.float32) for value in (high, low))
    return _table(
        builder, {0: builder.CreateNumpyVector(largest), 1: builder.CreateNumpyVector(smallest)}
    )


def _file(builder: Any, name: str, description: str, kind: int) -> int:
    offsets = {0: builder.CreateString(name), 1: builder.CreateString(description)}
    return _table(builder, offsets, {2: kind})


def _table(builder: Any, offsets: dict[int, int], enumerators: dict[int, int] | None = None) -> int:
    """Write a table of offsets and one-byte enumerators by field number; children come first."""
    builder.StartObject(8)
    for number, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(number, offset, 0)
    prepend: Callable[[int, int, int], None] = builder.PrependUint8Slot
    for number, value in (enumerators or {}).items():
        prepend(number, value, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
