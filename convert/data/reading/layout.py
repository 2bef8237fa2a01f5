"""How the folders of a data set are to be understood: which are sets, and which are classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convert.data.reading.lists import PhotoList
from convert.data.reading.set_names import SETS, SPELLED, label_of, set_and_label, set_of

Fields = tuple[str, str, str, str, str]  # of a convert.data.walk.Note


@dataclass(frozen=True)
class Node:
    """A folder, with its images and folders by name."""

    name: str
    path: Path
    folders: list[Node]
    pictures: list[Path]

    @property
    def filled(self) -> list[Node]:
        """The folders that hold an image, at any depth."""
        return [folder for folder in self.folders if folder.holds_pictures]

    @property
    def holds_pictures(self) -> bool:
        """Whether it holds an image, at any depth."""
        return bool(self.pictures) or any(folder.holds_pictures for folder in self.folders)


@dataclass(frozen=True)
class Place:
    """A folder of a class."""

    set: str  # of SETS
    label: str  # as the folder is called
    node: Node


@dataclass(frozen=True)
class Layout:
    """How the folders are understood."""

    root: Path
    split: bool  # there are sets
    sets: dict[str, Node]  # the folder of each set
    places: list[Place]
    strays: list[Path] = field(default_factory=list)  # images in no class
    unknown: list[Node] = field(default_factory=list)  # folders beside those of sets
    notes: list[Fields] = field(default_factory=list)


def layout_of(root: Node) -> Layout:
    """Find the sets and classes of a folder by the names and by what the folders hold."""
    base = _unwrapped(root)
    notes: list[Fields] = []
    if base is not root:
        fault = f"is the only folder of {root.path.name or root.path}"
        notes.append(("note", "wrapper", base.path.name, fault, "the classes are read from it"))
    strays = [*root.pictures, *(base.pictures if base is not root else [])]
    for understand in (_sets_above, _sets_below, _sets_in_names):
        found = understand(root.path, base)
        if found is not None:
            return _with(found, strays, notes)
    places = [Place("train", folder.name, folder) for folder in base.folders]
    named = [folder.name for folder in base.filled if set_of(folder.name)]
    if len(named) > 1 and len(named) == len(base.filled):
        fault = f"its sets hold photos and no class folders: {', '.join(named)}"
        remedy = "put the photos of each class into a folder of its own, or add a labels.csv"
        notes.append(("error", "no-classes", base.path.name, fault, remedy))
    found = Layout(root.path, False, {"train": base}, places)
    return _with(found, strays, [*notes, *_like_sets(base)])


def layout_of_lists(root: Node, lists: Sequence[tuple[Node, PhotoList, Sequence[Path]]]) -> Layout:
    """Understand photos by lists: one for all, or one in the folder of each set.

    Args:
        root: the folder of photos.
        lists: the folder that each list lies in, the list, and the images of that folder.
    """
    places: dict[tuple[str, str], Place] = {}
    sets: dict[str, Node] = {}
    strays: list[Path] = []
    notes: list[Fields] = []
    for node, listed, pictures in lists:
        own = "" if node is root else set_of(node.name)
        for photo in listed.photos:
            name = photo.set or own or "train"
            sets.setdefault(name, node)
            key = name, photo.label
            folder = Node(photo.label, node.path, [], [])
            places.setdefault(key, Place(name, photo.label, folder)).node.pictures.append(
                photo.path
            )
        named = {photo.path for photo in listed.photos}
        strays += [picture for picture in pictures if picture not in named]
        notes += _of_list(root, listed)
    in_order = {name: sets[name] for name in SETS if name in sets}
    split = set(in_order) != {"train"}
    return Layout(root.path, split, in_order, list(places.values()), strays, notes=notes)


def _of_list(root: Node, listed: PhotoList) -> Iterable[Fields]:
    """Report that a list was used, and which of its rows were not."""
    name = str(listed.path.relative_to(root.path))
    fault = f"has the labels of {len(listed.photos)} photos"
    yield ("note", "list", name, fault, "nothing to do")
    for rows, what, remedy in (
        (
            listed.missing,
            "rows name photos that do not exist",
            "add the photos, or remove the rows",
        ),
        (listed.contradicting, "photos have two labels and are skipped", "keep the right row"),
    ):
        if rows:
            yield ("warning", "list-rows", name, f"{len(rows)} {what}: {rows[0]}", remedy)


def _with(layout: Layout, strays: Sequence[Path], notes: Sequence[Fields]) -> Layout:
    layout.strays[:0] = strays
    layout.notes[:0] = notes
    return layout


def _unwrapped(node: Node) -> Node:
    """Look into a folder whose only entry is a folder of folders, as in archives."""
    while not node.pictures and len(node.folders) == 1 and node.folders[0].filled:
        if set_of(node.folders[0].name):
            return node
        node = node.folders[0]
    return node


def _sets_above(root: Path, base: Node) -> Layout | None:
    """Understand train/LABEL/; a folder that holds photos and no folders is a class."""
    named = [folder for folder in base.folders if set_of(folder.name)]
    holding = [folder for folder in named if folder.folders or not folder.pictures]
    if not any(folder.filled for folder in holding):
        return None
    notes: list[Fields] = []
    sets: dict[str, Node] = {}
    for folder in holding:
        name = _free(set_of(folder.name), folder.name, holding)
        if name in sets:
            fault = f"is also the {SPELLED.get(name, name)} set, like {sets[name].name}"
            notes.append(("error", "two-sets", folder.name, fault, "keep or rename one"))
        sets.setdefault(name, folder)
    unknown = [folder for folder in base.folders if folder not in sets.values()]
    beside = [f.name for f in unknown if f.holds_pictures and not set_of(f.name)]
    if list(sets) == ["train"] and beside:
        fault = f"may be a set or a class: it holds folders, and {beside[0]} beside it holds photos"
        remedy = "put all classes into it, or rename it"
        notes.append(("error", "ambiguous", holding[0].name, fault, remedy))
    strays, places = [], []
    for name, folder in sets.items():
        inner = _inner(folder)
        strays += folder.pictures if inner is folder else [*folder.pictures, *inner.pictures]
        places += [Place(name, of_class.name, of_class) for of_class in inner.folders]
    in_order = {name: _inner(sets[name]) for name in SETS if name in sets}
    notes += _renamed(sets)
    return Layout(root, True, in_order, places, strays, unknown, notes)


def _inner(folder: Node) -> Node:
    """Look into seg_train/seg_train/: a folder of a set that holds the same set again."""
    while (
        not folder.pictures
        and len(folder.folders) == 1
        and set_of(folder.folders[0].name) == set_of(folder.name)
        and folder.folders[0].filled
        and not folder.folders[0].pictures
    ):
        folder = folder.folders[0]
    return folder


def _free(name: str, folder: str, others: Sequence[Node]) -> str:
    """Take eval for test where val is there already, and test is not."""
    means = {other.name: set_of(other.name) for other in others}
    is_eval = folder.casefold().startswith("eval")
    taken = any(meant == "val" and other != folder for other, meant in means.items())
    return "test" if is_eval and taken and "test" not in means.values() else name


def _renamed(sets: dict[str, Node]) -> Iterable[Fields]:
    """Report which folder is used as which set, if its name differs."""
    for name, folder in sets.items():
        if folder.name != name:
            yield ("note", "set-name", folder.name, f"is taken for {name}", "nothing to do")


def _sets_below(root: Path, base: Node) -> Layout | None:
    """Understand LABEL/train/: every class holds folders of sets alone."""
    classes = base.filled
    inner = [folder for of_class in classes for folder in of_class.folders]
    if len(classes) < 2 or not inner or any(of_class.pictures for of_class in classes):
        return None
    if not all(set_of(folder.name) for folder in inner):
        return None
    places = [
        Place(set_of(folder.name), of_class.name, folder)
        for of_class in classes
        for folder in of_class.folders
    ]
    notes = [("note", "sets-below", base.path.name, "its classes hold the sets", "nothing to do")]
    return _of_places(root, base, places, notes)


def _sets_in_names(root: Path, base: Node) -> Layout | None:
    """Understand LABEL_train/ and train_LABEL/: the names of all folders hold set and class."""
    places = [Place(*set_and_label(folder.name), folder) for folder in base.filled]
    if len({place.set for place in places}) < 2 or not all(place.set for place in places):
        return None
    if len({label_of(place.label).casefold() for place in places}) < 2:
        return None
    fault = "its folders are named after set and class"
    return _of_places(
        root, base, places, [("note", "names", base.path.name, fault, "nothing to do")]
    )


def _of_places(root: Path, base: Node, places: list[Place], notes: list[Fields]) -> Layout:
    sets = {name: base for name in SETS if name in {place.set for place in places}}
    return Layout(root, True, sets, places, notes=notes)


def _like_sets(base: Node) -> Iterable[Fields]:
    """Classes that hold folders of the same names and no photo of their own may be sets."""
    inner = [
        frozenset(label_of(folder.name).casefold() for folder in of_class.filled)
        for of_class in base.filled
    ]
    if (
        len(inner) >= 2
        and len(set(inner)) == 1
        and len(inner[0]) >= 2
        and not any(of_class.pictures for of_class in base.filled)
    ):
        names = ", ".join(sorted(folder.name for folder in base.filled)[:3])
        fault = f"hold the same folders ({', '.join(sorted(inner[0])[:3])}): treated as classes"
        remedy = "name them train, val and test if they are sets"
        yield ("warning", "like-sets", names, fault, remedy)
