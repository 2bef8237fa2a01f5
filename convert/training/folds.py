"""Cross-validation of whole trainings: each photo is scored by networks that never saw it.

From few photos a single split shows little: of 20 photos a class it holds out 3. Cut into folds,
all of them are measured, once each, by the last layer alone and by the fine-tuned network.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from convert.data.cache import DecodedPhotos
from convert.data.dataset import Dataset, labels_of
from convert.data.photo import PixelRows
from convert.measure.label_errors import folds_of
from convert.measure.scores import Labels, Scores, log_loss
from convert.training.callbacks.duration import in_words
from convert.training.checkpoint import Checkpoint
from convert.training.recipes import TrainConfig
from convert.training.train import grouped, scores_of, train

HEAD, WHOLE = "the last layer alone", "the whole training"


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class _Rows:
    """Rows of two arrays, by their places in both together: (num_places, h, w, 3)."""

    first: PixelRows
    second: PixelRows
    places: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.places), *self.first.shape[1:]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any, /) -> Any:
        places = self.places[index]
        if places.ndim == 0:
            return self._row(int(places))
        return np.stack([self._row(place) for place in places.tolist()])

    def _row(self, place: int) -> Any:
        inside = place - len(self.first)
        return np.asarray(self.first[place] if inside < 0 else self.second[inside])


@dataclass(frozen=True, eq=False)
class FoldPhotos:
    """Photos that are split otherwise than `DecodedPhotos`, of which they are; for a training."""

    dataset: Dataset
    train: PixelRows
    val: PixelRows

    @classmethod
    def of(cls, photos: DecodedPhotos, train: NDArray[np.int64], val: NDArray[np.int64]) -> Any:
        """Split train and val otherwise, by their places in both together."""
        known = (*photos.dataset.train, *photos.dataset.val)
        pixels = photos.train, photos.val
        dataset = dataclasses.replace(
            photos.dataset,
            train=tuple(known[place] for place in train),
            val=tuple(known[place] for place in val),
            test=(),
        )
        return cls(dataset, _Rows(*pixels, train), _Rows(*pixels, val))


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Scores of the photos of train and val, in this order, each without its fold."""

    folds: int
    labels: Labels
    by: dict[str, Scores]  # of WHOLE and, where a last layer is fitted first, of HEAD

    @property
    def best(self) -> str:
        """The way with the lowest mean log loss; the simpler one of equals."""
        return min(reversed(self.by), key=self.loss)

    def loss(self, way: str) -> float:
        """Mean log loss of the scores by HEAD or WHOLE."""
        return log_loss(self.by[way], self.labels)

    def content(self, about: dict[str, Any]) -> bytes:
        """Return a file of it; `about` is what makes another equal to it."""
        scores = {way: np.round(found, 5).tolist() for way, found in self.by.items()}
        return json.dumps({"about": about, "folds": self.folds, "scores": scores}).encode()

    @classmethod
    def read(cls, path: Path, about: dict[str, Any], labels: Labels) -> CrossValidation | None:
        """Read a file of one with an equal `about`; None where there is none."""
        try:
            found = json.loads(path.read_text())
            if found["about"] != Checkpoint.as_kept(about):
                return None
            by = {way: np.array(rows, np.float32) for way, rows in found["scores"].items()}
            return cls(found["folds"], labels, by)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def cross_validate(
    photos: DecodedPhotos,
    config: TrainConfig,
    weights: NDArray[np.float32],
    folds: int,
    report: Callable[[str], None],
) -> CrossValidation | None:
    """Train without each fold of train and val in turn, and score the fold.

    Args:
        photos: groups of near-duplicates stay in one fold.
        config: of the training.
        weights: (num_train_photos,) how much each photo counts.
        folds: how many; there are fewer where there are fewer groups.
        report: takes a line of progress.

    Returns: None for photos of one group, which cannot be parted.
    """
    dataset = photos.dataset
    labels = labels_of((*dataset.train, *dataset.val))
    fold = folds_of(labels, grouped(dataset), folds, config.seed)
    count = int(fold.max()) + 1
    if count < 2:
        return None
    every = np.concatenate([weights, np.ones(len(dataset.val), np.float32)])
    shape = len(labels), len(dataset.labels)
    by = {WHOLE: np.zeros(shape, np.float32), HEAD: np.zeros(shape, np.float32)}
    report(f"cross-validation: {count} trainings, each without a part of the photos")
    started = time.monotonic()
    for number in range(count):
        ours, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        split = FoldPhotos.of(photos, others, ours)
        with tempfile.TemporaryDirectory(dir=photos.cache, prefix="fold-") as folder:
            kept = Checkpoint(Path(folder) / "training", {}, resume=False)
            keras.backend.clear_session()
            model = train(split, config, every[others], kept)
        by[WHOLE][ours] = scores_of(model, split.val)
        if kept.head_scores is None:
            by.pop(HEAD, None)
        else:
            by[HEAD][ours] = kept.head_scores
        each_s = (time.monotonic() - started) / (number + 1)
        if number + 1 < count:
            left = in_words((count - number - 1) * each_s)
            report(f"fold {number + 1} of {count} is done; about {left} for the others")
    return CrossValidation(count, labels, by)
