"""MediaPipe Tasks' ImageClassifier reads our files as edge does; the real package, if pip has it.

It is installed once, into a folder of its own in the user's cache, and asked in a process of its
own for each model: a classifier that is built after one that failed can hang.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAMS, USER_CACHE
from small_models import small_models_of

from convert.tflite.embed import embed
from edge.classifier import golden
from edge.classifier.model import Model, shipped_models
from edge.image.preprocess import Normalization, Pixels, resized

MEDIAPIPE = "mediapipe==1.2.3"
CLOSE = 0.01


@pytest.fixture(scope="module")
def mediapipe() -> Path:
    """The folder with MediaPipe and what it needs; skips where pip cannot install it."""
    name = f"{MEDIAPIPE.replace('==', '-')}-python{sys.version_info.major}.{sys.version_info.minor}"
    folder = USER_CACHE / "edge-classify-tests" / name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as partial:
            install(Path(partial) / "new")
            if not folder.exists():  # else another test run was faster
                shutil.move(Path(partial) / "new", folder)
    return folder


def install(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    done = subprocess.run([*command, MEDIAPIPE], capture_output=True, text=True, timeout=900)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        pytest.skip(f"pip cannot install {MEDIAPIPE}: {lines[-1]}")


def ask(mediapipe: Path, model: Path, pixels: Pixels, folder: Path) -> list[list[list]]:
    """Each picture's [label, score] by index, as MediaPipe sees it."""
    np.save(folder / "pixels.npy", pixels)
    # -S leaves this environment's own packages out: MediaPipe brings another numpy.
    command = [
        sys.executable,
        "-S",
        PROGRAMS / "ask_mediapipe.py",
        str(model),
        str(folder / "pixels.npy"),
    ]
    environment = os.environ | {"PYTHONPATH": str(mediapipe), "MPLCONFIGDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def hold_to_edge(mediapipe: Path, model_path: Path, pixels: Pixels, folder: Path) -> None:
    """Pictures at the model's size get the labels and the scores that edge gives them."""
    with Model(model_path) as model:
        assert pixels.shape[1:3] == model.input.size  # MediaPipe resizes in another way
        ours = np.stack([model.scores(picture) for picture in pixels])
        labels = list(model.labels)
    theirs = ask(mediapipe, model_path, pixels, folder)
    assert all([label for label, _ in picture] == labels for picture in theirs)
    scores = np.array([[score for _, score in picture] for picture in theirs])
    np.testing.assert_allclose(scores, ours, atol=CLOSE)
    clear = np.ptp(np.sort(ours)[:, -2:], axis=1) > 2 * CLOSE
    assert (scores.argmax(axis=1) == ours.argmax(axis=1))[clear].all()


@pytest.mark.parametrize("variant", ["float32", "int8"])
@pytest.mark.parametrize(("out_name", "side"), [("converted", 64), ("converted_two", 96)])
def test_it_gives_the_labels_and_scores_of_edge(
    request: pytest.FixtureRequest,
    mediapipe: Path,
    drawn: Path,
    tmp_path: Path,
    out_name: str,
    side: int,
    variant: str,
) -> None:
    path = request.getfixturevalue(out_name) / f"model-{variant}.tflite"
    pixels = np.stack([resized(photo, (side, side)) for photo in drawn.glob("*/000[0-3].jpg")])
    assert len(pixels) == 12
    hold_to_edge(mediapipe, path, pixels, tmp_path)


@pytest.mark.parametrize("path", shipped_models(), ids=lambda path: path.stem)
def test_it_agrees_on_the_models_that_ship(mediapipe: Path, tmp_path: Path, path: Path) -> None:
    with Model(path) as model:
        size = model.input.size
    pixels = np.stack([golden.draw(seed, size) for seed in range(golden.NUM_GOLDEN)])
    hold_to_edge(mediapipe, path, pixels, tmp_path)


def test_it_reads_awkward_labels(mediapipe: Path, tmp_path: Path, tmp_path_factory) -> None:
    labels = ["a, b", 'the "c"', "d\ne", " f ", "gâteau", "漢", "g;h", "i\tj", "k'l", "m|n"]
    small = small_models_of(tmp_path_factory)
    content = (small / "ten-int8.tflite").read_bytes()
    as_they_are = Normalization(0.0, 1.0)
    path = tmp_path / "model.tflite"
    path.write_bytes(embed(content, name="m", labels=labels, normalization=as_they_are, edge={}))
    (theirs,) = ask(mediapipe, path, np.load(small / "calibration.npy")[:1], tmp_path)
    escaped = {"d\ne": "d\\ne", "i\tj": "i\\tj"}
    assert [label for label, _ in theirs] == [escaped.get(label, label) for label in labels]
