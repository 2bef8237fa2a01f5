"""Promised against true accuracy of a set with augmented copies, as labelling tools export them.

    python benchmarks/promise.py PHOTOS --weights FILE [--alpha 0.35] [--out FOLDER] [OPTION ...]

Of 40 photos of each of two classes, six edited copies each are written beside them, under names
that do not give them away (--named: under the names that augmentation tools give). A training with
OPTIONs promises an accuracy on its test set; 100 other photos of each class give the true one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from convert.measure.scores import Accuracy
from convert.steps.evaluate import evaluate
from edge.image.preprocess import read_image

SIDE = 128
BICUBIC, TURN = Image.Resampling.BICUBIC, Image.Transpose


def scaled(box: tuple[int, int, int, int]) -> Callable[[Image.Image], Image.Image]:
    """Cut a part out, and scale it to the whole."""
    return lambda image: image.crop(box).resize(image.size, BICUBIC)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "": lambda image: image,
    "_rot15": lambda image: image.rotate(15, BICUBIC),
    "_rot90": lambda image: image.transpose(TURN.ROTATE_90),
    "_flipud": lambda image: image.transpose(TURN.FLIP_TOP_BOTTOM),
    "_crop": scaled((12, 12, 116, 116)),
    "_bright": lambda image: image.point(lambda value: min(255, int(value * 1.3))),
    "_zoom": scaled((20, 30, 100, 110)),
}


def draw(photos: Path, labels: list[str], out: Path, *, named: bool) -> None:
    """Write photos with copies to out/photos, and others to out/fresh."""
    for label in labels:
        paths = sorted((photos / label).iterdir())
        for name in ("photos", "fresh"):
            (out / name / label).mkdir(parents=True)
        number = 0
        for path in paths[:40]:
            image = Image.fromarray(read_image(path)).resize((SIDE, SIDE), BICUBIC)
            for suffix, edit in COPIES.items():
                stem = f"{path.stem}{suffix}" if named else f"{number * 7919 % 280:03}"
                edit(image).save(out / "photos" / label / f"{stem}.jpg", quality=90)
                number += 1
        for path in paths[200:300]:
            image = Image.fromarray(read_image(path)).resize((SIDE, SIDE), BICUBIC)
            image.save(out / "fresh" / label / f"{path.stem}.jpg", quality=90)


def main() -> None:
    """Print the promised and the true accuracy, and whether they agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder for each class")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--alpha", default="0.35")
    parser.add_argument("--labels", default="roses,tulips")
    parser.add_argument("--named", action="store_true")
    parser.add_argument("--out", type=Path, help="keep what is made (default: temporary)")
    args, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        draw(args.photos, args.labels.split(","), folder, named=args.named)
        out = folder / "out"
        command = [sys.executable, "-m", "convert", folder / "photos", "-o", out, *options]
        command += ["--weights", args.weights, "--alpha", args.alpha]
        subprocess.run(list(map(str, command)), check=False)  # 1: it is not fit for use
        card = json.loads((out / "card.json").read_text())
        chosen = next(v for v in card["variants"] if v["file"] == card["chosen"])
        promised = chosen["test_accuracy"]
        true = evaluate(folder / "fresh", out / chosen["file"]).accuracy
    report(promised, true)


def report(promised: dict[str, object], true: Accuracy) -> None:
    """Print both figures."""
    low, high = promised["interval_95"]  # type: ignore[misc]
    print(f"promised: {promised}")
    print(f"true: {true} on {true.total} photos")
    print("within the promised interval" if low <= true.value <= high else "OUTSIDE of it")


if __name__ == "__main__":
    main()
