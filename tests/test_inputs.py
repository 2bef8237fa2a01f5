"""What a model wants of a picture, by its tensor and by what it says of itself."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from edge.classifier.inputs import input_spec
from edge.classifier.metadata import Metadata
from edge.errors import ModelError
from edge.image.preprocess import Framing, InputSpec, Normalization
from edge.tensor import TensorSpec


def spec_of(
    shape: tuple[int, ...],
    dtype: type = np.uint8,
    metadata: Metadata | None = None,
    normalization: Normalization | None = None,
    framing: Framing | None = None,
) -> InputSpec:
    tensor = TensorSpec(3, shape, np.dtype(dtype), 0.5, 7)
    return input_spec("m.tflite", [tensor], metadata or Metadata(), normalization, framing)


@pytest.mark.parametrize(
    "shape, size, channels",
    [
        ((1, 224, 160, 3), (224, 160), 3),
        ((1, 28, 20, 1), (28, 20), 1),
        ((1, 28, 20), (28, 20), 1),
        ((28, 20), (28, 20), 1),
    ],
)
def test_a_picture_has_three_channels_or_one_or_leaves_it_out(
    shape: tuple[int, ...], size: tuple[int, int], channels: int
) -> None:
    spec = spec_of(shape)
    assert (spec.size, spec.channels) == (size, channels)
    assert (spec.index, spec.scale, spec.zero_point) == (3, 0.5, 7)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 3, 224, 224),
        (2, 224, 224, 3),
        (1, 1, 1, 3),
        (1, 784),
        (224, 224, 3),
        (784,),
        (),
        (1, 0, 4),
        (1, 8, 10001, 3),
    ],
)
def test_what_is_no_picture_is_one_line(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=re.escape(f"Received: {shape}")) as caught:
        spec_of(shape)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("dtype", [np.int16, np.float16, np.int64, np.bool_])
def test_other_dtypes_are_one_line(dtype: type) -> None:
    with pytest.raises(ModelError, match=f"uint8 or int8. Received: {np.dtype(dtype)}"):
        spec_of((1, 8, 8, 3), dtype)


def test_what_is_given_goes_before_what_the_model_says() -> None:
    said, given = Normalization(0.0, 1.0), Normalization(127.5, 127.5)
    metadata = Metadata(normalization=said, edge={"preprocessing": {"resize": "pad"}})
    spec = spec_of((1, 8, 8, 3), np.float32, metadata)
    assert (spec.normalization, spec.framing) == (said, Framing("pad"))
    spec = spec_of((1, 8, 8, 3), np.float32, metadata, given, Framing("crop"))
    assert (spec.normalization, spec.framing) == (given, Framing("crop"))


def test_only_a_float_model_has_to_say_its_normalization() -> None:
    assert spec_of((1, 8, 8, 3), np.uint8).normalization is None
    assert spec_of((1, 8, 8, 3), np.int8).normalization is None
    with pytest.raises(ModelError, match=r"; give it once: --normalize '\[-1,1\]'"):
        spec_of((1, 8, 8, 3), np.float32)


def test_a_normalization_by_channel_is_refused_where_it_counts() -> None:
    by_channel = Metadata(unfit="normalizes by channel (mean 1, 2, 3)")
    assert spec_of((1, 8, 8, 3), np.uint8, by_channel).normalization is None
    for dtype in (np.float32, np.int8):
        with pytest.raises(ModelError, match="normalizes by channel"):
            spec_of((1, 8, 8, 3), dtype, by_channel)
        given = Normalization(1.0, 2.0)
        assert spec_of((1, 8, 8, 3), dtype, by_channel, given).normalization == given


def test_edge_json_says_the_framing() -> None:
    said: dict[str, Any] = {"resize": "crop", "filter": "bilinear", "version": 1}
    metadata = Metadata(edge={"preprocessing": said})
    assert spec_of((1, 8, 8, 3), metadata=metadata).framing == Framing("crop", "bilinear")
    assert spec_of((1, 8, 8, 3)).framing == Framing("squash", "antialias")
