"""What several zones of one camera cost besides the network: three with one model, and one.

Frames of 640 x 480, as a camera gives them, are classified by the service's zones, each with its
part of the frame: one zone (all of the frame); three, one after the other; three while a second
thread prepares the next zones' parts, as the service does on more than one core. In turns. Printed
are medians with the 95 % interval of the median: the time of a frame outside of invoking, of it the
processor's in the loop's thread, and what the whole frame takes beyond as many invokes of the one
zone in the same round, which counts too how much the second thread slows the invokes down. That is
to be at most 1 ms for three zones. Quick checks first: the model is loaded once, and scores
are the same bits.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from edge.classifier import golden
from edge.classifier.model import Model, models_folder
from edge.commands import run
from edge.commands.arguments import count
from edge.service.configuration import Configuration
from edge.service.control import Control
from edge.service.zones.opening import load_models, make_zones
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.zone import Zone, look
from edge.sources.frame import Frame

NAME = "zones"
SIZE = (480, 640)
WANTED_MS = 1.0
WARMUP = 20  # frames that do not count
MODEL = str(models_folder() / "hotdog-small.tflite")
THREADED = "three zones, a second thread"
THREE = (
    ZoneSettings("left", (0.0, 0.0, 0.5, 0.5)),
    ZoneSettings("right", (0.5, 0.0, 0.5, 0.5)),
    ZoneSettings("low", (0.0, 0.5, 1.0, 0.5)),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/zones.py`."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/zones.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", type=count, default=500, help="of each kind (default: 500)")
    args = parser.parse_args(argv)
    return run(lambda: _measure(args.frames), NAME)


def _measure(frames: int) -> int:
    one, stores_of_one = _opened(())
    three, stores_of_three = _opened(THREE)
    assert len(stores_of_three) == 1, "the model is loaded once"
    of_one, of_three = (Invokes(stores[0].model) for stores in (stores_of_one, stores_of_three))
    drawn = [np.ascontiguousarray(golden.draw(seed, SIZE)) for seed in range(4)]
    with (
        closing(stores_of_one[0]),
        closing(stores_of_three[0]),
        ThreadPoolExecutor(1, "zones") as helper,
    ):
        ways = {
            "one zone": (one, of_one, None),
            "three zones": (three, of_three, None),
            THREADED: (three, of_three, helper),
        }
        found: dict[str, list[Times]] = {name: [] for name in ways}
        for number in range(WARMUP + frames):
            for name, way in ways.items():
                found[name].append(_timed(drawn[number % 4], number, *way))
    for alone, together in zip(found["three zones"], found[THREADED], strict=True):
        assert np.array_equal(alone.scores, together.scores), "the same bits"
    print("| a frame of 640 x 480 | outside invoke | of it the loop's processor | all | beyond |")
    print("|---|---|---|---|---|")
    invokes = np.array([times.invoke_ms for times in found["one zone"][WARMUP:]])
    for name, of_name in found.items():
        counted = of_name[WARMUP:]
        outside, processor = (
            np.array([getattr(times, key) for times in counted])
            for key in ("outside_ms", "processor_ms")
        )
        whole = np.array([times.outside_ms + times.invoke_ms for times in counted])
        beyond = whole - len(ways[name][0]) * invokes
        cells = " | ".join(map(_shown, (outside, processor, whole, beyond)))
        print(f"| {name} | {cells} |", flush=True)
    command = shlex.join(["python", "benchmarks/zones.py", *sys.argv[1:]])
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"\n{frames} frames each, in turns; {platform.machine()}, {cores} cores, load {load:.1f}")
    print(f"wanted: at most {WANTED_MS:g} ms beyond three invokes\n{command}")
    return 0 if np.median(beyond) <= WANTED_MS else 1


def _opened(zones: Sequence[ZoneSettings]) -> tuple[tuple[Zone, ...], list[Any]]:
    configuration = Configuration(source="camera", model=MODEL, zone=tuple(zones), threads=1)
    stores = list(load_models(configuration, "", print, verbose=False))
    return make_zones(configuration, stores, Control()), stores


class Invokes:
    """Time that a model's invokes take: that passes, and the processor's of this thread."""

    def __init__(self, model: Model) -> None:
        self.passed_s = self.processor_s = 0.0
        self._invoke = model.invoke
        model.invoke = self  # type: ignore[method-assign, assignment]

    def __call__(self) -> Any:
        """Invoke, and add up."""
        processor, began = time.thread_time(), time.perf_counter()
        scores = self._invoke()
        self.passed_s += time.perf_counter() - began
        self.processor_s += time.thread_time() - processor
        return scores


class Times(NamedTuple):
    """Of one frame."""

    outside_ms: float  # of invoking
    processor_ms: float  # of it, the processor's in this thread
    invoke_ms: float
    scores: Any  # of all zones


def _timed(
    pixels: Any, number: int, zones: Sequence[Zone], invokes: Invokes, helper: Executor | None
) -> Times:
    frame = Frame("camera", pixels, datetime.now(UTC), time.monotonic_ns())
    invokes.passed_s = invokes.processor_s = 0.0
    processor, began = time.thread_time(), time.perf_counter()
    found = list(look(zones, frame, number, lambda source, line: None, helper=helper))
    passed_s, busy_s = time.perf_counter() - began, time.thread_time() - processor
    scores = [sighting.result.scores for sighting in found]
    outside_s, processor_s = passed_s - invokes.passed_s, busy_s - invokes.processor_s
    return Times(outside_s * 1000, processor_s * 1000, invokes.passed_s * 1000, scores)


def _shown(samples: Any) -> str:
    """The median and its 95 % interval, by order statistics."""
    ordered = np.sort(samples)
    half = 0.98 * len(ordered) ** 0.5
    low, high = (ordered[round(len(ordered) / 2 + sign * half)] for sign in (-1, 1))
    return f"{np.median(ordered):.3f} ms ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
