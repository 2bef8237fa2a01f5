"""python -m convert evaluate: what .tflite files are worth on a folder of photos."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from convert.data.photo import Photo, sha256_of
from convert.data.walk import PhotoTree, walk_photos
from convert.errors import DatasetError
from convert.measure.evaluate import evaluate
from convert.measure.scores import at_threshold, confusion
from edge.classifier.model import Model

EXAMPLES = """\
PHOTOS holds one folder per class, named as the model's labels, or train/, val/ and test/ that hold
those. Every photo of it is measured, by the code that runs on the device.

examples:
  python -m convert evaluate photos/test out/model-int8.tflite
  python -m convert evaluate photos --set test out/*.tflite
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PHOTOS, MODEL and --set."""
    parser.epilog = EXAMPLES
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder with labelled photos")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="a .tflite file")
    parser.add_argument(
        "--set", choices=("train", "val", "test"), default="test", help="where PHOTOS holds sets"
    )


def main(arguments: argparse.Namespace) -> int:
    """Print accuracy, the figures at the model's own threshold, and the confusion, per model."""
    tree = walk_photos(arguments.photos)
    of_set = arguments.set if tree.split else "train"
    if of_set not in tree.labels:
        raise DatasetError(arguments.photos, f"has no {of_set}", "give another --set")
    for path in arguments.models:
        with Model(path) as model:
            labels = model.labels
            threshold = float(model.metadata.edge.get("threshold") or 0.0)
        found = evaluate(path, _photos(tree, of_set, labels), path.name)
        answered = at_threshold(found.scores, found.labels, threshold)
        print(f"{path}: accuracy {found.accuracy} on {found.accuracy.total} photos")
        print(
            f"  at its threshold {threshold:.3f}: answers {100 * answered.coverage:.1f} %, of "
            f"which {100 * answered.precision:.1f} % are right"
        )
        for label, share in zip(labels, answered.false_alarms, strict=True):
            print(f"  false alarms, {label}: {100 * share:.1f} % of the other labels' photos")
        if len(labels) <= 20:
            print(_table(labels, confusion(found.scores, found.labels).tolist()), flush=True)
    return 0


def _photos(tree: PhotoTree, of_set: str, labels: Sequence[str]) -> list[Photo]:
    """The photos of a set; each class must be one of the model's labels."""
    unknown = [name for name in tree.labels[of_set] if name not in labels]
    if unknown:
        fault = f"{unknown[0]} is no label of the model ({', '.join(labels[:5])})"
        raise DatasetError(tree.folder(of_set), fault, "give the photos that it was made for")
    found = [
        Photo(file.path, labels.index(file.label), sha256_of(file.path))
        for file in tree.files
        if file.set == of_set
    ]
    if not found:
        remedy = "give a folder with one folder per class"
        raise DatasetError(tree.folder(of_set), "holds no photo of a class", remedy)
    return found


def _table(labels: Sequence[str], counts: list[list[int]]) -> str:
    wide = max(len(label) for label in labels)
    head = f"  {'label':{wide}}  answered: {', '.join(labels)}"
    rows = zip(labels, counts, strict=True)
    return "\n".join([head, *(f"  {n:{wide}}  {'  '.join(map(str, row))}" for n, row in rows)])
