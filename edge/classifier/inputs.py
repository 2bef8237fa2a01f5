"""What a model wants of an image: its input tensor, normalization and framing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge.classifier.file.graph import Graph, Range
from edge.classifier.metadata import Metadata
from edge.errors import ConfigurationError, ModelError
from edge.image.preprocess import Framing, InputSpec, Normalization, Size
from edge.image.tensor import TensorSpec

if TYPE_CHECKING:
    from edge.classifier.file.makers import Maker

SIDES = (2, 10_000)  # in pixels: a side that is not fixed has a length of 1
DEFAULT_SIDE = 224  # of an input whose size is dynamic
CHANNELS = (1, 3, 4)
DTYPES = (np.float32, np.uint8, np.int8, np.int32)
NORMALIZE = (
    "add --normalize '[-1,1]' (most models), '[0,1]', '[0,255]' or imagenet (those of PyTorch)"
)
IMAGENET = "add --normalize imagenet (most models of PyTorch), '[0,1]' or '[-1,1]'"
# What others make of pixels 0..255, by what --normalize calls it.
RANGES = {"[0,255]": (0.0, 255.0), "[0,1]": (0.0, 1.0), "[-1,1]": (-1.0, 1.0)}
SHIFTED = (-128.0, 127.0)  # an int8 input without a scale of its own
CENTRED = (-0.5, 0.5)
# By these shares of its width, a quantized range may be wider than what it was meant to be, and
# narrower: calibration photos need not hold black and white.
WIDER, NARROWER = 0.02, 0.2


def input_shapes(path: object, graph: Graph, size: Size | None) -> dict[int, tuple[int, ...]]:
    """Return the shape that each dynamic input is to have, by the tensor's index.

    Args:
        path: of the model, for errors.
        graph: the model's.
        size: (height, width) where it is given; None is the model's own, else DEFAULT_SIDE.

    Raises: ModelError where a size is given that the model cannot have.
    """
    shapes = {}
    for tensor in graph.inputs:
        shape, places = list(tensor.shape), _sides(tensor.shape)
        for place, side in zip(places, size or (DEFAULT_SIDE,) * 2, strict=False):
            if shape[place] == -1:
                shape[place] = side
            elif size and shape[place] != side:
                fixed = " x ".join(str(shape[place]) for place in places)
                fault = f"its input has a fixed size, {fixed}"
                raise ModelError(path, fault, "omit --input-size")
        if has_dynamic_size(tensor.shape):  # a runtime takes a dynamic batch for 1 itself
            shapes[tensor.number] = tuple(1 if length == -1 else length for length in shape)
    return shapes


def has_dynamic_size(shape: tuple[int, ...]) -> bool:
    """Whether an input of this shape has no height or width of its own."""
    return any(shape[place] == -1 for place in _sides(shape))


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where height and width are in a shape."""
    if len(shape) != 4:
        return tuple(range(len(shape)))[-2:]
    return (2, 3) if _is_channels_first(shape) else (1, 2)


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[1] in CHANNELS and shape[3] not in CHANNELS


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
        metadata: the model's metadata.
        normalization: what is done to pixels 0..255; None: as in the model's metadata.
        framing: which part of an image it sees; None: as in the model's metadata.

    Raises: ModelError.
    """
    if len(specs) != 1:
        fault = f"must have one input. Received: {len(specs)}"
        raise ModelError(path, fault, "use an image classifier")
    (spec,) = specs
    if len(spec.shape) == 4 and spec.shape[0] > 1:
        fault = f"takes {spec.shape[0]} images at a time: {spec.shape}"
        raise ModelError(path, fault, "convert it again with a batch of 1")
    if not _is_picture(spec.shape):
        fault = (
            "its input must be (1, height, width, channels) or (1, channels, height, width) with "
            f"1, 3 or 4 channels, or (1, height, width). Received: {spec.shape}"
        )
        raise ModelError(path, fault, "use an image classifier")
    if spec.dtype not in DTYPES:
        fault = f"its input must be float32, uint8, int8 or int32. Received: {spec.dtype}"
        raise ModelError(path, fault, "convert it again")
    wanted = InputSpec(
        spec.index,
        spec.shape,
        spec.dtype,
        spec.scale,
        spec.zero_point,
        framing=framing or _framing(path, metadata),
        is_channels_first=_is_channels_first(spec.shape),
    )
    return _normalized(path, wanted, metadata, normalization)


def _is_picture(shape: tuple[int, ...]) -> bool:
    """Whether a shape is (1, height, width, channels), or one of its variants."""
    if len(shape) not in (2, 3, 4) or (len(shape) > 2 and shape[0] != 1):
        return False
    size = [shape[place] for place in _sides(shape)]
    sides_fit = SIDES[0] <= min(size) and max(size) <= SIDES[1]
    channels = shape[1] if _is_channels_first(shape) else shape[3:] and shape[3]
    return sides_fit and (len(shape) < 4 or channels in CHANNELS)


def _normalized(
    path: object, spec: InputSpec, metadata: Metadata, given: Normalization | None
) -> InputSpec:
    """Return the input with its normalization. Raises: ModelError where that is not known."""
    rule = given or metadata.normalization
    if rule and rule.is_by_channel and spec.channels == 1:
        raise ModelError(path, "has one channel, but mean and std are of three", NORMALIZE)
    if rule:
        return replace(spec, normalization=rule)
    if spec.dtype == np.int8 and spec.is_quantized:
        return replace(spec, normalization=_quantized_rule(path, spec))
    if spec.dtype == np.float32:
        made_by = maker(metadata)
        if not made_by:
            raise _unsaid(path, spec, metadata.graph)
        return replace(spec, normalization=made_by.normalization)
    return spec


def ranged(low: float, high: float) -> Normalization:
    """Return what makes low..high of pixels 0..255; inverted where low is above high."""
    std = 255 / (high - low)
    return Normalization(0.0 - low * std, std)


def _quantized_rule(path: object, spec: InputSpec) -> Normalization | None:
    """Return the normalization that an int8 input's range implies; None for pixels minus 128.

    Raises: ModelError where its range is none that pixels usually have.
    """
    limits = np.iinfo(spec.dtype)
    low, high = ((edge - spec.zero_point) * spec.scale for edge in (limits.min, limits.max))
    for known in (*RANGES.values(), SHIFTED, CENTRED):
        width = known[1] - known[0]
        missing = [(low - known[0]) / width, (known[1] - high) / width]
        if min(missing) < -WIDER or max(missing) > NARROWER:
            continue
        rule = ranged(*known) if known != SHIFTED else Normalization(128.0, 1.0)
        pixels = np.arange(256)
        exact = np.rint((pixels - rule.mean) / rule.std / spec.scale) + spec.zero_point
        return None if np.abs(exact - (pixels - 128)).max() <= 1 else rule
    fault = (
        f"is an int8 model without the normalization of its pixels (its input is from "
        f"{low:.4g} to {high:.4g})"
    )
    raise ModelError(path, fault, IMAGENET if low < 0 else NORMALIZE)


def _unsaid(path: object, spec: InputSpec, graph: Graph) -> ModelError:
    """Return what the first operators of a float model do to pixels, and the option to use."""
    fault = "is a float model without the normalization of its pixels"
    if graph.rescaling is None:
        remedy = IMAGENET if spec.is_channels_first else NORMALIZE
        return ModelError(path, fault, remedy)
    for name, (low, high) in RANGES.items():
        made = graph.rescaled(low, high)
        if _is_usual(made):
            found = f"its first operators turn {name} into [{made[0]:.3g},{made[1]:.3g}]"
            return ModelError(path, f"{fault} ({found})", f"add --normalize '{name}'")
    made = graph.rescaled(0.0, 255.0)
    found = f"its first operators turn [0,255] into [{made[0]:.3g},{made[1]:.3g}]"
    return ModelError(path, f"{fault} ({found})", NORMALIZE)


def _is_usual(made: Range) -> bool:
    """Whether a network is usually fed this range: about -1..1, or pixels less their mean."""
    low, high = made
    near_0 = low >= -4 and high <= 4 and high - low >= 0.9
    less_mean = low >= -160 and high <= 256 and 200 <= high - low <= 320
    return near_0 or less_mean


def maker(metadata: Metadata) -> Maker | None:
    """Return the tool that made a model; None if its metadata has all that is needed."""
    if metadata.edge:
        return None
    from edge.classifier.file.makers import maker_of  # not for a model of ours

    return maker_of(metadata.graph)


def _framing(path: object, metadata: Metadata) -> Framing:
    said = metadata.edge.get("preprocessing", {})
    made_by = maker(metadata)
    resize = said.get("resize", made_by.resize if made_by else "squash")
    try:
        return Framing(resize, said.get("filter", "antialias"))
    except ConfigurationError as error:
        fault = f"unsupported preprocessing in edge.json: {error}"
        remedy = "update edge-classify, or use --resize and --filter"
        raise ModelError(path, fault, remedy) from error
