"""Predictions of a .tflite file for photos, by the very code that runs on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convert.data.dataset import labels_of
from convert.data.photo import Photo
from convert.measure.device import results
from convert.measure.scores import Accuracy, Groups, Labels, Scores, accuracy


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Evaluation:
    """A model's scores of a set of photos, and its p50 latency here."""

    scores: Scores  # (n, num_labels), in label order
    labels: Labels  # (n,), the photos' own
    invoke_p50_ms: float
    preprocess_p50_ms: float
    groups: Groups | None = None  # (n,), equal for photos that belong together; None: none do

    @property
    def accuracy(self) -> Accuracy:
        """Accuracy of the top category, before any threshold."""
        return accuracy(self.scores, self.labels, self.groups)


def evaluate(
    path: Path,
    photos: Sequence[Photo],
    name: str,
    runtime: str = "auto",
    groups: Groups | None = None,
) -> Evaluation:
    """Classify photos with edge, file by file, as the device does; `name` is for the progress bar.

    Raises: ImageError, ModelError, RuntimeMissingError.
    """
    found = results(path, [photo.path for photo in photos], runtime)
    shown = list(tqdm(found, name, len(photos), unit="photo"))
    scores = np.array([one.scores for one in shown], np.float32)
    times = [(one.invoke_ms, one.preprocess_ms) for one in shown]
    invoke_p50_ms, preprocess_p50_ms = np.median(times, axis=0).tolist()
    return Evaluation(scores, labels_of(photos), invoke_p50_ms, preprocess_p50_ms, groups)
