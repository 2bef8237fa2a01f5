"""What lies in a folder of photos, by one walk for `check`, `train`, `preview` and `evaluate`."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.data.reading.layout import Layout, Node, Place, layout_of, layout_of_lists
from convert.data.reading.lists import read_list
from convert.data.reading.set_names import RESERVED, SETS, is_system, is_utf8, label_of, set_of
from convert.errors import DatasetError
from edge.errors import SourceError
from edge.image.formats import HEAD_BYTES, is_encoded_picture
from edge.sources.photos import is_picture, walk


@dataclass(frozen=True)
class PhotoFile:
    """An image in the folder of a class."""

    path: Path
    name: str  # relative to the folder of photos
    set: str
    label: str
    folder: str = ""  # inside the class's folder: a day, an animal; "" where it lies directly


@dataclass(frozen=True)
class Note:
    """Something about the layout that people should know; `level` as in convert.data.findings."""

    level: str
    kind: str
    subject: str
    fault: str
    remedy: str


@dataclass(frozen=True)
class PhotoTree:
    """What a folder of photos holds, in the order of the names, which are relative to it."""

    path: Path
    split: bool  # it holds folders of sets; else all of it is "train"
    labels: dict[str, tuple[str, ...]]  # of each set, in the order of SETS
    files: tuple[PhotoFile, ...]
    hidden: tuple[str, ...]  # folders
    system: tuple[str, ...]  # folders of a NAS or an operating system
    strays: tuple[str, ...]  # images in no class folder
    others: tuple[str, ...]  # files that are not images
    unknown: tuple[str, ...]  # folders beside those of sets
    unknown_photos: int  # in these folders
    closed: tuple[SourceError, ...]  # folders that cannot be read
    set_folders: dict[str, str]  # the folder of each set
    notes: tuple[Note, ...]

    def folder(self, of_set: str) -> Path:
        """The folder of a set's classes."""
        return self.path / self.set_folders.get(of_set, "")


def walk_photos(path: Path) -> PhotoTree:
    """Walk a folder of classes, or of sets of classes. Raises: DatasetError: no such folder."""
    if not path.is_dir():
        fault = "is not a folder" if path.exists() else "no such folder"
        raise DatasetError(path, fault, "use a folder with one folder per class")
    found = _collect(path)
    layout = layout_of(found.root)
    filled = [place for place in layout.places if place.node.holds_pictures]
    if len(filled) < 2 or all(set_of(place.label) for place in filled):
        layout = _by_list(found) or layout
    return _sorted_out(path, found, layout)


def walk_all(path: Path) -> tuple[Path, ...]:
    """Return all images in a folder and its folders, in order. Raises: DatasetError."""
    found = _collect(path)
    for error in found.closed:
        raise DatasetError(error.subject, error.fault, error.remedy)
    return tuple(picture for picture, _ in _pictures(found.root))


@dataclass(frozen=True)
class _Collected:
    """All that was met, before it is understood."""

    root: Node
    hidden: tuple[str, ...]
    system: tuple[str, ...]
    others: tuple[str, ...]
    closed: tuple[SourceError, ...]


def _collect(path: Path) -> _Collected:
    """Walk, and distinguish images from other files by their content."""
    nodes: dict[Path, Node] = {path: Node("", path, [], [])}
    hidden, system, others, closed = [], [], [], []
    for entry in walk(path, lambda folder: not is_system(folder.name)):
        if isinstance(entry, SourceError):
            closed.append(entry)
            continue
        name, above = str(entry.path.relative_to(path)), nodes[entry.path.parent]
        if is_system(entry.path.name):
            system += [name] * entry.is_folder
        elif entry.path.name.startswith("."):
            hidden += [name] * entry.is_folder
        elif entry.is_folder:
            node = nodes[entry.path] = Node(entry.path.name, entry.path, [], [])
            above.folders.append(node)
        elif _is_picture(entry.path):
            above.pictures.append(entry.path)
        else:
            others.append(name)
    return _Collected(nodes[path], tuple(hidden), tuple(system), tuple(others), tuple(closed))


def _by_list(found: _Collected) -> Layout | None:
    """Understand photos in no class folder by the CSV files that lie beside them."""
    layouts = []
    for node in (found.root, *found.root.folders):
        pictures = [picture for picture, _ in _pictures(node)]
        for name in sorted(found.others):
            path = found.root.path / name
            if path.parent == node.path and path.suffix.lower() == ".csv" and pictures:
                listed = read_list(path, pictures)
                if listed is not None:
                    layouts.append((node, listed, pictures))
                    break
        if layouts and node is found.root:
            break
    return layout_of_lists(found.root, layouts) if layouts else None


def _is_picture(path: Path) -> bool:
    """Whether a file is an image by its content, or claims to be one by its suffix."""
    if is_picture(path):
        return True
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait forever
            return False
        with path.open("rb") as file:
            return is_encoded_picture(file.read(HEAD_BYTES))
    except OSError:
        return False


def _sorted_out(path: Path, found: _Collected, layout: Layout) -> PhotoTree:
    """Give each image its set and class."""
    spellings, notes = _spellings(layout.places)
    files = [
        PhotoFile(picture, _name(path, picture), place.set, spellings[place.label], folder)
        for place in layout.places
        for picture, folder in _pictures(place.node)
    ]
    files.sort(key=lambda file: SETS.index(file.set))
    labels: dict[str, list[str]] = {name: [] for name in SETS if name in layout.sets}
    for place in layout.places:
        labels[place.set].append(spellings[place.label])
    return PhotoTree(
        path=path,
        split=layout.split,
        labels={name: tuple(sorted(set(of_set))) for name, of_set in labels.items()},
        files=tuple(files),
        hidden=found.hidden,
        system=found.system,
        strays=tuple(_name(path, stray) for stray in layout.strays),
        others=_in_classes(found.others, layout),
        unknown=tuple(_name(path, node.path) for node in layout.unknown),
        unknown_photos=sum(1 for node in layout.unknown for _ in _pictures(node)),
        closed=found.closed,
        set_folders={name: _name(path, node.path) for name, node in layout.sets.items()},
        notes=(*(Note(*fields) for fields in layout.notes), *notes, *_name_faults(path, layout)),
    )


def _name(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path != root else ""


def _pictures(node: Node, folder: str = "") -> Iterator[tuple[Path, str]]:
    """Yield the images of a class, in the order of their names, and the folder of each."""
    entries: list[Path | Node] = [*node.pictures, *node.folders]
    for entry in sorted(entries, key=lambda e: e.path if isinstance(e, Node) else e):
        if isinstance(entry, Node):
            yield from _pictures(entry, f"{folder}/{entry.name}" if folder else entry.name)
        else:
            yield entry, folder


def _in_classes(others: Sequence[str], layout: Layout) -> tuple[str, ...]:
    """The files that lie among the photos of a class and are not a list of them.

    A README beside the classes is expected.
    """
    inside = tuple(f"{place.node.path}/" for place in layout.places)
    lists = {subject for _, kind, subject, _, _ in layout.notes if kind == "list"}
    return tuple(
        name for name in others if name not in lists and str(layout.root / name).startswith(inside)
    )


def _spellings(places: Sequence[Place]) -> tuple[dict[str, str], list[Note]]:
    """One label for all folders whose names mean the same, and what was taken as one."""
    spelled: dict[str, Counter[str]] = {}
    for place in places:
        count = 1 + sum(1 for _ in _pictures(place.node))
        spelled.setdefault(label_of(place.label).casefold(), Counter())[place.label] += count
    chosen: dict[str, str] = {}
    notes = []
    for names in spelled.values():
        label = label_of(max(sorted(names), key=names.__getitem__))
        chosen |= dict.fromkeys(names, label)
        if len(names) > 1:
            by_case = len({label_of(name) for name in names}) > 1
            fault = f"are one class, {label!r}: their names differ only in " + (
                "upper and lower case" if by_case else "blanks or the form of their accents"
            )
            remedy = "rename them if they are different classes"
            subject = ", ".join(map(ascii if not by_case else repr, sorted(names)))
            notes.append(Note("warning", "same-name", subject, fault, remedy))
    return chosen, notes


def _name_faults(path: Path, layout: Layout) -> Iterable[Note]:
    """Names that cannot be a label."""
    for place in layout.places:
        subject = _name(path, place.node.path)
        if not is_utf8(place.label):
            fault = "its name is not UTF-8, so it cannot be a label"
            yield Note("error", "not-utf8", subject, fault, "rename the folder")
        elif label_of(place.label).casefold() == RESERVED:
            fault = f"a class cannot be called {RESERVED}: that is the label below the threshold"
            remedy = "rename the folder, for instance to other, or to none"
            yield Note("error", "reserved", subject, fault, remedy)
        elif not label_of(place.label):
            yield Note("error", "no-name", subject, "its name is blank", "rename the folder")
