"""Compose frames of a fixed camera: objects cut out of photos, laid into a photo of a room.

    python benchmarks/scenes.py OUT --scene PHOTO --objects FOLDER ... [--empty] [--instances 15]

OUT/frames gets a folder of frames per folder of objects, for a training; OUT/later-1 and
OUT/later-2 are later sessions: other places and sizes, other light. --instances is how many objects
a class has; --new is how many of every three of a later session are none of these. --plain cuts
objects out of a plain background; otherwise an ellipse is cut out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fixed_camera import relit
from numpy.typing import NDArray

from edge.image.preprocess import encode_jpeg, read_image
from edge.sources.photos import files

Array = NDArray[Any]
Object = tuple[Array, Array]  # (h, w, 3) float32 pixels, (h, w) float32 mask

SIZE = (640, 480)
SIDE = 160  # longer side of an object's photo, in pixels
AREA = (0.01, 0.05)  # of the frame
ACROSS, DOWN = (0.15, 0.85), (0.4, 0.88)  # where objects lie, of the frame
TURN = 25.0  # degrees, either way
BRIGHTNESS, TINT, NOISE = (0.8, 1.2), 0.03, 2.5  # of the frames of the training


def ellipse(pixels: Array) -> Array:
    """Mask what lies in an ellipse that nearly fills a photo."""
    mask = np.zeros(pixels.shape[:2], np.float32)
    height, width = mask.shape
    axes = (round(0.46 * width), round(0.46 * height))
    cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, 1.0, -1)
    return mask


def before_plain(pixels: Array) -> Array:
    """Mask what lies before a plain background."""
    mask = np.zeros(pixels.shape[:2], np.uint8)
    height, width = mask.shape
    inner = (width // 20, height // 32, round(0.9 * width), round(0.94 * height))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(pixels[..., ::-1].copy(), mask, inner, *models, 3, cv2.GC_INIT_WITH_RECT)
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    return cv2.GaussianBlur(found, (0, 0), 1.0)


def objects(folder: Path, count: int, cut: Callable[[Array], Array]) -> list[Object]:
    """Cut objects out of the photos of a folder, always the same ones."""
    every = sorted(files(folder))
    found = []
    for index in np.random.default_rng(0).permutation(len(every))[:count]:
        pixels = read_image(every[index])
        scale = SIDE / max(pixels.shape[:2])
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found.append((pixels.astype(np.float32), cut(pixels)))
    return found


def laid(scene: Array, thing: Object, random: np.random.Generator) -> Array:
    """Lay an object somewhere into the scene."""
    pixels, mask = thing
    height, width = scene.shape[:2]
    area = max(float(mask.sum()), 0.2 * mask.size)
    scale = np.sqrt(random.uniform(*AREA) * height * width / area)
    middle = np.array(mask.shape[::-1]) / 2
    matrix = cv2.getRotationMatrix2D(tuple(middle), random.uniform(-TURN, TURN), scale)
    place = random.uniform(*ACROSS) * width, random.uniform(*DOWN) * height
    matrix[:, 2] += np.array(place) - middle
    over = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_AREA)
    cover = cv2.warpAffine(mask, matrix, (width, height))[..., None]
    frame: Array = scene * (1 - cover) + over * cover
    return frame


def as_recorded(frame: Array, random: np.random.Generator) -> Array:
    """Put a frame into the light of the training: (h, w, 3) uint8."""
    colour = 1 + np.array([random.uniform(-TINT, TINT), 0, random.uniform(-TINT, TINT)])
    lit = frame * random.uniform(*BRIGHTNESS) * colour
    return np.clip(lit + random.normal(0, NOISE, frame.shape), 0, 255).astype(np.uint8)


def write_frames(
    out: Path,
    scene: Array,
    classes: dict[str, Sequence[Object]],
    light: Callable[[Array, np.random.Generator], Array],
    count: int,
    seed: int,
) -> None:
    """Write the frames of each class; a class without objects is the empty scene."""
    random = np.random.default_rng(seed)
    for name, things in classes.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            frame = laid(scene, things[number % len(things)], random) if things else scene
            path = out / name / f"{number:03}.jpg"
            path.write_bytes(encode_jpeg(light(frame, random), 90))


def main() -> None:
    """Compose a training and two later sessions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--scene", type=Path, required=True, metavar="PHOTO")
    parser.add_argument("--objects", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--empty", action="store_true", help="add a class of the empty scene")
    parser.add_argument(
        "--plain", action="store_true", help="objects lie before a plain background"
    )
    parser.add_argument("--instances", type=int, default=15, help="of a class (default: 15)")
    parser.add_argument("--new", type=int, default=0, help="of every three later (default: 0)")
    parser.add_argument("--frames", type=int, default=60, help="of each class (default: 60)")
    args = parser.parse_args()
    cv2.setRNGSeed(0)
    scene = cv2.resize(read_image(args.scene), SIZE, interpolation=cv2.INTER_CUBIC)
    scene = scene.astype(np.float32)
    cut = before_plain if args.plain else ellipse
    count, new = args.instances, args.instances * args.new // 3
    every = {folder.name: objects(folder, count + new, cut) for folder in args.objects}
    known: dict[str, Sequence[Object]] = {"empty": ()} if args.empty else {}
    later = dict(known)
    for name, things in every.items():
        known[name], later[name] = things[:count], things[new:]
    write_frames(args.out / "frames", scene, known, as_recorded, args.frames, 0)
    for number in (1, 2):
        write_frames(args.out / f"later-{number}", scene, later, relit, args.frames, number)


if __name__ == "__main__":
    main()
