"""The augmentation: what is drawn for one image, and its application; OpenCV computes it.

In this order, each only where it has a strength: rotation, shear, zoom, shifts and flips as ONE
affine transform (one interpolation, edges repeated); exposure, contrast and white balance as ONE
look-up table of 3 x 256; blur, noise, JPEG and erasing, each for a share of the images.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.image.preprocess import Pixels, Size

# The threads are those of `batches`, a batch each: OpenCV's own would only get in their way.
cv2.setNumThreads(0)

GAMMA = 2.2  # of sRGB, nearly: a gain in light is a gain of its 1/2.2th power in pixel values
# Beyond these a strength has no meaning: a window without a side, a slope turned about.
LARGEST = {"shear": 60.0, "zoom_in": 0.9, "contrast": 0.9, "jpeg": 95.0, "erase": 0.9}

NUDGE = 0.1  # of the strengths for things is what a fixed camera moves by


@dataclass(frozen=True)
class Augmentation:
    """How far an image may be changed. Each draw is even between both ends; 0 is never."""

    rotation: float = 0.0  # degrees, either way
    shift: float = 0.0  # of the height and width, either way
    shear: float = 0.0  # degrees, either way
    zoom_in: float = 0.0  # the window's sides shrink by up to this share, 0..0.9
    zoom_out: float = 0.0  # and grow by up to this one
    stretch: float = 0.0  # the window's aspect changes by up to this share, either way
    crop: bool = False  # whether a window that is zoomed in may lie anywhere in the image
    horizontal_flip: bool = False
    vertical_flip: bool = False
    exposure: float = 0.0  # stops (doublings of the light), either way
    contrast: float = 0.0  # share of the slope about middle grey, either way, 0..0.9
    white_balance: float = 0.0  # stops between red and blue, either way; green a third of them
    blur: float = 0.0  # maximum sigma, as a share of the height; out of focus or moved
    blur_share: float = 0.3  # of the images
    noise: float = 0.0  # maximum standard deviation, of 255
    noise_share: float = 0.3
    jpeg: float = 0.0  # maximum loss of quality: 60 draws from 40..100
    jpeg_share: float = 0.3
    erase: float = 0.0  # maximum share of the area that a rectangle of one colour hides
    erase_share: float = 0.5
    still: bool = False  # a fixed camera: the thing in a frame is transformed, the frame hardly

    @staticmethod
    def none() -> Augmentation:
        """Leave images as they are."""
        return Augmentation()

    @staticmethod
    def tutorial() -> Augmentation:
        """The tutorial's kinds: rotation, shifts, shear, zoom, left and right."""
        return Augmentation(
            rotation=15,
            shift=0.1,
            shear=6,
            zoom_in=0.15,
            zoom_out=0.15,
            stretch=0.15,
            horizontal_flip=True,
        )

    @staticmethod
    def camera() -> Augmentation:
        """The tutorial's, and what a cheap camera at a table does to an image."""
        return dataclasses.replace(
            Augmentation.tutorial(),
            zoom_in=0.3,  # nearer rather than farther: repeated edges teach nothing
            crop=True,
            exposure=0.9,
            contrast=0.25,
            white_balance=0.7,
            blur=0.006,
            noise=10,
            jpeg=60,
        )

    @staticmethod
    def scratch() -> Augmentation:
        """The camera's with far stronger crops, which networks without pretraining gain from."""
        return dataclasses.replace(
            Augmentation.camera(), zoom_in=0.5, zoom_out=0.05, stretch=0.3, shift=0.05
        )

    def with_true_colours(self) -> Augmentation:
        """Change no hue, for classes that are colours."""
        return dataclasses.replace(self, white_balance=0.0)

    def with_true_sizes(self) -> Augmentation:
        """Zoom and stretch hardly, for classes that are sizes."""
        small = {
            name: min(getattr(self, name), 0.05) for name in ("zoom_in", "zoom_out", "stretch")
        }
        return dataclasses.replace(self, crop=False, **small)

    def of_frame(self) -> Augmentation:
        """What happens to a whole frame: what a nudge does to a fixed camera, and its light."""
        if not self.still:
            return self
        names = ("rotation", "shift", "shear", "zoom_in", "zoom_out", "stretch")
        nudged = {name: NUDGE * getattr(self, name) for name in names}
        return dataclasses.replace(self, horizontal_flip=False, vertical_flip=False, **nudged)

    def scaled(self, factor: float) -> Augmentation:
        """Multiply every strength by `factor` >= 0; flips and shares stay.

        `scaled(0)` leaves at most the flips.
        """
        strengths = {
            field.name: min(getattr(self, field.name) * factor, LARGEST.get(field.name, math.inf))
            for field in dataclasses.fields(self)
            if field.type == "float" and not field.name.endswith("_share")
        }
        return dataclasses.replace(self, **strengths)


def augment(pixels: Pixels, augmentation: Augmentation, random: np.random.Generator) -> Pixels:
    """Change one (h, w, 3) image by what `random` draws; `pixels` stay as they are."""
    a = augmentation
    matrix = affine(a, size_of(pixels), random)
    if not np.array_equal(matrix, _STILL):
        pixels = _transformed(pixels, matrix)
    if a.exposure or a.contrast or a.white_balance:
        pixels = np.asarray(cv2.LUT(pixels, light(a, random)), np.uint8)
    if a.blur and random.random() < a.blur_share:
        pixels = _blurred(pixels, a.blur * len(pixels), random)
    if a.noise and random.random() < a.noise_share:
        pixels = _noisy(pixels, a.noise, random)
    if a.jpeg and random.random() < a.jpeg_share:
        pixels = _reencoded(pixels, round(100 - random.uniform(0, a.jpeg)))
    if a.erase and random.random() < a.erase_share:
        pixels = _erased(pixels, random.uniform(0, a.erase), random)
    return pixels


def variations(
    pixels: Pixels, augmentation: Augmentation, number: int, seed: int
) -> tuple[Pixels, ...]:
    """Draw variations of one (h, w, 3) image; a greater number begins with the same ones."""
    draws = (np.random.default_rng((seed, index)) for index in range(number))
    return tuple(augment(pixels, augmentation, random) for random in draws)


_STILL = np.eye(2, 3)


def affine(
    augmentation: Augmentation, size: Size, random: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the (2, 3) matrix from an output's pixel (x, y, 1) to an input's: the window's."""
    a = augmentation
    height, width = size
    angle, shear = (math.radians(_either_way(spread, random)) for spread in (a.rotation, a.shear))
    zoom = random.uniform(1 - a.zoom_in, 1 + a.zoom_out)
    aspect = (1 + a.stretch) ** (_either_way(1, random) / 2)
    zoom_x, zoom_y = zoom * aspect, zoom / aspect
    room_x, room_y = (max(0, 1 - z) / 2 if a.crop else 0 for z in (zoom_x, zoom_y))
    move_x = width * (_either_way(a.shift, random) + _either_way(room_x, random))
    move_y = height * (_either_way(a.shift, random) + _either_way(room_y, random))
    if a.horizontal_flip and random.random() < 0.5:
        zoom_x = -zoom_x
    if a.vertical_flip and random.random() < 0.5:
        zoom_y = -zoom_y
    # rotation x shear x zoom
    turn = np.array(
        [
            [math.cos(angle) * zoom_x, -math.sin(angle + shear) * zoom_y],
            [math.sin(angle) * zoom_x, math.cos(angle + shear) * zoom_y],
        ]
    )
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    move = middle - turn @ middle + (move_x, move_y)  # about the centre
    return np.column_stack([turn, move])


def light(augmentation: Augmentation, random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the table, (256, 1, 3) uint8, of what each pixel value becomes in red, green, blue.

    Light that exceeds 255 is cut off, as in a camera.
    """
    a = augmentation
    exposure, warmth = _either_way(a.exposure, random), _either_way(a.white_balance, random)
    tint = _either_way(a.white_balance / 3, random)
    stops = np.array([exposure + warmth / 2, exposure + tint, exposure - warmth / 2])
    values = np.arange(256.0)[:, None, None] * 2 ** (stops / GAMMA)  # (256, 1, 3)
    values = (values - 128) * (1 + _either_way(a.contrast, random)) + 128
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def size_of(pixels: Pixels) -> Size:
    """(height, width) of an image."""
    height, width, _ = pixels.shape
    return height, width


def _either_way(spread: float, random: np.random.Generator) -> float:
    return random.uniform(-spread, spread)


def _transformed(pixels: Pixels, matrix: NDArray[np.float64]) -> Pixels:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    height, width = size_of(pixels)
    warped = cv2.warpAffine(
        pixels, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _blurred(pixels: Pixels, sigma: float, random: np.random.Generator) -> Pixels:
    """Out of focus or, every other time, moved along a line of the same spread."""
    sigma = random.uniform(sigma / 4, sigma)
    if random.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)
    half = sigma * math.sqrt(3)  # an even line of this half length has that sigma
    moved = cv2.filter2D(pixels, -1, _line(half, random.uniform(0, math.pi)))
    return np.asarray(moved, np.uint8)


def _line(half: float, angle: float) -> NDArray[np.float32]:
    """Draw the kernel, sum 1, of a line through the centre, `half` pixels to either side."""
    reach = math.ceil(half)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    along = np.linspace(-half, half, 8 * reach + 1)
    x, y = reach + along * math.cos(angle), reach + along * math.sin(angle)
    np.add.at(kernel, (np.rint(y).astype(int), np.rint(x).astype(int)), 1 / len(along))
    return kernel


def _noisy(pixels: Pixels, deviation: float, random: np.random.Generator) -> Pixels:
    """Add normal noise: a stretch of a fixed supply, as drawing it again costs 15 times as much."""
    supply = _noise_supply(pixels.size)
    start = random.integers(len(supply) - pixels.size)
    noise = supply[start : start + pixels.size].reshape(pixels.shape)
    strength = random.uniform(deviation / 4, deviation) / NOISE_DEVIATION
    return np.asarray(cv2.addWeighted(pixels, 1, noise, strength, 0, dtype=cv2.CV_8U), np.uint8)


NOISE_DEVIATION = 30.0  # of the supply: int8 then cuts off beyond 4 sigma


@functools.lru_cache(maxsize=1)
def _noise_supply(picture: int) -> NDArray[np.int8]:
    """At least twice as many int8 values as an image has, so that stretches differ."""
    values = np.random.default_rng(0).standard_normal(max(2 * picture, 1 << 20), np.float32)
    supply: NDArray[np.int8] = np.clip(np.rint(values * NOISE_DEVIATION), -127, 127).astype(np.int8)
    return supply


def _reencoded(pixels: Pixels, quality: int) -> Pixels:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _erased(pixels: Pixels, area: float, random: np.random.Generator) -> Pixels:
    """Hide a rectangle of `area`, 0..1 of the image, under one random colour.

    Source: Zhong et al., Random Erasing Data Augmentation, 2017, https://arxiv.org/abs/1708.04896
    """
    height, width = size_of(pixels)
    aspect = 2 ** _either_way(1, random)  # of the image's own
    h = min(height, round(height * math.sqrt(area * aspect)))
    w = min(width, round(width * math.sqrt(area / aspect)))
    top, left = random.integers(height - h + 1), random.integers(width - w + 1)
    erased = pixels.copy()
    erased[top : top + h, left : left + w] = random.integers(0, 256, 3)
    return erased
