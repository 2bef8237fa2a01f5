"""What a .tflite file is worth, measured by the very code that runs on the device."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from convert.dataset import Photo
from edge.classify import classify
from edge.model import Model
from edge.photos import photos as frames_of


@dataclass(frozen=True)
class Accuracy:
    """How many photos have their label as the top category, before any threshold."""

    correct: int
    total: int

    @property
    def value(self) -> float:
        """Share of correct ones, in [0, 1]."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval (Wilson 1927, https://doi.org/10.2307/2276774)."""
        z, n, p = 1.959964, self.total, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return centre - half, centre + half

    def __str__(self) -> str:
        """`0.912 (0.889 to 0.931)`."""
        low, high = self.interval
        return f"{self.value:.3f} ({low:.3f} to {high:.3f})"


@dataclass(frozen=True)
class Evaluation:
    """A model's accuracy on a set of photos, and its p50 latency here."""

    accuracy: Accuracy
    invoke_p50_ms: float
    preprocess_p50_ms: float


def evaluate(path: Path, photos: Sequence[Photo], name: str, runtime: str = "auto") -> Evaluation:
    """Classify photos with edge, file by file, as the device does."""
    with Model(path, runtime=runtime) as model:
        frames = frames_of([photo.path for photo in photos])
        labels = [model.labels[photo.label] for photo in photos]
        rows = tqdm(zip(frames, labels, strict=True), name, len(photos), unit="photo")
        outcomes = [(classify(model, frame), label) for frame, label in rows]
    correct = sum(result.categories[0].label == label for result, label in outcomes)
    return Evaluation(
        Accuracy(correct, len(outcomes)),
        statistics.median(result.invoke_ms for result, _ in outcomes),
        statistics.median(result.preprocess_ms for result, _ in outcomes),
    )
