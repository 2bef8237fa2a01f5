"""Photos whose label is probably wrong: suspects.csv, and what the report shows of them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.data.cache import DecodedPhotos
from convert.data.dataset import labels_of
from convert.measure.label_errors import Suspect, suspects
from convert.measure.scores import Accuracy, accuracy
from convert.report.sheet import sheet
from edge.image.preprocess import Pixels

FILE = "suspects.csv"
COLUMNS = ("path", "label", "likelier", "score", "score_of_label", "set")
SHOWN = 20
COLUMNS_OF_SHEET = 5


@dataclass(frozen=True)
class SuspectPhotos:
    """The photos of train and val for which another label is likelier."""

    accuracy: Accuracy  # of a last layer on frozen features, each photo scored without its fold
    lines: tuple[str, ...]  # of the first: path, label, likelier label
    count: int
    png: bytes | None  # the first, as a sheet
    csv: bytes


def find_suspects(
    photos: DecodedPhotos, folder: Path, out_of_fold: Mapping[str, Sequence[float]]
) -> SuspectPhotos | None:
    """Rank the photos whose label is probably wrong.

    Args:
        photos: of the training.
        folder: of the photos; paths are relative to it.
        out_of_fold: scores by SHA-256, as the training keeps them.

    Returns: None where the training has no such scores of these photos.
    """
    dataset = photos.dataset
    known = (*dataset.train, *dataset.val)
    if any(photo.sha256 not in out_of_fold for photo in known):
        return None
    scores = np.array([out_of_fold[photo.sha256] for photo in known], np.float32)
    labels = labels_of(known)
    found = suspects(scores, labels)
    names = [os.path.relpath(photo.path, folder) for photo in known]
    sets = ["train"] * len(dataset.train) + ["val"] * len(dataset.val)

    def row(suspect: Suspect) -> tuple[str, ...]:
        return (
            names[suspect.index],
            dataset.labels[suspect.label],
            dataset.labels[suspect.likelier],
            f"{suspect.score:.4f}",
            f"{suspect.own_score:.4f}",
            sets[suspect.index],
        )

    shown = found[:SHOWN]
    tiles = [
        (
            np.asarray(_pixels(photos, suspect.index)),
            f"{dataset.labels[suspect.label]}; rather {dataset.labels[suspect.likelier]}",
        )
        for suspect in shown
    ]
    return SuspectPhotos(
        accuracy(scores, labels),
        tuple("{}: {}, rather {} ({})".format(*row(suspect)) for suspect in shown),
        len(found),
        sheet(tiles, columns=COLUMNS_OF_SHEET) if tiles else None,
        _csv([row(suspect) for suspect in found]),
    )


def _pixels(photos: DecodedPhotos, index: int) -> Pixels:
    train = photos.train
    return np.asarray(train[index] if index < len(train) else photos.val[index - len(train)])


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8", "surrogateescape")
