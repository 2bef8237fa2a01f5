"""Latency of a model here: invoke alone, and the whole way from an encoded picture to its label."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from edge import golden
from edge.classify import classify
from edge.model import Model
from edge.photos import Frame
from edge.preprocess import Picture, encode_jpeg

DRAWN_SIZE = (480, 640)


@dataclass(frozen=True)
class Latency:
    """Percentiles of the time of one run, in milliseconds."""

    p50_ms: float
    p90_ms: float


@dataclass(frozen=True)
class Measurement:
    """What was measured of one model, runtime and number of threads."""

    invoke: Latency
    whole: Latency  # decode, resize, copy, invoke, rank
    num_runs: int


def measure(
    model: Model, picture: Picture, *, warmup_runs: int = 10, num_runs: int = 100
) -> Measurement:
    """Time a model on a picture, after `warmup_runs` runs that do not count.

    Raises: ImageError where the picture cannot be decoded.
    """
    frame = Frame("benchmark", picture, datetime.now(UTC), time.monotonic_ns())
    whole = _latency(lambda: classify(model, frame), warmup_runs, num_runs)
    invoke = _latency(model.invoke, warmup_runs, num_runs)  # on the same picture, still loaded
    return Measurement(invoke, whole, num_runs)


def drawn_picture() -> bytes:
    """Draw a 640 x 480 picture as a JPEG's content: decoding it is work, as for a photo."""
    return encode_jpeg(golden.draw(0, DRAWN_SIZE))


def _latency(action: Callable[[], object], warmup_runs: int, num_runs: int) -> Latency:
    for _ in range(warmup_runs):
        action()
    times = np.empty(num_runs)
    collecting = gc.isenabled()
    gc.disable()  # a collection in a timed region is no part of the model
    try:
        for run in range(num_runs):
            started = time.perf_counter_ns()
            action()
            times[run] = time.perf_counter_ns() - started
    finally:
        if collecting:
            gc.enable()
    p50, p90 = np.percentile(times, [50, 90]) / 1e6
    return Latency(float(p50), float(p90))
