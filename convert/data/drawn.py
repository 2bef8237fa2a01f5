"""Draw a small labelled photo set: cups, fish and keys that differ only in shape."""

import colorsys
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[Any]

# Shapes are drawn this many times larger and averaged down: ImageDraw itself leaves hard stairs.
SUPERSAMPLE = 3

# An outline in object coordinates, about -1..1 with y down, and its brightness relative to the
# object's colour. None cuts a hole, through which the background shows.
Part = tuple[Array, float | None]


def draw_photos(folder: Path, *, per_class: int, size: int = 128, seed: int = 0) -> None:
    """Write `per_class` drawn photos of every label as folder/LABEL/NNNN.jpg.

    The same seed gives the same files (with one Pillow), and a larger set begins with the
    smaller one: every photo has a generator of its own.

    Args:
        folder: Where the label folders go; made if missing.
        per_class: Photos per label.
        size: Height and width in pixels.
        seed: Zero or positive. Photos of different seeds share nothing but their labels.
    """
    for index, label in enumerate(SHAPES):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            rng = np.random.default_rng((seed, index, number))
            photo = draw_photo(label, rng, size)
            quality = int(rng.integers(60, 96))
            photo.save(folder / label / f"{number:04d}.jpg", quality=quality)


def draw_photo(label: str, rng: np.random.Generator, size: int = 128) -> Image.Image:
    """Draw one photo of `label`, a key of SHAPES: (size, size) RGB.

    Colours, background, pose, clutter, light and camera are drawn without looking at the label,
    so that next to nothing but the shape gives it away (a cup, being larger than a key, still
    makes the photo a little brighter: see `mean_colour_accuracy`).
    """
    if label not in SHAPES:
        raise ValueError(f"label must be one of {', '.join(SHAPES)}. Received: {label!r}")
    photo = _background(_dim_colour(rng), rng, size)
    _paste(photo, _clutter(rng, size))
    shape = _object(SHAPES[label](rng), _bright_colour(rng), rng, size)
    _cast_shadow(photo, shape, rng)
    _paste(photo, shape)
    _paste(photo, _occluder(rng, size))
    return _camera(photo, rng)


def mean_colour_accuracy(train: Path, test: Path) -> float:
    """Return the accuracy, 0..1, on `test` of a linear model that sees only mean colours.

    Least squares from every photo's mean R, G, B and a bias to one output per label, fitted on
    `train`. A set on which this does well can be learned without looking at any shape.

    Args:
        train: A folder with one folder of .jpg photos per label.
        test: The same labels, other photos.
    """
    labels = _labels(train)
    if _labels(test) != labels:
        raise ValueError(
            f"test must have the labels of train, {', '.join(labels)}. "
            f"Received: {', '.join(_labels(test))}"
        )
    colours, targets = _mean_colours(train, labels)
    weights = np.linalg.lstsq(colours, np.eye(len(labels))[targets], rcond=None)[0]
    colours, targets = _mean_colours(test, labels)
    return float(np.mean(np.argmax(colours @ weights, axis=1) == targets))


def _labels(folder: Path) -> list[str]:
    labels = sorted({photo.parent.name for photo in folder.glob("*/*.jpg")})
    if not labels:
        raise ValueError(f"{folder} must hold one folder of .jpg photos per label. Found none.")
    return labels


def _mean_colours(folder: Path, labels: list[str]) -> tuple[Array, Array]:
    """Return (n, 4): mean R, G, B in 0..1 and a 1 for the bias; and (n,): label indices."""
    colours, targets = [], []
    for photo in sorted(folder.glob("*/*.jpg")):
        with Image.open(photo) as image:
            mean = np.asarray(image.convert("RGB")).mean(axis=(0, 1)) / 255
        colours.append([*mean, 1.0])
        targets.append(labels.index(photo.parent.name))
    return np.array(colours), np.array(targets)


# ---- the shapes ----------------------------------------------------------------------------------


def _cup(rng: np.random.Generator) -> list[Part]:
    top, bottom = rng.uniform(0.5, 0.66), rng.uniform(0.34, 0.52)
    height, depth = rng.uniform(0.55, 0.8), rng.uniform(0.12, 0.2)
    grip, thick = rng.uniform(0.32, 0.42), rng.uniform(0.1, 0.15)
    side = np.array([(-top, -height), (top, -height), (bottom, height), (-bottom, height)])
    hinge = (top + bottom) / 2 + 0.08
    return [
        (_ellipse(hinge, -0.1, grip, grip * 1.1), 0.9),
        (_ellipse(hinge, -0.1, grip - thick, grip * 1.1 - thick), None),
        (side, 1.0),
        (_ellipse(0, height, bottom, depth * bottom / top), 1.0),
        (_ellipse(0, -height, top, depth), 1.25),
        (_ellipse(0, -height, top - 0.07, depth - 0.04), 0.45),
    ]


def _fish(rng: np.random.Generator) -> list[Part]:
    height, tail, fin = rng.uniform(0.34, 0.52), rng.uniform(0.3, 0.48), rng.uniform(0.2, 0.32)
    notch = rng.uniform(0.62, 0.8)
    return [
        (np.array([(0.35, 0), (0.98, -tail), (notch, 0), (0.98, tail)]), 0.8),
        (np.array([(-0.35, -height * 0.7), (0.3, -height - fin), (0.3, -height * 0.4)]), 0.75),
        (np.array([(-0.2, height * 0.7), (0.2, height + fin), (0.25, height * 0.5)]), 0.75),
        (_ellipse(-0.2, 0, 0.76, height), 1.0),
        (_ellipse(-0.12, 0.03, 0.14, height * 0.4), 0.8),
        (_ellipse(-0.62, -height * 0.2, 0.11, 0.11), 1.8),
        (_ellipse(-0.64, -height * 0.2, 0.055, 0.055), 0.1),
    ]


def _key(rng: np.random.Generator) -> list[Part]:
    bow, stretch = rng.uniform(0.34, 0.44), rng.uniform(0.8, 1.15)
    hole, shaft = bow * rng.uniform(0.45, 0.65), rng.uniform(0.07, 0.11)
    parts: list[Part] = [
        (_box(-0.4, -shaft, 0.98, shaft), 1.0),
        (_ellipse(-0.58, 0, bow, bow * stretch), 1.0),
        (_ellipse(-0.58, 0, hole, hole * stretch), None),
        (_box(-0.2, -shaft * 1.7, -0.08, shaft * 1.7), 0.8),
    ]
    for left in np.linspace(0.82, 0.4, int(rng.integers(2, 4))):
        parts.append((_box(left, 0, left + 0.14, shaft + rng.uniform(0.15, 0.32)), 0.95))
    return parts


SHAPES: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "cup": _cup,
    "fish": _fish,
    "key": _key,
}


def _ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Array:
    turn = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return np.stack([x + radius_x * np.cos(turn), y + radius_y * np.sin(turn)], axis=1)


def _box(left: float, top: float, right: float, bottom: float) -> Array:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


# ---- the scene, back to front --------------------------------------------------------------------


def _dim_colour(rng: np.random.Generator) -> Array:
    """Return a (3,) colour, 0..255, for all that is not the object."""
    return _colour(rng, (0, 0.1, 0.15), (1, 0.8, 0.45))


def _bright_colour(rng: np.random.Generator) -> Array:
    """Return a (3,) colour, 0..255, for the object.

    Brighter than its surroundings, whatever the label: a small network does not learn shapes of
    either polarity from a few hundred photos.
    """
    return _colour(rng, (0, 0.1, 0.7), (1, 0.7, 1))


def _colour(rng: np.random.Generator, low: tuple[float, ...], high: tuple[float, ...]) -> Array:
    """Return a (3,) colour, 0..255, between two bounds of hue, saturation and value."""
    return np.array(colorsys.hsv_to_rgb(*rng.uniform(low, high))) * 255


def _ramp(rng: np.random.Generator, size: int) -> Array:
    """Return (size, size, 1): a plane that falls from 1 to -1 in a random direction."""
    turn = rng.uniform(0, 2 * math.pi)
    across = np.linspace(-1, 1, size)
    plane: Array = math.cos(turn) * across[None, :] + math.sin(turn) * across[:, None]
    plane /= np.abs(plane).max()
    return plane[..., None]


def _background(colour: Array, rng: np.random.Generator, size: int) -> Image.Image:
    """Return a gradient with a soft texture: unequal cell counts give cloth, wood and cloud."""
    pixels = colour + _ramp(rng, size) * rng.normal(0, 18, 3)
    cells = rng.integers(2, 40, 2)
    texture = Image.fromarray(rng.normal(0, rng.uniform(2, 22), cells).astype(np.float32))
    pixels = pixels + np.asarray(texture.resize((size, size), Image.Resampling.BICUBIC))[..., None]
    return _image(pixels)


def _layer(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    layer = Image.new("RGBA", (size * SUPERSAMPLE, size * SUPERSAMPLE))
    return layer, ImageDraw.Draw(layer)


def _clutter(rng: np.random.Generator, size: int) -> Image.Image:
    """Return a few sticks, discs and scraps, to lie behind the object."""
    layer, pen = _layer(size)
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(-1, 1, 2)
        width, height = rng.uniform(0.05, 0.35, 2)
        box, disc = _box(-width, -height, width, height), _ellipse(0, 0, width, height)
        points = _turned(box if rng.random() < 0.5 else disc, rng.uniform(0, math.pi))
        _fill(pen, points + np.array((x, y)), _dim_colour(rng), size)
    return layer.reduce(SUPERSAMPLE)


def _object(parts: list[Part], colour: Array, rng: np.random.Generator, size: int) -> Image.Image:
    """Return the object in a random pose, on a transparent layer."""
    layer, pen = _layer(size)
    scale = rng.uniform(0.55, 0.85) * np.array((rng.choice((-1, 1)) * rng.uniform(0.85, 1.15), 1))
    turn, centre = rng.uniform(-0.6, 0.6), rng.uniform(-0.25, 0.25, 2)
    for outline, brightness in parts:
        points = _turned(outline * scale, turn) + centre
        _fill(pen, points, None if brightness is None else colour * brightness, size)
    return layer.reduce(SUPERSAMPLE)


def _occluder(rng: np.random.Generator, size: int) -> Image.Image:
    """Return, two times in three, a bar or a disc to hide a little of what is behind it."""
    layer, pen = _layer(size)
    kind, turn, offset = rng.integers(3), rng.uniform(0, math.pi), rng.uniform(-0.7, 0.7)
    if kind == 0:
        half = rng.uniform(0.03, 0.09)
        _fill(pen, _turned(_box(-2, offset - half, 2, offset + half), turn), _dim_colour(rng), size)
    elif kind == 1:
        radius = rng.uniform(0.12, 0.25)
        x, y = rng.uniform(-0.8, 0.8, 2)
        _fill(pen, _ellipse(x, y, radius, radius), _dim_colour(rng), size)
    return layer.reduce(SUPERSAMPLE)


def _turned(points: Array, turn: float) -> Array:
    cos, sin = math.cos(turn), math.sin(turn)
    turned: Array = points @ np.array([(cos, sin), (-sin, cos)])
    return turned


def _fill(pen: ImageDraw.ImageDraw, points: Array, colour: Array | None, size: int) -> None:
    """Fill an outline given in frame coordinates, -1..1; no colour makes it transparent."""
    pixels = (points + 1) * (size * SUPERSAMPLE / 2)
    ink = (0, 0, 0, 0) if colour is None else (*np.clip(colour, 0, 255).astype(int).tolist(), 255)
    pen.polygon([tuple(point) for point in pixels.tolist()], fill=ink)


def _paste(photo: Image.Image, layer: Image.Image) -> None:
    photo.paste(layer, (0, 0), layer)


def _cast_shadow(photo: Image.Image, shape: Image.Image, rng: np.random.Generator) -> None:
    """Darken the photo where the object, a little aside and out of focus, hides the light."""
    strength, blur = rng.uniform(0, 0.6), photo.width * rng.uniform(0.01, 0.04)
    shadow = shape.getchannel("A").filter(ImageFilter.GaussianBlur(blur))
    shadow = shadow.point([round(alpha * strength) for alpha in range(256)])
    aside = rng.integers(-photo.width // 16, photo.width // 16 + 1, 2)
    photo.paste((0, 0, 0), (int(aside[0]), int(aside[1])), shadow)


def _camera(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the scene as a cheap camera sees it: uneven light, soft focus, sensor noise."""
    photo = photo.filter(ImageFilter.GaussianBlur(photo.width * rng.uniform(0, 0.01)))
    light = rng.uniform(0.75, 1.15) + _ramp(rng, photo.width) * rng.uniform(0, 0.35)
    pixels = np.asarray(photo) * light
    return _image(pixels + rng.normal(0, rng.uniform(1, 9), pixels.shape))


def _image(pixels: Array) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
