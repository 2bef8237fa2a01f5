"""A folder of photos: scan it, reject what leaks, split it."""

from __future__ import annotations

import codecs
import hashlib
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.data.grouping.groups import SAME_SCENE, Grouping, grouped
from convert.data.grouping.near_duplicates import Overview, look_over
from convert.data.parallel import each
from convert.data.photo import Photo, sha256_of
from convert.data.reading.labels import first_few, labels_of_tree
from convert.data.reading.negatives import refuse_shared, with_negatives
from convert.data.reading.set_names import SETS
from convert.data.split import split
from convert.data.walk import PhotoTree, walk_photos
from convert.errors import DatasetError

HELD_OUT = {"val": 0.15, "test": 0.15}  # shares drawn from the photos where a set has no folder
MAX_UNREADABLE = 0.05  # of the photos
NO_GROUPING = Grouping({})
QUIET = 500  # files are hashed in a moment up to here; a bar would only flicker


@dataclass(frozen=True)
class LeftOut:
    """Photos that take no part, and why."""

    reason: str
    names: tuple[str, ...]  # relative to the folder of photos

    def __str__(self) -> str:
        """`2 photos cannot be read: a/1.jpg is empty, a/2.jpg is damaged`."""
        return f"{len(self.names)} {self.reason}: {first_few(self.names, quoted=False)}"


@dataclass(frozen=True)
class Dataset:
    """The labels, sorted, and the photos of each set."""

    labels: tuple[str, ...]
    train: tuple[Photo, ...]
    val: tuple[Photo, ...]
    test: tuple[Photo, ...]
    drawn: tuple[str, ...] = ()  # sets that have no folder: their photos were train's
    grouping: Grouping = NO_GROUPING  # what the split kept together
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the labels and every photo's set, label and content; no path is in it."""
        digest = hashlib.sha256("\0".join(self.labels).encode())
        for name in SETS:
            rows = sorted(f"{name} {photo.label} {photo.sha256}" for photo in getattr(self, name))
            digest.update("\n".join(rows).encode())
        return digest.hexdigest()

    def groups_of(self, photos: Sequence[Photo]) -> NDArray[np.int64] | None:
        """The groups of photos, (n,), whose copies are nothing new; None: each counts.

        The frames of one camera, which are all near-duplicates, count each: what their figures are
        worth is reported in words.
        """
        numbers = self.grouping.numbers
        if not numbers or self.grouping.worth == SAME_SCENE:
            return None
        return np.array([numbers[photo.sha256] for photo in photos], np.int64)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many photos each set has of each label."""
        found = {name: Counter(photo.label for photo in getattr(self, name)) for name in SETS}
        return {
            name: {label: found[name][index] for index, label in enumerate(self.labels)}
            for name in SETS
        }


def load(
    folder: Path,
    seed: int,
    cache: Path | None = None,
    *,
    group_by: str = "auto",
    strict: bool = False,
    as_before: Mapping[str, str] | None = None,
    negatives: Path | None = None,
) -> Dataset:
    """Scan a folder of classes, or of train/ (val/, test/) with classes, and split what is whole.

    Photos that belong together stay in one set. What cannot be read, and copies that lie in two
    sets or two classes, are left out.

    Args:
        folder: the photos.
        seed: of the split.
        cache: a folder that keeps how the photos look; None: it is computed each time.
        group_by: of convert.names.GROUP_BY.
        strict: raise an error instead of leaving photos out.
        as_before: the set of each photo by its SHA-256, as an earlier run split them; photos that
            it did not have are left out. None: they are split.
        negatives: a folder of photos that show none of the classes; None: there is none.

    Raises: DatasetError.
    """
    tree = walk_photos(folder)
    if negatives:
        tree = with_negatives(tree, negatives)
    labels = labels_of_tree(tree)
    sets, faults = _hashed(tree, labels)
    if negatives:
        refuse_shared(sets["train"], labels, negatives)
    overview = look_over([photo for of_set in sets.values() for photo in of_set], cache)
    left_out = [
        *_unreadable(sets, overview, faults, folder, strict),
        *_copies(sets, labels, folder, strict),
    ]
    warnings = _leaks(sets, overview.groups, folder)
    drawn = tuple(name for name in HELD_OUT if name not in sets)
    parted = sets["train"] if drawn else [p for of_set in sets.values() for p in of_set]
    alike = np.array([overview.groups[photo.sha256] for photo in parted], np.int64)
    grouping = grouped(parted, labels, alike, 1 + len(drawn), group_by if drawn else "auto")
    whole = 1.0  # what is left of train
    if as_before:
        left_out += _split_as_before(sets, as_before, folder)
    for name in () if as_before else drawn:
        share = HELD_OUT[name] / whole
        sets["train"], sets[name] = split(sets["train"], grouping.numbers, share, seed)
        whole -= HELD_OUT[name]
    _refuse_lacks(sets, labels, folder)
    warnings += grouping.warnings if drawn else ()
    train, val, test = (tuple(sets[name]) for name in SETS)
    return Dataset(labels, train, val, test, drawn, grouping, tuple(left_out), tuple(warnings))


def _hashed(
    tree: PhotoTree, labels: Sequence[str]
) -> tuple[dict[str, list[Photo]], dict[str, str]]:
    """The photos of each set, known by their content, and why others cannot be read, by name."""
    index = {label: number for number, label in enumerate(labels)}
    sets: dict[str, list[Photo]] = {name: [] for name in tree.labels}
    faults = {}
    paths = [file.path for file in tree.files]
    hashes = each(_hash_or_fault, paths, "scan", bar=len(paths) > QUIET)
    for file, found in zip(tree.files, hashes, strict=True):
        if isinstance(found, DatasetError):
            faults[file.name] = found.fault
        else:
            sets[file.set].append(Photo(file.path, index[file.label], found, file.folder))
    return sets, faults


def _hash_or_fault(path: Path) -> str | DatasetError:
    try:
        return sha256_of(path)
    except DatasetError as error:
        return error


def _unreadable(
    sets: dict[str, list[Photo]],
    overview: Overview,
    faults: Mapping[str, str],
    folder: Path,
    strict: bool,
) -> list[LeftOut]:
    """Take out the photos that cannot be read. Raises: DatasetError where they are too many."""
    bad = [p for of_set in sets.values() for p in of_set if p.sha256 in overview.faults]
    told = dict(faults) | {_relative(p, folder): overview.faults[p.sha256] for p in bad}
    if not told:
        return []
    names = tuple(f"{name} {fault}" for name, fault in told.items())
    total = sum(map(len, sets.values())) + len(faults)
    if strict or len(names) > MAX_UNREADABLE * total:
        fault = f"{len(names)} of {total} photos cannot be read: {first_few(names, quoted=False)}"
        check = f"python -m convert check {shlex.quote(str(folder))}"
        raise DatasetError(folder, fault, f"remove or replace them; to list all: {check}")
    _take_out(sets, bad)
    return [LeftOut("photos cannot be read", names)]


def _copies(
    sets: dict[str, list[Photo]], labels: Sequence[str], folder: Path, strict: bool
) -> list[LeftOut]:
    """Remove duplicates: from train those of val and test, and all whose labels contradict.

    Raises: DatasetError where `strict`.
    """
    places: dict[str, list[tuple[str, Photo]]] = {}
    for name in reversed([name for name in SETS if name in sets]):  # val and test count more
        for photo in sets[name]:
            places.setdefault(photo.sha256, []).append((name, photo))
    contradicting, leaking = [], []
    for same in places.values():
        if len({photo.label for _, photo in same}) > 1:
            contradicting += [photo for _, photo in same]
        else:
            leaking += [photo for name, photo in same if name != same[0][0]]
    for bad in (contradicting, leaking) if strict else ():
        if bad:
            name, other = next(
                (name, p) for name, p in places[bad[0].sha256] if p.path != bad[0].path
            )
            fault = f"is the same photo as one in {name}, class {labels[other.label]}"
            raise DatasetError(bad[0].path, fault, "keep one of the two")
    _take_out(sets, [*contradicting, *leaking])
    reasons = {
        "photos are in several classes": contradicting,
        "photos are copies of validation or test photos": leaking,
    }
    return [
        LeftOut(reason, tuple(_relative(photo, folder) for photo in photos))
        for reason, photos in reasons.items()
        if photos
    ]


def _split_as_before(
    sets: dict[str, list[Photo]], earlier: Mapping[str, str], folder: Path
) -> list[LeftOut]:
    """Split as an earlier run did, and leave out the photos that it did not have."""
    photos = [photo for of_set in sets.values() for photo in of_set]
    new = tuple(_relative(photo, folder) for photo in photos if photo.sha256 not in earlier)
    for name in SETS:
        sets[name] = [photo for photo in photos if earlier.get(photo.sha256) == name]
    return [LeftOut("photos are new since the training", new)] if new else []


def _relative(photo: Photo, folder: Path) -> str:
    return os.path.relpath(photo.path, folder)


def _take_out(sets: dict[str, list[Photo]], photos: Sequence[Photo]) -> None:
    paths = {photo.path for photo in photos}
    for name, of_set in sets.items():
        sets[name] = [photo for photo in of_set if photo.path not in paths]


def _leaks(
    sets: Mapping[str, Sequence[Photo]], alike: Mapping[str, int], folder: Path
) -> list[str]:
    """Report how many photos of one set are near-duplicates of another's."""
    found = {name: Counter(alike[photo.sha256] for photo in sets[name]) for name in sets}
    warnings = []
    for name, held in combinations(sets, 2):
        count = sum(found[held][group] for group in found[held].keys() & found[name].keys())
        if count:
            which = f"{count} photo{'s' * (count > 1)} of {held} look{'s' * (count == 1)}"
            warnings.append(
                f"{which} like one of {name}, so accuracy on {held} may be too optimistic; "
                f"see: python -m convert check {shlex.quote(str(folder))}"
            )
    return warnings


def _refuse_lacks(sets: Mapping[str, Sequence[Photo]], labels: Sequence[str], folder: Path) -> None:
    """A class of which a set has no photo can be neither learned nor measured."""
    counts = [Counter(photo.label for photo in of_set) for of_set in sets.values()]
    for index, label in enumerate(labels):
        of_label = [of_set[index] for of_set in counts]
        if not all(of_label):
            fault = f"class {label} has too few different photos to split ({sum(of_label)})"
            raise DatasetError(folder, fault, "add photos")


def weigh(
    photos: Sequence[Path],
    root: Path,
    lists: Sequence[tuple[Path, float]],
    elsewhere: Iterable[Path] = (),
) -> NDArray[np.float32]:
    """Weights of photos, (num_photos,) float32: 1, times the factor of each list that names it.

    Args:
        photos: the paths of those of train.
        root: the folder that the paths in the lists are relative to.
        lists: text files with one path a line, and the factor of each.
        elsewhere: photos that a list may name as well, without effect: those that were drawn from
            train for val and test.

    Raises: DatasetError for a line that names none of the photos.
    """
    rows = {os.path.normpath(path): row for row, path in enumerate(photos)}
    allowed = {os.path.normpath(path) for path in elsewhere}
    weights = np.ones(len(photos), np.float32)
    for path, factor in lists:
        named = set()
        for number, line in enumerate(_lines(path), 1):
            target = os.path.normpath(root / line)
            if target in rows:
                named.add(rows[target])
            elif line and target not in allowed:
                remedy = f"use a path relative to {root}, as in train/LABEL/FILE"
                raise DatasetError(f"{path}:{number}", f"{line} is not a training photo", remedy)
        weights[list(named)] *= factor
    return weights


def _lines(path: Path) -> list[str]:
    """A file's lines; names that are not UTF-8 stay what they are on this machine."""
    try:
        text = os.fsdecode(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise DatasetError(path, fault, "use a file with one path a line") from error
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
