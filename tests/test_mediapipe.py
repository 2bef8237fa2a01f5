"""MediaPipe Tasks' ImageClassifier reads our files as edge does; the real package, if pip has it.

It is installed once, into a folder of its own in the user's cache, and asked in one process.
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
AWKWARD = ("a, b", 'the "c"', "d\ne", " f ", "gâteau", "漢", "g;h", "i\tj", "k'l", "m|n")
pytestmark = pytest.mark.network


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


@pytest.fixture(scope="module")
def cases(
    converted: Path, converted_two: Path, drawn: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Pixels]]:
    """By name, a model and images at its size: MediaPipe resizes in another way."""
    made = {}
    for name, out, side in (("three", converted, 64), ("two", converted_two, 96)):
        photos = sorted(drawn.glob("*/000[0-3].jpg"))
        pixels = np.stack([resized(photo, (side, side)) for photo in photos])
        assert len(pixels) == 12
        for variant in ("float32", "int8"):
            made[f"{name}-{variant}"] = out / f"model-{variant}.tflite", pixels
    for path in shipped_models():
        with Model(path) as model:
            size = model.input.size
        drawings = [golden.draw(seed, size) for seed in range(golden.NUM_GOLDEN)]
        made[path.stem] = path, np.stack(drawings)
    small = small_models_of(tmp_path_factory)
    path = tmp_path_factory.mktemp("awkward") / "model.tflite"
    path.write_bytes(labelled((small / "ten-int8.tflite").read_bytes(), AWKWARD))
    made["awkward"] = path, np.load(small / "calibration.npy")[:1]
    return made


def labelled(content: bytes, labels: tuple[str, ...]) -> bytes:
    as_they_are = Normalization(0.0, 1.0)
    return embed(content, name="m", labels=labels, normalization=as_they_are, edge={})


@pytest.fixture(scope="module")
def answers(
    mediapipe: Path,
    cases: dict[str, tuple[Path, Pixels]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[list[list]]]:
    """Of each case, each image's [label, score] by index, as MediaPipe sees it."""
    folder = tmp_path_factory.mktemp("pixels")
    words: list[Path] = []
    for name, (path, pixels) in cases.items():
        np.save(folder / f"{name}.npy", pixels)
        words += [path, folder / f"{name}.npy"]
    # -S leaves this environment's own packages out: MediaPipe brings another numpy.
    command = [sys.executable, "-S", PROGRAMS / "ask_mediapipe.py", *words]
    environment = os.environ | {"PYTHONPATH": str(mediapipe)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return dict(zip(cases, map(json.loads, done.stdout.splitlines()), strict=True))


def hold_to_edge(path: Path, pixels: Pixels, theirs: list[list[list]]) -> None:
    """Images at the model's size get the labels and the scores that edge gives them."""
    with Model(path) as model:
        assert pixels.shape[1:3] == model.input.size
        ours = np.stack([model.scores(picture) for picture in pixels])
        labels = list(model.labels)
    assert len(theirs) == len(pixels)
    assert all([label for label, _ in picture] == labels for picture in theirs)
    scores = np.array([[score for _, score in picture] for picture in theirs])
    np.testing.assert_allclose(scores, ours, atol=CLOSE)
    clear = np.ptp(np.sort(ours)[:, -2:], axis=1) > 2 * CLOSE
    assert (scores.argmax(axis=1) == ours.argmax(axis=1))[clear].all()


@pytest.mark.parametrize("name", ["three-float32", "three-int8", "two-float32", "two-int8"])
def test_it_gives_the_labels_and_scores_of_edge(cases: dict, answers: dict, name: str) -> None:
    hold_to_edge(*cases[name], answers[name])


@pytest.mark.parametrize("name", [path.stem for path in shipped_models()])
def test_it_agrees_on_the_models_that_ship(cases: dict, answers: dict, name: str) -> None:
    hold_to_edge(*cases[name], answers[name])


def test_it_reads_awkward_labels(answers: dict) -> None:
    (theirs,) = answers["awkward"]
    escaped = {"d\ne": "d\\ne", "i\tj": "i\\tj"}
    assert [label for label, _ in theirs] == [escaped.get(label, label) for label in AWKWARD]
