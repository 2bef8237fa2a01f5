"""Which output holds the answer, and how its values become probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from edge.classifier.outputs import OutputSpec, choose_output
from edge.errors import ModelError
from edge.tensor import TensorSpec

SOFTMAX, LOGISTIC, FULLY_CONNECTED, CONCATENATION = 25, 14, 9, 2


def tensor(
    shape: tuple[int, ...],
    dtype: type = np.float32,
    scale: float = 0.0,
    zero_point: int = 0,
    index: int = 0,
) -> TensorSpec:
    return TensorSpec(index, shape, np.dtype(dtype), scale, zero_point)


def chosen(*specs: TensorSpec, ends: dict[int, int] | None = None, labels: int = 0) -> OutputSpec:
    names = tuple(f"label {index}" for index in range(labels))
    return choose_output("m.tflite", specs, ends or {}, names)


def told(output: OutputSpec, values: np.ndarray) -> np.ndarray:
    return output.probabilities(output.real(values))


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1, 1, 1, 5), (1, 5, 1, 1)])
def test_a_list_may_have_axes_of_one(shape: tuple[int, ...]) -> None:
    output = chosen(tensor(shape), ends={0: SOFTMAX})
    assert output.num_outputs == 5
    assert told(output, np.full(shape, 0.2, np.float32)).shape == (5,)


@pytest.mark.parametrize("shape", [(), (1, 2, 5), (0,), (1, 0)])
def test_what_is_no_list_is_one_line(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="must have one output"):
        chosen(tensor(shape))


@pytest.mark.parametrize(
    "spec, end, are_logits",
    [
        (tensor((1, 3)), SOFTMAX, False),
        (tensor((1, 3)), FULLY_CONNECTED, True),
        (tensor((1, 3)), CONCATENATION, None),
        (tensor((1, 3), np.uint8, 1 / 256), CONCATENATION, False),
        (tensor((1, 3), np.int8, 1 / 256, -128), FULLY_CONNECTED, False),
        (tensor((1, 3), np.int8, 0.1, 5), FULLY_CONNECTED, True),
        (tensor((1, 3), np.int8, 0.1, 5), LOGISTIC, False),
        (tensor((1, 3), np.uint8), CONCATENATION, False),
    ],
)
def test_logits_are_told_by_how_the_graph_ends_or_by_what_the_values_can_be(
    spec: TensorSpec, end: int, are_logits: bool | None
) -> None:
    assert chosen(spec, ends={0: end}).are_logits is are_logits


def test_of_several_outputs_the_one_that_fits_the_labels_is_meant() -> None:
    features, scores = tensor((1, 1280), index=1), tensor((1, 7), index=2)
    assert chosen(features, scores, labels=7).index == 2
    assert chosen(features, scores, ends={1: FULLY_CONNECTED, 2: SOFTMAX}).index == 2
    alike = tensor((1, 7), index=3)
    ends = {2: FULLY_CONNECTED, 3: SOFTMAX}
    assert chosen(scores, alike, ends=ends, labels=7).index == 3
    for labels in (0, 7, 8):
        with pytest.raises(ModelError, match="its labels do not tell which is meant"):
            chosen(scores, alike, labels=labels)


def test_quantized_values_become_what_they_stand_for() -> None:
    output = chosen(tensor((1, 3), np.int8, 1 / 256, -128), ends={0: SOFTMAX})
    scores = told(output, np.int8([[-128, 0, 127]]))
    assert scores.dtype == np.float32
    assert scores.tolist() == [0.0, 0.5, 255 / 256]


def test_an_unscaled_uint8_stands_for_255ths() -> None:
    output = chosen(tensor((1, 3), np.uint8), ends={0: SOFTMAX})
    assert told(output, np.uint8([[0, 51, 255]])) == pytest.approx([0, 0.2, 1])


def test_logits_become_probabilities_however_large_they_are() -> None:
    output = chosen(tensor((1, 3)), ends={0: FULLY_CONNECTED})
    assert told(output, np.float32([[0, np.log(2), 0]])) == pytest.approx([0.25, 0.5, 0.25])
    assert told(output, np.float32([[3e38, -3e38, 0]])).tolist() == [1, 0, 0]
    one = chosen(tensor((1, 1)), ends={0: FULLY_CONNECTED})
    for logit, p in ((0, 0.5), (np.log(3), 0.75), (1e38, 1), (-1e38, 0)):
        assert told(one, np.float32([[logit]])) == pytest.approx([1 - p, p])


def test_one_sigmoid_becomes_two_scores() -> None:
    output = chosen(tensor((1, 1)), ends={0: LOGISTIC})
    assert told(output, np.float32([[0.75]])).tolist() == [0.25, 0.75]


def test_what_rounding_adds_is_taken_off_and_more_is_refused() -> None:
    output = chosen(tensor((1, 2)), ends={0: SOFTMAX})
    assert told(output, np.float32([[-0.005, 1.005]])).tolist() == [0, 1]
    for values, said in (
        ((-0.02, 1), "from -0.02"),
        ((0, 1.02), "to 1.02"),
        ((0, np.nan), "no num"),
    ):
        with pytest.raises(ValueError, match=said):
            told(output, np.float32([values]))


def test_infinite_logits_are_refused_without_a_warning() -> None:
    output = chosen(tensor((1, 2)), ends={0: FULLY_CONNECTED})
    for values in ((np.inf, 0), (-np.inf, -np.inf), (np.nan, 0)):
        with pytest.raises(ValueError, match="no numbers"):
            told(output, np.float32([values]))
