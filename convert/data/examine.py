"""Go through a folder of photos and note what is there, good or bad; nothing stops it."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from convert.data.dataset import SETS
from convert.data.near_duplicates import SIDE, UNREADABLE, look
from convert.errors import DatasetError
from convert.parallel import each
from edge.errors import ImageError
from edge.image.preprocess import Size, resized
from edge.sources.photos import SUFFIXES

ORIENTATION_TAG = 0x0112  # EXIF 2.32


@dataclass(frozen=True)
class Examined:
    """One file that should be a photo."""

    path: Path
    name: str  # relative to the folder of photos
    set: str
    label: str
    fault: str = ""  # why it cannot be read
    sha256: str = ""
    format: str = ""
    size: Size = (0, 0)  # upright
    orientation: int = 1  # EXIF, 1..8
    look: np.ndarray = field(
        default_factory=UNREADABLE.copy, compare=False
    )  # () convert.data.near_duplicates.LOOK


@dataclass(frozen=True)
class Folder:
    """What a folder of photos holds. Names are relative to it."""

    path: Path
    labels: dict[str, tuple[str, ...]]  # of each set; of "train" alone where nothing is split
    photos: tuple[Examined, ...]
    hidden: tuple[str, ...]  # folders
    strays: tuple[str, ...]  # pictures in no class folder
    others: tuple[str, ...]  # files that are no pictures
    unknown: tuple[str, ...]  # folders beside train, val and test
    closed: tuple[str, ...]  # folders that cannot be read


def examine(path: Path) -> Folder:
    """Examine every file of a folder. Raises: DatasetError where there is no such folder."""
    if not path.is_dir():
        raise DatasetError(path, "no such folder", "give a folder with one folder per class")
    walk = _Walk(path)
    present = [name for name in SETS if (path / name).is_dir()]
    if present:
        beside = walk.entries(path)
        walk.unknown += [f.name for f in beside if f.is_dir() and f.name not in SETS]
        walk.strays += [f.name for f in beside if _is_picture(f)]
    for name in present or ["train"]:
        walk.set(name, path / name if present else path)
    photos = tuple(each(_examined, walk.found, "examine"))
    return Folder(
        path,
        walk.labels,
        photos,
        *(tuple(names) for names in (walk.hidden, walk.strays, walk.others)),
        *(tuple(names) for names in (walk.unknown, walk.closed)),
    )


class _Walk:
    """What was met on the way through the folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.labels: dict[str, tuple[str, ...]] = {}
        self.found: list[Examined] = []
        self.hidden: list[str] = []
        self.strays: list[str] = []
        self.others: list[str] = []
        self.unknown: list[str] = []
        self.closed: list[str] = []

    def set(self, name: str, root: Path) -> None:
        """Look at a set: a folder of folders, one per class."""
        entries = self.entries(root)
        folders = [entry for entry in entries if entry.is_dir()]
        self.labels[name] = tuple(folder.name for folder in folders)
        self.strays += [self.name(entry) for entry in entries if _is_picture(entry)]
        for folder in folders:
            for file in self.files(folder):
                if _is_picture(file):
                    self.found.append(Examined(file, self.name(file), name, folder.name))
                else:
                    self.others.append(self.name(file))

    def files(self, folder: Path) -> Iterator[Path]:
        for entry in self.entries(folder):
            if entry.is_dir():
                yield from self.files(entry)
            else:
                yield entry

    def entries(self, folder: Path) -> list[Path]:
        """What a folder holds, sorted; what is hidden is noted where it is a folder."""
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            self.closed.append(self.name(folder))
            return []
        for entry in entries:
            if entry.name.startswith(".") and entry.is_dir():
                self.hidden.append(self.name(entry))
        return [entry for entry in entries if not entry.name.startswith(".")]

    def name(self, path: Path) -> str:
        return os.path.relpath(path, self.root)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _examined(photo: Examined) -> Examined:
    if not photo.path.is_file():  # a broken link, or a FIFO, which would wait for ever
        return replace(photo, fault="is no file, or a link to nowhere")
    try:
        content = photo.path.read_bytes()
    except OSError as error:
        return replace(photo, fault=f"cannot be read ({error.strerror})")
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        pixels = resized(content, (SIDE, SIDE))
    except ImageError as error:
        return replace(photo, fault=error.fault, sha256=sha256)
    with Image.open(io.BytesIO(content)) as image:
        orientation = _orientation(image)
        turned = orientation >= 5 and image.format != "TIFF"  # Pillow turns a TIFF itself
        return replace(
            photo,
            sha256=sha256,
            format="JPEG" if image.format == "MPO" else image.format or "",
            size=(image.width, image.height) if turned else (image.height, image.width),
            orientation=orientation,
            look=look(pixels),
        )


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF fails in any way; it says nothing of the pixels
        return 1
    return orientation if orientation in range(1, 9) else 1
