"""python -m convert check PHOTOS: all that is wrong with a folder of photos, in one run."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

from convert.data.examine import Examined, Folder, examine
from convert.data.findings import Finding, find, leaks, look_alikes
from convert.data.reading.archive import unpacked
from convert.data.reading.set_names import SETS
from convert.errors import DatasetError
from convert.files import write
from convert.report.sheet import sheet
from edge.commands.arguments import count
from edge.errors import ImageError, one_line
from edge.image.preprocess import Pixels, read_image
from edge.names import CHECK_SCHEMA

MOST_LINES = 20  # findings of one kind that text shows; JSON has all
MOST_TILES = 200  # on the sheet
MOST_OF_CLASS = 6  # a row
TILE = 160  # pixels


@dataclass(frozen=True)
class PhotoCheck:
    """What a check found in a folder of photos."""

    folder: Folder
    findings: tuple[Finding, ...]  # errors last

    @property
    def passed(self) -> bool:
        """Whether a training is possible, and its figures would be worth something."""
        return all(finding.level != "error" for finding in self.findings)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many photos each set has of each class, readable or not."""
        found = Counter((photo.set, photo.label) for photo in self.folder.photos)
        return {
            name: {label: found[name, label] for label in labels}
            for name, labels in self.folder.tree.labels.items()
        }


def check(photos: str | os.PathLike[str], *, image_size: int = 224) -> PhotoCheck:
    """Find all that is wrong with a folder of photos.

    Args:
        photos: a folder with one folder per class, or with train/ (val/, test/) that hold those.
        image_size: shorter side of the network input, in pixels; smaller photos are reported.

    Returns:
        How many photos there are, and a finding for each thing that is wrong or odd.

    Raises:
        DatasetError: there is no such folder.
    """
    folder = examine(unpacked(Path(photos)))
    return PhotoCheck(folder, tuple(find(folder, image_size)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PHOTOS and the options of `check`."""
    parser.add_argument(
        "photos",
        type=Path,
        metavar="PHOTOS",
        help="folder with one folder per class, or with train/, val/ and test/ that have those",
    )
    parser.add_argument(
        "-o",
        "--sheet",
        type=Path,
        metavar="FILE.png",
        help="write a contact sheet: photos of each class, and those that look alike",
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="(default: text)"
    )
    parser.add_argument(
        "--image-size",
        type=count,
        default=224,
        metavar="N",
        help="network input size in pixels; report photos smaller than this (default: 224)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Print what is found; return 1 where there is an error, else 0. Raises: DatasetError."""
    if arguments.sheet and arguments.sheet.resolve().is_relative_to(arguments.photos.resolve()):
        raise DatasetError(arguments.sheet, "is inside the photos folder", "write it elsewhere")
    found = check(arguments.photos, image_size=arguments.image_size)
    if arguments.format == "json":
        print(json.dumps(_as_json(found), indent=2))
    else:
        print(_text(found))
    if arguments.sheet:
        tiles, marks = _tiles(found.folder)
        if tiles:
            write(arguments.sheet, sheet(tiles, columns=MOST_OF_CLASS, tile=TILE, marks=marks))
    elif arguments.format == "text":
        quoted = shlex.quote(str(arguments.photos))
        hint = f"to see the photos: python -m convert check {quoted} -o sheet.png"
        print(hint, file=sys.stderr, flush=True)
    return 0 if found.passed else 1


def _sides(folder: Folder) -> dict[str, list[int]]:
    """Minimum, median and maximum height and width, in pixels, upright."""
    sizes = [photo.size for photo in folder.photos if not photo.fault]
    if not sizes:
        return {}
    sides = zip(("height", "width"), zip(*sizes, strict=True), strict=True)
    return {name: [min(side), median_low(side), max(side)] for name, side in sides}


def _tally(values: Sequence[Any]) -> dict[str, int]:
    return {str(value): number for value, number in sorted(Counter(values).items())}


def _as_json(check: PhotoCheck) -> dict[str, Any]:
    folder, findings = check.folder, check.findings
    read = [photo for photo in folder.photos if not photo.fault]
    return {
        "schema": CHECK_SCHEMA,
        "photos": len(folder.photos),
        "counts": check.counts,
        "pixels_min_median_max": _sides(folder),
        "formats": _tally([photo.format for photo in read]),
        "orientations": _tally([photo.orientation for photo in read]),
        "errors": sum(finding.level == "error" for finding in findings),
        "warnings": sum(finding.level == "warning" for finding in findings),
        "findings": [
            {
                "level": finding.level,
                "kind": finding.kind,
                "subject": finding.subject,
                "fault": finding.fault,
                "remedy": finding.remedy,
                "files": list(finding.files),
            }
            for finding in findings
        ],
    }


def _text(check: PhotoCheck) -> str:
    facts, findings = _as_json(check), check.findings
    lines = [*_table(facts["counts"]), ""]
    lines += [
        f"{name}: {low} to {high} pixels, median {middle}"
        for name, (low, middle, high) in facts["pixels_min_median_max"].items()
    ]
    if facts["formats"]:
        lines.append("formats: " + _listed(facts["formats"]))
        lines.append("EXIF orientations: " + _listed(facts["orientations"]))
    lines += ["", *_finding_lines(findings)] if findings else [""]
    told = [
        f"{facts[name]} {name if facts[name] != 1 else name[:-1]}"
        for name in ("errors", "warnings")
    ]
    return "\n".join([*lines, f"{facts['photos']} photos: {', '.join(told)}"])


def _listed(tally: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in tally.items())


def _table(counts: dict[str, dict[str, int]]) -> list[str]:
    """A row for each class, a column for each set, aligned."""
    sets = [name for name in SETS if name in counts]
    labels = sorted({label for of_set in counts.values() for label in of_set})
    rows = [["class", *sets]]
    rows += [
        [one_line(label), *(str(counts[name].get(label, "-")) for name in sets)] for label in labels
    ]
    rows.append(["total", *(str(sum(counts[name].values())) for name in sets)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def _finding_lines(findings: Sequence[Finding]) -> list[str]:
    """A line for each finding; of many of one kind, the first."""
    shown: Counter[tuple[str, str]] = Counter()
    total = Counter((finding.level, finding.kind) for finding in findings)
    lines = []
    for finding in findings:
        key = (finding.level, finding.kind)
        shown[key] += 1
        if shown[key] <= MOST_LINES:
            lines.append(str(finding))
        elif shown[key] == total[key]:
            more = total[key] - MOST_LINES
            lines.append(f"{finding.level}: {more} more of this kind; --format json names them")
    return lines


def _tiles(folder: Folder) -> tuple[list[tuple[Pixels, str]], list[str]]:
    """What the sheet shows: photos of each class, then near-duplicates, marked where they leak."""
    shown: list[tuple[Examined, str, str]] = []
    by_label: dict[str, list[Examined]] = {}
    for photo in folder.photos:
        if not photo.fault:
            by_label.setdefault(photo.label, []).append(photo)
    each = max(1, min(MOST_OF_CLASS, MOST_TILES // (2 * max(1, len(by_label)))))
    for label in sorted(by_label):
        chosen = sorted(by_label[label], key=lambda photo: photo.sha256)[:each]
        shown += [(photo, label, "") for photo in chosen]
    groups = sorted(look_alikes(folder), key=leaks, reverse=True)
    for number, members in enumerate(groups, 1):
        mark = "wrong" if leaks(members) else ""
        shown += [(p, f"alike {number}: {p.name}", mark) for p in members if not p.fault]
    tiles, marks = [], []
    for photo, caption, mark in shown[:MOST_TILES]:
        try:
            tiles.append((read_image(photo.path, at_least=(TILE, TILE)), caption))
        except ImageError:  # gone since it was examined
            continue
        marks.append(mark)
    return tiles, marks
