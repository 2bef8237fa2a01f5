"""A folder of photos: scan it, split it, decode it once into a cache, and yield batches."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convert.errors import DatasetError
from edge.errors import ImageError, SourceError
from edge.photos import files
from edge.preprocess import PREPROCESSING_VERSION, Pixels, Size, resized

SETS = ("train", "val", "test")
HELD_OUT = {"val": 0.15, "test": 0.15}  # shares drawn from the photos where a set has no folder


@dataclass(frozen=True)
class Photo:
    """One photo of a class."""

    path: Path
    label: int  # index into the labels
    sha256: str  # of the file's content


@dataclass(frozen=True)
class Dataset:
    """The labels, sorted, and the photos of each set."""

    labels: tuple[str, ...]
    train: tuple[Photo, ...]
    val: tuple[Photo, ...]
    test: tuple[Photo, ...]

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
        return {
            name: {
                label: Counter(photo.label for photo in getattr(self, name))[index]
                for index, label in enumerate(self.labels)
            }
            for name in SETS
        }


def load(folder: Path, seed: int) -> Dataset:
    """Scan a folder of classes, or of train/ (val/, test/) with classes, and split what is whole.

    Raises: DatasetError.
    """
    if not folder.is_dir():
        raise DatasetError(folder, "no such folder", "give a folder with one folder per class")
    present = [name for name in SETS if (folder / name).is_dir()]
    if present and "train" not in present:
        remedy = "name the folder of training photos train"
        raise DatasetError(folder, f"has {', '.join(present)} but no train", remedy)
    roots = {name: folder / name for name in present} if present else {"train": folder}
    labels = _labels(roots["train"])
    sets = {}
    for name, root in roots.items():
        if _labels(root) != labels:
            raise DatasetError(
                root,
                f"its classes {list(_labels(root))} differ from {list(labels)}",
                "make the class folders of all sets the same",
            )
        sets[name] = _scan(root, labels)
    _refuse_copies(sets, labels)
    whole = 1.0  # what is left of train
    for name, share in HELD_OUT.items():
        if name not in sets:
            sets["train"], sets[name] = _split(sets["train"], share / whole, seed, folder, labels)
            whole -= share
    return Dataset(labels, **{name: tuple(sets[name]) for name in SETS})


def _refuse_copies(sets: dict[str, list[Photo]], labels: Sequence[str]) -> None:
    """The same file in two sets or two classes makes every measured figure worthless."""
    seen: dict[str, tuple[str, int]] = {}
    for name, photos in sets.items():
        for photo in photos:
            place = seen.setdefault(photo.sha256, (name, photo.label))
            if place != (name, photo.label):
                fault = f"is the same photo as one in {place[0]}, class {labels[place[1]]}"
                raise DatasetError(photo.path, fault, "keep one of the two")


def _labels(root: Path) -> tuple[str, ...]:
    """Folder names, sorted; hidden ones are no class."""
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        raise DatasetError(
            root,
            f"must have a folder for each of two or more classes. Received: {names}",
            "put the photos of each class into a folder of its own",
        )
    return tuple(names)


def _scan(root: Path, labels: Sequence[str]) -> list[Photo]:
    photos = []
    for index, label in enumerate(labels):
        try:
            paths = list(files(root / label, recursive=True))
        except SourceError as error:
            raise DatasetError(root / label, error.fault, "add photos, or remove it") from error
        photos += [Photo(path, index, _sha256(path)) for path in paths]
    return photos


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DatasetError(path, f"cannot be read ({error.strerror})", "remove it") from error


def _split(
    photos: list[Photo], share: float, seed: int, folder: Path, labels: Sequence[str]
) -> tuple[list[Photo], list[Photo]]:
    """Keep a part, hold out `share` of each class; equal files stay on one side.

    The order comes from the seed and each file's content, so that neither names nor the machine's
    order of files changes the split.
    """
    kept: list[Photo] = []
    held: list[Photo] = []
    for index, label in enumerate(labels):
        groups: dict[str, list[Photo]] = {}
        for photo in photos:
            if photo.label == index:
                groups.setdefault(photo.sha256, []).append(photo)
        order = sorted(groups, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())
        count = max(1, round(share * len(order)))
        if len(order) - count < 1:
            raise DatasetError(
                folder, f"class {label} has too few photos to split ({len(order)})", "add photos"
            )
        held += [photo for key in order[:count] for photo in groups[key]]
        kept += [photo for key in order[count:] for photo in groups[key]]
    return kept, held


def decode(photos: Sequence[Photo], size: Size, cache: Path, name: str) -> Pixels:
    """Decode photos once, by edge's preprocessing, into a file in `cache`.

    Returns: (num_photos, *size, 3) uint8, mapped from the file: memory use does not grow with it.
    Raises: DatasetError, which names the photos that cannot be read.
    """
    key = hashlib.sha256(f"{PREPROCESSING_VERSION} {size}".encode())
    key.update("".join(photo.sha256 for photo in photos).encode())
    path = cache / f"{name}-{size[0]}x{size[1]}-{key.hexdigest()[:16]}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        try:
            _decode_into(partial, photos, size, name)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")


def _decode_into(path: Path, photos: Sequence[Photo], size: Size, name: str) -> None:
    shape = (len(photos), *size, 3)
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    _reserve(path)

    def decode_one(index: int) -> str:
        try:
            pixels[index] = resized(photos[index].path, size)
        except ImageError as error:
            return f"{photos[index].path} {error.fault}"
        return ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(decode_one, range(len(photos)))
        faults = [f for f in tqdm(outcomes, f"decode {name}", len(photos), unit="photo") if f]
    if faults:
        raise DatasetError(
            f"{len(faults)} photo{'s' if len(faults) > 1 else ''} of {name}",
            "cannot be read: " + ", ".join(faults[:20]) + (", ..." if len(faults) > 20 else ""),
            "remove or replace them",
        )
    pixels.flush()


def _reserve(path: Path) -> None:
    """Take the file's whole space now: a full disk under a mapped file ends the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    size = path.stat().st_size
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        fault = f"cannot be written ({error.strerror})"
        raise DatasetError(path, fault, f"free {size >> 20} MB, or give another -o") from error


def labels_of(photos: Sequence[Photo]) -> np.ndarray:
    """(num_photos,) int64 label indices."""
    return np.array([photo.label for photo in photos], np.int64)


def class_weights(photos: Sequence[Photo], num_labels: int) -> dict[int, float]:
    """Weights that let every class count the same: mean 1 over the photos."""
    counts = Counter(photo.label for photo in photos)
    return {index: len(photos) / (num_labels * counts[index]) for index in range(num_labels)}


def shuffled_batches(num_photos: int, batch_size: int, seed: int) -> Iterator[np.ndarray]:
    """Yield index batches without end: each epoch every photo once, in a new seeded order."""
    random = np.random.default_rng(seed)
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < batch_size:
            waiting = np.concatenate([waiting, random.permutation(num_photos)])
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


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
