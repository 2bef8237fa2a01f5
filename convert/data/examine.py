"""Go through a folder of photos and note what is there, good or bad; nothing stops it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from convert.data.grouping.features import Shelf
from convert.data.grouping.near_duplicates import UNSEEN, Seen, see
from convert.data.parallel import each
from convert.data.walk import PhotoFile, PhotoTree, walk_photos
from edge.errors import ImageError
from edge.image.decode import read_facts
from edge.image.preprocess import Size


@dataclass(frozen=True)
class Examined(PhotoFile):
    """One file that should be a photo."""

    fault: str = ""  # why it cannot be read
    sha256: str = ""
    format: str = ""
    size: Size = (0, 0)  # upright
    orientation: int = 1  # EXIF, 1..8
    seen: Seen = field(default=UNSEEN, compare=False)


@dataclass(frozen=True)
class Folder:
    """What a folder of photos holds, and what each photo is."""

    tree: PhotoTree
    photos: tuple[Examined, ...]


def examine(path: Path) -> Folder:
    """Examine every file of a folder. Raises: DatasetError where there is no such folder."""
    tree = walk_photos(path)
    files = [Examined(file.path, file.name, file.set, file.label) for file in tree.files]
    shelf = Shelf()
    return Folder(tree, tuple(each(lambda photo: _examined(photo, shelf), files, "examine")))


def _examined(photo: Examined, shelf: Shelf) -> Examined:
    if not os.path.lexists(photo.path):
        return replace(photo, fault="was removed while the folder was read")
    if not photo.path.is_file():  # a broken link, or a FIFO, which would wait forever
        return replace(photo, fault="is not a regular file, or is a broken symbolic link")
    try:
        content = photo.path.read_bytes()
    except OSError as error:
        return replace(photo, fault=f"cannot be read ({error.strerror})")
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        seen = see(content, shelf)
        facts = read_facts(content)
    except ImageError as error:
        return replace(photo, fault=error.fault, sha256=sha256)
    return replace(
        photo,
        sha256=sha256,
        format=facts.format,
        size=facts.size,
        orientation=facts.orientation,
        seen=seen,
    )
