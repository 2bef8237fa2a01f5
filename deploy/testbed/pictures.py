"""Ten pictures to compare answers on: pictures.py FOLDER [--photos FOLDER] [--photo FILE].

Real photos where there is a folder of them with a folder per class, as many of each as go into
ten; otherwise drawn ones, the same on every run, and the single photo among them where it exists.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

NUM_PICTURES = 10
# (width, height): smaller and larger than a model's input, wide, tall, and a camera's.
SIZES = [(320, 240), (240, 320), (96, 96), (640, 360), (1600, 1200), (500, 375), (333, 517)]


def draw(seed: int) -> Image.Image:
    """Draw coloured shapes over a gradient, blurred and grained a little, as a photo is."""
    random = np.random.RandomState(seed)  # its stream is frozen, whatever the numpy
    width, height = SIZES[seed % len(SIZES)]
    corners = Image.fromarray(random.randint(0, 256, (2, 2, 3)).astype(np.uint8))
    picture = corners.resize((width, height), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(picture)
    for _ in range(random.randint(4, 12)):
        left, top = (int(v) for v in random.randint(0, (width, height)))
        right, bottom = left + int(random.randint(width)), top + int(random.randint(height))
        colour = tuple(int(v) for v in random.randint(0, 256, 3))
        shape = (pen.ellipse, pen.rectangle)[random.randint(2)]
        shape((left, top, right, bottom), fill=colour)
    picture = picture.filter(ImageFilter.GaussianBlur(1.5))
    grain = random.randint(-12, 13, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def draw_all(out: Path, photo: Path | None) -> str:
    """Write the drawn pictures, and the photo as the first where it exists; say what was done."""
    drawn = range(NUM_PICTURES)
    if photo and photo.is_file():
        shutil.copyfile(photo, out / "00-photo.jpg")
        drawn = range(1, NUM_PICTURES)
    for number in drawn:
        draw(number).save(out / f"{number:02}-drawn.jpg", quality=88)
    return f"{len(drawn)} drawn"


def copy_all(out: Path, classes: list[Path]) -> str:
    """Copy as many photos of each class as make ten together; say what was done."""
    each = NUM_PICTURES // len(classes)
    for folder in classes:
        for number, photo in enumerate(sorted(folder.glob("*.jpg"))[:each]):
            shutil.copyfile(photo, out / f"{folder.name}-{number:02}.jpg")
    return f"real photos, {each} each of {', '.join(folder.name for folder in classes)}"


def main() -> int:
    """Fill the folder; fail where it doesn't come to ten."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, metavar="FOLDER")
    parser.add_argument("--photo", type=Path, metavar="FILE")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    real = args.photos is not None and args.photos.is_dir()
    classes = sorted(f for f in args.photos.iterdir() if f.is_dir()) if real else []
    done = copy_all(args.out, classes) if classes else draw_all(args.out, args.photo)
    count = len(list(args.out.iterdir()))
    print(f"pictures: {count} ({done})", file=sys.stderr)
    return 0 if count == NUM_PICTURES else 1


if __name__ == "__main__":
    sys.exit(main())
