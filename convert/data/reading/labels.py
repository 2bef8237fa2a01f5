"""The labels of a folder of photos: its class folders, which must be the same in each set."""

from __future__ import annotations

from collections.abc import Sequence

from convert.data.walk import PhotoTree
from convert.errors import DatasetError
from edge.errors import one_line


def labels_of_tree(tree: PhotoTree) -> tuple[str, ...]:
    """The classes, the same in all sets, each with a photo. Raises: DatasetError."""
    if tree.closed:
        error = tree.closed[0]
        raise DatasetError(error.subject, error.fault, error.remedy)
    for note in tree.notes:
        if note.level == "error":
            place = tree.path / note.subject
            raise DatasetError(place if place.exists() else tree.path, note.fault, note.remedy)
    if "train" not in tree.labels:
        remedy = "name the folder of training photos train"
        raise DatasetError(tree.path, f"has {', '.join(tree.labels)} but no train", remedy)
    labels = tree.labels["train"]
    if len(labels) < 2:
        raise DatasetError(
            tree.folder("train"),
            f"must have a folder for each of two or more classes. Received: {list(labels)}",
            "put the photos of each class into a folder of its own",
        )
    for name in tree.labels:
        _refuse_other_labels(tree, name)
    filled = {(file.set, file.label) for file in tree.files}
    for name, label in ((name, label) for name in tree.labels for label in labels):
        if (name, label) not in filled:
            empty = tree.folder(name) / label
            raise DatasetError(empty, "contains no images", "add photos, or remove it")
    return labels


def _refuse_other_labels(tree: PhotoTree, name: str) -> None:
    found, labels = set(tree.labels[name]), set(tree.labels["train"])
    lacks, adds = sorted(labels - found), sorted(found - labels)
    if lacks or adds:
        differences = [f"lacks {first_few(lacks)}"] if lacks else []
        differences += [f"adds {first_few(adds)}"] if adds else []
        raise DatasetError(
            tree.folder(name),
            f"its classes differ from those of train: {' and '.join(differences)}",
            "make the class folders of all sets the same",
        )


def first_few(names: Sequence[str], count: int = 5, *, quoted: bool = True) -> str:
    """The first few of many names."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(repr if quoted else one_line, names[:count])) + more
