"""The augmentation, run by TensorFlow in a process of its own: no TFLite runtime beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run

SCRIPT = """
import sys
import numpy as np
from convert.augment import Augmentation, apply, transforms

still = dict(rotation=0, shift=0, shear=0, zoom=0, horizontal_flip=False)
kinds = {
    "still": Augmentation(**still),
    "all": Augmentation(vertical_flip=True),
    "left_right": Augmentation(**still | {"horizontal_flip": True}),
    "up_down": Augmentation(**still, vertical_flip=True),
    "shifted": Augmentation(**still | {"shift": 0.1}),
    "rotated": Augmentation(**still | {"rotation": 15}),
}
images = np.random.default_rng(0).integers(0, 256, (16, 24, 32, 3), np.uint8)
results = {"images": images}
for name, kind in kinds.items():
    for seed in (1, 2):
        moves = transforms(kind, len(images), images.shape[1:3], np.random.default_rng(seed))
        results[f"{name}-moves-{seed}"] = moves
        results[f"{name}-{seed}"] = apply(images, moves).numpy()
    again = transforms(kind, len(images), images.shape[1:3], np.random.default_rng(1))
    results[f"{name}-again"] = apply(images, again).numpy()
np.savez(sys.argv[1], **results)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What the script computed, by name."""
    path: Path = tmp_path_factory.mktemp("augment") / "results.npz"
    done = run("-c", SCRIPT, str(path))
    assert done.returncode == 0, done.stderr
    return dict(np.load(path))


def test_without_spread_and_flip_nothing_moves(results: dict[str, np.ndarray]) -> None:
    assert np.array_equal(results["still-1"], results["images"])


def test_shape_and_dtype_are_kept(results: dict[str, np.ndarray]) -> None:
    assert results["all-1"].shape == results["images"].shape
    assert results["all-1"].dtype == np.uint8
    assert results["all-moves-1"].shape == (16, 8)
    assert results["all-moves-1"].dtype == np.float32


def test_the_same_seed_moves_alike_and_another_does_not(results: dict[str, np.ndarray]) -> None:
    assert np.array_equal(results["all-1"], results["all-again"])
    assert not np.array_equal(results["all-1"], results["all-2"])


def test_each_picture_moves_by_itself(results: dict[str, np.ndarray]) -> None:
    assert len(np.unique(results["all-moves-1"], axis=0)) == 16


@pytest.mark.parametrize(("kind", "axis"), [("left_right", 1), ("up_down", 0)])
def test_a_flip_alone_is_the_picture_or_its_mirror_image(
    results: dict[str, np.ndarray], kind: str, axis: int
) -> None:
    mirrored = 0
    for image, moved in zip(results["images"], results[f"{kind}-1"], strict=True):
        same, flipped = (
            np.abs(moved.astype(int) - expected).max() <= 1
            for expected in (image, np.flip(image, axis))
        )
        assert same or flipped
        mirrored += flipped
    assert 0 < mirrored < 16


def test_shifts_and_angles_stay_within_their_spread(results: dict[str, np.ndarray]) -> None:
    moves = results["shifted-moves-1"]
    assert np.abs(moves[:, 2]).max() <= 0.1 * 32
    assert np.abs(moves[:, 5]).max() <= 0.1 * 24
    turned = results["rotated-moves-1"]
    assert np.abs(np.rad2deg(np.arctan2(turned[:, 3], turned[:, 0]))).max() <= 15
    middle = np.array([15.5, 11.5])  # turning leaves it where it is
    turns = turned[:, :6].reshape(-1, 2, 3)
    assert np.allclose(turns[:, :, :2] @ middle + turns[:, :, 2], middle, atol=1e-4)
