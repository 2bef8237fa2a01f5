"""python -m convert evaluate: what .tflite files are worth on a folder of photos."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.data.photo import Photo, sha256_of
from convert.data.reading.archive import unpacked
from convert.data.reading.set_names import SETS
from convert.data.splits import FILE, read_splits
from convert.data.walk import PhotoTree, walk_photos
from convert.errors import DatasetError
from convert.measure.evaluate import Evaluation
from convert.measure.evaluate import evaluate as measure
from convert.measure.scores import (
    Accuracy,
    balanced_accuracy,
    confusion,
)
from convert.measure.thresholds import AtThreshold, at_threshold
from edge.classifier.model import NEVER, Model
from edge.commands import complain
from edge.errors import ModelError

NAME = "convert evaluate"
EXAMPLES = """\
PHOTOS holds one folder per class, named as the model's labels, or train/, val/ and test/ that hold
those. Which photos a model was trained on is known from splits.csv beside it, by their content:
only its test photos are measured then, by the code that runs on the device.

examples:
  python -m convert evaluate photos/test out/model-int8.tflite
  python -m convert evaluate photos --set test out/*.tflite
"""


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class ModelEvaluation:
    """What a .tflite file is worth on a set of photos."""

    labels: tuple[str, ...]  # the model's
    thresholds: NDArray[np.float64]  # (num_labels,), the model's own, below which it is unknown
    measured: Evaluation

    @property
    def accuracy(self) -> Accuracy:
        """Accuracy of the top category, before any threshold."""
        return self.measured.accuracy

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the labels: a rare label counts as any other."""
        return balanced_accuracy(self.measured.scores, self.measured.labels)

    @property
    def at_threshold(self) -> AtThreshold:
        """Coverage, precision and false positives at the model's thresholds."""
        return at_threshold(self.measured.scores, self.measured.labels, self.thresholds)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Photos by label (row) and prediction (column): (num_labels, num_labels)."""
        return confusion(self.measured.scores, self.measured.labels)


def evaluate(
    photos: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    split: str | None = None,
    anyway: bool = False,
) -> ModelEvaluation:
    """Measure a .tflite file on labelled photos, by the code that runs on the device.

    Which photos the model was trained on is known from splits.csv beside it, by their content.

    Args:
        photos: a folder with one folder per class, named as the model's labels, or with train/,
            val/ and test/ that hold those.
        model: a .tflite file.
        split: which set to measure: train, val or test; that of `photos`, or where it holds no
            sets, of splits.csv. None: test, or all photos where they are in no set.
        anyway: measure photos that the model was trained on, too.

    Returns:
        Accuracy, what holds at the model's threshold, and the confusion.

    Raises:
        EdgeError: the photos or the file cannot be used.
    """
    tree = walk_photos(unpacked(Path(photos)))
    of_set = (split or "test") if tree.split else "train"
    if of_set not in tree.labels:
        raise DatasetError(tree.path, f"has no {of_set}", "use another --set")
    path = Path(model)
    labels, thresholds, trained_on = _facts(path)
    found = _photos(tree, of_set, labels)
    sets = read_splits(path.with_name(FILE))
    if not tree.split:
        found = _of_set(found, sets, split, path, anyway)
    if not anyway:
        _refuse_trained(found, sets, trained_on, path)
    return ModelEvaluation(labels, thresholds, measure(path, found, path.name))


def _of_set(
    photos: list[Photo],
    sets: Mapping[str, str] | None,
    split: str | None,
    model: Path,
    anyway: bool,
) -> list[Photo]:
    """The photos of a set by splits.csv; all of them where it knows none."""
    if sets is None:
        if split:
            fault = f"holds no sets, and there is no {FILE} beside {model}"
            raise DatasetError(model.parent, fault, "omit --set to measure all photos")
        complain(NAME, f"no {FILE} beside {model}: it may have been trained on these photos")
        return photos
    known = [photo for photo in photos if photo.sha256 in sets]
    if not known and not split:
        return photos
    if anyway and not split:
        return photos
    of_set = split or "test"
    chosen = [photo for photo in known if sets[photo.sha256] == of_set]
    if not chosen:
        raise DatasetError(model.with_name(FILE), f"has no photos of {of_set}", "use another --set")
    if len(chosen) < len(photos):
        complain(NAME, f"{len(chosen)} of {len(photos)} photos: those of {of_set} by {FILE}")
    return chosen


def _refuse_trained(
    photos: Sequence[Photo],
    sets: Mapping[str, str] | None,
    trained_on: Collection[str],
    model: Path,
) -> None:
    trained = sum((sets or {}).get(photo.sha256) in trained_on for photo in photos)
    if trained:
        raise DatasetError(
            model,
            f"was trained on these photos ({trained} of {len(photos)})",
            "use others, or --anyway to measure them all the same",
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PHOTOS, MODEL and --set."""
    parser.epilog = EXAMPLES
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder with labelled photos")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="a .tflite file")
    parser.add_argument(
        "--set",
        choices=SETS,
        help=f"set to measure, as in PHOTOS or in {FILE} beside the model (default: test; all "
        "photos if there are no sets)",
    )
    parser.add_argument(
        "--anyway", action="store_true", help="measure photos that the model was trained on, too"
    )


def main(arguments: argparse.Namespace) -> int:
    """Print accuracy, the figures at the model's own threshold, and the confusion, per model."""
    for path in arguments.models:
        found = evaluate(arguments.photos, path, split=arguments.set, anyway=arguments.anyway)
        answered = found.at_threshold
        print(f"{path}: accuracy {found.accuracy} on {found.accuracy.total} photos")
        print(f"  balanced accuracy: {found.balanced_accuracy:.3f}")
        print(
            f"  at its {_shown(found.thresholds)}: coverage {100 * answered.coverage:.1f} %, "
            f"precision {100 * answered.precision:.1f} %"
        )
        for label, share in zip(found.labels, answered.false_positives, strict=True):
            print(f"  false positives, {label}: {100 * share:.1f} % of the other labels' photos")
        if len(found.labels) <= 20:
            print(_table(found.labels, found.confusion.tolist()), flush=True)
    return 0


def _shown(thresholds: NDArray[np.float64]) -> str:
    """`threshold 0.812`, or `thresholds 0.640 to 0.812`."""
    real = thresholds[thresholds < NEVER]
    low, high = (real.min(), real.max()) if len(real) else (0.0, 0.0)
    return f"threshold {high:.3f}" if low == high else f"thresholds {low:.3f} to {high:.3f}"


def _facts(path: Path) -> tuple[tuple[str, ...], NDArray[np.float64], list[str]]:
    """Return a model's labels, thresholds and the sets that it was trained on.

    Raises: ModelError, RuntimeMissingError.
    """
    try:
        with Model(path) as opened:
            trained_on = opened.metadata.edge.get("trained_on")
            sets = trained_on if isinstance(trained_on, list) else ["train"]
            return opened.labels, opened.thresholds(), sets
    except ModelError as error:
        if "--" not in error.remedy:
            raise
        # An option of edge-classify, which is given once here, and written into the file.
        remedy = f"wrap it first: python -m convert wrap {path.name} ... -o OUT ({error.remedy})"
        raise ModelError(error.subject, error.fault, remedy) from error


def _photos(tree: PhotoTree, of_set: str, labels: Sequence[str]) -> list[Photo]:
    """The photos of a set; each class must be one of the model's labels."""
    own = tree.path.resolve().name
    if not tree.labels[of_set] and own in labels:  # the folder of one class
        strays = [tree.path / name for name in tree.strays]
        return [Photo(path, labels.index(own), sha256_of(path)) for path in strays]
    unknown = [name for name in tree.labels[of_set] if name not in labels]
    if unknown:
        fault = f"{unknown[0]} is not a label of the model ({', '.join(labels[:5])})"
        raise DatasetError(tree.folder(of_set), fault, "use photos of its labels")
    found = [
        Photo(file.path, labels.index(file.label), sha256_of(file.path))
        for file in tree.files
        if file.set == of_set
    ]
    if not found:
        remedy = "use a folder with one folder per class"
        raise DatasetError(tree.folder(of_set), "contains no photos of a class", remedy)
    return found


def _table(labels: Sequence[str], counts: list[list[int]]) -> str:
    wide = max(len(label) for label in labels)
    head = f"  {'label':{wide}}  predicted: {', '.join(labels)}"
    rows = zip(labels, counts, strict=True)
    return "\n".join([head, *(f"  {n:{wide}}  {'  '.join(map(str, row))}" for n, row in rows)])
