"""Pixels of four bytes each are taken in without a copy, and mean what others mean."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge.image.decode import encode_jpeg, encode_png
from edge.image.framing import Framing
from edge.image.heat import heated
from edge.image.preprocess import resize
from edge.image.shared import copied, image_of, shared

WAYS = {
    "all": np.s_[:],
    "upper left": np.s_[:40, :50],
    "lower right": np.s_[-37:, -41:],
    "one pixel": np.s_[-1:, -1:],
    "every second row": np.s_[::2],
}
OTHERS = {
    "three bytes": lambda stored: stored[..., :3].copy(),
    "the last three": lambda stored: stored[..., 1:],
    "rows from below": lambda stored: stored[::-1, :, :3],
    "mirrored": lambda stored: stored[:, ::-1, :3],
    "every second column": lambda stored: stored[:, ::2, :3],
    "one row again and again": lambda stored: np.broadcast_to(stored[:1, :, :3], (60, 128, 3)),
    "on its side": lambda stored: stored.transpose(1, 0, 2)[..., :3],
}


@pytest.fixture
def stored() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (96, 128, 4), np.uint8)


@pytest.mark.parametrize("way", WAYS)
def test_an_image_shares_the_memory_of_a_view(stored: np.ndarray, way: str) -> None:
    view = stored[..., :3][WAYS[way]]
    image = shared(view)
    assert image
    assert np.array_equal(np.asarray(image), view)


def test_a_frame_is_not_copied(stored: np.ndarray) -> None:
    image = shared(stored[..., :3])
    stored[5, 7] = 1, 2, 3, 4
    assert image
    assert image.getpixel((7, 5)) == (1, 2, 3)


@pytest.mark.parametrize("way", OTHERS)
def test_other_pixels_are_copied(stored: np.ndarray, way: str) -> None:
    pixels = OTHERS[way](stored)
    assert shared(pixels) is None
    assert np.array_equal(np.asarray(image_of(pixels)), pixels)
    assert np.array_equal(copied(pixels), pixels)


def test_a_view_that_is_larger_than_its_memory_is_copied(stored: np.ndarray) -> None:
    # One byte after the last pixel would not be ours.
    memory = np.zeros(96 * 128 * 4 - 1, np.uint8)
    shape, strides = (96, 128, 3), (128 * 4, 4, 1)
    assert shared(np.lib.stride_tricks.as_strided(memory, shape, strides)) is None


def test_a_copy_is_shared_too_and_is_another(stored: np.ndarray) -> None:
    view = stored[..., :3]
    copy = copied(view)
    copy[:5] = 0
    assert shared(copy)
    assert view[:5].any()
    assert np.array_equal(copy[5:], view[5:])


@pytest.mark.parametrize("size", [(24, 24), (60, 40), (96, 128), (200, 100)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "framing",
    [
        Framing(),
        Framing("crop"),
        Framing("pad"),
        Framing(roi=(0.1, 0.2, 0.7, 0.75)),
        Framing("crop", rotate=90),
        Framing(filter="nearest"),
        Framing(filter="bilinear"),
    ],
    ids=str,
)
def test_a_model_sees_the_same(
    stored: np.ndarray, size: tuple[int, int], channels: int, framing: Framing
) -> None:
    view: Any = stored[..., :3]
    expected = resize(view.copy(), size, framing, channels=channels)
    assert np.array_equal(resize(view, size, framing, channels=channels), expected)


def test_all_that_writes_images_takes_them(stored: np.ndarray) -> None:
    view = stored[..., :3]
    assert encode_jpeg(view) == encode_jpeg(view.copy())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(view)))), view)
    heat = np.ones((2, 3), np.float32)
    assert np.array_equal(heated(view, heat), heated(view.copy(), heat))
