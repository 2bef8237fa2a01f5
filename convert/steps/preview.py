"""python -m convert preview: see what the augmentation makes of photos before training with it."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np

from convert.data.walk import PhotoTree, walk_photos
from convert.errors import DatasetError, OutputError
from convert.files import write
from convert.names import AUGMENTATIONS
from convert.report.sheet import sheet
from convert.steps.arguments import image_size
from convert.training.augment import Augmentation, variations
from edge.commands import complain
from edge.commands.arguments import count, real, seed
from edge.errors import ImageError
from edge.image.preprocess import Pixels, encode_jpeg, resized

NAME = "convert preview"
OF_A_PHOTO, OF_EACH_PHOTO = 30, 7  # variations
MOST_ROWS = 24  # of a sheet: photos of all classes
PHOTOS_OF_A_CLASS = 3
QUALITY = 95  # of the JPEG files: what is seen in them should be the augmentation's

DESCRIPTION = "Show augmented versions of your photos, exactly as the network will see them."
EXAMPLES = """\
Of one PHOTO, FOLDER gets its variations as JPEG files, named after the photo's folder (its class),
and one sheet of them, the original first. Of a folder of classes it gets one sheet, with a row for
a few photos of each class.

augmentations, each with the kinds of the one after it:
  scratch   camera's, cropped far more: for a network without pretrained weights
  camera    exposure, contrast, white balance, blur, noise, JPEG: what a cheap camera does
  tutorial  rotation, shifts, shear, zoom, left and right
  none      nothing

Is the thing still in every variation, and would you still name it so? Else lower the strength.

examples:
  python -m convert preview photos/hotdog/4.jpg
  python -m convert preview photos/hotdog/4.jpg --augmentation tutorial -o tutorial-preview
  python -m convert preview photos --strength 0.5 --image-size 224
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the preview, and its help text."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "photos", type=Path, metavar="PHOTO|PHOTOS", help="a photo, or a folder of classes"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("preview"),
        metavar="FOLDER",
        help="output folder (default: preview)",
    )
    parser.add_argument(
        "--count",
        type=count,
        metavar="N",
        help=f"variations (default: {OF_A_PHOTO}; in a folder {OF_EACH_PHOTO} of each photo)",
    )
    parser.add_argument(
        "--augmentation",
        choices=AUGMENTATIONS,
        default="camera",
        help="augmentation to show (default: camera)",
    )
    parser.add_argument(
        "--strength",
        type=real(0.0, 10.0),
        default=1.0,
        metavar="FACTOR",
        help="strength of the augmentation: 0.5 halves every change (default: 1.0)",
    )
    parser.add_argument(
        "--image-size",
        type=image_size,
        default=(300, 300),
        metavar="N|HxW",
        help="size of the network's input in pixels (default: 300)",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="N",
        help="random seed; another one draws other variations (default: 0)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Write the variations, and print what was written; return the exit status.

    Raises: DatasetError, ImageError, OutputError.
    """
    chosen = getattr(Augmentation, arguments.augmentation)().scaled(arguments.strength)
    if arguments.photos.is_dir():
        return _preview_folder(arguments, chosen)
    _preview_photo(arguments, chosen)
    return 0


def _preview_photo(arguments: argparse.Namespace, augmentation: Augmentation) -> None:
    photo, out = arguments.photos, arguments.out
    original = resized(photo, arguments.image_size)
    _refuse_inside(out, photo.resolve().parent, "the photo's own folder")
    label = photo.resolve().parent.name.lstrip(".") or "photo"
    number = arguments.count or OF_A_PHOTO
    varied = variations(original, augmentation, number, arguments.seed)
    names = [f"{label}-{index + 1:0{len(str(number))}}.jpg" for index in range(number)]
    _make(out)
    for name, pixels in zip(names, varied, strict=True):
        write(out / name, encode_jpeg(pixels, QUALITY))
    tiles = [(original, "the original"), *zip(varied, names, strict=True)]
    write(out / f"{label}-sheet.png", sheet(tiles))
    print(f"{out / f'{label}-*.jpg'}: {number} variation{'s' if number > 1 else ''} of {photo}")
    print(out / f"{label}-sheet.png")


def _preview_folder(arguments: argparse.Namespace, augmentation: Augmentation) -> int:
    """One sheet of a few photos of each class; a photo that cannot be read is named."""
    _refuse_inside(arguments.out, arguments.photos.resolve(), "the photos")
    number = arguments.count or OF_EACH_PHOTO
    tiles: list[tuple[Pixels, str]] = []
    unreadable = 0
    for label, photo in chosen_photos(arguments.photos, arguments.seed):
        try:
            original = resized(photo, arguments.image_size)
        except ImageError as error:
            complain(NAME, error)
            unreadable += 1
            continue
        varied = variations(original, augmentation, number, arguments.seed)
        tiles += [(original, f"{label}: {photo.name}"), *((pixels, "") for pixels in varied)]
    if not tiles:
        raise DatasetError(arguments.photos, "no photo can be read", "replace the files")
    _make(arguments.out)
    write(arguments.out / "sheet.png", sheet(tiles, columns=1 + number))
    print(arguments.out / "sheet.png")
    return 1 if unreadable else 0


def chosen_photos(folder: Path, seed: int) -> list[tuple[str, Path]]:
    """Choose (label, photo) for the rows of a sheet, by class, seeded. Raises: DatasetError."""
    classes = _classes(walk_photos(folder))
    if len(classes) > MOST_ROWS:
        complain(NAME, f"{folder}: the first {MOST_ROWS} of {len(classes)} classes are shown")
    each = max(1, min(PHOTOS_OF_A_CLASS, MOST_ROWS // len(classes)))
    chosen = []
    for label, found in islice(classes.items(), MOST_ROWS):
        if not found:
            raise DatasetError(folder, f"{label}: contains no images", "add photos, or remove it")
        picked = np.random.default_rng(seed).permutation(len(found))[:each]
        chosen += [(label, found[index]) for index in sorted(picked)]
    return chosen


def _classes(tree: PhotoTree) -> dict[str, list[Path]]:
    """The photos of each class, of train where there is one; photos alone are one class."""
    of_set, labels = next(iter(tree.labels.items()))
    if not labels:
        return {tree.folder(of_set).resolve().name: [tree.path / name for name in tree.strays]}
    classes: dict[str, list[Path]] = {label: [] for label in labels}
    for file in tree.files:
        if file.set == of_set:
            classes[file.label].append(file.path)
    return classes


def _refuse_inside(out: Path, folder: Path, what: str) -> None:
    """Variations among the photos would be scanned as photos, and spoil every split."""
    if out.resolve().is_relative_to(folder):
        fault = f"is inside {what}, where a training would take them for photos"
        raise OutputError(out, fault, "use a folder outside of it for -o")


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fault = f"cannot be created ({error.strerror})"
        raise OutputError(out, fault, "use another -o") from error
