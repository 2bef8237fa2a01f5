"""What the camera beside Home Assistant sees, for home_assistant.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from live import HOTDOG

from edge.image.preprocess import encode_jpeg, read_image, resize

FRAMES = 24  # that differ by the sensor's noise: a camera that repeats a frame is frozen
SIDE = 320  # pixels of a half: the frame is 640 x 320


def hotdog() -> bytes:
    """A hot dog."""
    return encode_jpeg(read_image(HOTDOG.read_bytes(), (480, 640)))


def grass() -> bytes:
    """A picture that is no hot dog."""
    return encode_jpeg(_grass((480, 640)))


def halves(*, hotdog_is_left: bool) -> list[bytes]:
    """A hot dog in one half, grass in the other, with a sensor's noise."""
    photo = resize(read_image(HOTDOG.read_bytes()), (SIDE, SIDE))
    parts = [photo, _grass((SIDE, SIDE))]
    return _frames(np.hstack(parts if hotdog_is_left else parts[::-1]))


def covered() -> list[bytes]:
    """A hand before the lens."""
    return _frames(np.full((SIDE, 2 * SIDE, 3), (70, 50, 45), np.uint8))


def _grass(size: tuple[int, int]) -> Any:
    noise = np.random.default_rng(5).normal((70, 120, 50), 12, (*size, 3))
    return noise.clip(0, 255).astype(np.uint8)


def _frames(scene: Any) -> list[bytes]:
    random = np.random.default_rng(6)
    noisy = (scene + random.normal(0, 3, scene.shape) for _ in range(FRAMES))
    return [encode_jpeg(frame.clip(0, 255).astype(np.uint8)) for frame in noisy]
