"""This run against an earlier one, photo by photo, on those that neither trained on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.data.splits import FILE
from convert.errors import OutputError
from convert.measure.scores import Accuracy, mcnemar_p

CARD = "card.json"
REMEDY = "use the OUT folder of an earlier run"


@dataclass(frozen=True)
class Earlier:
    """The recommended file of an earlier run, and its predictions by the photos' SHA-256."""

    name: str  # of its folder
    card: Mapping[str, Any]
    predictions: Mapping[str, str]  # of photos of val and test

    @classmethod
    def read(cls, out: Path) -> Earlier:
        """Read what a run left in a folder. Raises: OutputError."""
        try:
            card = json.loads((out / CARD).read_text())
            rows = csv.DictReader(io.StringIO((out / FILE).read_bytes().decode(), newline=""))
            found = {row["sha256"]: row["prediction"] for row in rows if row["prediction"]}
            _of(card)
        except OSError as error:
            raise OutputError(out, f"holds no report ({error.strerror})", REMEDY) from error
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise OutputError(out, "holds a damaged report", REMEDY) from error
        return cls(out.resolve().name, card, found)


def _of(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """The chosen file's figures in a card."""
    name = card.get("chosen") or card["recommended"]
    return next(variant for variant in card["variants"] if variant["file"] == name)


@dataclass(frozen=True)
class Against:
    """The comparison, for the report: a sentence, and a table whose first row is its header."""

    words: str
    rows: Sequence[tuple[str, ...]]


def compare(
    earlier: Earlier, card: Mapping[str, Any], photos: Mapping[str, tuple[str, str]]
) -> Against:
    """Compare two runs.

    Args:
        earlier: the other one.
        card: of this run.
        photos: by SHA-256, the label and this run's prediction of the photos of val and test.
    """
    both = [(sha256, *photos[sha256]) for sha256 in photos if sha256 in earlier.predictions]
    ours = [label == given for _, label, given in both]
    theirs = [label == earlier.predictions[sha256] for sha256, label, _ in both]
    rows = [("", "this run", earlier.name), *_rows(card, earlier.card)]
    if not both:
        words = f"{earlier.name} measured none of these photos, so the two runs cannot be compared."
        return Against(words, rows)
    gained = sum(a and not b for a, b in zip(ours, theirs, strict=True))
    lost = sum(b and not a for a, b in zip(ours, theirs, strict=True))
    p = mcnemar_p(lost, gained)
    verdict = "more than chance" if p < 0.05 else "chance explains it"
    words = (
        f"On the {len(both)} photos that neither run trained on, this one is right on "
        f"{Accuracy(sum(ours), len(both))}, {earlier.name} on {Accuracy(sum(theirs), len(both))}: "
        f"this one alone on {gained}, the other alone on {lost} (McNemar's p {p:.3f}: {verdict})."
    )
    return Against(words, rows)


def _rows(*cards: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the figures of each card's chosen file, one per row."""
    found = [_of(card) for card in cards]

    def accuracy(name: str) -> list[str]:
        given = [variant.get(f"{name}_accuracy") for variant in found]
        return [f"{v['accuracy']:.3f} of {v['total']} photos" if v else "–" for v in given]

    return [
        ("network", *(str(card["config"].get("network", "–")) for card in cards)),
        ("file", *(variant["file"] for variant in found)),
        ("size", *(f"{variant['size_bytes'] / 1000:,.0f} kB" for variant in found)),
        ("accuracy on val", *accuracy("val")),
        ("accuracy on test", *accuracy("test")),
        ("verdict", *(card["verdict"] for card in cards)),
    ]
