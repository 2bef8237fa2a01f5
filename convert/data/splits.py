"""splits.csv and predictions.csv: which photo was in which set, and its prediction."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.data.dataset import Dataset
from convert.data.photo import Photo
from convert.data.reading.set_names import SETS
from convert.errors import DatasetError
from convert.files import write

FILE, PREDICTIONS = "splits.csv", "predictions.csv"
COLUMNS = ("path", "label", "set", "group", "score", "prediction", "sha256")


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for a photo: a score for each label."""

    scores: tuple[float, ...]

    @property
    def index(self) -> int:
        """The index of the top label."""
        return max(range(len(self.scores)), key=self.scores.__getitem__)


def write_splits(
    out: Path, folder: Path, dataset: Dataset, predictions: Mapping[str, Prediction]
) -> None:
    """Write splits.csv into `out`: a row for each photo, by set.

    Args:
        out: the folder to write into.
        folder: of the photos; paths are relative to it.
        dataset: the photos.
        predictions: by SHA-256; those of train are not measured.

    Raises: OutputError.
    """
    rows = []
    for name, photo in _photos(dataset):
        found = predictions.get(photo.sha256)
        rows.append(
            (
                os.path.relpath(photo.path, folder),
                dataset.labels[photo.label],
                name,
                dataset.grouping.numbers.get(photo.sha256, ""),
                f"{max(found.scores):.6g}" if found else "",
                dataset.labels[found.index] if found else "",
                photo.sha256,
            )
        )
    write(out / FILE, _csv(COLUMNS, rows))


def write_predictions(
    out: Path, folder: Path, dataset: Dataset, predictions: Mapping[str, Prediction]
) -> None:
    """Write predictions.csv into `out`: photos of val and test, errors first, by score."""
    header = ("path", "label", "set", "prediction", "score", "right", *dataset.labels)
    found = [
        (name, photo, predictions[photo.sha256])
        for name, photo in _photos(dataset)
        if photo.sha256 in predictions
    ]
    found.sort(key=lambda row: (row[2].index == row[1].label, -max(row[2].scores)))
    rows = [
        (
            os.path.relpath(photo.path, folder),
            dataset.labels[photo.label],
            name,
            dataset.labels[given.index],
            f"{max(given.scores):.6g}",
            "yes" if given.index == photo.label else "no",
            *(f"{score:.6g}" for score in given.scores),
        )
        for name, photo, given in found
    ]
    write(out / PREDICTIONS, _csv(header, rows))


def read_splits(path: Path) -> dict[str, str] | None:
    """The set of each photo by its SHA-256; None where there is no such file.

    Raises: DatasetError for a file that is none of ours.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatasetError(
            path, f"cannot be read ({error.strerror})", "change its permissions"
        ) from error
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    sets = {row.get("sha256") or "": row.get("set") or "" for row in rows}
    if not sets or "" in sets or not set(sets.values()) <= set(SETS):
        raise DatasetError(path, "is damaged", "run python -m convert export again")
    return sets


def _photos(dataset: Dataset) -> Iterable[tuple[str, Photo]]:
    for name in SETS:
        for photo in getattr(dataset, name):
            yield name, photo


def _csv(header: Sequence[object], rows: Iterable[Sequence[object]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8", "surrogateescape")
