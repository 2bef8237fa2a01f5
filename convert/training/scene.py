"""A fixed camera's scene, and the thing that lies in each of its frames: found by difference.

In other minutes the scene is the same, and its things lie elsewhere. So a thing is cut out,
changed, and laid where another of its class lay, and the scene that it hid is filled in.

Source: Dwibedi et al., Cut, Paste and Learn, 2017, https://arxiv.org/abs/1708.01642
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.data.photo import PixelRows
from convert.training.augment import Augmentation, affine, augment, size_of
from edge.image.preprocess import Pixels, Size

Array = NDArray[Any]
Draw = Callable[[int, np.random.Generator], Pixels]  # a photo's number -> one view of it

MAX_FRAMES = 64  # that the scene is the median of
SMALL = 32  # side of what the light is fitted to, in pixels
DARK = 8.0  # of 255: darker pixels are all noise
MIN_LIT = 0.1  # of the cells, to fit a light to
BRIGHT = 245.0  # of 255: brighter ones are clipped
DIFFERENT = 10.0  # of 255, in the frame's light
UNUSUAL = 2.0  # times what a pixel differs by in USUAL of the frames: leaves, screens
USUAL = 80.0  # per cent
MIN_AREA, MAX_AREA = 0.002, 0.25  # of the frame: anything larger or smaller is ignored
MOST = 0.5  # of the frames of each class but one have a thing, at a fixed camera
SAME_DETAIL = 0.5  # correlation of a frame's detail with the scene's, the median of the frames
AS_IT_IS = 0.25  # share of views in which the thing stays where it lay
MAX_LOOKED_AT = 96  # photos, to know whether the camera is fixed
JITTER = 0.05  # of the frame's size, either way: about where another thing lay


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Thing:
    """What differs from the scene in a frame."""

    corner: tuple[int, int]  # x, y of its box
    mask: NDArray[np.uint8]  # (h, w) of the box, 0 to 255
    light: Array  # (3 terms, 3 channels): the frame's, of the scene

    @property
    def centre(self) -> Array:
        """x, y in the frame."""
        middle: Array = np.array(self.corner) + (np.array(self.mask.shape[::-1]) - 1) / 2
        return middle


class Scene:
    """The empty scene, and the thing in each frame."""

    def __init__(self, pixels: PixelRows, labels: NDArray[np.int64]) -> None:
        """Find the scene, the median of frames in the same light, and what differs from it.

        Args:
            pixels: (num_frames, h, w, 3) uint8.
            labels: (num_frames,).
        """
        self._labels = labels
        chosen = np.linspace(0, len(pixels) - 1, min(MAX_FRAMES, len(pixels))).astype(int)
        frames = [np.asarray(pixels[i], np.float32) for i in chosen]
        levels = [max(float(frame.mean()), 1.0) for frame in frames]
        stack = np.stack([f * (np.mean(levels) / m) for f, m in zip(frames, levels, strict=True)])
        self.empty: Array = np.median(stack, axis=0)
        size = size_of(self.empty)
        self._terms = _terms(size)
        each = [_difference(f, self._lit(_light(f, self.empty))) for f in frames]
        usual = np.percentile(np.stack(each), USUAL, axis=0)
        self._detail = float(np.median([_shared_detail(f, self.empty) for f in frames]))
        self._limits = np.maximum(DIFFERENT, UNUSUAL * usual)
        self.things = tuple(self._thing(np.asarray(pixels[i])) for i in range(len(pixels)))
        self._alike: defaultdict[int, list[Thing]] = defaultdict(list)
        for thing, label in zip(self.things, labels.tolist(), strict=True):
            if thing:
                self._alike[label].append(thing)

    @property
    def is_fixed(self) -> bool:
        """Whether the frames are of one scene: most of each class but one have a thing in it.

        Photos before plain backgrounds share no detail.
        """
        counts = np.bincount(self._labels)
        shares = sorted(len(self._alike[i]) / n for i, n in enumerate(counts.tolist()) if n)
        return len(shares) > 1 and shares[1] >= MOST and self._detail >= SAME_DETAIL

    def moved(
        self, frame: Pixels, index: int, augmentation: Augmentation, random: np.random.Generator
    ) -> Pixels:
        """Lay the thing of a frame, changed, where another of its class lay."""
        thing = self.things[index]
        if thing is None or random.random() < AS_IT_IS:
            return frame
        alike = self._alike[int(self._labels[index])]
        height, width = size = size_of(frame)
        place = alike[random.integers(len(alike))].centre
        place = place + random.uniform(-JITTER, JITTER, 2) * (width, height)
        still = dataclasses.replace(augmentation, shift=0.0, crop=False)
        turn = affine(still, size, random)[:, :2]
        move = thing.centre - thing.corner - turn @ place
        (x, y), (h, w) = thing.corner, thing.mask.shape
        box = np.s_[y : y + h, x : x + w]
        cut = np.dstack([frame[box], thing.mask])
        laid = cv2.warpAffine(
            cut,
            np.column_stack([turn, move]),
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
        made = frame.astype(np.float32)
        hole = cv2.dilate(thing.mask, np.ones((3, 3)))[..., None] / np.float32(255)
        made[box] += hole * (self._lit(thing.light, box) - made[box])
        made += laid[..., 3:] / np.float32(255) * (laid[..., :3] - made)
        return np.asarray(np.clip(made + 0.5, 0, 255), np.uint8)

    def _lit(self, light: Array, box: Any = np.s_[:]) -> Array:
        """The scene, or a box of it, in some light."""
        lit: Array = np.minimum(self.empty[box] * (self._terms[box] @ light), 255)
        return lit

    def _thing(self, frame: Pixels) -> Thing | None:
        values = frame.astype(np.float32)
        light = _light(values, self.empty)
        lit = self._lit(light)
        different = (_difference(values, lit) > self._limits) & (lit.max(axis=2) < BRIGHT)
        side = max(3, round(0.025 * len(frame)))
        closed = cv2.morphologyEx(
            different.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((side, side))
        )
        _, parts, stats, _ = cv2.connectedComponentsWithStats(closed)
        if len(stats) < 2:
            return None
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        x, y, w, h, area = stats[largest].tolist()
        if not MIN_AREA * different.size <= area <= MAX_AREA * different.size:
            return None
        filled = (parts[y : y + h, x : x + w] == largest).astype(np.uint8)
        contours, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(filled, contours, -1, (255,), cv2.FILLED)
        return Thing((x, y), filled, light)


def _terms(size: Size) -> Array:
    """1, x and y of each pixel: (h, w, 3), -1 to 1."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij")
    terms: Array = np.stack([np.ones(size), x, y], axis=-1).astype(np.float32)
    return terms


def _light(frame: Array, scene: Array) -> Array:
    """Fit the light of a frame, a plane for each channel that multiplies the scene: (3, 3)."""
    ours, theirs = (
        cv2.resize(a, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for a in (frame, scene)
    )
    terms = _terms((SMALL, SMALL)).reshape(-1, 3)
    light = np.zeros((3, 3), np.float32)
    for channel in range(3):
        seen, known = ours[..., channel].ravel(), theirs[..., channel].ravel()
        used = (known > DARK) & (seen < BRIGHT) & (known < BRIGHT)
        found = np.array([1, 0, 0], np.float32)
        for _ in range(3):
            if used.sum() < MIN_LIT * len(used):
                break
            found = np.linalg.lstsq(terms[used] * known[used, None], seen[used], rcond=None)[0]
            off = np.abs(seen - known * (terms @ found))
            used = used & (off <= 2.5 * np.median(off[used]) + 1)
        light[:, channel] = found
    return light


def _shared_detail(frame: Array, scene: Array) -> float:
    """Correlation of what a blur takes away from both."""
    sigma = len(frame) / 14
    ours, theirs = (image - cv2.GaussianBlur(image, (0, 0), sigma) for image in (frame, scene))
    lengths = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float((ours * theirs).sum()) / lengths if lengths else 0.0


def _difference(frame: Array, lit: Array) -> Array:
    """How much the pixels differ, the most of their channels, without noise: (h, w)."""
    blurred = cv2.GaussianBlur(frame - lit, (0, 0), len(frame) / 224)
    most: Array = np.abs(blurred).max(axis=2)
    return most


def is_fixed_camera(pixels: PixelRows, labels: NDArray[np.int64]) -> bool:
    """Whether photos are frames of one scene, in which things lie; of many, some are looked at.

    Args:
        pixels: (num_photos, h, w, 3) uint8.
        labels: (num_photos,).
    """
    order = np.argsort(labels, kind="stable")  # as many of each class as it has
    chosen = order[np.linspace(0, len(order) - 1, min(MAX_LOOKED_AT, len(order))).astype(int)]
    frames = np.stack([np.asarray(pixels[index]) for index in chosen])
    return Scene(frames, labels[chosen]).is_fixed


def drawing(pixels: PixelRows, labels: NDArray[np.int64], augmentation: Augmentation) -> Draw:
    """How views of photos are drawn: of a fixed camera, the thing in a frame moves, too."""
    of_frame = augmentation.of_frame()
    if not augmentation.still:
        return lambda index, random: augment(pixels[index], of_frame, random)
    scene = Scene(pixels, labels)

    def draw(index: int, random: np.random.Generator) -> Pixels:
        moved = scene.moved(np.asarray(pixels[index]), index, augmentation, random)
        return augment(moved, of_frame, random)

    return draw
