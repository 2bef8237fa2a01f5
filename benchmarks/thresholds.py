"""How often a threshold's promise holds on other photos: drawn scores, and a model's real ones.

    python benchmarks/thresholds.py [PREDICTIONS.csv ...] [--precision 0.95] [--trials 1000]

A threshold is chosen on the very photos that make its promise. For drawn predictions, of which the
true precision above each score is known, and for predictions.csv of trainings, which are cut into
halves at random, one to choose on and one to check, it prints how often the precision of the others
is at least the promise: 0.9 is promised.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.measure.scores import Accuracy
from convert.measure.thresholds import choose_thresholds

COUNTS = (40, 100, 300)  # photos of a label
EASE = (0.1, 0.4, 0.8)  # exponents: a score s is right with s to their power
OTHERS = 50_000

Held = tuple[bool, float, float]  # whether the promise held, the promise, the coverage


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("predictions", type=Path, nargs="*", metavar="PREDICTIONS.csv")
    parser.add_argument("--precision", type=float, default=0.95)
    parser.add_argument("--trials", type=int, default=1000)
    args = parser.parse_args()
    print("| predictions | photos | promise held (95 %) | mean promise | coverage |")
    print("|---|---|---|---|---|")
    for ease in EASE:
        for count in COUNTS:
            row = [*_drawn(count, ease, args.precision, args.trials)]
            _print(f"drawn, right with s^{ease:g}", str(count), row)
    for path in args.predictions:
        scores, labels = _read(path)
        row = [*_halves(scores, labels, args.precision, args.trials)]
        _print(str(path), str(len(labels)), row)
    return 0


def _print(name: str, photos: str, row: list[Held]) -> None:
    held, promises, coverages = zip(*row, strict=True)
    share = Accuracy(sum(held), len(held))
    print(f"| {name} | {photos} | {share} | {np.mean(promises):.3f} | {np.mean(coverages):.2f} |")


def _drawn(count: int, ease: float, precision: float, trials: int) -> Iterator[Held]:
    """Yield the outcome for predictions of one label whose score says how often they are right."""
    random = np.random.default_rng(0)
    others = np.sort(random.uniform(0.5, 1.0, OTHERS))[::-1]
    true = np.cumsum(others**ease) / np.arange(1, OTHERS + 1)
    for _ in range(trials):
        score = random.uniform(0.5, 1.0, count).astype(np.float32)
        right = random.random(count) < score**ease
        scores = np.stack([score, 1 - score], 1)
        found = choose_thresholds(scores, np.where(right, 0, 1), precision).of_labels[0]
        promise = min(precision, found.promise)
        place = int(np.searchsorted(-others, -found.value, side="right")) - 1
        yield bool(true[max(place, 0)] >= promise), promise, found.accepted / count


def _halves(
    scores: NDArray[np.float32], labels: NDArray[np.int64], precision: float, trials: int
) -> Iterator[Held]:
    """Yield the outcome of each label of random halves; the other half's precision is no truth."""
    random = np.random.default_rng(0)
    for _ in range(trials):
        order = random.permutation(len(labels))
        ours, others = order[: len(order) // 2], order[len(order) // 2 :]
        found = choose_thresholds(scores[ours], labels[ours], precision)
        given = scores[others].argmax(1)
        for label, of_label in enumerate(found.of_labels):
            accepted = (given == label) & (scores[others].max(1) >= of_label.value)
            if of_label.accepted and accepted.any():
                reached = float((labels[others][accepted] == label).mean())
                promise = min(precision, of_label.promise)
                share = float(accepted.sum() / max(1, (given == label).sum()))
                yield reached >= promise, promise, share


def _read(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Read the scores and labels of val and test."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])[6:]
    scores = np.array([[float(row[name]) for name in names] for row in rows], np.float32)
    return scores, np.array([names.index(row["label"]) for row in rows], np.int64)


if __name__ == "__main__":
    sys.exit(main())
