"""Latency over a long time: what heat and a weak supply do to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge import board
from edge.benchmark.conditions import MOST_OTHERS, Load
from edge.benchmark.worker import Worker

INTERVAL_S = 5.0
BEGINNING_S = 60.0  # what the end is held against, at most


@dataclass(frozen=True)
class Moment:
    """One interval of a soak; None if unknown on this machine."""

    at_s: float  # its end, since the start
    num_runs: int
    p50_ms: float
    p90_ms: float
    max_ms: float
    celsius: float | None
    clock_mhz: float | None
    throttling: str | None  # what the firmware does at present, in words; empty for nothing
    load_of_others: float | None


def soak(worker: Worker, seconds: float, report: Callable[[float, str], None]) -> Iterator[Moment]:
    """Invoke without a pause for this long; yield each interval as it ends. Raises: EdgeError."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        report(passed / seconds, "soaking")
        load = Load((worker.pid,))
        samples = worker.invoke(None, min(INTERVAL_S, seconds - passed)) / 1e6
        others = load.look((worker.pid,))
        p50, p90 = np.percentile(samples, (50, 90))
        told = board.throttling()
        yield Moment(
            round(time.monotonic() - began, 1),
            len(samples),
            round(float(p50), 4),
            round(float(p90), 4),
            round(float(samples.max()), 4),
            board.temperature(),
            board.clock_mhz(),
            ", ".join(told.now) if told and (told.is_known or told.now) else None,
            None if others is None else round(others, 2),
        )


def verdict(moments: Sequence[Moment]) -> str:
    """Return one line that compares the end to the beginning."""
    span_s = min(BEGINNING_S, moments[-1].at_s / 2)
    first = [m.p50_ms for m in moments if m.at_s <= span_s] or [moments[0].p50_ms]
    last = [m.p50_ms for m in moments if m.at_s > moments[-1].at_s - span_s]
    ratio = float(np.median(last) / np.median(first))
    said = f"p50 at the end is {ratio:.2f} times that at the start"
    celsius = [m.celsius for m in moments if m.celsius is not None]
    said += f", {celsius[0]:.0f} to {max(celsius):.0f} Celsius" if celsius else ""
    others = [m.load_of_others for m in moments if m.load_of_others is not None]
    if others and np.median(others) > MOST_OTHERS:
        said += f"; the machine was busy: other processes used {np.median(others):.2f} cores"
    causes = sorted({m.throttling for m in moments if m.throttling})
    return said + (f"; the firmware reported {', '.join(causes)}" if causes else "")
