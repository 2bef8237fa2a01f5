"""Convert a fresh network of so many classes in every quantization: fresh_models.py CLASSES OUT.

By the converter itself, from photos drawn here: each class has a colour and a number of discs. Two
epochs each, so that scores are not all alike; how good they are matters to nobody.
"""

from __future__ import annotations

import colorsys
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 64
PHOTOS = 80  # per class: the converter calibrates with 100 training photos at least
OPTIONS = (
    "--network small --image-size 48 --epochs 2 --batch-size 16 --augmentation none "
    "--precision float32 --quantize all --calibration-photos 100"
).split()


def draw(label: int, num_labels: int, random: np.random.Generator) -> Image.Image:
    """Draw a photo of a class: its colour and as many discs as its index, on a grey ground."""
    photo = Image.new("RGB", (SIDE, SIDE), tuple(random.integers(90, 160, 3).tolist()))
    pen = ImageDraw.Draw(photo)
    colour = colorsys.hsv_to_rgb(label / num_labels, 0.9, random.uniform(0.6, 1.0))
    for _ in range(1 + label % 3):
        x, y, radius = [*random.uniform(10, SIDE - 10, 2).tolist(), random.uniform(6, 16)]
        fill = tuple(round(255 * part) for part in colour)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    grain = random.integers(-10, 11, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8))


def main() -> int:
    """Convert them into OUT: fresh-2-int8.tflite and the like."""
    num_labels, out = int(sys.argv[1]), Path(sys.argv[2])
    random = np.random.default_rng(num_labels)
    with tempfile.TemporaryDirectory() as work:
        for label in range(num_labels):
            folder = Path(work, "photos", f"class-{label}")
            folder.mkdir(parents=True)
            for number in range(PHOTOS):
                draw(label, num_labels, random).save(folder / f"{number}.png")
        command = [sys.executable, "-m", "convert", "photos", "-o", "out", *OPTIONS]
        command += ["--name", f"fresh-{num_labels}"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
        made = sorted(Path(work, "out").glob("*.tflite"))
        if done.returncode or len(made) != 5:
            print(done.stderr, file=sys.stderr)
            return 1
        for model in made:
            shutil.copy(model, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
