"""A folder of photos: scan it, refuse what leaks, split it."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.data.near_duplicates import groups
from convert.data.parallel import each
from convert.data.photo import Photo, sha256_of
from convert.data.split import split
from convert.data.walk import SETS, PhotoTree, walk_photos
from convert.errors import DatasetError

HELD_OUT = {"val": 0.15, "test": 0.15}  # shares drawn from the photos where a set has no folder
QUIET = 500  # files are hashed in a moment up to here; a bar would only flicker


@dataclass(frozen=True)
class Dataset:
    """The labels, sorted, and the photos of each set."""

    labels: tuple[str, ...]
    train: tuple[Photo, ...]
    val: tuple[Photo, ...]
    test: tuple[Photo, ...]
    drawn: tuple[str, ...] = ()  # sets that have no folder: their photos were train's

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the labels and every photo's set, label and content; no path is in it."""
        digest = hashlib.sha256("\0".join(self.labels).encode())
        for name in SETS:
            rows = sorted(f"{name} {photo.label} {photo.sha256}" for photo in getattr(self, name))
            digest.update("\n".join(rows).encode())
        return digest.hexdigest()

    def counts(self) -> dict[str, dict[str, int]]:
        """How many photos each set has of each label."""
        found = {name: Counter(photo.label for photo in getattr(self, name)) for name in SETS}
        return {
            name: {label: found[name][index] for index, label in enumerate(self.labels)}
            for name in SETS
        }


def load(folder: Path, seed: int, cache: Path | None = None) -> Dataset:
    """Scan a folder of classes, or of train/ (val/, test/) with classes, and split what is whole.

    Photos that look alike stay in one set. Where sets that have folders share look-alikes, stderr
    says how many.

    Args:
        folder: the photos.
        seed: of the split.
        cache: a folder that keeps how the photos look; None: it is computed each time.

    Raises: DatasetError.
    """
    tree = walk_photos(folder)
    labels = _labels_of(tree)
    sets = _hashed(tree, labels)
    _refuse_copies(sets, labels)
    photos = [photo for scanned in sets.values() for photo in scanned]
    alike = dict(zip((p.sha256 for p in photos), groups(photos, cache).tolist(), strict=True))
    _warn_of_leaks(sets, alike, folder)
    whole = 1.0  # what is left of train
    drawn = tuple(name for name in HELD_OUT if name not in sets)
    for name in drawn:
        sets["train"], sets[name] = split(sets["train"], alike, HELD_OUT[name] / whole, seed)
        _refuse_lacks(sets, labels, folder, name)
        whole -= HELD_OUT[name]
    train, val, test = (tuple(sets[name]) for name in SETS)
    return Dataset(labels, train, val, test, drawn)


def _labels_of(tree: PhotoTree) -> tuple[str, ...]:
    """The classes, the same in all sets, each with a photo. Raises: DatasetError."""
    if tree.closed:
        error = tree.closed[0]
        raise DatasetError(error.subject, error.fault, error.remedy)
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
            raise DatasetError(empty, "no picture in it", "add photos, or remove it")
    return labels


def _refuse_other_labels(tree: PhotoTree, name: str) -> None:
    found, labels = set(tree.labels[name]), set(tree.labels["train"])
    lacks, adds = sorted(labels - found), sorted(found - labels)
    if lacks or adds:
        told = [f"lacks {_first(lacks)}"] * bool(lacks) + [f"adds {_first(adds)}"] * bool(adds)
        raise DatasetError(
            tree.folder(name),
            f"its classes differ from those of train: {' and '.join(told)}",
            "make the class folders of all sets the same",
        )


def _first(names: Sequence[str], count: int = 5) -> str:
    """The first few of many names, quoted."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(repr, names[:count])) + more


def _hashed(tree: PhotoTree, labels: Sequence[str]) -> dict[str, list[Photo]]:
    """The photos of each set, known by their content, which notices every change."""
    index = {label: number for number, label in enumerate(labels)}
    sets: dict[str, list[Photo]] = {name: [] for name in tree.labels}
    paths = [file.path for file in tree.files]
    hashes = each(sha256_of, paths, "scan", bar=len(paths) > QUIET)
    for file, sha256 in zip(tree.files, hashes, strict=True):
        sets[file.set].append(Photo(file.path, index[file.label], sha256))
    return sets


def _refuse_copies(sets: Mapping[str, Sequence[Photo]], labels: Sequence[str]) -> None:
    """The same file in two sets or two classes makes every measured figure worthless."""
    seen: dict[str, tuple[str, int]] = {}
    for name, photos in sets.items():
        for photo in photos:
            place = seen.setdefault(photo.sha256, (name, photo.label))
            if place != (name, photo.label):
                fault = f"is the same photo as one in {place[0]}, class {labels[place[1]]}"
                raise DatasetError(photo.path, fault, "keep one of the two")


def _warn_of_leaks(
    sets: Mapping[str, Sequence[Photo]], alike: Mapping[str, int], folder: Path
) -> None:
    """Say how many photos of one set look like one of another."""
    found = {name: Counter(alike[photo.sha256] for photo in sets[name]) for name in sets}
    for name, held in combinations(sets, 2):
        count = sum(found[held][group] for group in found[held].keys() & found[name].keys())
        if count:
            which = f"{count} photo{'s' * (count > 1)} of {held} look{'s' * (count == 1)}"
            print(
                f"convert: {which} like one of {name}, so that figures on {held} may flatter; "
                f"see: python -m convert check {folder}",
                file=sys.stderr,
                flush=True,
            )


def _refuse_lacks(
    sets: Mapping[str, Sequence[Photo]], labels: Sequence[str], folder: Path, drawn: str
) -> None:
    """A class of which a set has no photo can be neither learned nor measured."""
    found = [Counter(photo.label for photo in sets[name]) for name in ("train", drawn)]
    for index, label in enumerate(labels):
        counts = [of_set[index] for of_set in found]
        if not all(counts):
            fault = f"class {label} has too few photos to split ({sum(counts)}, or all look alike)"
            raise DatasetError(folder, fault, "add photos")


def weigh(
    photos: Sequence[Photo],
    root: Path,
    lists: Sequence[tuple[Path, float]],
    elsewhere: Iterable[Photo] = (),
) -> NDArray[np.float32]:
    """Weights of photos, (num_photos,) float32: 1, times the factor of each list that names it.

    Args:
        photos: those of train.
        root: the folder that the paths in the lists are relative to.
        lists: text files with one path a line, and the factor of each.
        elsewhere: photos that a list may name as well, without effect: those that were drawn from
            train for val and test.

    Raises: DatasetError for a line that names none of the photos.
    """
    rows = {os.path.normpath(photo.path): row for row, photo in enumerate(photos)}
    allowed = {os.path.normpath(photo.path) for photo in elsewhere}
    weights = np.ones(len(photos), np.float32)
    for path, factor in lists:
        named = set()
        for number, line in enumerate(_lines(path), 1):
            target = os.path.normpath(root / line)
            if target in rows:
                named.add(rows[target])
            elif line and target not in allowed:
                remedy = f"give a path relative to {root}, as in train/LABEL/FILE"
                raise DatasetError(f"{path}:{number}", f"{line} is no photo of train", remedy)
        weights[list(named)] *= factor
    return weights


def _lines(path: Path) -> list[str]:
    """A file's lines; names that are not UTF-8 stay what they are on this machine."""
    try:
        text = os.fsdecode(path.read_bytes())
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise DatasetError(path, fault, "give a file with one path a line") from error
    return [line.rstrip("\r") for line in text.split("\n")]


def labels_of(photos: Sequence[Photo]) -> NDArray[np.int64]:
    """(num_photos,) int64 label indices."""
    return np.array([photo.label for photo in photos], np.int64)


def calibration_photos(photos: Sequence[Photo], count: int, seed: int) -> list[int]:
    """Choose indices of about `count` photos, seeded, the same share of every class."""
    by_label: dict[int, list[int]] = {}
    for index, photo in enumerate(photos):
        by_label.setdefault(photo.label, []).append(index)
    random = np.random.default_rng(seed)
    each = -(-count // len(by_label))
    return sorted(
        int(index) for indices in by_label.values() for index in random.permutation(indices)[:each]
    )
