"""What is wrong with a folder of photos, and what to do about it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from convert.data.dataset import HELD_OUT, MAX_UNREADABLE
from convert.data.examine import Examined, Folder
from convert.data.grouping.near_duplicates import group
from convert.data.reading.set_names import SETS
from convert.data.walk import PhotoTree
from edge.errors import one_line

IMBALANCE = 3  # ratio of the photos of the biggest class to those of the smallest
MOST_NAMED = 6  # files in one line; JSON has all
LEVELS = ("note", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """One thing that is worth knowing: what it is about, what is the matter, what to do."""

    level: str  # of LEVELS; an error makes a training impossible, or its figures worthless
    kind: str  # one word, for programs
    subject: str
    fault: str
    remedy: str
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        return one_line(f"{self.level}: {self.subject}: {self.fault}; {self.remedy}")


def find(folder: Folder, image_size: int) -> list[Finding]:
    """Find all that is wrong, errors last.

    Args:
        folder: what was examined.
        image_size: shorter side of what the network sees, in pixels.
    """
    found = [
        *_layout(folder.tree),
        *_classes(folder),
        *_unreadable(folder),
        *_pictures(folder, image_size),
        *_balance(folder),
        *_alike(folder),
    ]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def look_alikes(folder: Folder) -> list[list[Examined]]:
    """Groups of two or more photos that look alike, or are the same."""
    photos = [photo for photo in folder.photos if photo.sha256]
    numbers = group([photo.sha256 for photo in photos], [photo.seen for photo in photos])
    groups: dict[int, list[Examined]] = {}
    for photo, number in zip(photos, numbers.tolist(), strict=True):
        groups.setdefault(number, []).append(photo)
    return [members for members in groups.values() if len(members) > 1]


def leaks(members: Sequence[Examined]) -> bool:
    """Whether photos that look alike lie in more than one set."""
    return len({photo.set for photo in members}) > 1


def _layout(tree: PhotoTree) -> Iterator[Finding]:
    for name in tree.hidden:
        yield Finding("note", "hidden", name, "is a hidden folder", "it is ignored", (name,))
    for name in tree.system:
        yield Finding("note", "system", name, "is a folder of the system", "it is ignored", (name,))
    for name in tree.unknown:
        remedy = f"it is ignored; the sets are named {', '.join(SETS)}"
        fault = "is not a set, or has no class folders"
        yield Finding("warning", "unknown-folder", name, fault, remedy, (name,))
    for name in tree.strays:
        remedy = "it is ignored; put it into the folder of its class"
        yield Finding("warning", "stray", name, "is in no class folder", remedy, (name,))
    for name in tree.others:
        yield Finding("warning", "no-picture", name, "is not an image", "it is ignored", (name,))
    for error in tree.closed:
        name = os.path.relpath(error.subject, tree.path)
        yield Finding("error", "closed", name, error.fault, error.remedy, (name,))
    for note in tree.notes:
        yield Finding(note.level, note.kind, note.subject, note.fault, note.remedy)


def _classes(folder: Folder) -> Iterator[Finding]:
    if "train" not in folder.tree.labels:
        remedy = "name the folder of training photos train"
        yield Finding("error", "no-train", "train", "is missing", remedy)
    train = next(iter(folder.tree.labels.values()))
    if len(train) < 2:
        fault = f"has {len(train)} class folder{'s' * (len(train) != 1)}"
        remedy = "put the photos of each of two or more classes into a folder of its own"
        yield Finding("error", "classes", str(folder.tree.path), fault, remedy)
    first = next(iter(folder.tree.labels))
    for name, labels in folder.tree.labels.items():
        for label in sorted(set(labels) ^ set(train)):
            has, lacks = (name, first) if label in labels else (first, name)
            fault = f"exists in {has} but not in {lacks}"
            remedy = "make the class folders of all sets the same"
            yield Finding("error", "classes-differ", f"{has}/{label}", fault, remedy)
        counts = Counter(photo.label for photo in folder.photos if photo.set == name)
        for label in labels:
            if not counts[label]:
                place = f"{name}/{label}" if len(folder.tree.labels) > 1 else label
                remedy = "add photos, or remove it"
                yield Finding("error", "empty-class", place, "contains no images", remedy)


def _unreadable(folder: Folder) -> Iterator[Finding]:
    """A few are left out of a training, more end it."""
    bad = [photo for photo in folder.photos if photo.fault]
    few = len(bad) <= MAX_UNREADABLE * len(folder.photos)
    level = "warning" if few else "error"
    remedy = "it is skipped; replace it" if few else "remove or replace it"
    for photo in bad:
        yield Finding(level, "unreadable", photo.name, photo.fault, remedy, (photo.name,))


def _pictures(folder: Folder, image_size: int) -> Iterator[Finding]:
    read = [photo for photo in folder.photos if not photo.fault]
    turned = [photo.name for photo in read if photo.orientation != 1]
    if turned:
        subject = f"{len(turned)} of {len(read)} photos"
        fault = f"are stored rotated, with an EXIF orientation: {_some(turned)}"
        remedy = "nothing to do: training and device rotate them the same way"
        yield Finding("note", "orientation", subject, fault, remedy, tuple(turned))
    small = [photo.name for photo in read if min(photo.size) < image_size]
    if small:
        subject = f"{len(small)} of {len(read)} photos"
        fault = f"are smaller than the {image_size} pixels that the network sees: {_some(small)}"
        remedy = "use larger ones, or a smaller --image-size"
        yield Finding("warning", "small", subject, fault, remedy, tuple(small))


def _balance(folder: Folder) -> Iterator[Finding]:
    name = "train" if "train" in folder.tree.labels else next(iter(folder.tree.labels))
    counts = Counter(photo.label for photo in folder.photos if photo.set == name)
    if len(counts) < 2:
        return
    (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
    if many >= IMBALANCE * few:
        fault = f"has {many} photos of {most}, {few} of {least} (1:{many / few:.1f})"
        remedy = f"training weights the classes to compensate; more photos of {least} are better"
        yield Finding("warning", "imbalance", name, fault, remedy)


def _alike(folder: Folder) -> Iterator[Finding]:
    groups = look_alikes(folder)
    for members in groups:
        yield _alike_finding(members)
    missing = [name for name in HELD_OUT if name not in folder.tree.labels]
    if not missing or "train" not in folder.tree.labels:
        return
    photos = [photo for photo in folder.photos if photo.set == "train" and not photo.fault]
    for label in dict.fromkeys(photo.label for photo in photos):
        # Near-duplicates are cut into sessions where nothing else is left; equal files cannot be.
        different = len({photo.sha256 for photo in photos if photo.label == label})
        if different <= len(missing):
            fault = f"has only {different} different photo{'s' * (different != 1)}"
            remedy = (
                f"add photos; {' and '.join(missing)} are split from train, so each class needs at "
                f"least {len(missing) + 1} different photos"
            )
            yield Finding("error", "too-few", label, fault, remedy)


def _alike_finding(members: Sequence[Examined]) -> Finding:
    names = tuple(sorted(photo.name for photo in members))
    same = len({photo.sha256 for photo in members}) == 1
    how = "are the same photo" if same else "look alike"
    subject = _some(names)
    labels = {photo.label for photo in members}
    if leaks(members):
        sets = [name for name in SETS if name in {photo.set for photo in members}]
        fault = f"{how}, in {' and '.join(sets)}: a leak"
        return Finding("error", "leak", subject, fault, "keep those of one set", names)
    copies = Counter(photo.sha256 for photo in members)
    across = {
        photo.sha256: {p.label for p in members if p.sha256 == photo.sha256}
        for photo in members
        if copies[photo.sha256] > 1
    }
    if any(len(of_copy) > 1 for of_copy in across.values()):
        fault = f"are the same photo, of the classes {' and '.join(sorted(labels))}"
        return Finding("error", "two-labels", subject, fault, "keep the right one", names)
    if len(labels) > 1:
        fault = f"{how}, of the classes {' and '.join(sorted(labels))}"
        return Finding("warning", "two-labels", subject, fault, "check both labels", names)
    remedy = "keep one, if the others add nothing (a split keeps them together)"
    return Finding("warning", "duplicate" if same else "look-alike", subject, how, remedy, names)


def _some(names: Sequence[str]) -> str:
    """The first of many names."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
