"""Whole days before a fixed camera, drawn: what benchmarks/health.py chooses and judges on.

Two generators that share no code but the photo: `PlainDay` changes pixels as they are; `LitDay`
draws light on surfaces, an exposure that is controlled, and a sensor. A frame has 160 x 120 grey
samples, as they are taken of 640 x 480 pixels.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import mosaics
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Samples = NDArray[np.uint8]
Array = NDArray[Any]

DAY_S = 86400.0
ROWS, COLUMNS, STEP = 120, 160, 4
LARGE = (800, 600)  # of a photo, so that there is another view to move to
LEAST_LIGHT = 0.002  # of a clear noon's
PARKED_LIGHT = 0.7  # of a clear noon's, below which headlights matter, in generator A
FAULTS = ("covered", "dark", "blurred", "moved", "frozen")


@dataclass(frozen=True)
class Photo:
    """A scene, sharp, out of focus, and from another direction; (ROWS, COLUMNS) of 0..255."""

    usual: Array
    blurred: Array
    moved: Array


def photo(seed: int, part: str) -> Photo:
    """Take a photo of a set, or draw one where there is none.

    Args:
        seed: another for each.
        part: "train", "val" or "test": they have no photo in common.
    """
    random = np.random.RandomState(seed)
    names = sorted(mosaics.TEST_DATA.glob(f"hotdog/{part}/*/*.jpg"))
    if names:
        scene, other = (Image.open(names[i]).convert("RGB") for i in random.choice(len(names), 2))
        large = mosaics.detailed(LARGE, scene, other)
    else:
        large = Image.open(io.BytesIO(mosaics.photo(LARGE, seed)))
    return photo_of(large.getchannel("G"), random)


def photo_of(green: Image.Image, random: np.random.RandomState) -> Photo:
    """Take an image of LARGE in three ways."""
    soft = green.filter(ImageFilter.GaussianBlur(random.uniform(4, 10)))
    away = random.uniform(30, 75, 2) * random.choice([-1, 1], 2)
    turned = green.rotate(random.uniform(-12, 12), Image.Resampling.BICUBIC)
    return Photo(
        _part(green, 80, 60), _part(soft, 80, 60), _part(turned, 80 + away[0], 60 + away[1])
    )


def _part(image: Image.Image, left: float, top: float) -> Array:
    left, top = int(np.clip(left, 0, 160)), int(np.clip(top, 0, 120))
    part = image.crop((left, top, left + COLUMNS * STEP, top + ROWS * STEP))
    return np.asarray(part, np.float32)[::STEP, ::STEP]


def smooth(random: np.random.Generator, size: tuple[int, int], scale: int) -> Array:
    """A field of blobs of about `scale` samples, in 0..1."""
    small = random.random((max(2, size[0] // scale), max(2, size[1] // scale)))
    image = Image.fromarray((small * 255).astype(np.uint8))
    field_ = image.resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(field_, np.float32) / 255


def grain(random: np.random.Generator, fields: Array) -> Array:
    """One of these fields of noise, displaced at random: no two frames have the same."""
    field_ = fields[random.integers(len(fields))]
    return np.roll(field_, random.integers(0, (ROWS, COLUMNS)), (0, 1))


def walk(random: np.random.Generator, minutes: float) -> Array:
    """A value of each second of a day that wanders with this time constant; about -1..1."""
    steps = random.normal(0, 1, int(DAY_S // 20) + 2)
    weight = min(1.0, 20 / (60 * minutes))
    value, values = 0.0, []
    for step in steps:
        value += weight * (step * (2 / weight) ** 0.5 * 0.5 - value)
        values.append(value)
    return np.interp(np.arange(DAY_S), np.arange(len(values)) * 20, values).astype(np.float32)


@dataclass(frozen=True)
class Passing:
    """Someone, or a car, for a time."""

    from_s: float
    to_s: float
    scale: float  # of the image's height
    row: float
    sign: int
    seed: int

    def share(self, at_s: float) -> float:
        """How much of it is over."""
        return (at_s - self.from_s) / (self.to_s - self.from_s)


def present(passings: list[Passing], at_s: float) -> list[tuple[Passing, float]]:
    """Those who pass at a time of any day, and how much of it is over."""
    at_s %= DAY_S
    return [(one, one.share(at_s)) for one in passings if one.from_s <= at_s <= one.to_s]


def passings(
    random: np.random.Generator, count: int, last_s: tuple[float, float], scale: tuple[float, float]
) -> list[Passing]:
    """Draw a number of them, at any time, in order."""
    return [
        Passing(
            start,
            start + random.uniform(*last_s),
            float(np.exp(random.uniform(*np.log(scale)))),
            random.uniform(0.2, 1),
            int(random.choice([-1, 1])),
            int(random.integers(1 << 30)),
        )
        for start in sorted(random.uniform(0, DAY_S, count))
    ]


class PlainDay:
    """Generator A: brightness, contrast, noise and what passes, laid over a photo."""

    def __init__(self, scene: Photo, seed: int) -> None:
        self._scene, self._random = scene, np.random.default_rng(seed)
        random = self._random
        self._noon_s, self._half_s = 3600 * random.uniform(11.5, 13.5), 3600 * random.uniform(4, 8)
        self._night = random.choice([0.03, random.uniform(0.25, 0.6)])
        self._clouds = walk(random, random.uniform(0.5, 5))
        self._noise = random.normal(0, 1, (12, ROWS, COLUMNS)).astype(np.float32)
        self._sigma = random.uniform(0.5, 4)
        self._hunting = random.choice([0, random.uniform(0.02, 0.2)])
        self._gain = random.uniform(0, 0.8)  # by which a camera makes up for lost light
        self._lamp = random.choice([0, random.uniform(0.1, 0.6)])  # on when it is dark
        self._shade = smooth(random, (ROWS, COLUMNS), 60) - 0.5
        self._cast = smooth(random, (ROWS, 4 * COLUMNS), int(random.integers(15, 50)))
        self._people = passings(random, 200, (4, 40), (0.1, 0.9))
        self._lights = passings(random, 80, (3, 12), (0.1, 0.5))
        self._parked = passings(random, 6, (20, 120), (0.04, 0.5))  # they stop, and shine
        self._veil = random.uniform(0, 60)  # of a parked light on the lens
        self._meters = random.choice([0, random.uniform(60, 120)])  # mean that a camera allows
        start = random.uniform(0, DAY_S)
        self._rain = [(start, start + random.uniform(600, 7200))]
        self._leaves = [random.integers(0, (ROWS - 30, COLUMNS - 40)) for _ in range(3)]
        self._wind = np.abs(walk(random, 10))
        self._cover = 255 * random.uniform(0.1, 0.7) + 25 * smooth(random, (ROWS, COLUMNS), 80)
        self._grid = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)

    def has_light(self, at_s: float) -> bool:
        """Whether there is enough to see anything."""
        return self._light(at_s) > 0.1

    def _light(self, at_s: float) -> float:
        height = (self._half_s - abs(at_s - self._noon_s)) / 1800  # half an hour of dusk
        return float(np.clip(self._night + height, self._night, 1))

    def frame(self, at_s: float, fault: str = "") -> Samples:
        """Draw a frame, with a fault of FAULTS or none."""
        random, second = self._random, int(at_s % DAY_S)
        light = self._light(at_s)
        if fault in ("covered", "dark"):
            image = self._cover.copy()
        else:
            image = getattr(self._scene, fault, self._scene.usual).copy()
            self._move_leaves(image, second)
        gain = 1 + 0.3 * self._clouds[second] + self._hunting * np.sin(at_s / 3)
        if fault not in ("covered", "dark"):
            self._cast_shadows(image, at_s)
        amplified = light**-self._gain
        gain = max(0.3, gain) * amplified
        lit = light + (self._lamp * (self._shade + 0.5) if light < 0.2 else 0)
        lit = lit * (0.02 if fault == "dark" else 1)
        image = (image + 40 * self._shade * np.sin(at_s / DAY_S * 9)) * (lit * gain)
        if not fault or fault in ("blurred", "moved"):
            self._pass(image, at_s, light)
        # Of the darker parts a display's curve makes more, of the noise as well.
        spread = self._sigma * (1 + 2 * (1 - light)) * amplified**0.5
        image += (spread * (1.5 - image.clip(0, 255) / 255)) * grain(random, self._noise)
        return image.clip(0, 255).astype(np.uint8)

    def _cast_shadows(self, image: Array, at_s: float) -> None:
        """Darken parts by a third, with an edge, in the pauses of the clouds."""
        sun = float(np.clip(2 * self._clouds[int(at_s % DAY_S)], 0, 1))
        left = int((at_s % DAY_S) / DAY_S * 3 * COLUMNS)
        shadow = np.clip((self._cast[:, left : left + COLUMNS] - 0.5) * 8, 0, 1)
        image *= 1 - sun / 3 * shadow

    def _move_leaves(self, image: Array, second: int) -> None:
        for row, column in self._leaves:
            by = self._random.integers(-3, 4, 2) * min(1.0, self._wind[second])
            part = image[row : row + 30, column : column + 40]
            part[:] = np.roll(part, by.astype(int), (0, 1))

    def _pass(self, image: Array, at_s: float, light: float) -> None:
        for someone, share in present(self._people, at_s):
            high = int(someone.scale * ROWS)
            wide = max(2, high // 3)
            left = int((share if someone.sign > 0 else 1 - share) * (COLUMNS + wide)) - wide
            top = int(someone.row * (ROWS - high))
            level = 200 * light * np.random.RandomState(someone.seed).rand()
            image[top : top + high, max(0, left) : max(0, left + wide)] = level
        for light_, share in present(self._lights, at_s) if light < PARKED_LIGHT else ():
            self._shine(image, light_, share, 0.0)
        for light_, _ in present(self._parked, at_s) if light < PARKED_LIGHT else ():
            self._shine(image, light_, 0.5, self._veil)
            if self._meters:
                image *= min(1.0, self._meters / max(float(image.clip(0, 255).mean()), 1.0))
        for start, end in self._rain:
            if start < at_s % DAY_S < end:
                for column in self._random.integers(0, COLUMNS, 40):
                    top = self._random.integers(0, ROWS - 12)
                    image[top : top + 12, column] += 50 * light

    def _shine(self, image: Array, light: Passing, column: float, veil: float) -> None:
        rows, columns = self._grid
        away = (rows - light.row * ROWS) ** 2 + (columns - COLUMNS * column) ** 2
        image *= 1 + 3 / (1 + away / 900)  # what it shines on
        image += 255 * np.exp(-away / (light.scale * ROWS) ** 2) + veil / (1 + away / 900)

    def parked(self) -> list[tuple[float, float]]:
        """When a light shines on the same place for long, and it is dark enough to matter."""
        return [
            (one.from_s, one.to_s) for one in self._parked if self._light(one.from_s) < PARKED_LIGHT
        ]


@dataclass
class Exposure:
    """A camera's automatic exposure: it follows with a lag, and may hunt."""

    lag_s: float
    hunts: float  # by which it overshoots
    stops: float = 0.0
    most: float = 9.0
    towards: float = field(default=0.0)

    def follow(self, mean: float, gap_s: float) -> None:
        """Adjust to the mean of a frame in linear light, whose aim is 0.18."""
        error = float(np.clip(np.log2(0.18 / max(mean, 1e-5)), -2, 2))
        if abs(error) > 0.15:
            self.towards = error
        step = self.towards * (1 - np.exp(-gap_s / self.lag_s)) * (1 + self.hunts)
        self.stops = float(np.clip(self.stops + step, 0, self.most))
        self.towards = error if self.hunts else self.towards * 0.5


class LitDay:
    """Generator B: light on surfaces, and what a sensor makes of it."""

    def __init__(self, scene: Photo, seed: int) -> None:
        random = self._random = np.random.default_rng(seed)
        self._surfaces = {
            name: ((getattr(scene, name) / 255) ** 2.2 * 0.8 + 0.01).astype(np.float32)
            for name in ("usual", "blurred", "moved")
        }
        self._soft = _softened(self._surfaces["usual"])
        self._noon_h, self._length_h = random.uniform(12, 13.5), random.uniform(8, 16)
        self._sun = random.uniform(0.3, 3)  # against the sky
        self._cast = smooth(random, (ROWS, 3 * COLUMNS), int(random.integers(12, 50)))
        self._clouds = 0.5 + 0.6 * walk(random, random.uniform(0.3, 10)) + random.uniform(-0.4, 0.4)
        rows, columns = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
        self._rows, self._columns = rows, columns
        at = random.uniform(0, (ROWS, COLUMNS))
        lamp = 1 / (
            1 + ((rows - at[0]) ** 2 + (columns - at[1]) ** 2) / random.uniform(30, 90) ** 2
        )
        self._lamp = (lamp * random.choice([0, 0.003, 0.01], p=[0.3, 0.35, 0.35])).astype(
            np.float32
        )
        self._exposure = Exposure(random.uniform(0.3, 4), float(random.choice([0, 0, 0.6, 1.1])))
        self._noise = random.normal(0, 1, (16, ROWS, COLUMNS)).astype(np.float32)
        self._shot, self._read = random.uniform(1e-4, 8e-4), random.uniform(5e-6, 5e-5)
        self._people = passings(random, 250, (3, 60), (0.15, 1.2))
        self._cars = passings(random, 60, (3, 8), (0.05, 0.2))
        self._cars += passings(random, 4, (20, 120), (0.05, 0.15))
        self._showers = passings(random, int(random.integers(0, 4)), (300, 7200), (0.5, 1))
        self._drops = [random.uniform(0, (ROWS, COLUMNS)) for _ in range(12)]
        self._wind = np.abs(walk(random, 5)) * random.uniform(0, 2)
        self._leaves = np.nonzero(smooth(random, (ROWS, COLUMNS), 25) > random.uniform(0.55, 0.8))
        self._phase = (20 * smooth(random, (ROWS, COLUMNS), 8))[self._leaves]
        self._over = random.uniform(0.02, 0.5) * (0.7 + 0.3 * smooth(random, (ROWS, COLUMNS), 90))
        self._at_s = -1.0
        self._code = (255 * np.linspace(0, 1, 4096) ** (1 / 2.2) + 0.5).astype(np.uint8)

    def has_light(self, at_s: float) -> bool:
        """Whether there is enough to see anything, from the sky or the lamp."""
        return max(self._daylight(at_s), float(self._lamp.max())) > LEAST_LIGHT

    def _daylight(self, at_s: float) -> float:
        height = (self._length_h / 2 - abs(at_s / 3600 - self._noon_h)) * 60  # minutes of sun left
        cloud = 1 - 0.7 * min(max(float(self._clouds[int(at_s % DAY_S)]), 0.0), 1.0)
        return cloud * float(10.0 ** min(max(height / 15 - 1, -6.0), 0.0))  # a tenth at sunrise

    def frame(self, at_s: float, fault: str = "") -> Samples:
        """Draw a frame, with a fault of FAULTS or none. Times grow."""
        gap_s = float(np.clip(at_s - self._at_s, 0.01, 5)) if self._at_s >= 0 else 5.0
        self._at_s = at_s
        surface = self._surface(at_s, fault)
        linear = surface * self._lit(at_s)
        if fault in ("covered", "dark"):
            linear = (
                self._over
                * (1e-7 if fault == "dark" else 0.5)
                * max(self._daylight(at_s), float(self._lamp.max()))
            )
        else:
            linear = self._cars_at(at_s, linear)
        gain = 2.0**self._exposure.stops
        linear = np.minimum(linear * gain, 4)
        spread = np.sqrt(linear * (self._shot * gain**0.5) + (self._read * gain) ** 2)
        linear += spread * grain(self._random, self._noise)
        linear = np.minimum(np.maximum(linear, 0), 1)
        self._exposure.follow(float(linear[::4, ::4].mean()), gap_s)
        return self._code.take((linear * 4095).astype(np.intp))

    def _surface(self, at_s: float, fault: str) -> Array:
        surface = self._surfaces[fault if fault in ("blurred", "moved") else "usual"].copy()
        wind = float(self._wind[int(at_s % DAY_S)])
        if wind > 0.1:  # each leaf swings in its own time
            rows, columns = self._leaves
            by = np.rint(2 * wind * np.sin(self._phase + at_s * 2.3)).astype(np.int16)
            from_ = rows * COLUMNS + np.minimum(np.maximum(columns + by, 0), COLUMNS - 1)
            surface.put(rows * COLUMNS + columns, surface.take(from_))
        self._people_at(at_s, surface)
        if present(self._showers, at_s):
            self._rain(at_s, surface)
        return surface

    def _lit(self, at_s: float) -> Array:
        daylight = self._daylight(at_s)
        clear = 1 - min(max(float(self._clouds[int(at_s % DAY_S)]), 0.0), 1.0)
        left = int((at_s % DAY_S) / DAY_S * 2 * COLUMNS)
        shadow = np.clip((self._cast[:, left : left + COLUMNS] - 0.5) * 8, 0, 1)
        lit = daylight * (1 + self._sun * clear * shadow)
        return lit + self._lamp if daylight < 0.003 else lit

    def _people_at(self, at_s: float, surface: Array) -> None:
        for someone, share in present(self._people, at_s):
            size = someone.scale * ROWS
            middle = (share if someone.sign > 0 else 1 - share) * (COLUMNS + size) - size / 2
            rows = self._rows - ROWS * (0.2 + 0.8 * someone.row)
            body = (np.abs(self._columns - middle) < size / 6) & (rows < 0) & (rows > -size * 0.8)
            legs = 0.4 * np.sin(at_s * 5) * size / 6
            body |= (np.abs(self._columns - middle - legs) < size / 12) & (
                np.abs(rows) < size * 0.2
            )
            clothes = np.random.RandomState(someone.seed).uniform(0.02, 0.6)
            surface[body] = clothes * (1 + 0.3 * np.sin(self._rows[body] * 3 / max(size / 20, 1)))

    def _cars_at(self, at_s: float, linear: Array) -> Array:
        for car, share in present(self._cars, at_s) if self._daylight(at_s) < 0.01 else ():
            parked = car.to_s - car.from_s > 15
            middle = COLUMNS * (0.5 if parked else share if car.sign > 0 else 1 - share)
            away = (self._rows - car.row * ROWS) ** 2 + (self._columns - middle) ** 2
            linear = (
                linear + 0.5 * np.exp(-away / (car.scale * ROWS) ** 2) + 0.002 / (1 + away / 900)
            )
        return linear

    def _rain(self, at_s: float, surface: Array) -> None:
        surface *= 0.8
        surface += 0.04  # the air is lighter
        for row, column in self._drops:
            drop = (self._rows - row) ** 2 + (self._columns - column) ** 2 < 40
            surface[drop] = self._soft[drop]
        for column in self._random.integers(0, COLUMNS, 60):
            top = int(self._random.integers(0, ROWS - 10))
            surface[top : top + 10, column] += 0.08


def _softened(surface: Array) -> Array:
    image = Image.fromarray((surface * 255).clip(0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(5)), np.float32) / 255
