"""How fast images are classified, beside the usual ten lines and beside others' classifiers.

- One photo, load to label: JPEGs of 12 and 2 megapixels and 640 x 480, in one process each that has
  its model loaded; all in turns. "The usual" is Pillow's open, convert and resize, set_tensor and
  invoke, on the same runtime. "The limit" is Pillow's JPEG decoder at the DCT scale that suffices.
- Label changes: what decoding at a DCT scale changes against decoding all pixels, on three kinds of
  images, beside what noise changes.
- A process from start to end: edge-classify and a script of ten lines, in turns.
- A folder: decoding ahead on two cores against one photo after the other.
- Memory: anonymous memory at the fifths of a long run.
- A frame of the input's size, and one of 640 x 480: the time outside of invoke, and Pillow's part.

All are medians. Photos are mosaics of real ones where EDGE_TEST_DATA has any, else drawn with
detail at every scale. Others' packages get environments of their own in the cache folder:
--mediapipe needs Debian's libegl1 and libgles2, --task-library a Python that tflite-support is
made for.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from mosaics import KINDS, ROOT, TEST_DATA, photo
from peers import PEERS, Peer, decode, opened, usual_way
from PIL import Image
from start import print_starts

from edge import board
from edge.classifier import golden
from edge.classifier.classify import classify
from edge.classifier.model import Model, default_model
from edge.classifier.runtime import default_num_threads, installed_runtimes
from edge.commands import run
from edge.commands.arguments import count
from edge.errors import EdgeError
from edge.image.preprocess import Picture, Pixels, read_image
from edge.sources.ahead import ahead
from edge.sources.frame import Frame
from edge.sources.photos import photos

NAME = "classify"
MOBILENET = TEST_DATA / "peers" / "tflite-support" / "mobilenet_v1_0.25_224_quant.tflite"
SIZES = {"12 megapixels": (4000, 3000), "2 megapixels": (1632, 1224), "640 x 480": (640, 480)}
SIDES = (1632, 1224)  # of the photos of a folder
CHANGES_WANTED = "1 in 200, 0.01 | 0, 0.003"
DISTINCT = 20  # of its photos; the others are links to them


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print tables; the entry of `python benchmarks/classify.py`."""
    args = _parser().parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmarks/classify.py", *words])
    if args.fifths:
        return run(lambda: _fifths(args.model, args.fifths, args.memory_photos), NAME)
    return run(lambda: _measure(args, command), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/classify.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model = MOBILENET if MOBILENET.exists() else default_model()
    parser.add_argument("-m", "--model", type=Path, default=model, help=f"(default: {model.name})")
    for flag, default, what in (
        ("--runs", 25, "runs of one photo that count"),
        ("--changes", 200, "photos on which labels are compared"),
        ("--starts", 15, "processes that count"),
        ("--folder-photos", 500, "photos of the folder"),
        ("--memory-photos", 20_000, "photos of the long run"),
    ):
        text = f"{what} (default: {default})"
        parser.add_argument(flag, type=count, default=default, metavar="N", help=text)
    for flag, (_, package, _) in PEERS.items():
        option, text = f"--{flag.replace('_', '-')}", f"measure {package}, too; installs it"
        parser.add_argument(option, action="store_true", help=text)
    parser.add_argument("--fifths", type=Path, help=argparse.SUPPRESS)
    return parser


def _measure(args: argparse.Namespace, command: str) -> int:
    if not Path("/proc/self/status").exists():
        raise EdgeError("/proc", "is not there", "measure on Linux")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        singles = {}
        for seed, (what, size) in enumerate(SIZES.items()):
            singles[what] = folder / f"{seed}.jpg"
            singles[what].write_bytes(photo(size, seed))
        wanted = [peer for flag, peer in PEERS.items() if getattr(args, flag)]
        peers = [stack.enter_context(opened(*peer, args.model)) for peer in wanted]
        with Model(args.model) as model:
            _print_singles(singles, model, peers, args.runs)
            print("\n| what | measured | floor | aim |\n|---|---|---|---|", flush=True)
            _print_frame(model)
            _print_camera(model, args.runs)
        with Model() as model:
            _print_changes(model, args.changes)
        _print_folder(folder / "folder", args.model, args.folder_photos)
        _print_memory(singles["640 x 480"], args.model, args.memory_photos)
        print()
        print_starts(singles["640 x 480"], args.model, args.starts)
    print(f"\n{_machine()}\n{command}")
    return 0


# One photo ----------------------------------------------------------------------------------------


def _print_singles(
    singles: dict[str, Path], model: Model, peers: Sequence[Peer], runs: int
) -> None:
    usual = usual_way(model)
    heads = "".join(f" {peer.name}, ms | times ours |" for peer in peers)
    print(f"| JPEG | ours, ms | outside invoke | limit, ms | usual, ms | times ours |{heads}")
    print("|---|" + "---|" * (5 + 2 * len(peers)))
    for what, path in singles.items():
        frame, invokes = _frame(path), []
        ways: list[Callable[[], float]] = [
            lambda frame=frame, invokes=invokes: _timed(
                lambda: invokes.append(classify(model, frame).invoke_ms)
            ),
            lambda path=path: _timed(lambda: decode(path, model)),
            lambda path=path: _timed(lambda: usual(path)),
            *(lambda peer=peer, path=path: peer(path) for peer in peers),
        ]
        ours, limit, *others = _in_turns(ways, runs)
        outside = ours - statistics.median(invokes)
        cells = "".join(f" {other:.2f} | {other / ours:.2f} |" for other in others)
        print(f"| {what} | {ours:.2f} | {outside:.2f} | {limit:.2f} |{cells}", flush=True)


def _frame(picture: Picture) -> Frame:
    return Frame("benchmark", picture, datetime.now(UTC), time.monotonic_ns())


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - began)


def _in_turns(ways: Sequence[Callable[[], float]], runs: int) -> list[float]:
    """The median of each way's milliseconds; the first three rounds do not count."""
    rounds = [[way() for way in ways] for _ in range(3 + runs)][3:]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


# The rest of the table ----------------------------------------------------------------------------


def _print_changes(model: Model, number: int) -> None:
    """How many labels differ between a DCT scale and all pixels, and how much scores do.

    Beside it, what noise of one of 255 in all pixels does: any other decoder may differ by as much.
    """
    for kind, text in KINDS.items():
        random = np.random.RandomState(0)
        scaled, noisy = [], []
        for seed in range(number):
            jpeg = photo(SIDES, 5000 + seed, kind)
            pixels = read_image(jpeg)
            full = model.scores(pixels)
            noise = random.randint(-1, 2, pixels.shape, np.int8)
            other = np.clip(pixels.astype(np.int16) + noise, 0, 255).astype(np.uint8)
            scaled.append((full, model.scores(jpeg)))
            noisy.append((full, model.scores(other)))
        print(f"| label changes by the DCT scale, {text} | {_changes(scaled)} | {CHANGES_WANTED} |")
        print(f"| the same by noise of 1 of 255 | {_changes(noisy)} | | |", flush=True)


def _changes(pairs: Sequence[tuple[Any, Any]]) -> str:
    """Of pairs of scores: how many labels differ, and by how much the first one's score does."""
    changed = sum(int(one.argmax() != other.argmax()) for one, other in pairs)
    changes = [float(abs(one - other)[one.argmax()]) for one, other in pairs]
    mean, most = statistics.mean(changes), max(changes)
    return f"{changed} of {len(pairs)}, score by {mean:.4f} (at most {most:.3f})"


def _print_frame(model: Model) -> None:
    pixels = np.ascontiguousarray(golden.draw(0, model.input.size))
    outside = [_outside_ms(model, lambda: pixels) for _ in range(1000)]
    said = f"{statistics.median(outside[100:]):.3f} ms"
    print(f"| frame of the input's size, outside invoke | {said} | 0.3 | 0.05 |", flush=True)


def _print_camera(model: Model, runs: int) -> None:
    """A camera's frame of 640 x 480 by today's rule and code, and by those of version 1."""
    pixels = read_image(photo(SIZES["640 x 480"], 0))
    stored = np.dstack([pixels, pixels[..., :1]])[..., :3]  # four bytes a pixel, as cameras do
    size = model.input.size[::-1]

    def version_1() -> Picture:
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))

    ways: list[Callable[[], float]] = [
        lambda: _outside_ms(model, lambda: stored),
        lambda: _outside_ms(model, version_1),
        lambda: _outside_ms(model, lambda: pixels),
    ]
    laps: list[list[float]] = []
    frame = Image.fromarray(pixels)
    ways.append(lambda: _pillow_ms(model, pixels, frame, laps))
    ours, before, packed, pillow = _in_turns(ways, 10 * runs)
    said = f"{ours:.2f} ms, {ours / before:.2f} of version 1's {before:.2f}"
    print(f"| frame of 640 x 480, outside invoke | {said} | 0.6 | |", flush=True)
    said = f"{packed:.2f} ms, {packed / before:.2f}"
    print(f"| the same of three bytes a pixel | {said} | | |", flush=True)
    taken_in, shrunk, resized, given_out = map(statistics.median, zip(*laps, strict=True))
    said = f"{pillow:.2f} ms, {pillow / before:.2f} (taken in {taken_in:.3f}, box average "
    said += f"{shrunk:.3f}, resized {resized:.3f}, given out {given_out:.3f})"
    print(f"| the same in Pillow's own code alone | {said} | | |", flush=True)


def _pillow_ms(model: Model, pixels: Pixels, frame: Image.Image, laps: list[list[float]]) -> float:
    """How long Pillow's code takes for what becomes of a frame, and each step in `laps`."""
    model.invoke()  # which leaves its own data in the processor's caches, as before a frame
    times = [time.perf_counter()]
    frame.frombytes(pixels, "raw", "RGB", 0, 1)
    times.append(time.perf_counter())
    shrunk = frame.im.reduce((2, 2), (0, 0, *frame.size))
    times.append(time.perf_counter())
    size = model.input.size[::-1]
    resized = shrunk.resize(size, Image.Resampling.BILINEAR, (0, 0, *shrunk.size))
    times.append(time.perf_counter())
    Image.Image()._new(resized).tobytes()
    times.append(time.perf_counter())
    laps.append([1000 * (after - first) for first, after in itertools.pairwise(times)])
    return sum(laps[-1])


def _outside_ms(model: Model, picture: Callable[[], Picture]) -> float:
    """How long classifying takes without invoke."""
    began = time.perf_counter()
    result = classify(model, _frame(picture()))
    return 1000 * (time.perf_counter() - began) - result.invoke_ms


def _print_folder(folder: Path, model: Path, number: int) -> None:
    folder.mkdir()
    for index in range(number):
        path = folder / f"{index:05}.jpg"
        if index < DISTINCT:
            path.write_bytes(photo(SIDES, index))
        else:
            path.hardlink_to(folder / f"{index % DISTINCT:05}.jpg")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:2])
    try:
        # With jobs, the cores are for the photos; without, the model's threads may have them.
        ways = ((0, default_num_threads()), (2, 1))
        rounds = [[_folder_s(folder, model, *way) for way in ways] for _ in range(3)]
    finally:
        os.sched_setaffinity(0, cores)
    medians = np.median(rounds, axis=0)  # (ways, 2)
    (one_s, one_cpu_s), (two_s, two_cpu_s) = medians
    said = f"{one_s / two_s:.2f} times ({one_s:.2f} and {two_s:.2f} s; "
    said += f"of the processors {one_cpu_s:.2f} and {two_cpu_s:.2f} s)"
    print(f"| {number} photos decoded ahead on two cores | {said} | 1.7 | 1.95 |", flush=True)


def _folder_s(folder: Path, path: Path, jobs: int, num_threads: int) -> tuple[float, float]:
    """Seconds of a folder, the model loaded: those that pass, and the processors'."""
    with Model(path, num_threads=num_threads) as model:
        began, busy = time.perf_counter(), time.process_time()
        for frame in ahead(photos([folder]), model.input, jobs=jobs):
            classify(model, frame)
        return time.perf_counter() - began, time.process_time() - busy


def _print_memory(path: Path, model: Path, number: int) -> None:
    words = [sys.executable, __file__, "--fifths", str(path), "-m", str(model)]
    words += ["--memory-photos", str(number)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    sizes = [float(size) for size in done.stdout.split()]
    grown = max(sizes) - sizes[0]
    said = f"{grown:.1f} MB more than at the first fifth ({', '.join(map(str, sizes))})"
    print(f"| memory over {number} photos | {said} | 20 | 5 |", flush=True)


def _fifths(model_path: Path, path: Path, number: int) -> int:
    """Classify a photo so often, decoding ahead, and print the anonymous memory at each fifth."""
    with Model(model_path) as model:
        frames = ahead(photos([path] * number), model.input, jobs=2)
        for index, frame in enumerate(frames, start=1):
            classify(model, frame)
            if index % max(1, number // 5) == 0:
                print(f"{_rss_anon() / 1e6:.1f}", flush=True)
    return 0


def _rss_anon() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def _machine() -> str:
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in facts if line.startswith("model name")]
    name = board.model() or (names[0] if names else platform.machine())
    runtime = installed_runtimes()[0]
    return f"{name}, {board.num_cores()} cores, load {os.getloadavg()[0]:.1f}, {runtime}"


if __name__ == "__main__":
    sys.exit(main())
