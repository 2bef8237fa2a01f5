"""What a model wants of a picture: its input tensor, normalization and framing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.classifier.metadata import Metadata
from edge.errors import ConfigurationError, ModelError
from edge.image.preprocess import Framing, InputSpec, Normalization
from edge.tensor import TensorSpec

SIDES = (2, 10_000)  # in pixels: a side that is not fixed has a length of 1
NORMALIZE = "give it once: --normalize '[-1,1]', as most want, or '[0,1]' or '[0,255]'"


def input_spec(
    path: object,
    specs: Sequence[TensorSpec],
    metadata: Metadata,
    normalization: Normalization | None,
    framing: Framing | None,
) -> InputSpec:
    """Return the input of an image classifier.

    Args:
        path: of the model, for errors.
        specs: of all its inputs.
        metadata: what the model says of itself.
        normalization: what is done to pixels 0..255; None is what the model says.
        framing: which part of a picture it sees; None is what the model says.

    Raises: ModelError.
    """
    if len(specs) != 1:
        fault = f"must have one input. Received: {len(specs)}"
        raise ModelError(path, fault, "give an image classifier")
    (spec,) = specs
    if not _is_picture(spec.shape):
        fault = (
            "its input must be (1, height, width, channels) with 3 channels or 1, or "
            f"(1, height, width). Received: {spec.shape}"
        )
        raise ModelError(path, fault, "give an image classifier")
    if spec.dtype not in (np.float32, np.uint8, np.int8):
        fault = f"its input must be float32, uint8 or int8. Received: {spec.dtype}"
        raise ModelError(path, fault, "convert it again")
    return InputSpec(
        spec.index,
        spec.shape,
        spec.dtype,
        spec.scale,
        spec.zero_point,
        _normalization(path, spec, metadata, normalization),
        framing or _framing(path, metadata),
    )


def _is_picture(shape: tuple[int, ...]) -> bool:
    """Whether a shape is (1, height, width, channels), or lacks the channels, or the 1 as well."""
    if len(shape) not in (2, 3, 4) or (len(shape) > 2 and shape[0] != 1):
        return False
    size = shape[-2:] if len(shape) < 4 else shape[1:3]
    sides_fit = SIDES[0] <= min(size) and max(size) <= SIDES[1]
    return sides_fit and shape[3:] in ((), (1,), (3,))


def _normalization(
    path: object, spec: TensorSpec, metadata: Metadata, given: Normalization | None
) -> Normalization | None:
    if given or metadata.normalization:
        return given or metadata.normalization
    if spec.dtype != np.uint8 and metadata.unfit:
        raise ModelError(path, metadata.unfit, NORMALIZE)
    if spec.dtype == np.float32:
        fault = "is a float model that does not say how its pixels are normalized"
        raise ModelError(path, fault, NORMALIZE)
    return None


def _framing(path: object, metadata: Metadata) -> Framing:
    said = metadata.edge.get("preprocessing", {})
    try:
        return Framing(said.get("resize", "squash"), said.get("filter", "antialias"))
    except ConfigurationError as error:
        remedy = "update edge-classify, or give --resize and --filter"
        raise ModelError(path, f"wants of its pictures: {error}", remedy) from error
