"""What others' models are: detectors, regressions and the like are rejected by that name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import run
from test_classifiers import ABC, PIXELS_0_TO_1

from edge.classifier import golden
from edge.classifier.model import Model
from edge.classifier.runtime import installed_runtimes
from edge.errors import ModelError, ScoresError
from edge.image.decode import encode_png
from edge.image.preprocess import Normalization

ONE, TWO = ("mask",), ("no mask", "mask")
# By a model's name, its fault, whatever labels are given.
REJECTED = {
    "detector": "is an object detector: .* boxes; use an image classifier",
    "anchors": "is an object detector: .* boxes; use an image classifier",
    "one-box-and-count": "is an object detector: .* boxes; use an image classifier",
    "yolo": "outputs 84 boxes with 6 values each, as object detectors do",
    "segmentation": "outputs a map or a matrix of values, as segmentation, FOMO and depth models",
    "tanh": r"outputs values from -1 to 1 \(TANH\)",
    "embedding": "outputs an embedding",
    "argmax": r"outputs the best label's index \(ARG_MAX\) and no scores; convert it again",
    "argmax-sliced": r"outputs the best label's index \(ARG_MAX\) and no scores",
    "top-k": r"outputs the best labels' scores and indices \(TOPK_V2\)",
    "batch": r"takes 8 images at a time.*convert it again with a batch of 1",
}
# The same without labels; given some, they may be classifiers.
ASKED = {
    "landmarks": "3 outputs .* one of them a single value, as in models of landmarks",
    "regression": "has a single output that is not a probability, as in a regression",
    "angle": "outputs 2 values that do not add up to 1, and has no labels",
    "features": "outputs 3 values that do not add up to 1, and has no labels",
    "box": "outputs 4 values that do not add up to 1, and has no labels",
    "features-and-logits": "outputs 5 values that do not add up to 1, and has no labels",
}
SCORES = """
import json, sys
from pathlib import Path
from edge.classifier import golden
from edge.classifier.model import Model
from edge.image.preprocess import Normalization
found = {}
for name in sys.argv[3:]:
    path = Path(sys.argv[2]) / f"{name}.tflite"
    rule = None if name == "whole-numbers" else Normalization(0.0, 255.0)
    with Model(path, runtime=sys.argv[1], normalization=rule) as model:
        scores = model.scores(golden.draw(0, (12, 12))).tolist()
        found[name] = [scores, list(model.input.size), model.warnings]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def others(classifiers: Path) -> Path:
    return classifiers / "others"


def opened(folder: Path, name: str, **options: Any) -> Model:
    return Model(folder / f"{name}.tflite", **{"normalization": PIXELS_0_TO_1} | options)


@pytest.mark.parametrize("labels", [None, ONE, TWO, ABC])
@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_classifier_is_rejected_by_that_name(
    others: Path, name: str, labels: tuple[str, ...] | None
) -> None:
    with pytest.raises(ModelError, match=REJECTED[name]) as caught:
        opened(others, name, labels=labels)
    assert "--labels" not in str(caught.value)


@pytest.mark.parametrize("name", ASKED)
def test_what_may_be_no_classifier_is_asked_about(others: Path, name: str) -> None:
    with pytest.raises(ModelError, match=ASKED[name]):
        opened(others, name)


@pytest.mark.parametrize("labels", [ONE, TWO])
def test_a_flag_is_never_taken_for_the_scores(others: Path, labels: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match=r"none with one score for each of \d label"):
        opened(others, "landmarks", labels=labels)


def test_labels_or_a_chosen_output_say_that_it_is_a_classifier(others: Path) -> None:
    for options in (
        {"labels": tuple("abcde")},
        {"output": "1"},
        {"labels": tuple("abcde"), "output": "1"},
    ):
        with opened(others, "features-and-logits", **options) as model:
            assert len(model.labels) == 5
            assert model.output.are_logits
    with opened(others, "box", labels=tuple("abcd")) as model:  # several sigmoids
        assert model.scores(golden.draw(0, (12, 12))).shape == (4,)


def test_percentages_are_named(others: Path) -> None:
    with pytest.raises(ModelError, match="outputs percentages"):
        opened(others, "percent", labels=ABC)


def test_values_that_may_be_logits_are_not_taken_for_probabilities_in_silence(others: Path) -> None:
    with opened(others, "small-values", labels=ABC) as model:
        assert any("do not add up to 1" in warning for warning in model.warnings)
    with pytest.raises(ModelError, match="3 values that do not add up to 1, and has no labels"):
        opened(others, "small-values")


def test_an_output_is_chosen_by_name_or_index(others: Path) -> None:
    picture = golden.draw(0, (12, 12))
    with opened(others, "main-and-aux") as model:  # the other is called aux
        main = model.scores(picture)
        assert any("of 2 outputs, main" in note for note in model.notes)
    scores = []
    for wanted in ("main", "aux", "0", "1"):
        with opened(others, "main-and-aux", output=wanted) as model:
            scores.append(model.scores(picture))
    np.testing.assert_array_equal(scores[0], main)
    assert np.abs(scores[1] - main).max() > 0.01
    assert {tuple(s) for s in scores[2:]} == {tuple(s) for s in scores[:2]}
    for wanted in ("other", "7"):
        with pytest.raises(
            ModelError, match=rf"has no output '{wanted}'; its outputs are 0 .*, 1 .*--output"
        ):
            opened(others, "main-and-aux", output=wanted)
    with pytest.raises(ModelError, match="not a list of scores"):
        opened(others, "detector", output="0")


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_inputs_of_other_shapes_give_the_same_scores(others: Path, runtime: str) -> None:
    names = ["any-size", "rgba", "whole-numbers"]
    done = run("-c", SCORES, runtime, str(others), *names)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    # All compute the same softmax of a mean colour, which is about the same at any size.
    assert found["rgba"][0] == pytest.approx(found["whole-numbers"][0], abs=1e-5)
    assert found["any-size"][0] == pytest.approx(found["rgba"][0], abs=0.01)
    assert found["any-size"][1] == [224, 224]


def test_a_model_that_xnnpack_refuses_is_opened_without_it_and_that_is_said(
    others: Path, tmp_path: Path
) -> None:
    """It rejects a dense layer with seven axes: https://github.com/google/XNNPACK/issues/11036."""
    model = schema.ModelT.InitFromPackedBuf((others / "regression.tflite").read_bytes(), 0)
    (graph,) = model.subgraphs
    graph.tensors[graph.outputs[0]].shape = [1] * 7
    for operator in graph.operators:
        if isinstance(operator.builtinOptions, schema.FullyConnectedOptionsT):
            operator.builtinOptions.keepNumDims = True
    builder = schema.flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "seven-axes.tflite").write_bytes(bytes(builder.Output()))
    picture = golden.draw(0, (12, 12))
    with (
        opened(others, "regression", labels=TWO) as plain,
        opened(tmp_path, "seven-axes", labels=TWO) as model,
    ):
        assert model.warnings == ("XNNPACK rejects it: it runs without XNNPACK, more slowly",)
        assert model.scores(picture) == pytest.approx(plain.scores(picture), abs=1e-5)


def test_a_dynamic_input_has_the_size_that_is_given(others: Path) -> None:
    with opened(others, "any-size", input_size=(20, 30)) as model:
        assert model.input.shape == (1, 20, 30, 3)
        assert any("20 x 30 is used here" in note for note in model.notes)
        assert model.scores(golden.draw(0, (40, 40))).sum() == pytest.approx(1)
    with pytest.raises(ModelError, match="its input has a fixed size, 12 x 12; omit --input-size"):
        opened(others, "rgba", input_size=(20, 30))


@pytest.mark.parametrize(
    "name, advice",
    [
        ("rescales-to-1", r"turn \[0,255\] into \[-1,1\]\); add --normalize '\[0,255\]'"),
        ("rescales-from-1", r"turn \[0,1\] into \[-1,1\]\); add --normalize '\[0,1\]'"),
        ("rescales-by-channel", r"turn \[0,255\] into \[-2.*--normalize '\[0,255\]'"),
        ("rgba", r"the normalization of its pixels; add --normalize '\[-1,1\]'"),
    ],
)
def test_the_first_operators_say_what_pixels_a_model_wants(
    others: Path, name: str, advice: str
) -> None:
    with pytest.raises(ModelError, match=advice):
        Model(others / f"{name}.tflite")


def test_a_picture_without_scores_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    """A model that takes the root of 1 less the mean, and pixels 0..2: a bright image is NaN."""
    for name, value in (("a-dark", 20), ("b-bright", 250), ("c-dark", 30)):
        pixels = np.full((12, 12, 3), value, np.uint8)
        (tmp_path / f"{name}.png").write_bytes(encode_png(pixels))
    made = run("-c", ROOT_MODEL, str(tmp_path / "root.tflite"))
    assert made.returncode == 0, made.stderr
    with (
        Model(tmp_path / "root.tflite", normalization=Normalization(0.0, 127.5)) as model,
        pytest.raises(ScoresError, match=r"root.tflite: does not output probabilities \(NaN\)"),
    ):
        model.scores(tmp_path / "b-bright.png")
    model = str(tmp_path / "root.tflite")
    done = run("-m", "edge", "classify", "-m", model, "--normalize", "[0,2]", str(tmp_path))
    assert done.returncode == 1
    names = [line.split()[0][-10:] for line in done.stdout.splitlines()]
    assert names == ["a-dark.png", "c-dark.png"]
    assert (
        "b-bright.png: has no scores: the model does not output probabilities (NaN)" in done.stderr
    )


ROOT_MODEL = """
import sys, tensorflow as tf
@tf.function(input_signature=[tf.TensorSpec((1, 12, 12, 3), tf.float32)])
def network(x):
    return tf.nn.softmax(tf.sqrt(1 - tf.reduce_mean(x, (1, 2))))
converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
open(sys.argv[1], "wb").write(converter.convert())
"""
