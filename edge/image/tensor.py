"""What a model's tensor looks like, and the arithmetic between real values and quantized ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model; `scale` is 0 where the tensor is not quantized."""

    index: int  # the interpreter's tensor index
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        """Whether the values stand for `(value - zero_point) * scale`."""
        return self.scale != 0.0


def quantize(values: NDArray[np.floating[Any]], spec: TensorSpec) -> NDArray[Any]:
    """Turn real values into the tensor's dtype: round half to even, then clip, never wrap.

    Source: https://ai.google.dev/edge/litert/models/quantization_spec
    """
    if not spec.is_quantized:
        return values.astype(spec.dtype)
    limits = np.iinfo(spec.dtype)
    quantized = np.rint(values / spec.scale) + spec.zero_point
    clipped: NDArray[Any] = np.clip(quantized, limits.min, limits.max).astype(spec.dtype)
    return clipped


def dequantize(values: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Turn the tensor's values into real ones, float32, in a new array of the same shape."""
    real = values.astype(np.float32)
    if spec.is_quantized:
        real = (real - np.float32(spec.zero_point)) * np.float32(spec.scale)
    return real
