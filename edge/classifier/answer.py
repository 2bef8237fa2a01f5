"""Which output of a model holds its scores, and what a model is that has none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge.classifier.file.graph import Graph
from edge.classifier.labels import fits
from edge.classifier.outputs import (
    ACTIVATIONS,
    DISTRIBUTIONS,
    LINEAR,
    LOGISTIC,
    OutputSpec,
    are_outside,
    are_percentages,
    output_of,
)
from edge.errors import ModelError
from edge.image.tensor import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

REMEDY = "use an image classifier"
CHOOSE = "choose one: --output NAME|INDEX"
LABEL = "if it is a classifier, pass its labels: --labels FILE"
SUM_SLACK = 0.03  # by which probabilities may miss 1: roundings of quantized models
PROBABILITY_EACH = (
    "its values do not add up to 1, and no sigmoid makes them: each is taken for a probability"
)
BOX_SIDES = 4
MIN_ANCHORS = 32  # of a detector's only output: YOLO's smallest has 2,100
DETECTION_OPERATORS = ("TFLite_Detection_PostProcess", "TFLite_Detection_PostProcess_Nms")

# Builtin codes of operators that no scores come from, and what does.
_NO_SCORES = {
    11: "an embedding (its values are normalized to length 1)",  # L2_NORMALIZATION
    28: "values from -1 to 1 (TANH), as a regression or a generator does",
    48: "the best labels' scores and indices (TOPK_V2), not one score for each label",
    56: "the best label's index (ARG_MAX) and no scores",
    66: "a sine (SIN), as a regression of an angle does",
    79: "an index (ARG_MIN) and no scores",
    108: "a cosine (COS), as a regression of an angle does",
}


class Outputs(NamedTuple):
    """All outputs of a model, and what is known of them."""

    path: object  # of the model, for errors
    specs: Sequence[TensorSpec]
    graph: Graph
    labels: tuple[str, ...] = ()
    labelled: int | None = None  # the output that has the labels, if the file names it

    def end(self, spec: TensorSpec) -> int:
        """Return the builtin code of the operator that computes an output's values."""
        return self.graph.ends.get(spec.index, -1)

    def names(self, spec: TensorSpec) -> str:
        """Return an output's names in lower case."""
        return " ".join(self.graph.names_of(spec.index)).lower()

    def shown(self) -> str:
        """Return a few of the outputs for a message: index, name and shape."""
        parts = []
        for number, spec in enumerate(self.specs[:5]):
            name = (*self.graph.names_of(spec.index)[-1:], "")[0][:30]
            parts.append(f"{number} {name} {spec.shape}".replace("  ", " "))
        return ", ".join(parts) + (", ..." if len(self.specs) > 5 else "")

    def rejected(self, fault: str, remedy: str = REMEDY) -> ModelError:
        """Return the error of a model that is not an image classifier."""
        return ModelError(self.path, fault, remedy)


def choose_output(outputs: Outputs, wanted: str | None = None) -> OutputSpec:
    """Choose the output that has one score for each label.

    Args:
        outputs: the model's.
        wanted: the name or index of the output that is meant; None finds it.

    Raises: ModelError where none, or more than one, can be an image classifier's.
    """
    if wanted is not None:
        spec = _wanted(outputs, wanted)
    elif len({spec.index for spec in outputs.specs}) == 1:  # one tensor may have two names
        spec = outputs.specs[0]
        _check_kind(outputs, spec)
    else:
        _check_kinds(outputs)
        spec = _likely(outputs)
    end = outputs.end(spec)
    if wanted is None and not outputs.labels:
        _check_unlabelled(outputs, spec, end)
    return output_of(spec, end)


def _is_list(spec: TensorSpec) -> bool:
    """Whether a tensor has one axis of values, and others of length 1 at most."""
    known = spec.dtype in (np.float32, np.uint8, np.int8)
    return known and 1 <= math.prod(spec.shape) == max(spec.shape, default=0)


def _axes(spec: TensorSpec) -> tuple[int, ...]:
    """The lengths of a tensor's axes that are longer than 1."""
    return tuple(length for length in spec.shape if length > 1)


def _wanted(outputs: Outputs, wanted: str) -> TensorSpec:
    """The output that --output names."""
    found = [s for s in outputs.specs if wanted in outputs.graph.names_of(s.index)]
    if wanted.isdecimal() and int(wanted) < len(outputs.specs):
        found = [outputs.specs[int(wanted)]]
    if not found:
        fault = f"has no output {wanted!r}; its outputs are {outputs.shown()}"
        raise outputs.rejected(fault, CHOOSE)
    if not _is_list(found[0]):
        fault = f"its output {wanted!r} is {found[0].shape} {found[0].dtype}, not a list of scores"
        raise outputs.rejected(fault)
    return found[0]


def _check_kind(outputs: Outputs, spec: TensorSpec) -> None:
    """Reject a model by its only output. Raises: ModelError."""
    end, axes = outputs.end(spec), _axes(spec)
    if end in _NO_SCORES:
        raise outputs.rejected(f"outputs {_NO_SCORES[end]}", _without(end))
    of_boxes = len(axes) == 2 and max(axes) >= MIN_ANCHORS and min(axes) >= BOX_SIDES
    if of_boxes and len(spec.shape) <= 3:
        fault = f"outputs {max(axes)} boxes with {min(axes)} values each, as object detectors do"
        raise outputs.rejected(f"{fault}: {spec.shape}")
    if len(axes) >= 2:
        fault = "outputs a map or a matrix of values, as segmentation, FOMO and depth models do"
        raise outputs.rejected(f"{fault}: {spec.shape}")
    if not _is_list(spec):
        fault = "its output must be (1, labels), float32, uint8 or int8"
        raise outputs.rejected(f"{fault}. Received: {spec.shape} {spec.dtype}")


def _without(end: int) -> str:
    return "convert it again without that operator" if end in (48, 56) else REMEDY


def _check_kinds(outputs: Outputs) -> None:
    """Reject a model with several outputs by what they are together. Raises: ModelError."""
    specs = outputs.specs
    if _are_boxes(outputs):
        fault = f"is an object detector: of its outputs ({outputs.shown()}), one holds boxes"
        raise outputs.rejected(fault)
    ends = {outputs.end(spec) for spec in specs}
    for end in (48, 56):
        if end in ends and not any(outputs.end(spec) in (ACTIVATIONS | LINEAR) for spec in specs):
            raise outputs.rejected(f"outputs {_NO_SCORES[end]}", _without(end))
    if not any(_holds_scores(outputs, spec) for spec in specs):
        fault = f"has {len(specs)} outputs ({outputs.shown()}), none with one score for each label"
        raise outputs.rejected(f"{fault}, as in models of boxes, landmarks or maps")


def _are_boxes(outputs: Outputs) -> bool:
    """Whether one of several outputs holds something for each of many boxes or anchors."""
    if any(name in DETECTION_OPERATORS for name in outputs.graph.customs):
        return True
    lengths = [_axes(spec) for spec in outputs.specs]
    for place, (spec, axes) in enumerate(zip(outputs.specs, lengths, strict=True)):
        if spec.shape[-1:] == (BOX_SIDES,) and (len(spec.shape) == 3 or spec.shape[0] > 1):
            return True  # (1, n, 4) or (n, 4), also where n is 1
        # Several values for each of n things, of which another output has values as well.
        others = lengths[:place] + lengths[place + 1 :]
        if len(axes) == 2 and any(axes[0] in other for other in others):
            return True
    return False


def _holds_scores(outputs: Outputs, spec: TensorSpec) -> bool:
    """Whether one of several outputs can be scores: a single value is a count or a flag."""
    return _is_list(spec) and math.prod(spec.shape) >= 2 and outputs.end(spec) not in _NO_SCORES


def _likely(outputs: Outputs) -> TensorSpec:
    """Of several outputs, the one that holds the scores. Raises: ModelError."""
    different = {spec.index: spec for spec in outputs.specs}.values()
    specs = [spec for spec in different if _holds_scores(outputs, spec)]
    if outputs.labels:
        specs = [spec for spec in specs if fits(outputs.labels, math.prod(spec.shape))]
        if not specs:
            fault = f"has {len(outputs.specs)} outputs ({outputs.shown()}), none with one score"
            count = len(outputs.labels)
            raise outputs.rejected(f"{fault} for each of {count} label{'s' * (count > 1)}")
        if outputs.labelled is not None and outputs.labelled < len(outputs.specs):
            labelled = outputs.specs[outputs.labelled]
            if labelled in specs:
                return labelled
    elif any(_is_list(spec) and math.prod(spec.shape) == 1 for spec in outputs.specs):
        fault = f"has {len(outputs.specs)} outputs ({outputs.shown()}), one of them a single value"
        raise outputs.rejected(f"{fault}, as in models of landmarks, poses or boxes")
    for narrowed in _narrowings(outputs, specs):
        specs = narrowed or specs
        if len(specs) == 1:
            return specs[0]
    fault = (
        f"has {len(outputs.specs)} outputs ({outputs.shown()}), and none is marked as the scores"
    )
    raise outputs.rejected(fault, CHOOSE)


def _narrowings(outputs: Outputs, specs: list[TensorSpec]) -> list[list[TensorSpec]]:
    """Which of the outputs are left by each hint, the strongest first."""
    left = [specs]

    def keep(kept: list[TensorSpec]) -> None:
        left.append(kept or left[-1])

    keep([spec for spec in left[-1] if outputs.end(spec) in ACTIVATIONS])
    keep([spec for spec in left[-1] if outputs.end(spec) in ACTIVATIONS | LINEAR])
    keep([spec for spec in left[-1] if "aux" not in outputs.names(spec)])
    keep([spec for spec in left[-1] if not _is_called_features(outputs.names(spec))])
    return left


def _is_called_features(names: str) -> bool:
    return any(word in names for word in ("feature", "embed", "bottleneck", "pool"))


def _check_unlabelled(outputs: Outputs, spec: TensorSpec, end: int) -> None:
    """Reject what may be anything as long as it has no labels. Raises: ModelError."""
    output = output_of(spec, end)
    if output.num_outputs == 1 and end != LOGISTIC:
        fault = "has a single output that is not a probability, as in a regression, and no labels"
        raise outputs.rejected(fault, LABEL)
    if output.are_logits and end not in DISTRIBUTIONS:
        raise _no_distribution(outputs.path, output.num_outputs)


def must_sum_to_1(output: OutputSpec, end: int) -> bool:
    """Whether values without labels are scores only if they add up to 1."""
    return output.num_outputs > 1 and end not in DISTRIBUTIONS


def judged(
    path: object, output: OutputSpec, must_sum: bool, values: Sequence[NDArray[np.float32]]
) -> tuple[OutputSpec, str]:
    """Find out by a model's values for several images whether they are logits.

    Args:
        path: of the model, for errors.
        output: the one that holds the scores.
        must_sum: whether its values are scores only if they add up to 1.
        values: (num_outputs,) of each image.

    Returns: the output, and what is odd about its values.
    Raises: ModelError where they cannot be scores.
    """
    outside = any(map(are_outside, values))
    add_up = not any(abs(value.sum() - 1) > SUM_SLACK for value in values)
    if must_sum and (outside or not add_up):
        raise _no_distribution(path, output.num_outputs)
    if all(map(are_percentages, values)):
        fault = "outputs percentages, not probabilities from 0 to 1"
        raise ModelError(path, fault, "convert it again without the factor of 100")
    if output.are_logits is not None:
        return output, ""
    is_odd = not outside and not add_up and output.num_outputs > 1
    return replace(output, are_logits=outside), PROBABILITY_EACH if is_odd else ""


def _no_distribution(path: object, num_outputs: int) -> ModelError:
    """Return the error of values without labels that do not behave like probabilities."""
    fault = (
        f"outputs {num_outputs} values that do not add up to 1, and has no labels: they may be a "
        "classifier's logits or scores, or a regression, an embedding, a box or landmarks"
    )
    return ModelError(path, fault, LABEL)
