"""Models as converted, models of others, and files that are none; on each runtime."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAMS, ROOT, run

from convert.tflite.embed import embed
from edge.classifier.metadata import read_metadata
from edge.classifier.model import Model
from edge.classifier.runtime import installed_runtimes
from edge.errors import ImageError, ModelError
from edge.image.preprocess import Normalization
from edge.names import RUNTIMES

VARIANTS = ("float32", "float16", "dynamic", "int8", "int8-float")
FULLY_CONNECTED = 9  # its builtin code
NEWEST_FULLY_CONNECTED = 9  # that tflite-runtime 2.14 loads


@pytest.fixture(scope="module")
def foreign(model_path: Path, classifiers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small models that others might give us, and of ours that say other things."""
    out = tmp_path_factory.mktemp("foreign")
    for path in (classifiers / "odd").iterdir():
        (out / path.name).write_bytes(described(path.read_bytes(), ("no", "yes"), {}))
    content = model_path.read_bytes()
    edge = read_metadata(content, model_path).edge
    labels = tuple(edge["labels"])
    scores = [list(scores) for scores in edge["golden"]["scores"]]
    scores[1][0] += -0.5 if scores[1][0] > 0.5 else 0.5
    saying = {
        "golden-changed": (labels, edge | {"golden": edge["golden"] | {"scores": scores}}),
        "other-preprocessing": (labels, edge | {"preprocessing": {"version": 99}}),
        "labels-missing": (labels[:-1], edge | {"labels": list(labels[:-1])}),
        "same": (labels, edge),
    }
    for name, (names, facts) in saying.items():
        (out / f"{name}.tflite").write_bytes(described(content, names, facts))
    return out


def described(content: bytes, labels: tuple[str, ...], edge: dict[str, Any]) -> bytes:
    """A model with metadata that say these things."""
    as_they_are = Normalization(0.0, 1.0)
    return embed(content, name="foreign", labels=labels, normalization=as_they_are, edge=edge)


def check(path: Path, labels: tuple[str, ...], picture: Path) -> None:
    with Model(path) as model:
        assert model.labels == labels
        assert model.warnings == ()
        scores = model.scores(picture)
        assert scores.dtype == np.float32
        assert scores.shape == (len(labels),)
        assert scores.min() >= 0
        assert scores.max() <= 1
        assert scores.sum() == pytest.approx(1, abs=0.02)
        assert model.verify() == 4


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_opens_gives_scores_and_verifies(
    converted: Path, photo_folder: Path, variant: str
) -> None:
    picture = next(photo_folder.glob("*.jpg"))
    check(converted / f"model-{variant}.tflite", ("cup", "fish", "key"), picture)


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_labels_leave_as_two_scores(
    converted_two: Path, photo_folder: Path, variant: str
) -> None:
    picture = next(photo_folder.glob("*.jpg"))
    check(converted_two / f"model-{variant}.tflite", ("cup", "key"), picture)


def test_int8_takes_pixels_unchanged(model_path: Path) -> None:
    with Model(model_path) as model:
        assert model.input.dtype == np.uint8
        assert (model.input.scale, model.input.zero_point) == (1.0, 0)
        assert model.input.takes_pixels


@pytest.mark.parametrize("variant", VARIANTS)
def test_dense_layers_have_a_version_that_old_runtimes_load(converted: Path, variant: str) -> None:
    with Model(converted / f"model-{variant}.tflite") as model:
        versions = [v for code, v in model.metadata.operators if code == FULLY_CONNECTED]
    assert versions
    assert max(versions) <= NEWEST_FULLY_CONNECTED


@pytest.mark.parametrize("variant", ["int8", "dynamic", "int8-float"])
def test_dense_layers_have_one_scale_for_all_their_weights(
    converted_two: Path, variant: str
) -> None:
    module = importlib.import_module(f"{RUNTIMES[installed_runtimes()[0]]}.interpreter")
    # As in the file: a runtime that allocates may repeat the scale for every row.
    interpreter = module.Interpreter(str(converted_two / f"model-{variant}.tflite"))
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    dense = [op for op in interpreter._get_ops_details() if op["op_name"] == "FULLY_CONNECTED"]
    weights = [tensors[operator["inputs"][1]] for operator in dense]
    quantized = [tensor for tensor in weights if tensor["dtype"] == np.int8]
    assert quantized
    # Dynamic quantization leaves small ones alone.
    assert variant == "dynamic" or len(quantized) == len(weights)
    for tensor in quantized:
        assert len(tensor["quantization_parameters"]["scales"]) == 1


def test_a_changed_golden_score_fails_to_verify(foreign: Path) -> None:
    with Model(foreign / "same.tflite") as model:
        assert model.verify() == 4
    with (
        Model(foreign / "golden-changed.tflite") as model,
        pytest.raises(ModelError, match=r"golden vector 1 is off by 0\.[45]"),
    ):
        model.verify()


def test_a_model_without_golden_vectors_verifies_none(foreign: Path) -> None:
    with Model(foreign / "one-sigmoid.tflite") as model:
        assert model.verify() == 0


@pytest.mark.parametrize(
    "name, fault",
    [
        ("labels-missing", r"labels and outputs disagree \(2 labels, 3 outputs\)"),
        ("two-inputs", "must have one input. Received: 2"),
        ("four-dimensions", "outputs a map or a matrix of values"),
    ],
)
def test_a_model_that_is_no_image_classifier_is_one_line(
    foreign: Path, name: str, fault: str
) -> None:
    with pytest.raises(ModelError, match=fault) as caught:
        Model(foreign / f"{name}.tflite")
    assert str(caught.value).isprintable()


def test_one_sigmoid_is_the_second_of_two_labels(foreign: Path) -> None:
    with Model(foreign / "one-sigmoid.tflite") as model:
        assert model.labels == ("no", "yes")
        black, white = (model.scores(np.full((8, 8, 3), v, np.uint8)) for v in (0, 255))
    assert black == pytest.approx([0.5, 0.5])
    yes = 1 / (1 + np.exp(-3))  # three channels of 1
    assert white == pytest.approx([1 - yes, yes], abs=1e-5)


def test_a_model_of_another_preprocessing_warns(foreign: Path) -> None:
    with Model(foreign / "other-preprocessing.tflite") as model:
        (warning,) = model.warnings
    assert "version 99 of the preprocessing" in warning


def test_a_missing_empty_or_other_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.tflite").touch()
    (tmp_path / "text.tflite").write_text("these are not the tables you look for")
    faults = {
        "missing.tflite": "no such model file",
        "empty.tflite": "is empty",
        "text.tflite": "is not a TFLite model",
        "": "cannot be read",
    }
    for name, fault in faults.items():
        with pytest.raises(ModelError, match=fault) as caught:
            Model(tmp_path / name)
        assert str(caught.value).isprintable()


def test_a_model_cut_short_never_reaches_the_runtime(model_path: Path, tmp_path: Path) -> None:
    content = model_path.read_bytes()
    cut = tmp_path / "cut.tflite"
    for part in (0.1, 0.5, 0.9, 0.99):
        cut.write_bytes(content[: int(part * len(content))])
        with pytest.raises(ModelError):
            Model(cut)


def test_both_runtimes_give_the_same_scores_within_two_steps(
    model_path: Path, photo_folder: Path
) -> None:
    if len(installed_runtimes()) < 2:
        pytest.skip("only one TFLite runtime is installed")
    pictures = [str(path) for path in sorted(photo_folder.glob("*.jpg"))]
    scores = {}
    for runtime in installed_runtimes():
        done = run(PROGRAMS / "score_files.py", runtime, str(model_path), *pictures, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        name, *scores[runtime] = json.loads(done.stdout)
        assert runtime in name
    litert, tflite = (np.array(found) for found in scores.values())
    assert np.abs(litert - tflite).max() <= 2 / 256 + 1e-6


def test_an_error_that_somebody_keeps_does_not_stop_the_next_invoke(model_path: Path) -> None:
    with Model(model_path) as model:
        with pytest.raises(ImageError) as kept:
            model.load_input(b"not an image")
        model.load_input(np.zeros((*model.input.size, 3), np.uint8))
        assert len(model.invoke()) == len(model.labels)
        assert kept.value.__traceback__
