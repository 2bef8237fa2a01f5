"""What camera health finds, what it reports without a cause, and what it costs.

    python benchmarks/health.py --choose      on generator A: what thresholds were chosen on
    python benchmarks/health.py               on generator B and other photos: what holds

- False alarms: problems that are reported in whole days without a fault, with dawn and dusk,
  clouds, rain, leaves, noise, headlights, an exposure that hunts, and people who pass; at --fps.
- With --lights N: the same around lights that park, in N days of generator A, from four minutes
  before each to one after it; each begins with a new run, as after a restart in the dark.
- Found: faults that are planted at any time at which there is light, after ten minutes as usual;
  a fault is found where any problem is reported within 10 s. In a night without light there is
  nothing to judge.
- Cost: processor time of health and motion together, for a frame of 640 x 480, at a camera's
  default rate, and at a rate at which health looks at each frame.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from days import DAY_S, FAULTS, LitDay, PlainDay, photo

from edge.commands import run
from edge.commands.arguments import count
from edge.interval import wilson
from edge.service.intake.health import Health, HealthSettings
from edge.service.intake.motion import Motion, MotionSettings
from edge.sources.grey import Grey

NAME = "health"
WITHIN_S = 10.0  # a fault must be found
BEFORE_S = 600.0  # as usual, before a fault
FAULT_FPS = 2.0
WATCHED_FPS = 2.0  # of a camera, unless configured otherwise


class Generator(NamedTuple):
    """Days, and the photos that they are before."""

    day: type
    part: str
    seed: int


# Days from 500,000, 900,000, 1,200,000, 1,500,000 and 2,500,000 on, the first from 2,000,000 on,
# and those from 3,000,000 on have judged. Take a new base before another judgement.
CHOOSE, JUDGE = Generator(PlainDay, "train", 1000), Generator(LitDay, "test", 3_000_000)


class Trial(NamedTuple):
    """One planted fault."""

    fault: str
    reported: str  # within WITHIN_S; "": nothing
    early: bool  # a problem was reported before there was one
    ended: bool  # within WITHIN_S of its end


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/health.py`."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/health.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--choose", action="store_true", help="use generator A")
    parser.add_argument("--days", type=count, default=30, metavar="N", help="(default: 30)")
    parser.add_argument("--hours", type=float, default=24.0, help="of each day (default: 24)")
    parser.add_argument("--fps", type=float, default=0.5, help="frames a second (default: 0.5)")
    parser.add_argument("--faults", type=count, default=200, metavar="N", help="(default: 200)")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="day and fault to begin with"
    )
    parser.add_argument(
        "--lights", type=count, default=0, metavar="N", help="days, and nothing else"
    )
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="(default: 1)")
    args = parser.parse_args(argv)
    return run(lambda: _measure(args), NAME)


def _measure(args: argparse.Namespace) -> int:
    if args.lights:
        return _measure_lights(args)
    generator = CHOOSE if args.choose else JUDGE
    with ProcessPoolExecutor(args.jobs) as pool:
        of_day = partial(false_alarms, generator, hours=args.hours, fps=args.fps)
        numbers = range(args.first, args.first + args.days)
        alarms = [alarm for day in pool.map(of_day, numbers) for alarm in day]
        numbers = range(args.first, args.first + args.faults)
        trials = list(pool.map(partial(trial, generator), numbers))
    days = args.days * args.hours / 24
    per_day, found = len(alarms) / days, sum(bool(one.reported) for one in trials)
    low, high = wilson(found, len(trials))
    reasons = Counter(reason for _, _, reason in alarms)
    cost, cost_of_look = cost_ms(WATCHED_FPS), cost_ms(1.0)
    print(f"generator {'A' if args.choose else 'B'}, {args.fps:g} frames a second\n")
    print("| what | measured | wanted |\n|---|---|---|")
    least, most = (bound / days for bound in poisson(len(alarms)))
    share = f"{len(alarms)}: {per_day:.3f} a day ({least:.3f} to {most:.3f})"
    print(f"| false alarms, {days:g} camera-days | {share} | 0.1 a day |")
    for reason, number in reasons.most_common():
        print(f"| of them {reason} | {number} | |")
    share = f"{found} of {len(trials)}: {found / len(trials):.3f} ({low:.3f} to {high:.3f})"
    print(f"| faults found within {WITHIN_S:g} s | {share} | 0.98 |")
    for fault in FAULTS:
        print(f"| of them {fault} | {_of_fault(fault, trials)} | |")
    ended = [one.ended for one in trials if one.reported]
    print(f"| end reported within {WITHIN_S:g} s | {sum(ended)} of {len(ended)} | |")
    print(f"| reported before the fault | {sum(one.early for one in trials)} | |")
    print(f"| health and motion, 640 x 480, {WATCHED_FPS:g} fps | {cost:.3f} ms | 0.3 ms |")
    print(f"| the same at 1 fps: each frame is looked at | {cost_of_look:.3f} ms | |")
    for day, at_s, reason in alarms[:40]:
        print(f"day {day}, {at_s / 3600:.2f} h: {reason}", file=sys.stderr)
    holds = per_day <= 0.1 and found >= 0.98 * len(trials) and cost <= 0.3
    return 0 if holds else 1


def _measure_lights(args: argparse.Namespace) -> int:
    with ProcessPoolExecutor(args.jobs) as pool:
        found = list(pool.map(partial(lights, fps=args.fps), range(args.lights)))
    reasons = Counter(reason for each in found for one in each for reason in one)
    number = sum(map(len, found))
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "none"
    print(f"generator A, {args.fps:g} frames a second: false alarms at {number} lights: {listed}")
    return 1 if reasons else 0


def lights(number: int, *, fps: float) -> list[list[str]]:
    """The problems that are reported around each light that parks in a day of generator A."""
    seed, found = CHOOSE.seed + number, list[list[str]]()
    day = PlainDay(photo(seed, CHOOSE.part), seed)
    for from_s, to_s in day.parked():
        health = Health(HealthSettings(on=True), lambda line: None)
        reasons = list[str]()
        for at_s in np.arange(from_s - 250, to_s + 60, 1 / fps):
            before = health.problem
            health(Grey(day.frame(float(at_s))), float(at_s))
            if health.problem and not before:
                reasons.append(str(health.problem))
        found.append(reasons)
    return found


def _of_fault(fault: str, trials: Sequence[Trial]) -> str:
    own = [one for one in trials if one.fault == fault]
    reasons = Counter(one.reported or "not found" for one in own)
    listed = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common())
    return f"{sum(bool(one.reported) for one in own)} of {len(own)} ({listed})"


def poisson(number: int) -> tuple[float, float]:
    """The 95 % interval of what is expected where so many were counted (Garwood, 1936)."""

    def at_most(count: int, share: float) -> float:
        """Of which mean this many or fewer are counted in this share of cases."""
        low, high = 0.0, 10.0 + 3 * count
        for _ in range(60):
            mean = (low + high) / 2
            terms = (mean**k / math.factorial(k) for k in range(count + 1))
            low, high = (mean, high) if math.exp(-mean) * sum(terms) > share else (low, mean)
        return low

    return at_most(number - 1, 0.975) if number else 0.0, at_most(number, 0.025)


def false_alarms(
    generator: Generator, number: int, *, hours: float, fps: float
) -> list[tuple[int, float, str]]:
    """The number of the day, the time and the reason of each problem in a day without a fault."""
    seed = generator.seed + number
    day = generator.day(photo(seed, generator.part), seed)
    health, alarms, before = Health(HealthSettings(on=True), lambda line: None), [], None
    begin_s = (DAY_S - hours * 3600) / 2
    for at_s in np.arange(begin_s, begin_s + hours * 3600, 1 / fps):
        health(Grey(day.frame(float(at_s))), float(at_s))
        if health.problem and not before:
            alarms.append((number, float(at_s), str(health.problem)))
        before = health.problem
    return alarms


def trial(generator: Generator, number: int) -> Trial:
    """Plant one fault, and see what is reported of it."""
    seed = generator.seed + 100_000 + number
    day, random = generator.day(photo(seed, generator.part), seed), np.random.default_rng(seed)
    at_s = random.uniform(BEFORE_S, DAY_S - 60)
    while not (day.has_light(at_s) and day.has_light(at_s - BEFORE_S)):
        at_s = random.uniform(BEFORE_S, DAY_S - 60)
    fault = FAULTS[number % len(FAULTS)]
    health = Health(HealthSettings(on=True), lambda line: None)
    frame = None
    for before_s in np.arange(at_s - BEFORE_S, at_s, 1 / FAULT_FPS):
        frame = day.frame(float(before_s))
        health(Grey(frame), float(before_s))
    early, reported = bool(health.problem), ""
    for since_s in np.arange(0, 30, 1 / FAULT_FPS):
        drawn = day.frame(at_s + since_s, fault)
        health(Grey(frame if fault == "frozen" else drawn), at_s + float(since_s))
        if since_s <= WITHIN_S:
            reported = str(health.problem or "")
    for since_s in np.arange(30, 30 + WITHIN_S, 1 / FAULT_FPS):
        health(Grey(day.frame(at_s + float(since_s))), at_s + float(since_s))
    return Trial(fault, reported, early, not health.problem)


def cost_ms(fps: float) -> float:
    """Processor time of a frame at a rate."""
    random = np.random.default_rng(1)
    scene = random.integers(40, 200, (480, 640, 3))
    frames = [(scene + random.normal(0, 4, scene.shape)).clip(0, 255) for _ in range(8)]
    pictures = [frame.astype(np.uint8) for frame in frames]
    health, motion = Health(HealthSettings(on=True), lambda line: None), Motion(MotionSettings())
    best, number = float("inf"), 0
    for _ in range(8):
        began = time.process_time()
        for _ in range(400):
            grey = Grey.of(pictures[number % len(pictures)])
            health(grey, number / fps)
            motion(grey.cells)
            number += 1
        best = min(best, (time.process_time() - began) * 1000 / 400)
    return best


if __name__ == "__main__":
    sys.exit(main())
