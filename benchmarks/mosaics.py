"""Photos as large as a phone's: of real ones where EDGE_TEST_DATA has any, else drawn."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
TEST_DATA = (ROOT / os.environ.get("EDGE_TEST_DATA", "../shared")).resolve()
Random = np.random.RandomState
TILE = 400  # of a mosaic; larger, and the photos that we have would have no detail left


def photo(size: tuple[int, int], seed: int, kind: str = "tiled") -> bytes:
    """A JPEG of (width, height), of one of KINDS; drawn where there are no real photos."""
    real = sorted(TEST_DATA.glob("hotdog/test/*/*.jpg"))
    random = np.random.RandomState(seed)
    image = _MADE[kind](size, real, random) if real else _drawn(size, random)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=88)
    return stream.getvalue()


def _tiled(size: tuple[int, int], real: list[Path], random: Random) -> Image.Image:
    tile = _tile(real[random.randint(len(real))])
    return _filled(size, lambda: tile)


def _patchwork(size: tuple[int, int], real: list[Path], random: Random) -> Image.Image:
    return _filled(size, lambda: _tile(real[random.randint(len(real))]))


def _detailed(size: tuple[int, int], real: list[Path], random: Random) -> Image.Image:
    scene, other = (_read(real[i]) for i in random.choice(len(real), 2, replace=False))
    return detailed(size, scene, other)


def detailed(size: tuple[int, int], scene: Image.Image, other: Image.Image) -> Image.Image:
    """Enlarge a photo to (width, height), and lay another's finest detail over it."""
    blurred = other.filter(ImageFilter.GaussianBlur(2))
    fine = np.asarray(other, np.float32) - np.asarray(blurred, np.float32)
    times = (-(-size[1] // fine.shape[0]), -(-size[0] // fine.shape[1]), 1)
    fine = np.tile(fine, times)[: size[1], : size[0]]
    coarse = np.asarray(scene.resize(size, Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray(np.clip(coarse + fine, 0, 255).astype(np.uint8))


_MADE = {"detailed": _detailed, "tiled": _tiled, "patchwork": _patchwork}
# What the test photos, which are small, can be made into. Of a patchwork, a model is torn between
# the labels of its photos: it changes its mind at any noise.
KINDS = {
    "detailed": "one photo enlarged, its finest detail another's",
    "tiled": "one photo many times over",
    "patchwork": "many photos side by side",
}


def _read(path: Path) -> Image.Image:
    with Image.open(path) as real:
        return real.convert("RGB")


def _tile(path: Path) -> Image.Image:
    return _read(path).resize((TILE, TILE), Image.Resampling.LANCZOS)


def _filled(size: tuple[int, int], tile: Callable[[], Image.Image]) -> Image.Image:
    image = Image.new("RGB", size)
    for top in range(0, size[1], TILE):
        for left in range(0, size[0], TILE):
            image.paste(tile(), (left, top))
    return image


def _drawn(size: tuple[int, int], random: Random) -> Image.Image:
    """Noise whose contrast falls with its fineness, as a photo's does."""
    total = np.zeros((size[1], size[0], 3), np.float32)
    for octave in range(2, 10):
        cells = random.randint(0, 256, (3 * 2**octave // 4, 2**octave, 3)).astype(np.uint8)
        layer = np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC))
        total += (layer.astype(np.float32) - 128) / 1.6 ** (octave - 2)
    return Image.fromarray(np.clip(128 + 0.8 * total, 0, 255).astype(np.uint8))
