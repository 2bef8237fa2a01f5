"""The arithmetic between real values and a tensor's quantized ones."""

from __future__ import annotations

import numpy as np
import pytest

from edge.image.tensor import TensorSpec, dequantize, quantize


def spec(dtype: type, scale: float = 0.0, zero_point: int = 0) -> TensorSpec:
    return TensorSpec(0, (1, 4), np.dtype(dtype), scale, zero_point)


def test_a_tensor_without_a_scale_is_not_quantized() -> None:
    assert not spec(np.float32).is_quantized
    assert spec(np.int8, 0.5, -3).is_quantized


def test_quantizing_divides_by_the_scale_and_adds_the_zero_point() -> None:
    quantized = quantize(np.array([-1.0, 0.0, 0.5, 2.0]), spec(np.int8, 0.5, -3))
    assert quantized.dtype == np.int8
    assert quantized.tolist() == [-5, -3, -2, 1]


def test_quantizing_rounds_half_to_even() -> None:
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 0.51])
    assert quantize(values, spec(np.int8, 1.0)).tolist() == [0, 2, 2, 0, -2, 0, 1]


@pytest.mark.parametrize(("dtype", "low", "high"), [(np.int8, -128, 127), (np.uint8, 0, 255)])
def test_quantizing_clips_and_never_wraps(dtype: type, low: int, high: int) -> None:
    values = np.array([-1e9, -300.0, 300.0, 1e9])
    assert quantize(values, spec(dtype, 1.0)).tolist() == [low, low, high, high]


def test_quantizing_for_a_float_tensor_only_changes_the_dtype() -> None:
    quantized = quantize(np.array([0.1, -2.5]), spec(np.float32))
    assert quantized.dtype == np.float32
    np.testing.assert_array_equal(quantized, np.float32([0.1, -2.5]))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_every_quantized_value_survives_dequantizing_and_quantizing(dtype: type) -> None:
    limits = np.iinfo(dtype)
    values = np.arange(limits.min, limits.max + 1).astype(dtype)
    quantization = spec(dtype, 0.0078125, limits.min + 128)
    real = dequantize(values, quantization)
    assert real.dtype == np.float32
    np.testing.assert_array_equal(quantize(real, quantization), values)


def test_dequantizing_takes_off_the_zero_point_and_multiplies_by_the_scale() -> None:
    real = dequantize(np.array([-128, 0, 127], np.int8), spec(np.int8, 1 / 256, -128))
    assert real.tolist() == [0.0, 0.5, 255 / 256]


def test_dequantizing_a_float_tensor_gives_an_equal_copy() -> None:
    values = np.float32([0.25, -1.5])
    real = dequantize(values, spec(np.float32))
    np.testing.assert_array_equal(real, values)
    assert not np.shares_memory(real, values)
