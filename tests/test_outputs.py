"""Which output holds the answer, and how its values become probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from edge.classifier.answer import Outputs, choose_output
from edge.classifier.file.graph import Graph, GraphTensor
from edge.classifier.outputs import OutputSpec
from edge.errors import ModelError
from edge.image.tensor import TensorSpec

SOFTMAX, LOGISTIC, FULLY_CONNECTED, CONCATENATION = 25, 14, 9, 2


def tensor(
    shape: tuple[int, ...],
    dtype: type = np.float32,
    scale: float = 0.0,
    zero_point: int = 0,
    index: int = 0,
) -> TensorSpec:
    return TensorSpec(index, shape, np.dtype(dtype), scale, zero_point)


def chosen(
    *specs: TensorSpec,
    ends: dict[int, int] | None = None,
    labels: int = 0,
    wanted: str | None = None,
    names: dict[int, str] | None = None,
    labelled: int | None = None,
    customs: tuple[str, ...] = (),
) -> OutputSpec:
    texts = tuple(f"label {index}" for index in range(labels))
    tensors = tuple(GraphTensor(index, (name,)) for index, name in (names or {}).items())
    graph = Graph(outputs=tensors, ends=ends or {}, customs=customs)
    return choose_output(Outputs("m.tflite", specs, graph, texts, labelled), wanted)


def told(output: OutputSpec, values: np.ndarray) -> np.ndarray:
    return output.probabilities(output.real(values))


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1, 1, 1, 5), (1, 5, 1, 1)])
def test_a_list_may_have_axes_of_one(shape: tuple[int, ...]) -> None:
    output = chosen(tensor(shape), ends={0: SOFTMAX})
    assert output.num_outputs == 5
    assert told(output, np.full(shape, 0.2, np.float32)).shape == (5,)


@pytest.mark.parametrize(
    "shape, fault",
    [
        ((), r"must be \(1, labels\)"),
        ((0,), r"must be \(1, labels\)"),
        ((1, 0), r"must be \(1, labels\)"),
        ((1, 2, 5), "a map or a matrix"),
        ((1, 96, 96, 2), "a map or a matrix of values, as segmentation, FOMO"),
        ((1, 2100, 85), "outputs 2100 boxes with 85 values each, as object detectors do"),
        ((1, 84, 8400), "outputs 8400 boxes with 84 values each"),
    ],
)
def test_what_is_no_list_is_one_line(shape: tuple[int, ...], fault: str) -> None:
    with pytest.raises(ModelError, match=fault):
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
    assert chosen(spec, ends={0: end}, labels=3).are_logits is are_logits


def test_of_several_outputs_the_one_that_fits_the_labels_is_meant() -> None:
    features, scores = tensor((1, 1280), index=1), tensor((1, 7), index=2)
    assert chosen(features, scores, labels=7).index == 2
    assert chosen(features, scores, ends={1: FULLY_CONNECTED, 2: SOFTMAX}).index == 2
    alike = tensor((1, 7), index=3)
    ends = {2: FULLY_CONNECTED, 3: SOFTMAX}
    assert chosen(scores, alike, ends=ends, labels=7).index == 3
    for labels in (0, 7, 8):
        with pytest.raises(ModelError, match=r"none is marked|none with one score"):
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
    output = chosen(tensor((1, 3)), ends={0: FULLY_CONNECTED}, labels=3)
    assert told(output, np.float32([[0, np.log(2), 0]])) == pytest.approx([0.25, 0.5, 0.25])
    assert told(output, np.float32([[3e38, -3e38, 0]])).tolist() == [1, 0, 0]
    one = chosen(tensor((1, 1)), ends={0: FULLY_CONNECTED}, labels=2)
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
        ((0, np.nan), "NaN"),
    ):
        with pytest.raises(ValueError, match=said):
            told(output, np.float32([values]))


def test_infinite_logits_are_refused_without_a_warning() -> None:
    output = chosen(tensor((1, 2)), ends={0: FULLY_CONNECTED}, labels=2)
    for values in ((np.inf, 0), (-np.inf, -np.inf), (np.nan, 0)):
        with pytest.raises(ValueError, match="NaN"):
            told(output, np.float32([values]))


def outputs_of(*shapes: tuple[int, ...]) -> list[TensorSpec]:
    return [tensor(shape, index=index) for index, shape in enumerate(shapes)]


@pytest.mark.parametrize("labels", [0, 1, 2, 10])
@pytest.mark.parametrize(
    "shapes, customs",
    [
        ([(1, 10, 4), (1, 10), (1, 10), (1,)], ()),  # SSD, after its suppression
        ([(1, 1917, 4), (1, 1917, 91)], ()),  # SSD, before it
        ([(1, 896, 16), (1, 896, 1)], ()),  # BlazeFace
        ([(10, 4), (10,), (1,)], ()),
        ([(1, 10), (1, 10), (1,)], ("TFLite_Detection_PostProcess",)),
        ([(1, 1, 4), (1, 2)], ()),
    ],
)
def test_detectors_are_rejected_with_any_labels(
    shapes: list[tuple[int, ...]], customs: tuple[str, ...], labels: int
) -> None:
    with pytest.raises(ModelError, match="is an object detector") as caught:
        chosen(*outputs_of(*shapes), labels=labels, customs=customs)
    assert "--labels" not in str(caught.value)


@pytest.mark.parametrize("labels", [0, 1, 2])
@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 63), (1, 1), (1, 1), (1, 63)],  # a hand
        [(1, 1, 1, 1404), (1, 1, 1, 1)],  # a face
        [(1, 195), (1, 1), (1, 256, 256, 1)],  # a pose
        [(1, 21, 3), (1, 1)],
    ],
)
def test_landmarks_with_a_flag_are_rejected_with_any_labels(
    shapes: list[tuple[int, ...]], labels: int
) -> None:
    specs = outputs_of(*shapes)
    ends = dict.fromkeys(range(len(specs)), FULLY_CONNECTED) | {1: LOGISTIC}
    with pytest.raises(ModelError, match=r"landmarks|with one score for each of") as caught:
        chosen(*specs, ends=ends, labels=labels)
    assert "--labels" not in str(caught.value)


def test_of_several_outputs_names_labels_and_the_file_say_which_is_meant() -> None:
    two = outputs_of((1, 5), (1, 5))
    softmaxes = {0: SOFTMAX, 1: SOFTMAX}
    main = {0: "aux_logits", 1: "predictions"}
    assert chosen(*two, ends=softmaxes, names=main).index == 1
    assert chosen(*two, ends=softmaxes, labels=5, labelled=0).index == 0
    assert chosen(*two, ends=softmaxes, wanted="1").index == 1
    assert chosen(*two, ends=softmaxes, names=main, wanted="aux_logits").index == 0
    embedded = {0: "embedding", 1: "scores"}
    linear = {0: FULLY_CONNECTED, 1: FULLY_CONNECTED}
    assert chosen(*two, ends=linear, names=embedded, labels=5).index == 1
    with pytest.raises(ModelError, match="none is marked as the scores; choose one: --output"):
        chosen(*two, ends=softmaxes)
    same = [tensor((1, 5), index=3), tensor((1, 5), index=3)]  # one tensor under two names
    assert chosen(*same, ends={3: SOFTMAX}).index == 3


@pytest.mark.parametrize(
    "end, fault",
    [
        (11, "outputs an embedding"),
        (28, "TANH"),
        (56, "ARG_MAX"),
        (48, "TOPK_V2"),
        (66, "SIN"),
    ],
)
def test_operators_that_no_scores_come_from_are_named(end: int, fault: str) -> None:
    for labels in (0, 3):
        with pytest.raises(ModelError, match=fault):
            chosen(tensor((1, 3)), ends={0: end}, labels=labels)
