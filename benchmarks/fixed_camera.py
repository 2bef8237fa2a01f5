"""Draw a later session of a fixed camera: the same scene and objects, in other light and places.

    python benchmarks/fixed_camera.py PHOTOS OUT [--frames 60] [--seed 1]

PHOTOS holds a folder per class, of which one is the empty scene (--empty). Each object is cut out
where its frame differs from the empty scene, and laid into the scene at another place. The light
of each frame is another: brightness, colour, and a shade across. What a model is worth then:

    python -m convert evaluate OUT MODEL.tflite

It also prints how often each augmentation cuts the objects out of a training photo.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.training.augment import Augmentation, affine
from edge.image.preprocess import encode_jpeg, read_image
from edge.sources.photos import files

Array = NDArray[Any]

BLUR_PX = 2.0  # of differences, so that noise does not count
DIFFERENT = 7.0  # of 255
MIN_AREA, MAX_AREA = 0.003, 0.06  # of the frame: what else differs is no object
MIN_MOVE = 0.1  # of the frame's width
BRIGHTNESS = (0.6, 1.35)  # times the mean of the session
TINT = 0.06  # either way, of red and blue
SHADE = 0.2  # either way, from one side to the other
NOISE = 3.5  # standard deviation, of 255
VIEWS = 40  # augmented photos of each object


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Cut:
    """An object that was cut out of its frame."""

    pixels: Array  # (h, w, 3) float32, as in the light of the mean scene
    mask: Array  # (h, w) float32, 0 to 1
    centre: tuple[int, int]  # x, y where it lay


def scene_of(frames: list[Array]) -> Array:
    """The empty scene, (h, w, 3) float32, in the mean light of its frames."""
    levels = np.array([frame.mean() for frame in frames], np.float32)
    stack = np.stack([frame / level for frame, level in zip(frames, levels, strict=True)])
    scene: Array = np.median(stack, axis=0) * levels.mean()
    return scene


def cut_out(frame: Array, scene: Array) -> Cut | None:
    """Cut out the object of a frame; None where nothing, or too much, differs."""
    gain = float(np.median(frame / np.maximum(scene, 8)))
    lit = np.minimum(scene * gain, 255)
    difference = cv2.GaussianBlur(frame - lit, (0, 0), BLUR_PX)
    different = (np.abs(difference).max(axis=2) > DIFFERENT) & (lit.max(axis=2) < 245)
    closed = cv2.morphologyEx(different.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((15, 15)))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    if len(stats) < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    contours, _ = cv2.findContours(
        (labels == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    hull = np.zeros(closed.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.concatenate(contours)), 1)
    if not MIN_AREA * hull.size <= hull.sum() <= MAX_AREA * hull.size:
        return None
    x, y, w, h = cv2.boundingRect(hull)
    box = np.s_[y : y + h, x : x + w]
    soft = cv2.GaussianBlur(hull.astype(np.float32), (0, 0), 1.0)
    return Cut(frame[box] / gain, soft[box], (x + w // 2, y + h // 2))


def laid(scene: Array, cut: Cut, places: Array, random: np.random.Generator) -> Array:
    """Lay an object into the scene, away from where it was."""
    height, width = cut.mask.shape
    for _ in range(1000):
        x, y = random.uniform(places.min(axis=0), places.max(axis=0))
        left, top = int(x - width // 2), int(y - height // 2)
        inside = left >= 0 and top >= 0
        inside &= left + width <= scene.shape[1] and top + height <= scene.shape[0]
        if inside and np.hypot(*(np.array([x, y]) - cut.centre)) >= MIN_MOVE * scene.shape[1]:
            break
    else:
        raise SystemExit("an object fits nowhere else")
    frame = scene.copy()
    box = np.s_[top : top + height, left : left + width]
    mask = cut.mask[..., None]
    frame[box] = mask * cut.pixels + (1 - mask) * frame[box]
    return frame


def relit(frame: Array, random: np.random.Generator) -> Array:
    """Put a frame into other light: (h, w, 3) uint8."""
    colour = 1 + np.array([random.uniform(-TINT, TINT), 0, random.uniform(-TINT, TINT)])
    shade = 1 + random.uniform(-SHADE, SHADE) * np.linspace(-1, 1, frame.shape[1])[:, None]
    lit = frame * random.uniform(*BRIGHTNESS) * colour * shade
    return np.clip(lit + random.normal(0, NOISE, frame.shape), 0, 255).astype(np.uint8)


def hidden(cuts: list[Cut], size: tuple[int, int], augmentation: Augmentation) -> tuple[float, ...]:
    """Shares of augmented photos in which an object is not seen, and seen less than half."""
    random = np.random.default_rng(0)
    seen = []
    for cut in cuts:
        spread = (np.array(cut.mask.shape[::-1]) - 1) * np.linspace(-0.5, 0.5, 7)[:, None]
        across, down = np.meshgrid(*(spread + cut.centre).T)
        points = np.stack([across.ravel(), down.ravel()])
        for _ in range(VIEWS):
            matrix = affine(augmentation, size, random)
            view = np.linalg.inv(matrix[:, :2]) @ (points - matrix[:, 2:])
            limits = np.array(size[::-1])[:, None] - 1
            seen.append(((view >= 0) & (view <= limits)).all(axis=0).mean())
    return float(np.mean(np.array(seen) == 0)), float(np.mean(np.array(seen) < 0.5))


def main() -> None:
    """Draw the frames, and say how many objects could be cut out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--empty", default="empty", help="the class of the scene (default: empty)")
    parser.add_argument("--frames", type=int, default=60, help="of each class (default: 60)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    classes = {
        folder.name: [read_image(path).astype(np.float32) for path in files(folder)]
        for folder in sorted(args.photos.iterdir())
        if folder.is_dir()
    }
    scene = scene_of(classes.pop(args.empty))
    cuts = {
        name: [cut for cut in (cut_out(frame, scene) for frame in frames) if cut]
        for name, frames in classes.items()
    }
    places = np.array([cut.centre for of_class in cuts.values() for cut in of_class])
    for name in (args.empty, *classes):
        own = cuts.get(name, [])
        (args.out / name).mkdir(parents=True, exist_ok=True)
        for number in range(args.frames):
            frame = laid(scene, own[number % len(own)], places, random) if own else scene
            path = args.out / name / f"later-{number:03}.jpg"
            path.write_bytes(encode_jpeg(relit(frame, random), 90))
        print(f"{name}: {args.frames} frames, {len(own)} objects of {len(classes.get(name, []))}")
    every = [cut for of_class in cuts.values() for cut in of_class]
    for kind in ("camera", "scratch"):
        out, partly = hidden(every, scene.shape[:2], getattr(Augmentation, kind)())
        print(f"{kind}: {100 * out:.1f} % of objects not seen, {100 * partly:.1f} % less than half")


if __name__ == "__main__":
    main()
