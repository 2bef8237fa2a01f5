"""What a model wants of an image, by its tensor and by what it says of itself."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from edge.classifier.file.graph import Graph, GraphTensor
from edge.classifier.file.makers import EDGE_IMPULSE, TEACHABLE_MACHINE, Maker, maker_of
from edge.classifier.inputs import input_shapes, input_spec
from edge.classifier.metadata import Metadata
from edge.errors import ModelError
from edge.image.preprocess import Framing, InputSpec, Normalization, preprocess
from edge.image.tensor import TensorSpec

SCALES = {np.uint8: 0.5, np.int8: 1 / 255}


def spec_of(
    shape: tuple[int, ...],
    dtype: type = np.uint8,
    metadata: Metadata | None = None,
    normalization: Normalization | None = None,
    framing: Framing | None = None,
) -> InputSpec:
    tensor = TensorSpec(3, shape, np.dtype(dtype), SCALES.get(dtype, 0.0), -128)
    return input_spec("m.tflite", [tensor], metadata or Metadata(), normalization, framing)


@pytest.mark.parametrize(
    "shape, size, channels",
    [
        ((1, 224, 160, 3), (224, 160), 3),
        ((1, 28, 20, 1), (28, 20), 1),
        ((1, 28, 20), (28, 20), 1),
        ((28, 20), (28, 20), 1),
        ((1, 224, 160, 4), (224, 160), 4),
        ((1, 3, 224, 160), (224, 160), 3),
        ((1, 1, 28, 20), (28, 20), 1),
        ((1, 4, 28, 20), (28, 20), 4),
    ],
)
def test_a_picture_has_three_channels_or_one_or_leaves_it_out(
    shape: tuple[int, ...], size: tuple[int, int], channels: int
) -> None:
    spec = spec_of(shape)
    assert (spec.size, spec.channels) == (size, channels)
    assert (spec.index, spec.scale, spec.zero_point) == (3, 0.5, -128)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 5, 224, 224),
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
    with pytest.raises(ModelError, match=f"uint8, int8 or int32. Received: {np.dtype(dtype)}"):
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
    with pytest.raises(ModelError, match=r"; add --normalize '\[-1,1\]'"):
        spec_of((1, 8, 8, 3), np.float32)


def test_a_fixed_batch_is_rejected_by_that_name() -> None:
    with pytest.raises(ModelError, match=r"takes 8 images at a time.*with a batch of 1"):
        spec_of((8, 12, 12, 3))


BY_CHANNEL = Normalization((124.0, 116.0, 104.0), (58.0, 57.0, 56.0))


@pytest.mark.parametrize("shape", [(1, 4, 5, 3), (1, 3, 4, 5), (1, 4, 5, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int32])
def test_mean_and_std_may_differ_by_channel(shape: tuple[int, ...], dtype: type) -> None:
    tensor = TensorSpec(0, shape, np.dtype(dtype), 0.02 if dtype == np.int8 else 0.0, 3)
    spec = input_spec("m.tflite", [tensor], Metadata(normalization=BY_CHANNEL), None, None)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    real = (pixels - np.array(BY_CHANNEL.mean)) / np.array(BY_CHANNEL.std)
    expected = np.clip(np.rint(real / 0.02) + 3, -128, 127) if dtype == np.int8 else real
    expected = expected.astype(dtype)
    made = preprocess(pixels, spec)[0]
    made = made.transpose(1, 2, 0) if shape[1] == 3 else made
    np.testing.assert_allclose(made[..., :3], expected, rtol=1e-6)
    if shape[3] == 4:  # alpha is opaque, and normalized as blue is
        opaque = expected.dtype.type(0) + (255 - 104.0) / 56.0
        values = np.rint(opaque / 0.02) + 3 if dtype == np.int8 else opaque
        values = np.clip(values, -128, 127) if dtype == np.int8 else values
        np.testing.assert_allclose(made[..., 3], np.array(values).astype(dtype), rtol=1e-6)


def test_one_channel_has_one_mean() -> None:
    with pytest.raises(ModelError, match="has one channel, but mean and std are of three"):
        spec_of((1, 8, 8, 1), np.float32, None, BY_CHANNEL)


@pytest.mark.parametrize(
    "scale, zero_point, rule",
    [
        (1 / 255, -128, None),  # [0,1]
        (1.0, -128, None),  # [0,255]
        (1.0, 0, None),  # pixels less 128
        (1 / 127.5, -1, None),  # [-1,1]
        (0.95 / 255, -128, Normalization(0.0, 255.0)),  # no calibration photo held white
        (1.9 / 255, -2, Normalization(127.5, 127.5)),
    ],
)
def test_an_int8_input_says_its_range(
    scale: float, zero_point: int, rule: Normalization | None
) -> None:
    tensor = TensorSpec(0, (1, 8, 8, 3), np.dtype(np.int8), scale, zero_point)
    spec = input_spec("m.tflite", [tensor], Metadata(), None, None)
    assert spec.normalization == rule


def test_an_int8_input_of_another_range_is_asked_about() -> None:
    tensor = TensorSpec(0, (1, 8, 8, 3), np.dtype(np.int8), 0.0186, -14)  # of PyTorch's ImageNet
    with pytest.raises(ModelError, match=r"from -2\.12 to 2\.623\); .*--normalize imagenet"):
        input_spec("m.tflite", [tensor], Metadata(), None, None)


def test_pixels_go_into_whole_numbers_and_channels_in_front() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    whole = spec_of((1, 4, 5, 3), np.int32)
    np.testing.assert_array_equal(preprocess(pixels, whole)[0], pixels)
    for dtype, made in ((np.uint8, pixels), (np.int8, pixels.astype(int) - 128)):
        spec = spec_of((1, 3, 4, 5), dtype)
        np.testing.assert_array_equal(preprocess(pixels, spec)[0], made.transpose(2, 0, 1))
    real = spec_of((1, 3, 4, 5), np.float32, None, Normalization(127.5, 127.5))
    np.testing.assert_allclose(
        preprocess(pixels, real)[0], ((pixels - 127.5) / 127.5).transpose(2, 0, 1), atol=1e-6
    )


@pytest.mark.parametrize(
    "names, inputs, maker",
    [
        (
            {"sequential_1/model1/Conv1_pad/Pad", "sequential_3/dense_Dense2/MatMul"},
            ("sequential_1_input",),
            TEACHABLE_MACHINE,
        ),
        ({"model/y_pred/MatMul"}, ("serving_default_x_input:0",), EDGE_IMPULSE),
        ({"model/dense/MatMul"}, ("serving_default_input_1:0",), None),
        ({"dense_Dense1/kernel", "y_pred/MatMul"}, ("input",), None),
    ],
)
def test_names_tell_who_made_a_model_and_how_it_sees_pictures(
    names: set[str], inputs: tuple[str, ...], maker: Maker | None
) -> None:
    graph = Graph(inputs=(GraphTensor(0, inputs),), names=frozenset(names))
    assert maker_of(graph) == maker
    if maker:
        spec = spec_of((1, 8, 8, 3), np.float32, Metadata(graph=graph))
        assert (spec.framing, spec.normalization) == (Framing("crop"), maker.normalization)
        spec = spec_of((1, 8, 8, 3), np.float32, Metadata(graph=graph), framing=Framing("pad"))
        assert spec.framing == Framing("pad")


def test_edge_json_says_the_framing() -> None:
    said: dict[str, Any] = {"resize": "crop", "filter": "bilinear", "version": 1}
    metadata = Metadata(edge={"preprocessing": said})
    assert spec_of((1, 8, 8, 3), metadata=metadata).framing == Framing("crop", "bilinear")
    assert spec_of((1, 8, 8, 3)).framing == Framing("squash", "antialias")


def test_only_a_dynamic_size_is_set_and_not_a_dynamic_batch() -> None:
    def shapes(*shape: int, size: tuple[int, int] | None = None) -> dict[int, tuple[int, ...]]:
        graph = Graph(inputs=(GraphTensor(7, (), shape),))
        return input_shapes("m.tflite", graph, size)

    assert shapes(-1, 96, 96, 3) == shapes(1, 96, 96, 3) == shapes() == {}
    assert shapes(-1, -1, -1, 3) == {7: (1, 224, 224, 3)}
    assert shapes(1, 3, -1, -1, size=(20, 30)) == {7: (1, 3, 20, 30)}
    assert shapes(1, -1, 64, 3) == {7: (1, 224, 64, 3)}
    assert shapes(1, 20, 30, 3, size=(20, 30)) == {}
    with pytest.raises(ModelError, match="a fixed size, 20 x 30; omit --input-size"):
        shapes(1, 20, 30, 3, size=(30, 20))
