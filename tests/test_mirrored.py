"""Classes that are each other's mirror image: mirrored photos would teach the wrong label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from convert.data.mirrored import COLOURS, SIZES, mirror_images, named_after
from edge.image.preprocess import resized

ARROW = ((0, 0.33), (0.55, 0.33), (0.55, 0), (1, 0.5), (0.55, 1), (0.55, 0.67), (0, 0.67))


def arrow(seed: int, *, left: bool) -> np.ndarray:
    """An arrow of any size, place and colour before a blurred background."""
    random = np.random.default_rng((seed, left))
    rough = Image.fromarray(random.integers(90, 200, (5, 6, 3), dtype=np.uint8))
    photo = rough.resize((96, 96), Image.Resampling.BICUBIC)
    width = random.uniform(30, 50)
    x, y = random.uniform(2, 94 - width), random.uniform(2, 94 - width / 2)
    points = [(x + (1 - a if left else a) * width, y + b * width / 2) for a, b in ARROW]
    ImageDraw.Draw(photo).polygon(points, fill=tuple(random.integers(0, 60, 3).tolist()))
    return np.asarray(photo)


def test_arrows_to_both_sides_are_found_by_their_looks() -> None:
    labels = np.arange(120) % 2
    pixels = np.stack([arrow(i, left=bool(label)) for i, label in enumerate(labels)])
    assert mirror_images(("a", "b"), pixels, labels) == [("a", "b")]


@pytest.mark.parametrize(
    ("one", "other", "sides"),
    [
        ("left", "right", True),
        ("turn_left", "turn-right", True),
        ("Left hand", "right hand", True),
        ("left hand", "right foot", False),
        ("cat", "dog", False),
        ("light", "left", False),
    ],
)
def test_names_of_sides(one: str, other: str, sides: bool) -> None:
    pixels = np.zeros((4, 32, 32, 3), np.uint8)
    found = mirror_images((one, other), pixels, np.array([0, 0, 1, 1]))
    assert bool(found) is sides


def test_classes_without_a_side_are_none(drawn: Path) -> None:
    paths = sorted(drawn.glob("*/*.jpg"))
    names = tuple(sorted({path.parent.name for path in paths}))
    pixels = np.stack([resized(path, (64, 64)) for path in paths])
    labels = np.array([names.index(path.parent.name) for path in paths])
    assert mirror_images(names, pixels, labels) == []


def test_classes_that_are_named_after_a_colour_or_a_size() -> None:
    assert named_after(COLOURS, ["cap_red", "cap_green", "bottle_red"]) == [
        ("cap_red", "cap_green")
    ]
    assert named_after(COLOURS, ["red", "other"]) == []
    assert named_after(SIZES, ["nut small", "nut large", "bolt"]) == [("nut small", "nut large")]
    assert named_after(SIZES, ["small", "small cup"]) == []
