"""Models in turns at the rate of a camera: whether they hold it, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge.benchmark.conditions import HOT_CELSIUS, MOST_OTHERS, Load, Sampler
from edge.benchmark.samples import P99_RUNS
from edge.benchmark.stream import Paced
from edge.benchmark.worker import Worker
from edge.cores import usable_cores

INTERVAL_S = 10.0  # of one model, then it is the next one's turn
DEFAULT_S = 30.0  # of each model
MOST_LATE = 0.01  # of the frames: a rate is held where no more are late
MOST_MISSING = 0.05  # of the frames: a source that supplies less is slower than the rate
RISING = 1.0  # Celsius a minute: above it, a temperature is not settled
FEWEST_MINUTES = 1.0  # of which a trend is made


@dataclass(frozen=True)
class Interval:
    """One turn, and the machine meanwhile; None if unknown."""

    at_s: float  # its end, since the start
    model: str
    runtime: str
    threads: int
    frames: int
    frames_per_second: float
    in_time: float  # share of the frames
    p50_ms: float
    p99_ms: float | None  # of the model so far; None of fewer than 100 frames
    cores: float  # that the process kept busy
    headroom: float | None  # cores that nothing used
    celsius: float | None
    celsius_per_minute: float | None
    clock_mhz: float | None  # the lowest that was sampled
    throttling: str | None  # in words; empty for nothing
    load_of_others: float | None  # cores
    source_is_limit: bool  # frames came more slowly than the rate


class Turns:
    """Runs workers in turns, and keeps what each has shown."""

    def __init__(self, workers: Sequence[tuple[Worker, str]], fps: float, source: str) -> None:
        """Args: opened workers with their runtimes' names; the rate; camera, a path, or ""."""
        self._workers, self._fps, self._source = workers, fps, source
        self._invokes: dict[int, list[float]] = {}
        self._heat: list[tuple[float, float]] = []  # seconds, Celsius
        self._began = time.monotonic()

    def run(self, seconds: float, report: Callable[[float, str], None]) -> Iterator[Interval]:
        """Yield each interval as it ends, until each model ran that long. Raises: EdgeError."""
        turns = max(1, round(seconds / INTERVAL_S))
        for turn in range(turns):
            order = list(range(len(self._workers)))[:: 1 if turn % 2 == 0 else -1]
            for place, number in enumerate(order):
                share = (turn + place / len(order)) / turns
                report(share, f"{self._workers[number][0].combination.path.name}: turn {turn + 1}")
                yield self._interval(number, min(seconds / turns, INTERVAL_S * 1.5))

    def _interval(self, number: int, seconds: float) -> Interval:
        worker, runtime = self._workers[number]
        sampler, load = Sampler(), Load([each.pid for each, _ in self._workers])
        worker.meanwhile = sampler.under_load
        found = worker.paced(self._source, self._fps, seconds)
        others = load.look([each.pid for each, _ in self._workers])
        sampler.between_turns()
        during = sampler.result()
        at_s = time.monotonic() - self._began
        if during.highest_celsius is not None:
            self._heat.append((at_s, during.highest_celsius))
        invokes = self._invokes.setdefault(number, [])
        invokes += found.invoke_ms
        busy = found.processor_s / found.seconds
        rate = found.frames / found.seconds
        return Interval(
            round(at_s, 1),
            worker.combination.path.name,
            runtime,
            worker.combination.threads,
            found.frames,
            round(rate, 2),
            round(1 - found.late / max(found.frames, 1), 4),
            round(float(np.median(found.invoke_ms)) if found.invoke_ms else 0.0, 4),
            round(float(np.percentile(invokes, 99)), 4) if len(invokes) >= P99_RUNS else None,
            round(busy, 3),
            None if others is None else round(max(0.0, usable_cores() - busy - others), 2),
            during.highest_celsius,
            self._trend(),
            during.lowest_clock_mhz,
            None if during.throttling is None else ", ".join(during.throttling),
            None if others is None else round(others, 2),
            self._waits(found),
        )

    def _waits(self, found: Paced) -> bool:
        """Whether frames are missing, and at least half of the time for them was spent waiting."""
        missing_s = found.seconds - (found.frames + 1) / self._fps  # a turn ends between two
        is_slow = missing_s > MOST_MISSING * found.seconds
        return bool(self._source) and is_slow and found.waited_s > missing_s / 2

    def _trend(self) -> float | None:
        """Celsius a minute over the second half."""
        half = [each for each in self._heat if each[0] >= self._heat[-1][0] / 2]
        if len(half) < 3 or half[-1][0] - half[0][0] < 60 * FEWEST_MINUTES:
            return None
        at, celsius = np.array(half).T
        return round(60 * float(np.polyfit(at, celsius, 1)[0]), 2)


@dataclass(frozen=True)
class Verdict:
    """Whether a model holds a rate here."""

    model: str
    runtime: str
    threads: int
    holds: bool
    words: str

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {"verdict": asdict(self)}


def verdicts(intervals: Sequence[Interval], fps: float) -> list[Verdict]:
    """Judge each model by all its intervals."""
    found = []
    for key in dict.fromkeys((i.model, i.runtime, i.threads) for i in intervals):
        own = [i for i in intervals if (i.model, i.runtime, i.threads) == key]
        holds, words = _judged(own, fps)
        found.append(Verdict(*key, holds, words))
    return found


def _judged(own: Sequence[Interval], fps: float) -> tuple[bool, str]:
    frames = sum(i.frames for i in own)
    late = sum(i.frames * (1 - i.in_time) for i in own) / max(frames, 1)
    cost = f"{np.mean([i.cores for i in own]):.0%} of one core, {frames} frames"
    cost += _others(own)
    at = _heat(own)
    rate = np.mean([i.frames_per_second for i in own])
    waits = any(i.source_is_limit for i in own)
    supplied = f"supplied {rate:.1f} of {fps:g} frames a second"
    if late > MOST_LATE:
        limits = [] if _others(own) else ["the model is the limit"]  # else it may be the others
        limits += [f"the source {supplied}"] if waits else []
        return False, "; ".join(
            [f"does not hold {fps:g} fps: {late:.0%} late{at}, {cost}", *limits]
        )
    if waits:
        return False, f"the source is the limit: it {supplied}; {cost}"
    causes = sorted({cause for i in own for cause in (i.throttling or "").split(", ") if cause})
    if causes:
        return False, f"does not hold {fps:g} fps for long: {', '.join(causes)}{at}, {cost}"
    return True, f"holds {fps:g} fps{at}, {cost}"


def _others(own: Sequence[Interval]) -> str:
    """Name other processes that were at work: a late frame may be theirs."""
    loads = [i.load_of_others for i in own if i.load_of_others is not None]
    if not loads or np.median(loads) <= MOST_OTHERS:
        return ""
    return f"; the machine was busy: other processes used {np.median(loads):.2f} cores"


def _heat(own: Sequence[Interval]) -> str:
    last = own[-1]
    if last.celsius is None:
        return ""
    words = f" at {last.celsius:.0f} Celsius"
    if last.celsius >= HOT_CELSIUS:
        words += " (hot: it slows down from here)"
    if last.celsius_per_minute is not None and last.celsius_per_minute > RISING:
        words += f" and rising by {last.celsius_per_minute:.1f} a minute"
    return words
