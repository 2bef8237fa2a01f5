"""Names of folders as people give them: those of sets, of classes, and of the system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

SETS = ("train", "val", "test")
SPELLED = {"train": "training", "val": "validation"}  # in a sentence
RESERVED = "unknown"  # the label of the device below the threshold

NONE = frozenset("none background other".split())  # classes that mean none of the others

_WORDS = {
    "train": "train training trainset traindata",
    "val": "val valid validation valset validset dev devel development eval evaluation",
    "test": "test testing testset testdata",
}
_SET_OF = {word: name for name, words in _WORDS.items() for word in words.split()}
_FILLERS = frozenset("set data dataset images imgs photos images split".split())
# Of Synology, QNAP, macOS, Windows, Linux and rsync; hidden folders are ignored anyway.
_SYSTEM = frozenset(
    "@eadir @tmp @recycle @recently-snapshot @synoresource #recycle #snapshot __macosx lost+found "
    "$recycle.bin recycler recycled found.000 __pycache__ _gsdata_ thumbs.db desktop.ini".split()
) | {"system volume information", "network trash folder", "temporary items"}


def set_of(name: str) -> str:
    """The set that a folder's name stands for, "" for none: `Training`, `val_set`, `cats_train`."""
    *rest, last = re.split(r"[-_. ]+", label_of(name).casefold()) or [""]
    while rest and last in _FILLERS:
        *rest, last = rest
    if rest and " " in name.strip():  # a bullet train is not a set
        return ""
    return _SET_OF.get(last, "")


def set_and_label(name: str) -> tuple[str, str]:
    """Split `cats_train` or `train-cats` into set and label; ("", "") where it is neither."""
    for pattern in (
        r"(?P<label>.+)[-_.]+(?P<set>[^-_.]+)",
        r"(?P<set>[^-_.]+)[-_.]+(?P<label>.+)",
    ):
        found = re.fullmatch(pattern, name.strip())
        if found and found["set"].casefold() in _SET_OF:
            return _SET_OF[found["set"].casefold()], found["label"]
    return "", ""


def unknown_labels(labels: Sequence[str]) -> tuple[int, ...]:
    """The indices of the labels that mean none of the others: `none`, `background`, `other`."""
    return tuple(index for index, label in enumerate(labels) if label.casefold() in NONE)


def is_system(name: str) -> bool:
    """Whether a file or folder is the system's own, such as a NAS's thumbnails."""
    return name.casefold() in _SYSTEM


def label_of(name: str) -> str:
    """The class that a folder's name stands for: composed accents, no blanks at the ends."""
    return unicodedata.normalize("NFC", name).strip()


def is_utf8(name: str) -> bool:
    """Whether a name can be written as UTF-8; others have surrogates in Python."""
    return not any("\ud800" <= character <= "\udfff" for character in name)
