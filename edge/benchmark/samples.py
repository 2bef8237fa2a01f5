"""What is made of timed runs: percentiles, and ratios with the interval in which they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int64]  # (runs,) nanoseconds, in the order in which they were measured
RESAMPLINGS = 1000
CONFIDENCE = 95  # percent


@dataclass(frozen=True)
class Latency:
    """The time of one run. MLPerf calls `p90_ms` the single-stream latency."""

    num_runs: int
    min_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float
    std_ms: float
    runs_per_second: float


@dataclass(frozen=True)
class Ratio:
    """A percentile as a multiple of another latency's; where it lies with 95 % confidence."""

    value: float
    low: float
    high: float


def summarize(samples: Samples) -> Latency:
    """Summarize one run's times or more."""
    times = samples / 1e6
    p50, p90, p99 = np.percentile(times, (50, 90, 99))
    mean = float(times.mean())
    figures = (times.min(), p50, p90, p99, times.max(), mean, times.std(), 1000 / max(mean, 1e-6))
    return Latency(len(times), *(float(f"{figure:.6g}") for figure in figures))


def drift(rounds: Sequence[Samples]) -> float:
    """How much the slowest round's p50 is above the fastest's, as a share of it."""
    medians = [float(np.median(samples)) for samples in rounds if len(samples)]
    return max(medians) / max(min(medians), 1.0) - 1 if medians else 0.0


def ratio(of: Sequence[Samples], to: Sequence[Samples], percent: float = 50.0) -> Ratio:
    """Compare two latencies by their p50, or another percentile, each measured in rounds.

    Whole rounds are drawn anew, then runs within each: what disturbs a machine lasts longer than a
    run, so that neighbours are not independent.
    """
    random = np.random.default_rng(0)
    drawn = [
        _resampled(of, random, percent) / _resampled(to, random, percent)
        for _ in range(RESAMPLINGS)
    ]
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (tail, 100 - tail))
    now, then = (np.percentile(np.concatenate(rounds), percent) for rounds in (of, to))
    return Ratio(float(now / then), float(low), float(high))


def _resampled(rounds: Sequence[Samples], random: np.random.Generator, percent: float) -> float:
    chosen = [rounds[i] for i in random.integers(len(rounds), size=len(rounds))]
    lengths = [len(samples) for samples in chosen]
    # One look-up for all rounds: a draw for each takes three times as long.
    first = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
    within = random.random(len(first)) * np.repeat(lengths, lengths)
    drawn = np.concatenate(chosen)[first + within.astype(np.int64)]
    # Of few runs of a short stage, which is a difference, more than half may be 0 ns.
    return max(1.0, float(np.percentile(drawn, percent)))
