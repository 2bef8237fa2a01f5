"""Photos of none of the classes, from a folder beside those of the classes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from convert.data.photo import Photo
from convert.data.reading.set_names import unknown_labels
from convert.data.walk import PhotoFile, PhotoTree, walk_all
from convert.errors import DatasetError

LABEL = "none"
REMEDY = "use a folder of photos that show none of the classes"


def with_negatives(tree: PhotoTree, folder: Path) -> PhotoTree:
    """Add the photos of a folder and of all folders in it, as the class of none of the others.

    Raises: DatasetError: there is no such folder or no photo in it; it holds the classes, or they
        hold it; the photos are split into sets already.
    """
    if not folder.is_dir():
        raise DatasetError(folder, "no such folder", REMEDY)
    ours, theirs = tree.path.resolve(), folder.resolve()
    if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
        raise DatasetError(
            folder, f"contains the class folders, or is in one of them ({tree.path})", REMEDY
        )
    if len(tree.labels) > 1:
        fault = f"cannot be added to {tree.path}, which holds sets ({', '.join(tree.labels)})"
        raise DatasetError(folder, fault, f"put its photos into {LABEL}/ of each set")
    labels = tree.labels.get("train", ())
    names = {label.casefold() for label in labels}
    paths = walk_all(folder)
    if not paths:
        raise DatasetError(folder, "contains no images", REMEDY)
    for path in paths:
        parts = path.relative_to(folder).parts[:-1]
        if known := [part for part in parts if part.casefold() in names]:
            raise DatasetError(folder, f"contains the folder of a class: {known[0]}", REMEDY)
    of_none = unknown_labels(labels)
    label = labels[of_none[0]] if of_none else LABEL
    files = tuple(
        PhotoFile(path, os.path.relpath(path, tree.path), "train", label, _inside(path, folder))
        for path in paths
    )
    return dataclasses.replace(
        tree,
        files=tree.files + files,
        labels=tree.labels | {"train": tuple(sorted({*labels, label}))},
    )


def _inside(path: Path, folder: Path) -> str:
    inside = path.parent.relative_to(folder)
    return "" if inside == Path() else str(inside)


def refuse_shared(photos: Sequence[Photo], labels: Sequence[str], folder: Path) -> None:
    """Reject negatives that are photos of a class as well. Raises: DatasetError."""
    own = {photo.sha256: photo for photo in photos if photo.path.is_relative_to(folder)}
    for photo in photos:
        if photo.sha256 in own and not photo.path.is_relative_to(folder):
            fault = f"is the same photo as {photo.path}, of class {labels[photo.label]}"
            raise DatasetError(own[photo.sha256].path, fault, REMEDY)
