"""Copies of a shipped model that say something else of themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from convert.tflite.embed import embed
from edge.classifier.metadata import read_metadata
from edge.classifier.model import models_folder
from edge.image.preprocess import Normalization

SMALL = models_folder() / "hotdog-small.tflite"


def relabelled(labels: Sequence[str]) -> bytes:
    """The small model with other labels."""
    return _copy(labels=list(labels))


def with_thresholds(of: Path = SMALL, **thresholds: float) -> bytes:
    """A model, by default the small one, with a threshold for each of these labels."""
    return _copy(of, thresholds=thresholds, threshold=max(thresholds.values()))


def with_wrong_golden_scores() -> bytes:
    """The small model with golden vectors that it cannot hold."""
    return _copy(golden={"tolerance": 0.01, "scores": [[0.25, 0.75]]})


def damaged(path: Path = SMALL) -> bytes:
    """The first half of a model, as a copy that was cut short leaves it."""
    content = path.read_bytes()
    return content[: len(content) // 2]


def changed(change: Callable[[Any], None]) -> bytes:
    """The small model with its tables changed."""
    model = schema.ModelT.InitFromPackedBuf(SMALL.read_bytes(), 0)
    change(model)
    builder = schema.flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    pixels = Normalization(0.0, 1.0)
    return embed(bytes(builder.Output()), name="", labels=("a", "b"), normalization=pixels, edge={})


def no_strides(model: Any) -> None:  # tflite-runtime 2.14 divides by them: SIGFPE
    for operator in model.subgraphs[0].operators:
        if hasattr(operator.builtinOptions, "strideH"):
            operator.builtinOptions.strideH = operator.builtinOptions.strideW = 0


def _copy(of: Path = SMALL, **facts: object) -> bytes:
    content = of.read_bytes()
    metadata = read_metadata(content, of)
    assert metadata.normalization
    return embed(
        content,
        name="copy",
        labels=facts.get("labels", metadata.labels),  # type: ignore[arg-type]
        normalization=metadata.normalization,
        edge=metadata.edge | facts,
    )


def audio() -> bytes:
    """A model of one operator that takes a second of sound: nothing of an image."""
    builtin = schema.BuiltinOperator.LOGISTIC
    code = schema.OperatorCodeT(deprecatedBuiltinCode=builtin, builtinCode=builtin, version=1)
    tensors = [
        schema.TensorT(name=name, shape=[1, 16000], type=schema.TensorType.FLOAT32, buffer=0)
        for name in (b"sound", b"out")
    ]
    operator = schema.OperatorT(opcodeIndex=0, inputs=[0], outputs=[1])
    graph = schema.SubGraphT(tensors=tensors, inputs=[0], outputs=[1], operators=[operator])
    model = schema.ModelT(
        version=3, operatorCodes=[code], subgraphs=[graph], buffers=[schema.BufferT()]
    )
    builder = schema.flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
