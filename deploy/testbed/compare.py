"""Hold every machine's answers against the first one's of its group.

compare.py ANSWERS PICTURES MODELS --machines NAME... [--machines NAME...] [--told NAME...]

ANSWERS/MACHINE/MODEL.jsonl is what answers.py printed there, with a line {"failure": ...} where
it ended badly. Prints a table; exits 1 if anything differs, is missing or failed. What differs on
a machine of --told, which is known to round otherwise, is told and no fault.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HEADER = ["machine", "runtime", "model", "agree", "difference", "golden", "result"]
TOLERANCE = 2 / 256 + 1e-6  # two steps of an 8-bit score


@dataclass(frozen=True)
class Answers:
    """What one machine said of one model."""

    labels: dict[str, str] = field(default_factory=dict)  # by picture
    scores: dict[str, list[float]] = field(default_factory=dict)
    golden: str = "not reached"
    runtime: str = "-"
    failure: str | None = None


def read(path: Path) -> Answers:
    """Read one file of answers; a file that isn't there is a machine that said nothing."""
    if not path.is_file():
        return Answers(failure="no answers")
    lines = [line for line in map(parsed, path.read_text().splitlines()) if line]
    pictures = [line for line in lines if "picture" in line]
    return Answers(
        labels={line["picture"]: line["label"] for line in pictures},
        scores={line["picture"]: line["scores"] for line in pictures},
        golden=next((line["golden"] for line in lines if "golden" in line), "not reached"),
        runtime=next((line["runtime"] for line in lines if "runtime" in line), "-"),
        failure=next((line["failure"] for line in lines if "failure" in line), None),
    )


def parsed(line: str) -> dict[str, Any] | None:
    """Return what the line says; None for a line cut short or not ours: its answer is missing."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def difference(reference: Answers, found: Answers, picture: str) -> float:
    """Return the largest difference in score; NaN where an answer or a class is missing."""
    ours, theirs = reference.scores.get(picture, []), found.scores.get(picture, [])
    if len(ours) != len(theirs) or not ours:
        return math.nan
    return float(np.abs(np.subtract(ours, theirs)).max())


def row(
    name: str, reference: Answers, found: Answers, pictures: list[str], *, judged: bool
) -> list[str]:
    """Return a line of the table, less its machine; the last cell is "ok" where all is well."""
    differences = {p: difference(reference, found, p) for p in pictures}
    largest = max((d for d in differences.values() if not math.isnan(d)), default=math.nan)
    silent = sum(math.isnan(d) for d in differences.values())
    agree = sum(
        differences[p] <= TOLERANCE and reference.labels[p] == found.labels[p] for p in pictures
    )
    faults = []
    if silent or not pictures:
        faults.append(f"{silent} of {len(pictures)} pictures without an answer to compare")
    if judged and agree + silent < len(pictures):
        faults.append(f"{len(pictures) - agree - silent} pictures differ")
    if found.golden != "ok":
        faults.append(f"golden vectors: {found.golden}")
    if found.failure:  # the others are its consequences
        faults = [found.failure]
    return [
        found.runtime,
        name,
        f"{agree}/{len(pictures)}",
        f"{largest:.4f}",
        "ok" if found.golden == "ok" else "no",
        f"FAILED: {'; '.join(faults)}" if faults else "ok",
    ]


def table(rows: list[list[str]]) -> str:
    """Return rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(widths[i]) for i, cell in enumerate(line)).rstrip() for line in rows
    )


def main() -> int:
    """Compare, print, and answer with the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("answers", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--machines", nargs="+", action="append", required=True, metavar="NAME")
    parser.add_argument("--told", nargs="+", default=[], metavar="NAME")
    args = parser.parse_args()
    pictures, models = (sorted(p.name for p in f.iterdir()) for f in (args.pictures, args.models))
    rows = []
    for model, machines in itertools.product(models, args.machines):
        answers = [read(args.answers / machine / f"{model}.jsonl") for machine in machines]
        rows += [
            [machine, *row(model, answers[0], found, pictures, judged=machine not in args.told)]
            for machine, found in zip(machines, answers, strict=True)
        ]
    print(table([HEADER, *rows]))
    return int(any(line[-1] != "ok" for line in rows) or not rows)


if __name__ == "__main__":
    sys.exit(main())
