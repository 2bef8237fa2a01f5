"""Photos as large as a phone's: of real ones where EDGE_TEST_DATA has any, else drawn."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
TEST_DATA = (ROOT / os.environ.get("EDGE_TEST_DATA", "../shared")).resolve()
TILE = 400  # of a mosaic; larger, and the photos that we have would have no detail left


def photo(size: tuple[int, int], seed: int) -> bytes:
    """A JPEG of (width, height): a real photo many times over, or drawn detail at every scale.

    Of several photos, a model would be torn between their labels, and change its mind at any noise.
    """
    real = sorted(TEST_DATA.glob("hotdog/test/*/*.jpg"))
    random = np.random.RandomState(seed)
    image = _mosaic(size, real[random.randint(len(real))]) if real else _drawn(size, random)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=88)
    return stream.getvalue()


def _mosaic(size: tuple[int, int], path: Path) -> Image.Image:
    with Image.open(path) as real:
        tile = real.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)
    image = Image.new("RGB", size)
    for top in range(0, size[1], TILE):
        for left in range(0, size[0], TILE):
            image.paste(tile, (left, top))
    return image


def _drawn(size: tuple[int, int], random: np.random.RandomState) -> Image.Image:
    """Noise whose contrast falls with its fineness, as a photo's does."""
    total = np.zeros((size[1], size[0], 3), np.float32)
    for octave in range(2, 10):
        cells = random.randint(0, 256, (3 * 2**octave // 4, 2**octave, 3)).astype(np.uint8)
        layer = np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC))
        total += (layer.astype(np.float32) - 128) / 1.6 ** (octave - 2)
    return Image.fromarray(np.clip(128 + 0.8 * total, 0, 255).astype(np.uint8))
