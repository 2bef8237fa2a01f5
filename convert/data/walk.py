"""What lies in a folder of photos, by one walk for `check` and `train`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from convert.errors import DatasetError
from edge.errors import SourceError
from edge.sources.photos import Entry, is_picture, walk

SETS = ("train", "val", "test")


@dataclass(frozen=True)
class PhotoFile:
    """A picture in the folder of a class."""

    path: Path
    name: str  # relative to the folder of photos
    set: str
    label: str


@dataclass(frozen=True)
class PhotoTree:
    """What a folder of photos holds, in the order of the names, which are relative to it."""

    path: Path
    split: bool  # it holds folders of sets; else all of it is "train"
    labels: dict[str, tuple[str, ...]]  # of each set, in the order of SETS
    files: tuple[PhotoFile, ...]
    hidden: tuple[str, ...]  # folders
    strays: tuple[str, ...]  # pictures in no class folder
    others: tuple[str, ...]  # files that are no pictures
    unknown: tuple[str, ...]  # folders beside those of sets
    closed: tuple[SourceError, ...]  # folders that cannot be read

    def folder(self, of_set: str) -> Path:
        """The folder of a set's classes."""
        return self.path / of_set if self.split else self.path


def walk_photos(path: Path) -> PhotoTree:
    """Walk a folder of classes, or of sets of classes. Raises: DatasetError: no such folder."""
    if not path.is_dir():
        raise DatasetError(path, "no such folder", "give a folder with one folder per class")
    sets = [name for name in SETS if (path / name).is_dir()]

    def enter(folder: Path) -> bool:
        return not sets or folder.parent != path or folder.name in sets

    entries: list[Entry] = []
    closed: list[SourceError] = []
    for entry in walk(path, enter):
        if isinstance(entry, SourceError):
            closed.append(entry)
        else:
            entries.append(entry)
    return _sorted_out(path, sets, entries, tuple(closed))


def _sorted_out(
    root: Path, sets: list[str], entries: Iterable[Entry], closed: tuple[SourceError, ...]
) -> PhotoTree:
    """Tell classes from pictures and from what is neither, by where they lie."""
    labels: dict[str, list[str]] = {name: [] for name in sets or ["train"]}
    files: list[PhotoFile] = []
    left: dict[str, list[str]] = {kind: [] for kind in ("hidden", "strays", "others", "unknown")}
    for entry in entries:
        inside = entry.path.relative_to(root)
        name = str(inside)
        parts = inside.parts if sets else ("train", *inside.parts)
        of_set = parts[0]
        if entry.path.name.startswith("."):
            if entry.is_folder:
                left["hidden"].append(name)
        elif entry.is_folder:
            if len(parts) == 2:
                labels[of_set].append(parts[1])
            elif of_set not in labels:
                left["unknown"].append(name)
        elif len(parts) > 2 and is_picture(entry.path):
            files.append(PhotoFile(entry.path, name, of_set, parts[1]))
        elif is_picture(entry.path):
            left["strays"].append(name)
        elif len(parts) > 2:
            left["others"].append(name)
    return PhotoTree(
        path=root,
        split=bool(sets),
        labels={of_set: tuple(names) for of_set, names in labels.items()},
        files=tuple(sorted(files, key=lambda file: list(labels).index(file.set))),
        closed=closed,
        **{kind: tuple(names) for kind, names in left.items()},
    )
