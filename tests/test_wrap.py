"""python -m convert wrap: a bare model says of itself what was said of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import run
from model_copies import SMALL

from convert.steps.wrap import as_they_are
from edge.classifier import golden
from edge.classifier.model import Model
from edge.image.decode import encode_png
from edge.image.preprocess import InputSpec, Normalization, preprocess


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A model that says nothing of itself, and the labels beside it."""
    model = schema.ModelT.InitFromPackedBuf(SMALL.read_bytes(), 0)
    model.metadata = None
    builder = schema.flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "bare.tflite"
    path.write_bytes(bytes(builder.Output()))
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


def test_what_cannot_be_wrapped_is_one_line(bare: Path) -> None:
    out = bare.with_name("out.tflite")
    onnx = bare.with_name("model.onnx")
    onnx.touch()
    for path, words in (
        (bare, "has no labels; give its labels"),
        (onnx, "convert it first: onnx2tf"),
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
