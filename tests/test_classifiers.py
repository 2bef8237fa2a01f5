"""Classifiers in the shapes that others give theirs answer as TensorFlow says, on each runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAMS, run

from edge.classifier import golden
from edge.classifier.classify import rank
from edge.classifier.metadata import read_metadata
from edge.classifier.model import Model
from edge.classifier.runtime import installed_runtimes
from edge.errors import ModelError
from edge.image.preprocess import Normalization

PIXELS_0_TO_1 = Normalization(0.0, 255.0)
ABC = ("a", "b", "c")

REFUSED = {
    "a-map": r"outputs a map or a matrix of values, .*: \(1, 10, 10, 3\)",
    "two-linear": r"has 2 outputs .*none is marked as the scores; choose one: --output NAME",
    "no-number": r"outputs NaN, or infinity, for every image",
}
LOGITS = "logits one-logit log-softmax average-of-logits four-axes-logits logits-int8".split()


@pytest.fixture(scope="module")
def expected(classifiers: Path) -> dict[str, Any]:
    """By a model's name, of each image, of each output, TensorFlow's values."""
    return json.loads((classifiers / "expected.json").read_text())


def opened(folder: Path, name: str, **options: Any) -> Model:
    return Model(folder / f"{name}.tflite", **{"normalization": PIXELS_0_TO_1} | options)


def probabilities(name: str, outputs: list[list[float]]) -> np.ndarray:
    """What the scores must be, from the values of all outputs."""
    values = np.array(outputs[-1])  # the last is the one that is meant, where there are two
    if name == "one-logit":
        values = 1 / (1 + np.exp(-values))
    elif name in LOGITS:
        values = np.exp(values) / np.exp(values).sum()
    return np.array([1 - values[0], values[0]]) if len(values) == 1 else values


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_every_shape_answers_as_tensorflow_says(
    classifiers: Path, expected: dict[str, Any], runtime: str
) -> None:
    done = run(PROGRAMS / "score_classifiers.py", runtime, classifiers, *REFUSED)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found.keys() == expected.keys() - REFUSED.keys()
    for name, pictures in found.items():
        tolerance = 0.02 if "int8" in name else 1e-3  # Pillow rounds grey otherwise, by 1 of 255
        for scores, outputs in zip(pictures, expected[name], strict=True):
            assert scores == pytest.approx(probabilities(name, outputs), abs=tolerance), name


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_classifier_is_one_line(classifiers: Path, name: str) -> None:
    with pytest.raises(ModelError, match=REFUSED[name]) as caught:
        opened(classifiers, name, labels=ABC)
    assert str(caught.value).isprintable()


def test_logits_are_recognised_and_said(classifiers: Path, expected: dict[str, Any]) -> None:
    for name in expected.keys() - REFUSED.keys():
        labels = [f"label {i}" for i in range(max(2, len(expected[name][0][-1])))]
        with opened(classifiers, name, labels=labels) as model:
            said = [note for note in model.notes if "logits" in note]
            assert bool(said) == (name in LOGITS), name


def test_the_output_that_a_softmax_ends_in_is_meant_and_said(classifiers: Path) -> None:
    for name in ("two-outputs", "two-alike"):
        with opened(classifiers, name, labels=ABC) as model:
            assert model.output.shape == (1, 3)
            assert model.output.are_logits is False
            assert any("of 2 outputs, " in note and "(1, 3)" in note for note in model.notes)


def test_the_output_that_fits_the_labels_is_meant(classifiers: Path) -> None:
    with opened(classifiers, "two-outputs", labels=list("vwxyz")) as model:
        assert model.output.shape == (1, 5)
        assert model.labels == tuple("vwxyz")
        assert len(model.scores(golden.draw(0, model.input.size))) == 5


def test_a_model_without_labels_answers_with_indices_and_says_so(classifiers: Path) -> None:
    with opened(classifiers, "softmax") as model:
        assert model.labels == ("0", "1", "2")
        assert model.warnings == (
            "the model has no labels; output indices are used (0, 1, ...); use --labels FILE",
        )
    with opened(classifiers, "softmax", labels=ABC) as model:
        assert model.labels == ABC
        assert model.warnings == ()


def test_labels_come_from_a_file(classifiers: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("0 a\n1 b\n2 c\n")
    for given in (file, str(file)):
        with opened(classifiers, "softmax", labels=given) as model:
            assert model.labels == ABC


def test_labels_that_do_not_fit_are_one_line(classifiers: Path) -> None:
    with pytest.raises(ModelError, match=r"labels and outputs disagree \(2 labels, 3 outputs\)"):
        opened(classifiers, "softmax", labels=("a", "b"))


def test_one_sigmoid_is_for_the_second_of_two_labels_or_for_the_only_one(
    classifiers: Path, expected: dict[str, Any]
) -> None:
    ((p,),) = expected["one-sigmoid"][0]
    for labels, named in ((("no", "yes"), ("no", "yes")), (("cat",), ("not cat", "cat"))):
        with opened(classifiers, "one-sigmoid", labels=labels) as model:
            assert model.labels == named
            scores = model.scores(golden.draw(0, model.input.size))
            assert scores == pytest.approx([1 - p, p], abs=1e-5)


@pytest.mark.parametrize("name, given", [("1000", 1001), ("1001", 1000)])
def test_imagenets_background_is_left_out_or_put_first_and_said(
    classifiers: Path, expected: dict[str, Any], name: str, given: int
) -> None:
    labels = [f"label {i}" for i in range(1000)]
    labels = ["background", *labels] if given == 1001 else labels
    with opened(classifiers, name, labels=labels) as model:
        scores = model.scores(golden.draw(0, model.input.size))
        (best,) = rank(scores, model.labels, 1)
        assert len(model.warnings) == 1
        assert "first" in model.warnings[0]
    index = int(np.argmax(expected[name][0][0]))
    background = int(name == "1001")
    assert (best.index, best.label) == (index, f"label {index - background}")


def test_a_float_model_that_says_no_normalization_names_the_option(classifiers: Path) -> None:
    with pytest.raises(
        ModelError, match=r"without the normalization of its pixels.* --normalize '\[-1,1\]'"
    ):
        Model(classifiers / "softmax.tflite")


def test_a_quantized_model_needs_no_normalization(classifiers: Path) -> None:
    for name in ("softmax-uint8", "grey-int8", "logits-int8"):
        asis = Model(classifiers / f"{name}.tflite", labels=ABC)
        with asis, opened(classifiers, name, labels=ABC) as told:
            picture = golden.draw(0, asis.input.size)
            np.testing.assert_allclose(asis.scores(picture), told.scores(picture), atol=0.03)
            assert any("takes pixels as they are" in note for note in told.notes) == (
                name == "softmax-uint8"
            )


def test_the_graph_says_how_it_ends(classifiers: Path) -> None:
    ends = {"softmax": 25, "one-sigmoid": 14, "logits": 9, "four-axes-logits": 3, "logits-int8": 9}
    for name, code in ends.items():
        path = classifiers / f"{name}.tflite"
        assert list(read_metadata(path.read_bytes(), path).graph.ends.values()) == [code], name


def test_a_closed_model_says_so(classifiers: Path) -> None:
    model = opened(classifiers, "softmax")
    with model:
        assert model.scores(golden.draw(0, model.input.size)).sum() == pytest.approx(1)
    model.close()
    with pytest.raises(ValueError, match="the model is closed"):
        model.scores(golden.draw(0, model.input.size))
