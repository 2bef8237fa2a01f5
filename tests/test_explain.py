"""Occlusion: what speaks for a label, for any model, and the images that edge-classify saves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run

from edge import Model, read_image
from edge.image.heat import CELLS, NUM_SCORES, SIDE, occlusion
from edge.image.preprocess import Prepared, seen

PHOTO = ROOT / "tests" / "data" / "hotdog.jpg"
SMALL = ROOT / "models" / "hotdog-small.tflite"


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(SMALL, num_threads=1)


@pytest.fixture(scope="module")
def heat(model: Model) -> np.ndarray:
    pixels = seen(PHOTO, model.input)
    return occlusion(lambda image: score(model, image), pixels)


def score(model: Model, pixels: np.ndarray) -> float:
    """That of the hot dog."""
    scores = model.scores(Prepared(pixels, model.input, pixels, 0.0))
    return float(scores[model.labels.index("hotdog")])


def deletion(model: Model, order: np.ndarray) -> float:
    """Mean score of the hot dog while cells are hidden one after the other, in an order."""
    pixels = seen(PHOTO, model.input).copy()
    rows, columns = (np.linspace(0, side, CELLS + 1).astype(int) for side in pixels.shape[:2])
    grey = pixels.mean(axis=(0, 1)).astype(np.uint8)
    scores = []
    for cell in order[: CELLS * CELLS // 2]:
        row, column = divmod(int(cell), CELLS)
        pixels[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = grey
        scores.append(score(model, pixels))
    return float(np.mean(scores))


def test_hiding_what_the_map_shows_lowers_the_score_first(model: Model, heat: np.ndarray) -> None:
    assert heat.shape == (CELLS, CELLS)
    by_map = deletion(model, np.argsort(-heat.ravel(), kind="stable"))
    coldest = deletion(model, np.argsort(heat.ravel(), kind="stable"))
    random = np.random.default_rng(0)
    drawn = [deletion(model, random.permutation(CELLS * CELLS)) for _ in range(5)]
    assert by_map < min(drawn)
    assert by_map < coldest


def test_the_cost_is_as_documented() -> None:
    asked = []
    occlusion(lambda image: asked.append(1) or 0.5, np.zeros((20, 30, 3), np.uint8))
    assert len(asked) == NUM_SCORES == 50


def test_a_score_of_one_place_is_found_there() -> None:
    pixels = np.full((80, 120), 100, np.uint8)  # grey
    pixels[10:20, 90:105] = 255  # row 1, column 6 of 8
    heat = occlusion(lambda image: float(image[10:20, 90:105].mean()) / 255, pixels)
    assert heat[1, 6] == heat.max()
    assert heat[5:].max() == 0


def test_edge_classify_saves_an_image_for_each(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "deep" / "out"
    for folder in ("a", "b"):
        (photos / folder).mkdir(parents=True)
        (photos / folder / "one.jpg").write_bytes(PHOTO.read_bytes())
    (photos / "a" / "bad.jpg").write_bytes(b"")
    said = run("-m", "edge", "classify", "-m", str(SMALL), "--explain", str(out), "-r", str(photos))
    assert said.returncode == 1
    assert sorted(path.name for path in out.iterdir()) == ["one-2.jpg", "one.jpg"]
    shown = read_image(out / "one.jpg")
    assert min(shown.shape[:2]) == SIDE
    reds = shown[:, :, 0].astype(int) - shown[:, :, 1:].max(axis=2)
    assert reds.max() > 100


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    said = run("-m", "edge", "classify", "-m", str(SMALL), "--explain", str(out), str(PHOTO))
    assert said.returncode == 1
    assert (
        f"--explain {out}: cannot be created (Not a directory); use another folder" in said.stderr
    )
    assert "Traceback" not in said.stderr
