"""python -m convert wrap: a bare model says of itself what was said of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import run
from model_copies import SMALL
from small_models import small_models_of

from convert.data.drawn import draw_photos
from convert.measure.scores import tempered
from convert.steps.wrap import as_they_are
from convert.tflite.alter import with_temperature
from convert.tflite.embed import packed
from edge.classifier import golden
from edge.classifier.model import Model
from edge.image.decode import encode_png
from edge.image.preprocess import InputSpec, Normalization, preprocess


def without_metadata(change: Callable[[Any], None]) -> bytes:
    """A model that says nothing of itself, and is changed."""
    model = schema.ModelT.InitFromPackedBuf(SMALL.read_bytes(), 0)
    model.metadata, model.signatureDefs = None, None
    change(model)
    return packed(model, SMALL.stat().st_size)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A model that says nothing of itself, and the labels beside it."""
    path = tmp_path / "bare.tflite"
    path.write_bytes(without_metadata(lambda model: None))
    (tmp_path / "labels.json").write_text('{"class_names": ["1 bun", "2 bun"]}')
    return path


def wrap(*words: object) -> subprocess.CompletedProcess[str]:
    return run("-m", "convert", "wrap", *map(str, words))


def test_a_wrapped_model_needs_no_option_and_gives_the_same_scores(bare: Path) -> None:
    labels, out = bare.with_name("labels.json"), bare.with_name("out.tflite")
    done = wrap(bare, "--labels", labels, "--framing", "crop", "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    with Model(bare, labels=labels) as plain, Model(out) as model:
        assert model.labels == ("1 bun", "2 bun")
        assert model.warnings == ()
        assert model.input.framing.resize == "crop"
        assert model.verify() == golden.NUM_GOLDEN
        picture = golden.draw(9, model.input.size)
        np.testing.assert_allclose(model.scores(picture), plain.scores(picture), atol=1e-6)


def two_outputs(model: Any) -> None:
    """Features that nobody asked for come first; an operator makes them alone."""
    graph = model.subgraphs[0]
    features = int(graph.operators[-6].outputs[0])
    graph.outputs = np.array([features, int(graph.outputs[0])], np.int32)


def dynamic(model: Any) -> None:
    graph = model.subgraphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    tensor.shape, tensor.shapeSignature = (
        np.array(shape, np.int32) for shape in ((1, 1, 1, 3), (-1, -1, -1, 3))
    )


@pytest.mark.parametrize(
    ("change", "options", "size"),
    [
        (two_outputs, (), (224, 224)),
        (dynamic, ("--input-size", "96x128"), (96, 128)),
        (dynamic, (), (224, 224)),
    ],
)
def test_a_wrapped_model_has_one_output_and_a_size(
    bare: Path, change: Callable[[Any], None], options: tuple[str, ...], size: tuple[int, int]
) -> None:
    bare.write_bytes(without_metadata(change))
    labels, out = bare.with_name("labels.json"), bare.with_name("out.tflite")
    done = wrap(bare, "--labels", labels, *options, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    given = size if options else None
    with Model(bare, labels=labels, input_size=given) as plain, Model(out) as model:
        assert len(model.metadata.graph.outputs) == 1
        assert model.input.size == size
        assert model.notes == ()
        assert model.verify() == golden.NUM_GOLDEN
        picture = golden.draw(9, size)
        np.testing.assert_allclose(model.scores(picture), plain.scores(picture), atol=1e-6)


def test_a_model_is_measured_on_photos(bare: Path, tmp_path: Path) -> None:
    draw_photos(tmp_path / "photos", per_class=8, size=64)
    kinds = sorted(path.name for path in (tmp_path / "photos").iterdir())
    (tmp_path / "photos" / kinds[2]).rename(tmp_path / "other")
    (tmp_path / "labels.txt").write_text(f"{kinds[0].upper()}\n{kinds[1]}\n")
    out = tmp_path / "out.tflite"
    options = ("--labels", tmp_path / "labels.txt", "--photos", tmp_path / "photos")
    done = wrap(bare, *options, "-o", out)
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "out.json").read_text())
    with Model(out) as model:
        facts = model.metadata.edge
        assert model.warnings == ()
    accuracy = facts["accuracy"]
    assert accuracy["val"]["total"] + accuracy["test"]["total"] == 16
    assert card["variants"][0]["test_accuracy"] == accuracy["test"]
    assert card["threshold"]["value"] == facts["threshold"] > 0
    assert done.stdout.startswith(f"{out}: 2 labels; accuracy")
    page = (tmp_path / "out-report.html").read_text()
    assert "Keras" not in page.replace("agrees with Keras", "")
    done = wrap(bare, *options[:2], "--photos", tmp_path / "other", "-o", out)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "classes" in line


@pytest.mark.parametrize("variant", ["float32", "dynamic", "int8"])
def test_a_temperature_is_the_softmax_operators_own(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, variant: str
) -> None:
    content = (small_models_of(tmp_path_factory) / f"ten-{variant}.tflite").read_bytes()
    changed = with_temperature(content, 2.5)
    assert changed is not None
    assert with_temperature(SMALL.read_bytes(), 2.5) is None  # it ends in a sigmoid
    scores = []
    for number, each in enumerate((content, changed)):
        (tmp_path / f"{number}.tflite").write_bytes(each)
        labels = [str(label) for label in range(10)]
        path = tmp_path / f"{number}.tflite"
        with Model(path, labels=labels, normalization=Normalization()) as model:
            scores.append(model.scores(golden.draw(3, model.input.size)))
    expected = tempered(scores[0][None], 2.5)[0]
    assert np.abs(scores[1] - scores[0]).max() > 0.03
    np.testing.assert_allclose(scores[1], expected, atol=1e-4 if variant == "float32" else 0.03)


def test_what_cannot_be_wrapped_is_one_line(bare: Path) -> None:
    out = bare.with_name("out.tflite")
    onnx = bare.with_name("model.onnx")
    onnx.touch()
    for path, words in (
        (bare, "has no labels; pass its labels"),
        (onnx, "convert it first: pip install onnx2tf"),
    ):
        done = wrap(path, "-o", out)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert words in line
        assert not out.exists()


@pytest.mark.parametrize(
    "dtype, scale, zero_point", [(np.int8, 1 / 255, -128), (np.int8, 0.0, 0), (np.int8, 0.02, 5)]
)
def test_pixels_as_they_are_have_a_rule_of_their_own(
    dtype: type, scale: float, zero_point: int
) -> None:
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    spec = InputSpec(0, (1, 8, 8, 3), np.dtype(dtype), scale, zero_point)
    ruled = InputSpec(0, (1, 8, 8, 3), np.dtype(dtype), scale, zero_point, as_they_are(spec))
    assert isinstance(ruled.normalization, Normalization)
    np.testing.assert_array_equal(preprocess(pixels, ruled), preprocess(pixels, spec))


def test_evaluate_names_wrap_where_an_option_of_another_command_would_help(tmp_path: Path) -> None:
    model = schema.ModelT.InitFromPackedBuf(SMALL.read_bytes(), 0)
    (graph,) = model.subgraphs
    image = graph.tensors[graph.inputs[0]]  # of a range that no pixels usually have
    image.type, image.quantization.scale, image.quantization.zeroPoint = 9, [0.0186], [-14]
    model.metadata = None
    builder = schema.flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "odd.tflite").write_bytes(bytes(builder.Output()))
    for label in ("a", "b"):
        folder = tmp_path / "photos" / "test" / label
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(encode_png(golden.draw(0, (64, 64))))
    done = run("-m", "convert", "evaluate", tmp_path / "photos", tmp_path / "odd.tflite")
    assert done.returncode == 1
    assert "wrap it first: python -m convert wrap odd.tflite" in done.stderr.splitlines()[-1]
