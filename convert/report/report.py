"""What a run found: a Report, what it recommends, and its card.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.data.photo import PixelRows
from convert.measure.evaluate import Evaluation
from convert.measure.scores import (
    Accuracy,
    ClassScores,
    Comparison,
    Scores,
    accuracy,
    balanced_accuracy,
    compare,
    per_class,
)
from convert.measure.thresholds import CONFIDENCE, AtThreshold, Thresholds, at_threshold
from convert.report.against import Against
from convert.report.suspects import SuspectPhotos
from convert.report.verdict import NO, SHIP, Verdict, judge
from edge.classifier.model import NEVER
from edge.names import CARD_SCHEMA

MOST_LOST = 0.01  # of validation accuracy, for a smaller file
ABOUT = 1.1  # sizes and times this close count as equal
REAL = 0.05  # below this p a difference is taken to be more than chance


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Variant:
    """One converted file with what was measured of it."""

    name: str  # a key of convert.tflite.quantize.VARIANTS
    file: str
    size_bytes: int
    sha256: str
    val: Evaluation
    test: Evaluation | None  # None: not chosen on val, so not measured
    runtimes: tuple[str, ...]  # on which its golden vectors hold
    comparison: Comparison | None  # with the Keras model, on val
    worst_layers: tuple[str, ...] = ()  # of its quantization, where it lost more than a point


@dataclass(frozen=True)
class CrossValidated:
    """Accuracy over all photos of train and val, each classified by a network without its fold."""

    folds: int
    way: str  # of those in `ways`: the one that ships
    ways: Mapping[str, Accuracy]

    @property
    def accuracy(self) -> Accuracy:
        """That of what ships."""
        return self.ways[self.way]


@dataclass(frozen=True, eq=False)
class Report:
    """The content of report.html and card.json."""

    name: str
    command: str  # to repeat it; without paths
    labels: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]  # photos of each set and label
    fingerprint: str
    config: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]  # a row for each epoch
    summary: str  # model.summary()
    keras_val: Scores  # (num_val, num_labels) of the Keras model, before the temperature
    temperature: float  # fitted on val, folded into every file
    variants: tuple[Variant, ...]
    failures: tuple[str, ...]  # a line for each variant that could not be made
    chosen: Variant
    reason: str
    thresholds: Thresholds  # of the chosen variant
    val_pixels: PixelRows  # (num_val, h, w, 3), in the order of val
    val_names: tuple[str, ...] = ()  # of the val photos, label/file; in report.html only
    augmentation_png: bytes | None = None
    worth: str = ""  # what the held-out photos are, in words
    left_out: tuple[str, ...] = ()  # a line for each reason to exclude photos
    original: str = "the Keras model"  # what the files were made of; "" compares with nothing
    heat: NDArray[np.float32] | None = None  # (num_val, rows, columns): evidence for the prediction
    suspects: SuspectPhotos | None = None  # whose label is probably wrong
    validated: CrossValidated | None = None  # where the photos are few, or on request
    against: Against | None = None  # an earlier run
    is_final: bool = False  # the files are of a training on train and val

    @property
    def verdict(self) -> Verdict:
        """Whether the chosen file is fit for use, by the photos that it was not trained on."""
        held = list(self.sets.values())
        scores = np.concatenate([found.scores for found in held])
        labels = np.concatenate([found.labels for found in held])
        groups = [found.groups for found in held if found.groups is not None]
        together = np.concatenate(groups) if len(groups) == len(held) else None
        of_file = accuracy(self.chosen.val.scores, self.chosen.val.labels)
        return judge(scores, labels, self.labels, self.keras_accuracy, together, of_file)

    @property
    def sentence(self) -> str:
        """The verdict, then which file it is about."""
        if self.verdict.level == SHIP:
            return self.reason
        verdict = self.verdict
        advice = f"; to try: {verdict.remedy}" if verdict.remedy else ""
        return f"{verdict}{advice}. Of the files, {self.reason.removeprefix('ship ')}"

    @property
    def recommended(self) -> str | None:
        """The file to ship; None if none is fit for use."""
        return None if self.verdict.level == NO else self.chosen.file

    @property
    def keras_accuracy(self) -> Accuracy:
        """The Keras model's accuracy on val; no temperature changes it."""
        return accuracy(self.keras_val, self.chosen.val.labels)

    @property
    def sets(self) -> dict[str, Evaluation]:
        """The sets on which the chosen variant was measured."""
        measured = {"val": self.chosen.val, "test": self.chosen.test}
        return {name: found for name, found in measured.items() if found is not None}

    def at_threshold(self, name: str) -> AtThreshold:
        """Return the chosen variant's figures at the threshold, on "val" or "test"."""
        found = self.sets[name]
        return at_threshold(found.scores, found.labels, self.thresholds.values)

    def per_class(self, name: str) -> tuple[ClassScores, ...]:
        """Return the chosen variant's figures of each label, on "val" or "test"."""
        return per_class(self.sets[name].scores, self.sets[name].labels)

    @property
    def against_float32(self) -> Comparison | None:
        """The chosen variant against float32 on test, photo by photo, where both were measured."""
        reference = next((v.test for v in self.variants if v.name == "float32"), None)
        ours = self.chosen.test
        if reference is None or ours is None or reference is ours:
            return None
        return compare(reference.scores, ours.scores, ours.labels)


def recommend(variants: Sequence[Variant]) -> Variant:
    """Choose, on validation alone, the smallest file within a point of the best.

    Of files about as small the fastest is taken, and of those about as fast the smallest: a few
    bytes do not decide, nor does the noise of a clock.
    """
    fast = _about_least(_small(variants), lambda v: v.val.invoke_p50_ms)
    return min(fast, key=lambda v: v.size_bytes)


def reason_for(chosen: Variant, variants: Sequence[Variant]) -> str:
    """Give the reason for a choice of `recommend`, with the figures of the finished files."""
    best = _best(variants)
    which = "the smallest" if len(_small(variants)) == 1 else "the fastest of the smallest"
    reason = (
        f"ship {chosen.file}: {which} within {100 * MOST_LOST:g} point of the best on validation "
        f"({_figures(chosen)}"
    )
    if chosen is best:
        return f"{reason}); it is also the best"
    paired = compare(best.val.scores, chosen.val.scores, chosen.val.labels)
    words = _in_words(paired, best.name, best.val.accuracy.total)
    return f"{reason}; {best.name}: {_figures(best)}); {words}"


def _best(variants: Sequence[Variant]) -> Variant:
    return max(variants, key=lambda v: (v.val.accuracy.correct, -v.size_bytes))


def _small(variants: Sequence[Variant]) -> list[Variant]:
    """Those about as small as the smallest within a point of the best."""
    best = _best(variants).val.accuracy
    most_lost = MOST_LOST * best.total + 1e-9
    close = [v for v in variants if best.correct - v.val.accuracy.correct <= most_lost]
    return _about_least(close, lambda v: v.size_bytes)


def _about_least(variants: Sequence[Variant], figure: Callable[[Variant], float]) -> list[Variant]:
    least = min(map(figure, variants))
    return [variant for variant in variants if figure(variant) <= ABOUT * least]


def _figures(variant: Variant) -> str:
    return (
        f"{variant.val.accuracy.value:.3f}, {variant.size_bytes / 1000:,.0f} kB, "
        f"{variant.val.invoke_p50_ms:.1f} ms"
    )


def _in_words(paired: Comparison, other: str, total: int) -> str:
    """The evidence of a paired comparison, as a clause."""
    if not paired.lost + paired.gained:
        return f"both are right on the same of the {total} photos"
    verdict = "more than chance" if paired.mcnemar_p < REAL else "chance explains it"
    return (
        f"of {total} photos it alone is right on {paired.gained}, {other} alone on {paired.lost} "
        f"(McNemar's p {p_words(paired.mcnemar_p)}: {verdict})"
    )


def p_words(p: float) -> str:
    """Write a p value: three digits are more than it is worth."""
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def largest_drop(keras: Accuracy, variants: Sequence[Variant]) -> float:
    """Return how many points the worst of some variants lies below the Keras model on val.

    It is below 0 where all of them are better.
    """
    return max(100 * (keras.value - variant.val.accuracy.value) for variant in variants)


def card_json(report: Report) -> dict[str, Any]:
    """Collect the content of a model card; no path and no photo is in it."""
    return {
        "schema": CARD_SCHEMA,
        "name": report.name,
        "command": report.command,
        "labels": list(report.labels),
        "data": {"fingerprint": report.fingerprint, "photos": plain(report.counts)},
        "config": plain(report.config),
        "chosen": report.chosen.file,
        "recommended": report.recommended,
        "recommendation": report.sentence,
        "verdict": report.verdict.level,
        "verdict_reasons": list(report.verdict.reasons),
        "figures_are_of": report.worth,
        "frozen_features_out_of_fold": (
            accuracy_json(report.suspects.accuracy) if report.suspects else None
        ),
        "cross_validation": (
            {
                "folds": report.validated.folds,
                "ships": report.validated.way,
                "accuracy": {w: accuracy_json(a) for w, a in report.validated.ways.items()},
            }
            if report.validated
            else None
        ),
        "trained_on": ["train", "val"] if report.is_final else ["train"],
        "balanced_accuracy": {
            name: round(balanced_accuracy(found.scores, found.labels), 4)
            for name, found in report.sets.items()
        },
        "runtimes": sorted({runtime for v in report.variants for runtime in v.runtimes}),
        "keras_val_accuracy": accuracy_json(report.keras_accuracy),
        "temperature": round(report.temperature, 4),
        "threshold": _threshold(report),
        "per_label": {
            label: {name: _rounded(asdict(report.per_class(name)[i])) for name in report.sets}
            for i, label in enumerate(report.labels)
        },
        "test_against_float32": _comparison(report.against_float32),
        "variants": [_variant(variant) for variant in report.variants],
    }


def accuracy_json(found: Accuracy) -> dict[str, Any]:
    """One accuracy as JSON takes it."""
    low, high = found.interval
    return {
        "correct": found.correct,
        "total": found.total,
        "accuracy": round(found.value, 4),
        "interval_95": [round(low, 4), round(high, 4)],
        **({"independent": round(found.independent, 1)} if found.independent else {}),
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "variant": variant.name,
        "file": variant.file,
        "size_bytes": variant.size_bytes,
        "sha256": variant.sha256,
        "golden_vectors_hold_on": list(variant.runtimes),
        "invoke_p50_ms": round(variant.val.invoke_p50_ms, 3),
        "preprocess_p50_ms": round(variant.val.preprocess_p50_ms, 3),
        "val_accuracy": accuracy_json(variant.val.accuracy),
        "test_accuracy": accuracy_json(variant.test.accuracy) if variant.test else None,
        "val_against_keras": _comparison(variant.comparison),
        "worst_layers": list(variant.worst_layers),
    }


def _threshold(report: Report) -> dict[str, Any]:
    measured, thresholds = {}, report.thresholds
    for name in report.sets:
        found = report.at_threshold(name)
        alarms = [round(share, 4) for share in found.false_positives]
        measured[name] = {
            "coverage": round(found.coverage, 4),
            "precision": round(found.precision, 4),
            "false_positives": dict(zip(report.labels, alarms, strict=True)),
        }
    return {
        "value": thresholds.highest,
        "requested_precision": thresholds.wanted,
        "reached": thresholds.reached,
        "precision_to_expect": round(thresholds.promise, 4),
        "confidence": CONFIDENCE,
        "chosen_on": thresholds.photos,
        "labels": {
            name: asdict(label) | {"precision_to_expect": round(label.promise, 4)}
            for name, label in zip(report.labels, thresholds.of_labels, strict=True)
            if label.value < NEVER
        },
        "unknown_labels": thresholds.facts(report.labels)["unknown_labels"],
        **measured,
    }


def _comparison(found: Comparison | None) -> dict[str, Any] | None:
    return None if found is None else _rounded(asdict(found))


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in figures.items()}


def plain(value: Any) -> Any:
    """Convert a configuration to JSON values; of a path only the name remains."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value
