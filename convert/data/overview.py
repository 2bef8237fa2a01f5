"""What was understood of a folder of photos, as lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from convert.data.dataset import Dataset
from convert.data.reading.set_names import SETS
from convert.data.walk import PhotoTree
from edge.errors import one_line

MAX_ROWS = 20  # classes in the table; the smallest are shown


def understood(tree: PhotoTree) -> list[str]:
    """Return the sets, classes, photos by folder, and what is left out, before any work."""
    lines = [*_table(tree)]
    lines += [f"note: {line}" for line in _left_out(tree)]
    lines += [
        one_line(f"{note.level}: {note.subject}: {note.fault}; {note.remedy}")
        for note in tree.notes
    ]
    return lines


def told(dataset: Dataset) -> list[str]:
    """Return what a split kept together, what was left out, and how reliable its figures are."""
    lines = [f"left out: {left_out}" for left_out in dataset.left_out]
    if dataset.drawn:
        lines += [
            f"kept in one set: {joined.photos} photos in {joined.groups} groups: {joined.reason}"
            for joined in dataset.grouping.joined
        ]
        lines.append(f"validation and test figures are of {dataset.grouping.worth}")
    return [*lines, *(f"warning: {warning}" for warning in dataset.warnings)]


def _table(tree: PhotoTree) -> Iterator[str]:
    counts = Counter((file.set, file.label) for file in tree.files)
    sets = [name for name in SETS if name in tree.labels]
    labels = sorted({label for of_set in tree.labels.values() for label in of_set})
    shown = labels
    if len(labels) > MAX_ROWS:
        total = Counter(file.label for file in tree.files)
        shown = sorted(sorted(labels, key=lambda label: total[label])[:MAX_ROWS])
    names = [
        name
        if not tree.split or tree.set_folders.get(name, name) == name
        else f"{name} ({tree.set_folders[name] or '.'})"
        for name in sets
    ]
    rows = [["class", *(names if tree.split else ["photos"])]]
    rows += [[one_line(label), *(str(counts[name, label]) for name in sets)] for label in shown]
    if len(shown) < len(labels):
        rows.append([f"{len(labels) - len(shown)} more", *("" for _ in sets)])
    totals = (sum(counts[name, label] for label in labels) for name in sets)
    rows.append([f"{len(labels)} classes", *map(str, totals)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = row
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        yield "  ".join(cells)


def _left_out(tree: PhotoTree) -> Iterator[str]:
    """Count what takes no part, by reason."""
    if tree.unknown:
        names = ", ".join(map(one_line, tree.unknown[:5]))
        yield (
            f"ignored: {tree.unknown_photos} photos in {len(tree.unknown)} folders beside the "
            f"sets: {names}"
        )
    for files, what in (
        (tree.strays, "photos in no class folder"),
        (tree.others, "files that are not images"),
        (tree.system, "folders of the system"),
        (tree.hidden, "hidden folders"),
    ):
        if files:
            more = ", ..." if len(files) > 3 else ""
            yield f"ignored: {len(files)} {what}: {', '.join(map(one_line, files[:3]))}{more}"
