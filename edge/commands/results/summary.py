"""What a whole batch came to: counts, speed, and accuracy where the folders' names are labels."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.classifier.classify import UNKNOWN
from edge.commands.results.spans import Bursts, Timeline
from edge.commands.terminal import width_of
from edge.errors import EdgeError, one_line
from edge.interval import wilson

if TYPE_CHECKING:
    from edge.classifier.classify import Result

LARGEST_MATRIX = 12  # labels; of more, the most common mistakes are listed
MISTAKES = 10


class Summary:
    """Counts results as they come. Accuracy is that of the top label, before any threshold."""

    def __init__(self, labels: Sequence[str], bursts: Bursts | None = None) -> None:
        """Args: the model's labels; what takes the images' bursts, if anything does."""
        self._labels = {label: place for place, label in reversed([*enumerate(labels)])}
        self._started_s = time.monotonic()
        self._ended_s = self._started_s
        self.said: Counter[str] = Counter()  # by label
        self.unknown = 0
        self.failed = 0
        self.timeline = Timeline()  # of videos
        self.bursts = bursts
        self.judged: Counter[tuple[str, str]] = Counter()  # (folder's name, top label)

    def counting(self, outcomes: Iterable[Result | EdgeError]) -> Iterator[Result | EdgeError]:
        """Yield the outcomes, each counted before."""
        for outcome in outcomes:
            if isinstance(outcome, EdgeError):
                self.failure()
            else:
                self.result(outcome)
            yield outcome

    def result(self, result: Result) -> None:
        """Count a result."""
        self.timeline.add(result)
        if self.bursts:
            self.bursts.add(result)
        if result.label == UNKNOWN:
            self.unknown += 1
        else:
            self.said[result.label] += 1
        truth = Path(result.source).absolute().parent.name
        if truth in self._labels and result.source != "-":
            self.judged[truth, result.categories[0].label] += 1
        self._ended_s = time.monotonic()

    def failure(self) -> None:
        """Count an image that could not be read."""
        self.failed += 1
        self._ended_s = time.monotonic()

    @property
    def classified(self) -> int:
        """How many images were classified."""
        return self.said.total() + self.unknown

    @property
    def seconds(self) -> float:
        """From the first image to the last, without the loading of the model."""
        return self._ended_s - self._started_s

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes; `accuracy` and `confusion` only where folders are labels."""
        rate = self.classified / self.seconds if self.seconds else 0.0
        record: dict[str, Any] = {
            "classified": self.classified,
            "failed": self.failed,
            "unknown": self.unknown,
            "labels": dict(self._counts()),
            "seconds": round(self.seconds, 3),
            "images_per_second": round(rate, 1),
        }
        if self.timeline.spans:
            record["timeline"] = self.timeline.as_dicts()
        if self.judged:
            right, total = self._right(), self.judged.total()
            low, high = wilson(right, total)
            record["accuracy"] = {
                "correct": right,
                "total": total,
                "accuracy": round(right / total, 6),
                "interval_95": [round(low, 6), round(high, 6)],
            }
            record["confusion"] = [
                {"folder": truth, "label": label, "count": count}
                for (truth, label), count in sorted(self.judged.items(), key=self._place)
            ]
        return record

    def lines(self) -> Iterator[str]:
        """Return it as aligned lines of text."""
        rate = f"{self.classified / self.seconds:.1f} a second" if self.seconds else ""
        counts = [(label, str(count)) for label, count in self._counts()]
        counts += [("unknown", str(self.unknown))] if self.unknown else []
        counts += [("failed", str(self.failed))] if self.failed else []
        yield f"{self.classified} classified in {self.seconds:.1f} s, {rate}".removesuffix(", ")
        yield from _aligned([(f"  {one_line(name)}", count) for name, count in counts])
        if self.timeline.spans:
            yield "timeline:"
            yield from _aligned([*self.timeline.rows()])
        if self.judged:
            right, total = self._right(), self.judged.total()
            low, high = wilson(right, total)
            yield (
                f"accuracy {right / total:.3f} (95 % interval {low:.3f} to {high:.3f}): "
                f"{right} of {total} match the name of their folder"
            )
            yield from self._confusion()

    def _counts(self) -> list[tuple[str, int]]:
        """Labels and counts, the most common first; among equals in the model's order."""
        return sorted(self.said.items(), key=lambda item: (-item[1], self._labels[item[0]]))

    def _right(self) -> int:
        return sum(count for (truth, label), count in self.judged.items() if truth == label)

    def _place(self, item: tuple[tuple[str, str], int]) -> tuple[int, int]:
        truth, label = item[0]
        return self._labels[truth], self._labels[label]

    def _confusion(self) -> Iterator[str]:
        """Yield a row for each folder, a column for each top label; or the most common mistakes."""
        folders = self._in_order({truth for truth, _ in self.judged})
        answers = self._in_order({name for pair in self.judged for name in pair})
        if len(answers) > LARGEST_MATRIX:
            yield from self._mistakes()
            return
        rows = [("  folder \\ top label", *map(one_line, answers))]
        for folder in folders:
            counts = (str(self.judged[folder, answer]) for answer in answers)
            rows.append((f"  {one_line(folder)}", *counts))
        yield from _aligned(rows)

    def _mistakes(self) -> Iterator[str]:
        wrong = [item for item in self.judged.items() if item[0][0] != item[0][1]]
        wrong.sort(key=lambda item: (-item[1], self._place(item)))
        if wrong:
            yield "most common mistakes:"
            told = [
                (f"  {one_line(truth)} taken for {one_line(label)}", str(count))
                for (truth, label), count in wrong[:MISTAKES]
            ]
            yield from _aligned(told)

    def _in_order(self, names: set[str]) -> list[str]:
        return sorted(names, key=self._labels.__getitem__)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns: the first to the left, the others to the right."""
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        pads = [" " * (width - width_of(cell)) for cell, width in zip(row, widths, strict=True)]
        first, *others = zip(row, pads, strict=True)
        yield "".join(first) + "".join(f"  {pad}{cell}" for cell, pad in others)
