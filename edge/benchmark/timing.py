"""The clock and the loop: what lies between two readings is the action, and nothing else."""

from __future__ import annotations

import contextlib
import gc
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edge.benchmark.samples import Samples

clock_ns = time.perf_counter_ns  # CLOCK_MONOTONIC on Linux

STABLE_WITHIN = 0.03  # of the batch before
MOST_BATCHES = 10
WARM_UP_S = 5.0  # no longer, but for the least number of runs
SETTLE_RUNS, SETTLE_S = 2, 0.02  # a process that rested finds its caches cold
OVERHEAD_RUNS = 2000


@dataclass(frozen=True)
class Clock:
    """What times are measured by."""

    implementation: str
    monotonic: bool
    resolution_ns: float  # as the system reports
    step_ns: int  # the least difference between two readings that was seen
    overhead_ns: float  # what the loop adds to a run: the time of a function that does nothing


@dataclass(frozen=True)
class WarmUp:
    """What was run before anything counted."""

    runs: int
    stable: bool
    p50_ms: float  # of the last batch


def time_runs(
    action: Callable[[], object], *, num_runs: int | None = None, seconds: float = 0.0
) -> Samples:
    """Time an action a number of times, or for a number of seconds and at least once."""
    samples = []
    until = clock_ns() + seconds * 1e9
    with collector_off():
        for done in itertools.count(1):
            started = clock_ns()
            action()
            ended = clock_ns()
            samples.append(ended - started)
            if done >= num_runs if num_runs else ended >= until:
                break
    return np.array(samples, np.int64)


def settle(action: Callable[[], object]) -> None:
    """Run an action uncounted until the caches are its own again."""
    gc.collect()  # what lies about is not collected while others are measured, nor in a timed run
    time_runs(action, num_runs=SETTLE_RUNS)
    time_runs(action, seconds=SETTLE_S)


def warm_up(action: Callable[[], object], least_runs: int) -> WarmUp:
    """Run an action at least so often, and until two batches take the same time."""
    until = clock_ns() + WARM_UP_S * 1e9
    batch = max(least_runs, 5)
    runs, before = batch, float(np.median(time_runs(action, num_runs=batch)))
    for _ in range(MOST_BATCHES):
        if clock_ns() >= until:
            break
        now = float(np.median(time_runs(action, num_runs=batch)))
        runs += batch
        if abs(now - before) <= STABLE_WITHIN * before:
            return WarmUp(runs, True, now / 1e6)
        before = now
    return WarmUp(runs, False, before / 1e6)


def clock() -> Clock:
    """Measure the clock and the loop."""
    info = time.get_clock_info("perf_counter")
    readings = np.array([clock_ns() for _ in range(OVERHEAD_RUNS)], np.int64)
    steps = np.diff(readings)
    overhead = float(np.median(time_runs(lambda: None, num_runs=OVERHEAD_RUNS)))
    step_ns = int(steps[steps > 0].min(initial=2**31))
    resolution_ns = info.resolution * 1e9
    return Clock(info.implementation, info.monotonic, resolution_ns, step_ns, overhead)


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Keep Python's garbage collector out of what is timed, and leave it as it was."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
