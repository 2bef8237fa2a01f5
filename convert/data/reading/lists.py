"""Lists of photos and their labels: a CSV file beside photos that lie in no class folder.

Understood are `filename,label[,split]` under the usual names of columns, Roboflow's `_classes.csv`
(a column of 0 and 1 for each class), and Label Studio's export (`image`, `choice`).
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from convert.data.reading.set_names import set_of
from convert.errors import DatasetError

FILES = tuple("filename file_name file image image_id img path filepath photo name id".split())
LABELS = tuple("label labels class class_name category choice species breed target".split())
SPLITS = tuple("split set subset dataset fold".split())
REMEDY = "use a CSV file with the columns filename and label"
MOST_BYTES = 256_000_000
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?P<name>.+)")  # Label Studio's prefix


@dataclass(frozen=True)
class Listed:
    """A photo with its label and set from a list."""

    path: Path
    label: str
    set: str  # of SETS, "" where the list has none


@dataclass(frozen=True)
class PhotoList:
    """The content of a list."""

    path: Path
    photos: tuple[Listed, ...]
    missing: tuple[str, ...]  # names of which there is no photo
    contradicting: tuple[str, ...]  # photos that have two labels


def read_list(path: Path, pictures: Sequence[Path]) -> PhotoList | None:
    """Read a list of labels; None for a CSV file of another kind.

    Args:
        path: a CSV file; names in it are relative to its folder, or bare.
        pictures: those that it may name.

    Raises: DatasetError.
    """
    rows = _rows(path)
    if not rows:
        return None
    header = [cell.strip().casefold() for cell in rows[0]]
    entries = _one_hot(rows) if path.name == "_classes.csv" else _labelled(header, rows[1:])
    if entries is None:
        return None
    found: dict[Path, set[tuple[str, str]]] = defaultdict(set)
    missing = []
    find = _Finder(path.parent, pictures)
    for name, label, of_set in entries:
        picture = find(name)
        if picture is None:
            missing.append(name)
        elif label:
            found[picture].add((label, of_set))
    photos = [Listed(p, *next(iter(said))) for p, said in found.items() if len(said) == 1]
    contradicting = [str(p.relative_to(path.parent)) for p, said in found.items() if len(said) > 1]
    if not photos:
        fault = f"names none of the photos beside it ({missing[0]})" if missing else "has no label"
        raise DatasetError(path, fault, REMEDY)
    return PhotoList(path, tuple(photos), tuple(missing), tuple(contradicting))


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DatasetError(path, f"cannot be read ({error.strerror})", REMEDY) from error
    if len(content) > MOST_BYTES:
        raise DatasetError(path, f"is larger than {MOST_BYTES // 1_000_000} MB", REMEDY)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(path, "is not UTF-8", "save it as UTF-8") from error
    first = text.partition("\n")[0]
    separator = max(",;\t|", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise DatasetError(path, f"is not a CSV file ({error})", REMEDY) from error
    return [row for row in rows if any(cell.strip() for cell in row)]


Entries = list[tuple[str, str, str]]  # name, label, set


def _labelled(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Entries | None:
    columns = [_column(header, names) for names in (FILES, LABELS, SPLITS)]
    file, label, split = columns
    if file is None or label is None:
        return None
    return [
        (row[file].strip(), row[label].strip(), set_of(row[split]) if split is not None else "")
        for row in rows
        if len(row) > max(column for column in columns if column is not None)
    ]


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _one_hot(rows: Sequence[Sequence[str]]) -> Entries:
    """Roboflow's: a photo of no class, or of several, has no label."""
    names = [cell.strip() for cell in rows[0]]
    entries = []
    for row in rows[1:]:
        marked = [n for n, cell in zip(names[1:], row[1:], strict=False) if cell.strip() == "1"]
        entries.append((row[0].strip(), marked[0] if len(marked) == 1 else "", ""))
    return entries


class _Finder:
    """Finds the photo that a list means: by its path, else by a name that no other photo has."""

    def __init__(self, folder: Path, pictures: Sequence[Path]) -> None:
        self._folder, self._all = folder, set(pictures)
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for picture in pictures:
            self._by_name[picture.name].append(picture)
            if picture.stem != picture.name:
                self._by_name[picture.stem].append(picture)

    def __call__(self, name: str) -> Path | None:
        plain = unquote(name.rpartition("?d=")[2]).replace("\\", "/")
        if self._folder / plain in self._all:
            return self._folder / plain
        bare = plain.rpartition("/")[2]
        upload = _UPLOAD.fullmatch(bare)
        for candidate in (bare, upload["name"] if upload else ""):
            if len(self._by_name.get(candidate, ())) == 1:
                return self._by_name[candidate][0]
        return None
