"""Classify one frame: its categories, best first, and how long that took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge.classifier.model import Model
from edge.errors import ImageError, ScoresError
from edge.image.preprocess import InputSpec, Prepared
from edge.names import RESULT_SCHEMA, SCORE_DIGITS
from edge.sources.frame import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.image.preprocess import Pixels

    Threshold = float | NDArray[np.float64]  # of all labels, or (num_labels,) of each


UNKNOWN = "unknown"


@dataclass(frozen=True)
class Category:
    """One label with its score in [0, 1]."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Result:
    """The prediction for one frame."""

    source: str
    label: str  # top label; "unknown" if its score is below its threshold
    score: float  # of the top label
    categories: tuple[Category, ...]  # best first
    preprocess_ms: float  # decode, resize, quantize and copy
    invoke_ms: float
    model: str  # the file's name
    runtime: str
    captured_at: datetime
    scores: NDArray[np.float32] = field(repr=False, compare=False)  # (num_labels,), in label order
    position_s: float | None = None  # within the clip, of a video file's frame

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes; scores to 6 digits, times to microseconds."""
        position = {} if self.position_s is None else {"time_s": round(self.position_s, 3)}
        return {
            "schema": RESULT_SCHEMA,
            "source": self.source,
            **position,
            "label": self.label,
            "score": round(self.score, SCORE_DIGITS),
            "categories": [
                {
                    "index": c.index,
                    "label": c.label,
                    "score": round(c.score, SCORE_DIGITS),
                }
                for c in self.categories
            ],
            "preprocess_ms": round(self.preprocess_ms, 3),
            "invoke_ms": round(self.invoke_ms, 3),
            "model": self.model,
            "runtime": self.runtime,
            "captured_at": self.captured_at.isoformat(timespec="milliseconds"),
        }


class Choice(NamedTuple):
    """The labels that a result may have."""

    labels: tuple[str, ...]  # all of the model's
    chosen: NDArray[np.bool_]  # (num_labels,)

    def scores(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (num_labels,) scores in which no other label can be the best."""
        return np.where(self.chosen, scores, np.float32(-1))

    def of(self, result: Result, top_k: int, threshold: Threshold) -> Result:
        """Return the result with the best of the chosen labels; scores stay what they are."""
        scores = self.scores(result.scores)  # the others come last
        categories = rank(scores, self.labels, min(top_k, int(self.chosen.sum())))
        label = accepted(categories[0], threshold)
        return replace(result, label=label, score=categories[0].score, categories=categories)


def classify(
    model: Model,
    frame: Frame,
    *,
    top_k: int = 1,
    threshold: Threshold = 0.0,
    input: InputSpec | None = None,
) -> Result:
    """Classify a frame.

    Args:
        model: the classifier.
        frame: from `edge.sources.photos` or a camera.
        top_k: how many categories to return; 0 is all.
        threshold: confidence threshold of all labels, or (num_labels,) of each, as
            `model.thresholds()` gives them; if the top score is below it, the label is "unknown".
        input: `model.input` with another framing, for a part of the frame; None: the model's.

    Raises: ImageError where the frame cannot be decoded, or the model has no scores for it.
    """
    ahead_ms = frame.picture.prepare_ms if isinstance(frame.picture, Prepared) else 0.0
    with model.lock:
        started = time.perf_counter()
        model.load_input(frame.picture, input)
        loaded = time.perf_counter()
        try:
            scores = model.invoke()
        except ScoresError as error:
            fault = f"has no scores: the model {error.fault} for it"
            raise ImageError(frame.source, fault, error.remedy) from error
        invoked = time.perf_counter()
    categories = rank(scores, model.labels, top_k)
    best = categories[0]
    return Result(
        source=frame.source,
        label=accepted(best, threshold),
        score=best.score,
        categories=categories,
        preprocess_ms=(loaded - started) * 1000 + ahead_ms,
        invoke_ms=(invoked - loaded) * 1000,
        model=model.path.name,
        runtime=model.runtime,
        captured_at=frame.captured_at,
        scores=scores,
        position_s=frame.position_s,
    )


def accepted(best: Category, threshold: Threshold) -> str:
    """Return the label of the top category, or "unknown" if its score is below its threshold."""
    limit = threshold[best.index] if isinstance(threshold, np.ndarray) else threshold
    return best.label if best.score >= limit else UNKNOWN


def rank(
    scores: NDArray[np.float32], labels: tuple[str, ...], top_k: int = 0
) -> tuple[Category, ...]:
    """Order (num_labels,) scores best first; among equals the lower index leads; 0 keeps all."""
    if top_k == 1:  # the usual case, without sorting a thousand
        best = int(scores.argmax())
        return (Category(best, labels[best], float(scores[best])),)
    order = np.argsort(-scores, kind="stable")[: top_k or None]
    return tuple(Category(int(i), labels[i], float(scores[i])) for i in order)


def explained(model: Model, pixels: Pixels, label: int) -> Pixels:
    """Colour an image by occlusion, which invokes the model `heat.NUM_SCORES` times.

    Another thread that classifies with the model gets its turn between two of them.

    Args:
        model: whose scores are watched.
        pixels: (height, width, 3) uint8 RGB, or grey (height, width), as the model sees it.
        label: index of the label to explain.

    Returns: (height, width, 3) uint8 RGB, enlarged, red where the image supports the label.
    Raises: ModelError.
    """
    from edge.image.heat import SIDE, heated, occlusion  # for one option and one button

    def score(image: Pixels) -> float:
        return float(model.scores(Prepared(image, model.input, image, 0.0))[label])

    return heated(pixels, occlusion(score, pixels), SIDE)
