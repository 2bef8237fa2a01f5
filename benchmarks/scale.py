"""What happens as photos, processes and images grow in number.

    python benchmarks/scale.py PHOTOS ... [--quick] [--only photos,training,shards]

PHOTOS are folders of classes of JPEGs. Three tables, each for itself with --only:

- photos: what `python -m convert` does before it trains: scan, check that each photo can be read,
  find near-duplicates, split. For growing numbers of made photos: real ones with other comments,
  every fourth time cropped. Seconds that pass, processor time, and anonymous memory of the process.
  Processor time is fitted by a linear and a quadratic part, memory by a linear one; extrapolated.
- training: an epoch from photos that are kept as JPEG images, against one from pixels; in turns.
- shards: edge-classify over two processes against one, in turns; and two copies of a plain script
  against one, which is what this machine gains by a second process.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported

import numpy as np
from memory import peak, with_comment
from PIL import Image

from convert.data.dataset import load
from convert.data.parallel import each
from convert.errors import DatasetError
from edge.classifier.model import default_model
from edge.classifier.runtime import installed_runtimes
from edge.commands import run
from edge.commands.arguments import count
from edge.names import RUNTIMES
from edge.sources.photos import files

NAME = "scale"
PARTS = ("photos", "training", "shards")
CROP_EVERY = 4  # rounds over the real photos; a cropped one is encoded again
EXTRAPOLATED = (300_000, 1_000_000)
# Of the images of a folder, share I of N: decoded and classified in one thread.
PLAIN = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from {module}.interpreter import Interpreter
model, folder, number, shares = sys.argv[1:]
interpreter = Interpreter(model, num_threads=1)
interpreter.allocate_tensors()
entry = interpreter.get_input_details()[0]
for path in sorted(Path(folder).glob("*/*.jpg"))[int(number)::int(shares)]:
    pixels = Image.open(path).convert("RGB").resize(entry["shape"][2:0:-1].tolist())
    interpreter.set_tensor(entry["index"], np.asarray(pixels, entry["dtype"])[None])
    interpreter.invoke()
    print(json.dumps({{"source": str(path)}}))
"""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    counts: tuple[int, ...] = (10_000, 30_000, 100_000)  # of made photos
    network: str = "efficientnet_lite0"
    side: int = 224
    trained: int = 640  # photos of an epoch
    images: int = 2000  # that are classified
    rounds: int = 3


QUICK = Sizes((200, 400, 800), "small", 64, 64, 40, 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print tables; the entry of `python benchmarks/scale.py`."""
    args = _parser().parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmarks/scale.py", *words])
    if args.load:
        return run(lambda: _load(*args.photos, args.load), NAME)
    return run(lambda: _measure(args, command), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/scale.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTOS")
    parser.add_argument("--quick", action="store_true", help="the same in a minute")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=PARTS,
        metavar="PART[,PART]",
        help=f"of {', '.join(PARTS)} (default: all)",
    )
    parser.add_argument(
        "--counts",
        type=lambda text: tuple(count(part) for part in text.split(",")),
        metavar="N,N",
        help="numbers of made photos (default: 10000,30000,100000)",
    )
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    return parser


def _measure(args: argparse.Namespace, command: str) -> int:
    from epoch import processor

    sizes = QUICK if args.quick else Sizes()
    counts = args.counts or sizes.counts
    if "photos" in args.only:
        with tempfile.TemporaryDirectory() as folder:
            _print_photos(_sources(args.photos), counts, Path(folder))
    if "training" in args.only:
        _print_training(args.photos[0], sizes)
    if "shards" in args.only:
        with tempfile.TemporaryDirectory() as folder:
            _print_shards(_sources(args.photos), sizes, Path(folder))
    print(f"{processor()}, load {os.getloadavg()[0]:.1f}\n{command}")
    return 0


# Photos -------------------------------------------------------------------------------------------


def _sources(folders: Sequence[Path]) -> list[Path]:
    """The real photos, in an order that does not follow their classes."""
    found = [path for folder in folders for path in files(folder, recursive=True)]
    jpegs = sorted(path for path in found if path.suffix.lower() in (".jpg", ".jpeg"))
    if not jpegs:
        raise DatasetError(folders[0], "has no JPEGs", "give folders of classes of such")
    random.Random(0).shuffle(jpegs)
    return jpegs


def _make(sources: Sequence[Path], start: int, end: int, folder: Path) -> None:
    """Write the made photos of some numbers, into a folder for each class, named as theirs."""

    def write(number: int) -> None:
        turn, index = divmod(number, len(sources))
        content = sources[index].read_bytes()
        if turn % CROP_EVERY == CROP_EVERY - 1:
            content = _cropped(content, number)
        target = folder / sources[index].parent.name / f"{number:07}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(with_comment(content, str(number)))

    for _ in each(write, range(start, end), "make photos"):
        pass


def _cropped(jpeg: bytes, seed: int) -> bytes:
    """Cut off 10 to 30 % of each side's length."""
    draw = random.Random(seed)
    with Image.open(io.BytesIO(jpeg)) as image:
        kept = draw.uniform(0.7, 0.9)
        left, top = draw.uniform(0, 1 - kept), draw.uniform(0, 1 - kept)
        shares = (left, top, left + kept, top + kept)
        box = [round(share * side) for share, side in zip(shares, image.size * 2, strict=True)]
        stream = io.BytesIO()
        image.convert("RGB").crop(box).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _print_photos(sources: Sequence[Path], counts: Sequence[int], folder: Path) -> None:
    print(f"{len(sources)} real photos\n\n| photos | s | processor, s | ms a photo | memory, MB |")
    print("|---|---|---|---|---|", flush=True)
    photos, result = folder / "photos", folder / "result.json"
    seconds, megabytes = [], []
    for start, end in itertools.pairwise([0, *counts]):
        _make(sources, start, end, photos)
        words = [sys.executable, __file__, str(photos), "--load", str(result)]
        megabytes.append(peak(words).convert / 1e6)
        passed, busy = json.loads(result.read_text())
        seconds.append(busy)
        row = f"{end} | {passed:.0f} | {busy:.0f} | {1000 * busy / end:.2f} | {megabytes[-1]:.0f}"
        print(f"| {row} |", flush=True)
    if len(counts) > 1:
        _print_fit(np.array(counts), np.array(seconds), np.array(megabytes))


def _print_fit(counts: np.ndarray, seconds: np.ndarray, megabytes: np.ndarray) -> None:
    """Fit, by relative errors, and extrapolate."""
    powers = np.stack([counts, counts.astype(float) ** 2], axis=1)
    linear, quadratic = np.linalg.lstsq(powers / seconds[:, None], np.ones(len(counts)), None)[0]
    off = np.abs(powers @ (linear, quadratic) / seconds - 1).max()
    slope, base = np.polyfit(counts, megabytes, 1)
    print(
        f"\nfit: {1000 * linear:.2f} ms of processor time a photo + {1e9 * quadratic:.2f} ns times "
        f"n², off by {100 * off:.0f} % at most; {base:.0f} MB + {1000 * slope:.2f} kB a photo"
    )
    for number in EXTRAPOLATED:
        minutes = (linear * number + quadratic * number**2) / 60
        memory = base + slope * number
        print(f"extrapolated to {number}: {minutes:.0f} min of a core, {memory:.0f} MB")
    print(flush=True)


def _load(folder: Path, result: Path) -> int:
    """Do what convert does before a training, and write the seconds, and the processor's."""
    started, busy = time.monotonic(), time.process_time()
    load(folder, seed=0)
    result.write_text(json.dumps([time.monotonic() - started, time.process_time() - busy]))
    return 0


# Training -----------------------------------------------------------------------------------------


def _print_training(photos: Path, sizes: Sizes) -> None:
    from epoch import Job, built, chosen, epoch_of

    from convert.data.cache import decode
    from convert.training import batches
    from convert.training.augment import Augmentation

    job = Job(photos, sizes.trained, sizes.rounds, sizes.network, (sizes.side,) * 2, 32)
    ways: dict[str, Callable[[], float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        used = chosen(job, Path(folder) / "photos")
        labels = np.array([photo.label for photo in used], np.int64)
        for name, as_jpegs in (("pixels", False), ("JPEG images", True)):
            cached = decode(used, job.size, Path(folder) / "cache", "train", as_jpegs=as_jpegs)
            source = batches.augmented(
                cached,
                labels,
                np.ones(len(labels), np.float32),
                augmentation=Augmentation.camera(),
                batch_size=job.batch_size,
                seed=0,
            ).map(lambda x, y, w: (x, y[:, None], w))
            model = built(job, len(set(labels.tolist())), "float32")
            ways[name] = epoch_of(model, source, job.steps)
        rounds = [[way() for way in ways.values()] for _ in range(sizes.rounds)]
    print(f"| photos kept as | s an epoch of {job.steps} steps, {job.network} {sizes.side} px |")
    print("|---|---|")
    _print_ratio(list(ways), rounds, "of the time from pixels (at most 1.10 wanted)", 1)


def _print_ratio(
    names: Sequence[str], rounds: Sequence[Sequence[float]], text: str, of: int
) -> None:
    """Print the median of each way, and the median ratio of one to the first within a round."""
    for name, seconds in zip(names, zip(*rounds, strict=True), strict=True):
        each_s = ", ".join(f"{second:.2f}" for second in seconds)
        print(f"| {name} | {statistics.median(seconds):.2f} ({each_s}) |")
    ratios = sorted(way[of] / way[0] for way in rounds)
    print(f"\n{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}) {text}\n")


# Shards -------------------------------------------------------------------------------------------


def _print_shards(sources: Sequence[Path], sizes: Sizes, folder: Path) -> None:
    photos = folder / "photos"
    _make(sources, 0, sizes.images, photos)
    script = PLAIN.format(module=RUNTIMES[installed_runtimes()[0]])
    plain = ["-c", script, str(default_model()), str(photos)]
    ours = ["-m", "edge", "classify", "--format", "jsonl", "-r", str(photos)]
    one_each = [*ours, "--jobs", "1", "--threads", "1"]
    ways = {
        "two processes, --jobs 1 --threads 1 each": [
            [*one_each, "--shard", f"{number}/2"] for number in (1, 2)
        ],
        "one process, --jobs 1 --threads 1": [one_each],
        "one process, by default": [ours],
        "two processes of a plain script": [[*plain, "0", "2"], [*plain, "1", "2"]],
        "one process of a plain script": [[*plain, "0", "1"]],
    }
    rounds = [
        [_classified_s(processes, photos, sizes.images, folder) for processes in ways.values()]
        for _ in range(sizes.rounds)
    ]
    print(f"| edge-classify, {sizes.images} images | s |\n|---|---|")
    _print_ratio(list(ways), rounds, "times as fast as one process with the same (1.8 wanted)", 1)
    for one, two, what in ((2, 0, "one process by default"), (4, 3, "one, of the plain script")):
        ratios = sorted(way[one] / way[two] for way in rounds)
        low, high = ratios[0], ratios[-1]
        median = statistics.median(ratios)
        print(f"{median:.3f} ({low:.3f} to {high:.3f}) times as fast as {what}\n")


def _classified_s(processes: Sequence[list[str]], photos: Path, number: int, folder: Path) -> float:
    """Seconds until all Python processes have ended; every image has one result."""
    outputs = [folder / f"{index}.jsonl" for index in range(len(processes))]
    started = time.monotonic()
    running = []
    for words, output in zip(processes, outputs, strict=True):
        with output.open("w") as stream:
            running.append(subprocess.Popen([sys.executable, *words], stdout=stream))
    failed = [process.wait() for process in running]
    seconds = time.monotonic() - started
    sources = [json.loads(line)["source"] for path in outputs for line in path.open()]
    if any(failed) or not len(sources) == len(set(sources)) == number:
        raise DatasetError(photos, f"gave {len(sources)} results of {number} images", "see above")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
