"""Judge what the machine of the camera answered: camera_answers.py FOLDER; 0 if all is well."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The kernel's test pattern at 75 %, from the left: white, yellow, cyan, green, magenta, red, blue,
# black. With red and blue exchanged it would begin with white, cyan, yellow.
BARS = ["RGB", "RG", "GB", "G", "RB", "R", "B", ""]
NUM_FRAMES = 3
WEBCAM_CHECKS = 13


def faults_of_frames(
    lines: list[dict[str, Any]], bars: list[str], ratio: tuple[int, int]
) -> Iterator[str]:
    """Say what is wrong with frames that were classified; `ratio` is that of height to width."""
    if len(lines) != NUM_FRAMES:
        yield f"{len(lines)} frames, not {NUM_FRAMES}"
    for line in lines:
        height, width = line["shape"][:2]
        if line["bars"] != bars:
            yield f"bars of {line['bars']}, not {bars}"
        if abs(height * ratio[1] - width * ratio[0]) > 6 * max(ratio):  # vimc goes by sixes
            yield f"a frame of {width} x {height}"
        if not 0 <= line["score"] <= 1 or not line["label"]:
            yield f"no answer: {line['label']} {line['score']}"
        if not 0 <= line["age_ms"] < 60_000:
            yield f"a frame of {line['age_ms']} ms"


def upright(folder: Path) -> Iterator[str]:
    """Frames as the camera gives them."""
    yield from ended(folder / "frames", 0)
    yield from faults_of_frames(lines_of(folder / "frames.out"), BARS, (3, 4))


def turned(folder: Path) -> Iterator[str]:
    """Frames that were rotated and then flipped, which turns the order of the bars round."""
    yield from ended(folder / "turned", 0)
    yield from faults_of_frames(lines_of(folder / "turned.out"), BARS[::-1], (4, 3))


def watched(folder: Path) -> Iterator[str]:
    """What edge-watch says on stdout: events and results, a JSON line each."""
    yield from ended(folder / "watch", 0)
    lines = lines_of(folder / "watch.out")
    if len(lines) != NUM_FRAMES or not all(line.get("label") for line in lines):
        said = text_of(folder / "watch.err").splitlines()[-3:]
        yield f"edge-watch said {lines}: {' | '.join(said)}"


def measured(folder: Path) -> Iterator[str]:
    """What edge-benchmark says of a camera: how many frames, how old at their results."""
    yield from ended(folder / "benchmark", 0)
    rows = json.loads(text_of(folder / "benchmark.out") or "[]")
    for row in rows or [{}]:
        if row.get("frames", 0) < 2 or not 0 < row["age"]["p50_ms"] < 60_000 or row["partial"]:
            said = text_of(folder / "benchmark.err").splitlines()[-3:]
            yield f"edge-benchmark said {row}: {' | '.join(said)}"


def webcam(folder: Path) -> Iterator[str]:
    """A V4L2 device: each line of webcam_frames.py."""
    yield from ended(folder / "webcam", 0)
    lines = text_of(folder / "webcam.out").splitlines()
    yield from (line for line in lines if not line.startswith("ok "))
    if len(lines) < WEBCAM_CHECKS:
        yield f"{len(lines)} checks of the webcam, not {WEBCAM_CHECKS}"


def causes(folder: Path) -> Iterator[str]:
    """A camera that cannot be used: why, in a line."""
    for name, cause in {
        "busy": "in use by python3 (",
        "rights": "permission denied: /dev/media0",
        "heap": "permission denied: /dev/dma_heap/linux,cma",
        "none": "no camera found",
    }.items():
        yield from ended(folder / name, 1)
        said = text_of(folder / f"{name}.err").splitlines()
        ours = [line for line in said if line.startswith("camera 0: ")]  # libcamera says its own
        if len(ours) != 1 or cause not in ours[0]:
            yield f"{name}: must say {cause!r}. Received: {ours or said}"


def ended(step: Path, status: int) -> Iterator[str]:
    """Say so where a step did not end with this exit status."""
    found = text_of(step.with_suffix(".status"))
    if found != str(status):
        said = text_of(step.with_suffix(".err")).splitlines()[-3:]
        yield f"{step.name} ended with {found or 'nothing'}, not {status}: {' | '.join(said)}"


def lines_of(file: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in text_of(file).splitlines()]


def text_of(file: Path) -> str:
    """Read a file; one that isn't there is empty."""
    return file.read_text().strip() if file.is_file() else ""


TRIED: dict[str, Callable[[Path], Iterator[str]]] = {
    "frames of vimc are classified, their colours in order": upright,
    "edge-watch classifies them": watched,
    "edge-benchmark measures them": measured,
    "frames are rotated and flipped": turned,
    "a webcam gives fresh frames, is unplugged and comes back": webcam,
    "busy, no rights and no camera are told apart": causes,
}


def main() -> int:
    """Print a line for each thing that was tried."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    status = 0
    for name, judge in TRIED.items():
        faults = list(judge(folder))
        print(f"{'FAILED' if faults else 'ok':7}{name}")
        for fault in faults:
            print(f"       {fault}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
