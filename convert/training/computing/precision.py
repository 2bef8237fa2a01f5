"""Whether bfloat16 gains on this processor is measured, not assumed.

With AMX it nearly halves a step of the tutorial's network (benchmarks/epoch.py), gains nothing on
`small`, and slows depthwise convolutions.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import keras
import numpy as np

PRECISIONS = ("float32", "bfloat16")
LEAST_GAIN = 1.15  # bfloat16 is coarser: it must earn its place
_BATCH_SIZE = 16
_STEPS = 4


def chosen_precision(wanted: str, build: Callable[[str], keras.Model]) -> str:
    """Return the precision that is wanted, or for "auto" the one whose training step is faster.

    Args:
        wanted: "float32", "bfloat16" or "auto".
        build: makes the network for a precision.
    """
    if wanted in PRECISIONS:
        return wanted
    float32_ms, bfloat16_ms = (_step_ms(build(precision)) for precision in PRECISIONS)
    chosen = "bfloat16" if bfloat16_ms * LEAST_GAIN <= float32_ms else "float32"
    print(
        f"convert: computing in {chosen}: a photo takes {float32_ms:.1f} ms in float32, "
        f"{bfloat16_ms:.1f} ms in bfloat16",
        file=sys.stderr,
        flush=True,
    )
    return chosen


def _step_ms(model: keras.Model) -> float:
    """Median milliseconds a photo of one training step."""
    model.compile("sgd", "mse", jit_compile=False)
    pixels = np.zeros((_BATCH_SIZE, *model.input_shape[1:]), np.uint8)
    targets = np.zeros((_BATCH_SIZE, model.output_shape[1]), np.float32)
    model.train_on_batch(pixels, targets)  # traces the graph
    times = []
    for _ in range(_STEPS):
        started = time.perf_counter()
        model.train_on_batch(pixels, targets)
        times.append((time.perf_counter() - started) * 1000 / _BATCH_SIZE)
    return statistics.median(times)
