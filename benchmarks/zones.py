"""What several zones of one camera cost besides the network: three with one model, and one.

Frames of 640 x 480, as a camera gives them, are classified by the service's zones, each with its
part of the frame. Printed is the time of a frame outside of invoking, and of it the processor's,
as medians with the 95 % interval of the median, for one zone (all of the frame) and for three, in
turns; wanted is at most 1 ms for three, of the processor: other programs hold up the rest.
A quick check first: the model is loaded once.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

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
    invokes = {
        name: Invokes(stores[0].model)
        for name, stores in (("one zone", stores_of_one), ("three zones", stores_of_three))
    }
    drawn = [np.ascontiguousarray(golden.draw(seed, SIZE)) for seed in range(4)]
    found: dict[str, list[tuple[float, float, float]]] = {"one zone": [], "three zones": []}
    with closing(stores_of_one[0]), closing(stores_of_three[0]):
        for number in range(WARMUP + frames):
            for name, zones in (("one zone", one), ("three zones", three)):
                found[name].append(_timed(zones, drawn[number % 4], number, invokes[name]))
    print("| a frame of 640 x 480 | outside invoke | of it the processor | all | wanted |")
    print("|---|---|---|---|---|")
    for name, times in found.items():
        outside, processor, whole = np.array(times[WARMUP:]).T
        wanted = f"{WANTED_MS:g} ms" if name == "three zones" else ""
        print(
            f"| {name} | {_shown(outside)} | {_shown(processor)} | {_shown(whole)} | {wanted} |",
            flush=True,
        )
    command = shlex.join(["python", "benchmarks/zones.py", *sys.argv[1:]])
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"\n{frames} frames each, in turns; {platform.machine()}, {cores} cores, load {load:.1f}")
    print(command)
    processor = np.array(found["three zones"][WARMUP:])[:, 1]
    return 0 if np.median(processor) <= WANTED_MS else 1


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


def _timed(
    zones: Sequence[Zone], pixels: Any, number: int, invokes: Invokes
) -> tuple[float, float, float]:
    """Milliseconds outside of invoking, of these the processor's, and in all."""
    frame = Frame("camera", pixels, datetime.now(UTC), time.monotonic_ns())
    invokes.passed_s = invokes.processor_s = 0.0
    processor, began = time.thread_time(), time.perf_counter()
    for _ in look(zones, frame, number, lambda source, line: None):
        pass
    passed_s, busy_s = time.perf_counter() - began, time.thread_time() - processor
    times = passed_s - invokes.passed_s, busy_s - invokes.processor_s, passed_s
    return times[0] * 1000, times[1] * 1000, times[2] * 1000


def _shown(samples: Any) -> str:
    """The median and its 95 % interval, by order statistics."""
    ordered = np.sort(samples)
    half = 0.98 * len(ordered) ** 0.5
    low, high = (ordered[round(len(ordered) / 2 + sign * half)] for sign in (-1, 1))
    return f"{np.median(ordered):.3f} ms ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
