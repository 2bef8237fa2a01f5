"""A fixed camera: its scene is found, and what lies in a frame is moved and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from convert.data.cache import DecodedPhotos
from convert.data.dataset import load
from convert.fit import suited
from convert.job import training_run
from convert.training.augment import Augmentation
from convert.training.scene import Scene, drawing, is_fixed_camera
from edge.image.preprocess import Pixels

SIDE, THING = 96, 16
LABELS = np.repeat(np.arange(3), 20)
STILL = dataclasses.replace(Augmentation.none(), still=True)


def backdrop(seed: int) -> NDArray[np.float64]:
    """A scene of smooth shapes, (SIDE, SIDE, 3), values about 50 to 190."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    phases = np.random.default_rng(seed).uniform(0, 6, (3, 2))
    waves = [np.sin(x / 11 + a) + np.cos(y / 9 + b) for a, b in phases]
    return 120 + 35 * np.stack(waves, -1)


def frames(fixed: bool = True) -> tuple[Pixels, list[tuple[int, int]]]:
    """Frames in changing light, the first class empty; left and top of the things in the others.

    Those of the second class lie on the left, those of the third on the right.
    """
    random = np.random.default_rng(0)
    made, corners = [], []
    for number, label in enumerate(LABELS.tolist()):
        frame = backdrop(0 if fixed else number)
        left = int(random.integers(4, SIDE // 2 - THING - 4)) + (label == 2) * SIDE // 2
        top = int(random.integers(4, SIDE - THING - 4))
        if label:
            frame[top : top + THING, left : left + THING] = (250, 30, 30) if label == 1 else 5
        shade = random.uniform(0.7, 1.1) * (1 + 0.1 * np.linspace(-1, 1, SIDE)[:, None])
        made.append(np.clip(frame * shade + random.normal(0, 2, frame.shape), 0, 255))
        corners.append((left, top))
    return np.array(made, np.uint8), corners


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(frames()[0], LABELS)


def test_things_are_found_where_they_lie_in_any_light(scene: Scene) -> None:
    _, corners = frames()
    for label, thing, (left, top) in zip(LABELS, scene.things, corners, strict=True):
        if label == 0:
            assert thing is None
            continue
        assert thing is not None
        assert thing.corner == pytest.approx((left, top), abs=2)
        assert thing.mask.shape == pytest.approx((THING, THING), abs=4)


def test_the_scene_is_what_the_things_hide(scene: Scene) -> None:
    light = scene.empty.mean() / backdrop(0).mean()
    assert np.abs(scene.empty - backdrop(0) * light).mean() < 6


def test_a_thing_is_moved_to_where_others_of_its_class_lay(scene: Scene) -> None:
    pixels, corners = frames()
    random = np.random.default_rng(1)
    centres = []
    for _ in range(40):
        moved = scene.moved(pixels[25], 25, STILL, random)
        red = (moved[..., 0].astype(int) - moved[..., 1]) > 120
        assert red.sum() == pytest.approx(THING**2, rel=0.3)  # it lies in one place
        centres.append(np.argwhere(red).mean(axis=0))
    down, across = np.array(centres).T
    assert across.max() < SIDE / 2 + SIDE / 16  # on the left, with its class
    assert down.max() - down.min() > SIDE / 3
    left, top = corners[25]
    box = np.s_[top : top + THING, left : left + THING]
    hidden = [scene.moved(pixels[25], 25, STILL, random)[box] for _ in range(40)]
    filled = min(hidden, key=lambda found: int(found[..., 0].max()))
    lit = backdrop(0) * pixels[25].mean() / backdrop(0).mean()
    assert np.abs(filled - lit[box]).mean() < 12


def test_an_empty_frame_stays_as_it_is(scene: Scene) -> None:
    pixels, _ = frames()
    assert np.array_equal(scene.moved(pixels[3], 3, STILL, np.random.default_rng(0)), pixels[3])


def test_a_fixed_camera_is_known_from_other_photos() -> None:
    assert is_fixed_camera(frames()[0], LABELS)
    assert not is_fixed_camera(frames(fixed=False)[0], LABELS)


def test_views_are_drawn_by_the_seed_alone_and_leave_the_photos(scene: Scene) -> None:
    pixels, _ = frames()
    before = pixels.copy()
    augmentation = dataclasses.replace(Augmentation.camera(), still=True)
    draw = drawing(pixels, LABELS, augmentation)
    first, again, other = (draw(30, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.uint8 and first.shape == pixels[0].shape
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(pixels, before)


def test_a_still_scene_is_hardly_transformed() -> None:
    frame = dataclasses.replace(Augmentation.camera(), still=True).of_frame()
    assert frame.rotation < 2 and frame.shift < 0.02 and not frame.horizontal_flip
    assert frame.exposure == Augmentation.camera().exposure
    assert Augmentation.camera().of_frame() == Augmentation.camera()


def test_a_training_on_frames_of_one_scene_moves_what_lies_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "frames"
    for number, (frame, label) in enumerate(zip(frames()[0], LABELS.tolist(), strict=True)):
        path = folder / f"class {label}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame).save(path)
    photos = DecodedPhotos(load(folder, 0), (SIDE, SIDE), tmp_path / "cache", 1.0)
    common = {"image_size": SIDE, "weights": "none", "network": "mobilenet_v2"}
    jobs = {
        name: suited(training_run(folder, tmp_path / "out", "train", common | options), photos)
        for name, options in {
            "default": {"recipe": "fine-tune"},
            "camera": {"recipe": "fine-tune", "augmentation": "camera"},
            "tutorial": {"recipe": "tutorial"},
        }.items()
    }
    recipes = {name: job.config.recipe for name, job in jobs.items()}
    assert [name for name, recipe in recipes.items() if recipe.augmentation.still] == ["default"]
    assert recipes["default"].head_views > recipes["camera"].head_views
    assert capsys.readouterr().err.count("frames of one scene") == 1
