"""Convert a model's output to probabilities."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge.image.tensor import TensorSpec, dequantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Builtin codes of operators that scores come from.
LOGISTIC = 14
ACTIVATIONS = frozenset((LOGISTIC, 25))  # and SOFTMAX
DISTRIBUTIONS = frozenset((25, 50))  # SOFTMAX, LOG_SOFTMAX
LINEAR = frozenset((3, 9, 50, 126))  # CONV_2D, FULLY_CONNECTED, LOG_SOFTMAX, BATCH_MATMUL

SLACK = 0.01  # by which a probability may leave [0, 1]: roundings of quantized models


@dataclass(frozen=True)
class OutputSpec(TensorSpec):
    """A model's output tensor: one axis of values, all others of length 1."""

    are_logits: bool | None = None  # None: only its values can show it

    @property
    def num_outputs(self) -> int:
        """How many values there are; 1 is a sigmoid, for two labels."""
        return math.prod(self.shape)

    @functools.cached_property
    def every_value(self) -> NDArray[np.float32]:
        """What each of the 256 values of a quantized output stands for, by its bits."""
        return dequantize(np.arange(256, dtype=np.uint8).view(self.dtype), self)

    @functools.cached_property
    def are_bounded(self) -> bool:
        """Whether its values cannot leave [0, 1], whatever the model computes."""
        if not self.is_quantized:
            return False
        return bool(self.every_value.min() >= 0 and self.every_value.max() <= 1)

    def real(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return what the tensor's values stand for: (num_outputs,) float32, a new array."""
        flat = values.reshape(-1)
        if self.is_quantized:
            return self.every_value.take(flat.view(np.uint8))
        return flat.astype(np.float32)

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn what the values stand for into (max(2, num_outputs),) float32 in [0, 1].

        Raises: ValueError where they are not probabilities.
        """
        if self.are_logits:
            scores = _softmax(scores) if len(scores) > 1 else _sigmoid(scores)
        if self.are_logits or not self.are_bounded:
            scores = _within_0_and_1(scores)
        if len(scores) == 1:  # the probability of the second of two labels
            return np.concatenate([1 - scores, scores])
        return scores


def are_outside(values: NDArray[np.float32]) -> bool:
    """Whether values are too far from [0, 1] for probabilities."""
    return bool(values.min() < -SLACK or values.max() > 1 + SLACK)


def are_percentages(values: NDArray[np.float32]) -> bool:
    """Whether values are probabilities times 100."""
    return bool(len(values) > 1 and values.min() >= 0 and abs(values.sum() - 100) <= 100 * SLACK)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    # Of infinities, which become NaN, and are rejected; and of what is 0 in any case.
    with np.errstate(invalid="ignore", over="ignore"):
        powers = np.exp(logits - logits.max())
    shares: NDArray[np.float32] = powers / powers.sum()
    return shares


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    probabilities: NDArray[np.float32] = (np.tanh(logits / 2) + 1) / 2  # overflows nowhere
    return probabilities


def _within_0_and_1(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = scores.min(), scores.max()
    if low >= 0 and high <= 1:
        return scores
    if not (low >= -SLACK and high <= 1 + SLACK):  # nor where they are NaN
        raise ValueError("NaN" if np.isnan(low) else f"values from {low:.3g} to {high:.3g}")
    return np.clip(scores, 0, 1)


def output_of(spec: TensorSpec, end: int) -> OutputSpec:
    """Return the output that a tensor is, by the operator that computes its values."""
    scale, zero_point = spec.scale, spec.zero_point
    if spec.dtype != np.float32 and not spec.is_quantized:  # a convention of TFLite image tools
        scale, zero_point = 1 / 255, int(np.iinfo(spec.dtype).min)
    output = OutputSpec(spec.index, spec.shape, spec.dtype, scale, zero_point)
    if end in ACTIVATIONS or (output.is_quantized and not are_outside(output.every_value)):
        return replace(output, are_logits=False)
    return replace(output, are_logits=True if end in LINEAR else None)
