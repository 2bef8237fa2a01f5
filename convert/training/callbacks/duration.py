"""How long a training will take, from its first steps."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import keras

IGNORED = 2  # steps: the first traces the graph, the second still fills buffers
TIMED = 8  # steps


class Duration(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Print once how long the rest of a training will take, without its validation."""

    def __init__(self, steps_per_epoch: int, epochs: int) -> None:
        """Expect that many steps in each of that many epochs."""
        super().__init__()
        self._left = steps_per_epoch * epochs
        self._what = f"{epochs} epochs of {steps_per_epoch} steps"
        self._times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Time the first steps, and print after the last of them."""
        if len(self._times) > IGNORED + TIMED:
            return
        self._times.append(time.perf_counter())
        self._left -= 1
        if len(self._times) == IGNORED + TIMED + 1 and self._left:
            between = zip(self._times[IGNORED:], self._times[IGNORED + 1 :], strict=False)
            step_s = statistics.median(later - earlier for earlier, later in between)
            print(
                f"convert: the training will take about {in_words(self._left * step_s)} "
                f"({self._what}, {1000 * step_s:.0f} ms per step)",
                file=sys.stderr,
                flush=True,
            )


def in_words(seconds: float) -> str:
    """Write a duration as one reads it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
