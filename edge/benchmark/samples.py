"""What is made of timed runs: percentiles, and ratios with the interval in which they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int64]  # (runs,) nanoseconds, in the order in which they were measured
RESAMPLINGS = 1000
CONFIDENCE = 95  # percent
LEAST_ROUNDS, LEAST_RUNS = 5, 20  # of which an interval is made
P99_RUNS = 100  # of fewer, p99 is but the slowest run


@dataclass(frozen=True)
class Latency:
    """The time of one run. MLPerf calls `p90_ms` the single-stream latency."""

    num_runs: int
    min_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float | None  # None of too few runs
    max_ms: float
    mean_ms: float
    std_ms: float
    runs_per_second: float


@dataclass(frozen=True)
class Ratio:
    """A percentile as a multiple of another latency's; where it lies with 95 % confidence.

    Too few runs have no interval: low and high are None.
    """

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """Return the interval in words."""
        if self.low is None:
            return f"fewer than {LEAST_RUNS} runs in {LEAST_ROUNDS} rounds: no interval"
        return f"{CONFIDENCE} %: {self.low:.2f} to {self.high:.2f}"


def summarize(samples: Samples) -> Latency:
    """Summarize one run's times or more."""
    times = samples / 1e6
    p50, p90, p99 = np.percentile(times, (50, 90, 99))
    mean = float(times.mean())
    figures = (times.min(), p50, p90, p99, times.max(), mean, times.std(), 1000 / max(mean, 1e-6))
    latency = Latency(len(times), *(float(f"{figure:.6g}") for figure in figures))
    return latency if len(times) >= P99_RUNS else replace(latency, p99_ms=None)


def drift(rounds: Sequence[Samples]) -> float:
    """How much the p50 of a run's slowest third is above its fastest's, as a share of it.

    Not of single rounds: each is a process of its own, and those differ by some percent.
    """
    thirds = [rounds[len(rounds) * n // 3 : len(rounds) * (n + 1) // 3] for n in range(3)]
    medians = [float(np.median(np.concatenate(third))) for third in thirds if third]
    return max(medians) / max(min(medians), 1.0) - 1 if medians else 0.0


def ratio(of: Sequence[Samples], to: Sequence[Samples], percent: float = 50.0) -> Ratio:
    """Compare two latencies by their p50, or another percentile, each measured in rounds.

    Whole rounds are drawn again, then runs within each: what disturbs a machine lasts longer than a
    run, so that neighbours are not independent.
    """
    now, then = (float(np.percentile(np.concatenate(each), percent)) for each in (of, to))
    value = now / max(1.0, then)
    if any(len(each) < LEAST_ROUNDS or sum(map(len, each)) < LEAST_RUNS for each in (of, to)):
        return Ratio(value, None, None)
    random = np.random.default_rng(0)
    drawn = _resampled(of, random, percent) / _resampled(to, random, percent)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return Ratio(value, float(low), float(high))


def paired_ratio(of: Sequence[Sequence[int]], to: Sequence[Sequence[int]]) -> Ratio:
    """Compare two latencies that took turns, round by round: what disturbs a round disturbs both.

    Args: nanoseconds of each round.
    """
    pairs = [
        (float(np.median(now)), float(np.median(then)))
        for now, then in zip(of, to, strict=False)
        if now and then
    ]
    ratios = np.array([now / max(1.0, then) for now, then in pairs])
    if len(ratios) < LEAST_ROUNDS:
        return Ratio(float(np.median(ratios)) if len(ratios) else 1.0, None, None)
    random = np.random.default_rng(0)
    drawn = np.median(random.choice(ratios, (RESAMPLINGS, len(ratios))), axis=1)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return Ratio(float(np.median(ratios)), float(low), float(high))


def _resampled(
    rounds: Sequence[Samples], random: np.random.Generator, percent: float
) -> NDArray[np.float64]:
    """Return (RESAMPLINGS,) percentiles of rounds that are drawn again, and runs within each."""
    lengths = np.array([len(samples) for samples in rounds])
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    samples, most = np.concatenate(rounds), int(lengths.max())
    found = []
    for part in np.array_split(np.arange(RESAMPLINGS), 1 + len(samples) // 1000):  # for memory
        chosen = random.integers(len(rounds), size=(len(part), len(rounds)))
        within = random.random((*chosen.shape, most)) * lengths[chosen][..., None]
        drawn = samples[firsts[chosen][..., None] + within.astype(np.int64)]
        found.append(np.percentile(drawn.reshape(len(part), -1), percent, axis=1))
    # Of few runs of a short stage, which is a difference, more than half may be 0 ns.
    percentiles: NDArray[np.float64] = np.maximum(np.concatenate(found), 1.0)
    return percentiles
