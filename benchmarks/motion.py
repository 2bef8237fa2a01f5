"""What the motion gate lets through, what it costs, and what it saves.

- Recall: of drawn frames with an object that moves, the share that is classified. The scenes have
  sensor noise, an exposure that hunts, and objects of a hundredth to a tenth of the image, with 25
  to 80 grey levels of contrast. No threshold was chosen on them.
- Still: of frames of the same scenes without an object, the share that is classified anyway, where
  nothing is classified now and then.
- Cost: processor time of the gate for a frame of 640 x 480.
- Saved: processor time of edge-watch with the gate, against the same without it, on a still scene.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.classifier.model import default_model
from edge.commands import run
from edge.commands.arguments import count
from edge.image.preprocess import encode_jpeg
from edge.interval import wilson
from edge.service.intake.motion import Motion, MotionSettings
from edge.sources.grey import Grey

NAME = "motion"
SIZE = (480, 640)
FRAMES = 300  # of a scene; an object is in the second half
FPS = 5
SECONDS = 30  # for which each service is looked at, after it began


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/motion.py`."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/motion.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenes", type=count, default=20, metavar="N", help="(default: 20)")
    args = parser.parse_args(argv)
    return run(lambda: _measure(args.scenes), NAME)


def _measure(scenes: int) -> int:
    found = moving = passed = still = 0
    for seed in range(1000, 1000 + scenes):
        motion = Motion(MotionSettings())
        for number, (frame, has_object) in enumerate(_scene(seed)):
            moved = motion(Grey.of(frame).cells)
            if has_object:
                moving, found = moving + 1, found + moved
            elif number:
                still, passed = still + 1, passed + moved
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "still.jpg"
        photo.write_bytes(encode_jpeg(next(_scene(1))[0]))
        alone, gated = _processor_s(photo), _processor_s(photo, "--motion-on")
    print("| what | measured | wanted |\n|---|---|---|")
    print(f"| recall, {moving} frames with a moving object | {_share(found, moving)} | 0.99 |")
    print(f"| classified without motion, {still} frames | {_share(passed, still)} | |")
    print(f"| the gate, 640 x 480 | {_cost_ms():.3f} ms | 0.3 ms with camera health |")
    saved = 100 * (1 - gated / alone)
    print(f"| processor time saved on a still scene, {FPS} fps | {saved:.0f} % | 80 % |")
    return 0 if found >= 0.99 * moving and saved >= 80 else 1


def _share(hits: int, total: int) -> str:
    low, high = wilson(hits, total)
    return f"{hits / total:.4f} ({low:.4f} to {high:.4f})"


def _scene(seed: int) -> Iterator[tuple[NDArray[np.uint8], bool]]:
    """Frames of (height, width, 3), and whether an object moves in each."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    waves = random.uniform(0.005, 0.1, (5, 2))
    scene = 115 + 20 * sum(np.sin(a * rows + b * columns) for a, b in waves)
    noise = random.uniform(2, 6)
    grain = random.normal(0, noise, (8, *SIZE, 3))
    area, contrast = random.uniform(0.01, 0.1), random.choice([-1, 1]) * random.uniform(25, 80)
    high, wide = (int((area * SIZE[0] * SIZE[1]) ** 0.5 * f) for f in (1.4, 0.7))
    high = min(high, SIZE[0] - 1)
    top, speed = random.integers(0, SIZE[0] - high), random.uniform(3, 25)
    for number in range(FRAMES):
        picture = scene * (1 + 0.15 * np.sin(number / 20))
        left = int(speed * (number - FRAMES // 2))
        has_object = 0 <= left < SIZE[1] - wide
        if has_object:
            picture = picture.copy()
            picture[top : top + high, left : left + wide] += contrast
        frame = picture[..., None] + grain[random.integers(len(grain))]
        yield frame.clip(0, 255).astype(np.uint8), has_object


def _cost_ms() -> float:
    frames = [frame for frame, _ in zip(_scene(2), range(16), strict=False)]
    motion, rounds = Motion(MotionSettings()), 40
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(rounds):
            for frame, _ in frames:
                motion(Grey.of(frame).cells)
        best = min(best, (time.process_time() - began) * 1000 / (rounds * len(frames)))
    return best


def _processor_s(photo: Path, *options: str) -> float:
    """Processor time of a service over SECONDS, once it runs."""
    words = [sys.executable, "-m", "edge", "watch", "--source", str(photo), "--repeat"]
    words += ["--fps", str(FPS), "-m", str(default_model()), "--every", "0", *options]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(15)
        before = _taken_s(process.pid)
        time.sleep(SECONDS)
        return _taken_s(process.pid) - before
    finally:
        process.terminate()
        process.wait(20)


def _taken_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
