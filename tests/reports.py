"""Reports of synthetic scores and drawn photos, for the tests of what is made of them."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from convert.data.drawn import SHAPES, draw_photo
from convert.measure.evaluate import Evaluation
from convert.measure.scores import (
    compare,
    fit_temperature,
    log_scores,
    tempered,
)
from convert.measure.thresholds import choose_thresholds
from convert.report.report import Report, Variant

# What a folder may be called, to the harm of CSV, Markdown, HTML, mathtext and legends.
ODD = ('a "quoted", <script>alert(1)</script>', "new\nline | bar $x$ & $", "_under `tick` 猫")


def scores(labels: np.ndarray, num_labels: int, seed: int, easy: float = 2.0) -> np.ndarray:
    """Scores that are mostly right and too sure, (n, num_labels) float32."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, (len(labels), num_labels))
    logits[np.arange(len(labels)), labels] += easy
    return tempered(softmax(logits), 0.4)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def variant(name: str, val: np.ndarray, labels: np.ndarray, **more: Any) -> Variant:
    """A variant of val scores."""
    facts = {
        "file": f"model-{name}.tflite",
        "size_bytes": 1000,
        "sha256": "0" * 64,
        "test": None,
        "runtimes": ("ai-edge-litert 2.3.0",),
        "comparison": None,
    } | more
    invoke_p50_ms = facts.pop("invoke_p50_ms", 1.0)
    return Variant(name, val=Evaluation(val, labels, invoke_p50_ms, 2.0), **facts)


@functools.cache
def photos(count: int) -> np.ndarray:
    """Drawn photos, (count, 48, 48, 3) uint8."""
    kinds = list(SHAPES)
    drawn = (draw_photo(kinds[i % len(kinds)], np.random.default_rng(i), 48) for i in range(count))
    return np.stack([np.asarray(photo) for photo in drawn])


def history(epochs: int = 6) -> tuple[dict[str, Any], ...]:
    """A training of a head, then of all; the lowest loss on val is the last but one epoch's."""
    return tuple(
        {
            "epoch": epoch + 1,
            "accuracy": 0.5 + 0.05 * epoch,
            "loss": 0.7 - 0.1 * epoch,
            "val_accuracy": 0.5 + 0.04 * epoch,
            "val_loss": 0.7 - 0.08 * min(epoch, 2 * (epochs - 2) - epoch),
            "stage": "head" if epoch < 2 else "fine-tuning",
        }
        for epoch in range(epochs)
    )


def report(labels: tuple[str, ...] = ("hotdog", "nothotdog"), n: int = 60, **more: Any) -> Report:
    """A whole report: float32 and int8, the latter chosen."""
    num_labels = len(labels)
    own = np.arange(n) % num_labels
    keras_val = scores(own, num_labels, seed=1)
    temperature = fit_temperature(log_scores(keras_val), own)
    soft = tempered(keras_val, temperature)
    random = np.random.default_rng(2)
    rough = softmax(log_scores(soft) + random.normal(0, 0.1, soft.shape))
    on_test = scores(own, num_labels, seed=3)
    test = Evaluation(on_test, own, 1.0, 2.0)
    float32 = variant("float32", soft, own, size_bytes=4000, test=test)
    float32 = dataclasses.replace(float32, comparison=compare(soft, soft, own))
    int8 = variant("int8", rough, own, test=dataclasses.replace(test, scores=on_test.copy()))
    int8 = dataclasses.replace(
        int8, comparison=compare(soft, rough, own), worst_layers=("Conv_1", "block_3_expand")
    )
    facts = {
        "name": "model",
        "command": "python -m convert PHOTOS --epochs 6",
        "labels": labels,
        "counts": {name: dict.fromkeys(labels, 10) for name in ("train", "val", "test")},
        "fingerprint": "ab" * 32,
        "config": {"image_size": (48, 48), "weights": Path("/somewhere/private/weights.h5")},
        "history": history(),
        "summary": "Model: <tutorial>",
        "keras_val": keras_val,
        "temperature": temperature,
        "variants": (float32, int8),
        "failures": ("dynamic: cannot be converted (it rains); omit dynamic",),
        "chosen": int8,
        "reason": "ship model-int8.tflite: it is small",
        "thresholds": choose_thresholds(rough, own, 0.9),
        "val_pixels": photos(12)[np.arange(n) % 12],
        "val_names": tuple(f"{labels[label]}/{i:04d}.jpg" for i, label in enumerate(own)),
    } | more
    return Report(**facts)
