"""The way of an image, cut into its stages; all that the benchmark knows of how a model works."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from edge.benchmark.timing import clock_ns
from edge.classifier import golden
from edge.classifier.classify import classify, rank
from edge.classifier.model import Model
from edge.image.decode import encode_jpeg, opened
from edge.image.preprocess import InputSpec, Picture, prepare
from edge.sources.frame import Frame

DRAWN_SIZE = (480, 640)


class Stages(NamedTuple):
    """Nanoseconds of one image's way."""

    decode: int
    fit: int  # decode and resize, in one go as `classify` does
    copy: int  # quantize, and write into the interpreter's input
    invoke: int  # and read the scores
    rank: int


def drawn_picture() -> bytes:
    """Draw a 640 x 480 image as a JPEG's content: decoding it is work, as for a photo."""
    return encode_jpeg(golden.draw(0, DRAWN_SIZE))


def invoke_of(model: Model) -> Callable[[], object]:
    """Return the runtime's own invoke, without what edge does around it."""
    held: Any = model._interpreter
    invoke: Callable[[], object] = getattr(held, "interpreter", held).invoke
    return invoke


def whole_of(model: Model, picture: Picture) -> Callable[[], object]:
    """Return what takes an image the whole way, from what it is to its label."""
    frame = Frame("benchmark", picture, datetime.now(UTC), time.monotonic_ns())
    return lambda: classify(model, frame)


def staged(model: Model, picture: Picture) -> Stages:
    """Take an image the whole way, and time each stage. Raises: ImageError."""
    began = clock_ns()
    decode(picture, model.input)  # and forget: it is done again with the resizing
    decoded = clock_ns()
    seen = prepare(picture, model.input)
    fitted = clock_ns()
    model.load_input(seen)
    loaded = clock_ns()
    scores = model.invoke()
    invoked = clock_ns()
    rank(scores, model.labels, 1)
    ended = clock_ns()
    return Stages(
        decoded - began, fitted - decoded, loaded - fitted, invoked - loaded, ended - invoked
    )


def decode(picture: Picture, input: InputSpec) -> None:
    """Decode an image as far as the model's input needs it. Raises: ImageError."""
    if isinstance(picture, str | Path | bytes | bytearray):
        with opened(picture, functools.partial(input.framing.reduction, input=input.size)):
            pass
