"""python -m convert quantize: a Keras model of one's own becomes measured .tflite files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAMS, once, run

from convert.data.drawn import draw_photos
from convert.measure.scores import tempered
from edge.classifier import golden
from edge.classifier.model import Model

LABELS = ("cup", "fish", "key")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of tests/programs/make_own_models.py, and photos."""

    def make(folder: Path) -> None:
        done = run(PROGRAMS / "make_own_models.py", folder)
        assert done.returncode == 0, done.stderr
        draw_photos(folder / "photos", per_class=10, size=48)

    return once(tmp_path_factory, "own-models", make)


def test_a_keras_model_becomes_measured_files(own: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--photos", own / "photos", "-o", out)
    done = run("-m", "convert", "quantize", own / "rescaling.keras", *options)
    assert done.returncode == 0, done.stderr
    card = json.loads((out / "card.json").read_text())
    assert [variant["variant"] for variant in card["variants"]] == ["float32", "int8"]
    recommended = next(v for v in card["variants"] if v["file"] == card["chosen"])
    for name in ("float32", "int8"):
        with Model(out / f"model-{name}.tflite") as model:
            assert model.labels == LABELS
            assert model.warnings == ()
            assert model.verify() == golden.NUM_GOLDEN
            assert str(model.input.dtype) == {"float32": "float32", "int8": "uint8"}[name]
            assert model.input.size == (32, 32)
            facts = model.metadata.edge
            assert facts["accuracy"]["val"]["total"] > 0
            if f"model-{name}.tflite" == card["chosen"]:
                assert facts["accuracy"]["test"] == recommended["test_accuracy"]
    page = (out / "report.html").read_text()
    assert "conv2d" in page
    assert "By the Keras model" in page


def test_a_saved_model_of_logits_is_normalized_and_ends_in_a_softmax(
    own: Path, tmp_path: Path
) -> None:
    words = (own / "logits", "--photos", own / "photos", "-o", tmp_path / "out")
    done = run(
        "-m", "convert", "quantize", *words, "--quantize", "float32", "--normalize", "[-1,1]"
    )
    assert done.returncode == 0, done.stderr
    with Model(tmp_path / "out" / "model-float32.tflite") as model:
        scores = model.scores(golden.draw(1, (32, 32)))
        temperature = model.metadata.edge["temperature"]
    powers = np.exp(np.load(own / "logits.npy"))
    expected = tempered((powers / powers.sum())[None].astype(np.float32), temperature)[0]
    np.testing.assert_allclose(scores, expected, atol=1e-3)


def test_what_cannot_be_quantized_is_one_line(own: Path, tmp_path: Path) -> None:
    for name in ("model.onnx", "model.tflite", "model.keras"):
        (tmp_path / name).write_bytes(b"nothing")
    (tmp_path / "labels.txt").write_text("cup\nfish\nkey\nother\n")
    for model, options, words in (
        (tmp_path / "model.onnx", (), "convert it first: pip install onnx2tf"),
        (tmp_path / "model.tflite", (), "use python -m convert wrap model.tflite"),
        (tmp_path / "absent.keras", (), "no such file or folder"),
        (tmp_path / "model.keras", (), "is not a Keras model that can be loaded"),
        (own / "logits", (), "has no known normalization of pixels; use --normalize"),
        (own / "rescaling.keras", ("--labels", tmp_path / "labels.txt"), "3 scores for 4 labels"),
    ):
        out = tmp_path / "out"
        done = run(
            "-m", "convert", "quantize", model, "--photos", own / "photos", "-o", out, *options
        )
        assert done.returncode == 1
        assert words in done.stderr.splitlines()[-1]
        assert not out.exists()
