"""Damage models by a seed, and see that each ends in an answer or in one clear line.

    python tests/fuzz_models.py --count 2000 --seed 1 [--runtime litert|tflite] [MODEL ...]

Each damaged file is opened and asked about an image, as a program would, in a forked process. One
that crashes, hangs or takes too much memory there must be one that `ensure_sound` rejects with a
line, before a program opens it. Prints how many ended in which way, and fails where one ended in
another, with its number: `--first NUMBER --count 1 --keep FOLDER` keeps that file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import select
import signal
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model_copies import changed

from edge.classifier.classify import classify
from edge.classifier.file.flatbuffer import Buffer
from edge.classifier.known import TIMEOUT_S, ensure_sound
from edge.classifier.model import Model, shipped_models
from edge.classifier.runtime import chosen_runtime
from edge.errors import EdgeError
from edge.image.preprocess import Normalization
from edge.sources.photos import photos

PICTURE = Path(__file__).resolve().parent / "data" / "hotdog.jpg"
ZERO_CENTRED = Normalization(127.5, 127.5)  # for a float model that does not say
MOST_MEMORY_BYTES = (1 << 30) + (64 << 20)  # as a trial, which looks each 5 ms
EXTREMES = (0, 1, 0xFF, 0xFFFF, 1 << 16, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
MODEL_BUFFERS, MODEL_METADATA = 4, 6  # field numbers

Span = tuple[int, int]  # first byte, and the one after the last
ANSWERED, REFUSED, CAUGHT = "answered", "refused", "caught in its own process"


class Original:
    """A sound model, and where in it is what."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        root = Buffer(self.content).root()
        data = [buffer.vector(0, 1) for buffer in root.tables(MODEL_BUFFERS)]
        described = [entry.integer(1) for entry in root.tables(MODEL_METADATA)]
        self.metadata = [spanned(data[index]) for index in described if data[index][1]]
        self.zip = (zip_start(self.content), len(self.content))
        weights = sorted(spanned(found) for found in data if found[1])
        edges = [0, *(edge for span in weights for edge in span), self.zip[0]]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        self.tables = [(first, last) for first, last in pairs if last - first >= 8]


def spanned(vector: Span) -> Span:
    return vector[0], sum(vector)


def zip_start(content: bytes) -> int:
    if not zipfile.is_zipfile(BytesIO(content)):
        return len(content)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return min(file.header_offset for file in archive.infolist())


def place(spans: list[Span], rng: random.Random, size: int = 1) -> int:
    """Draw where something of a size begins, evenly over all spans' bytes."""
    fitting = [span for span in spans if span[1] - span[0] >= size]
    first, last = rng.choices(fitting, [last - first for first, last in fitting])[0]
    return rng.randrange(first, last - size + 1)


def flips(original: Original, spans: list[Span], rng: random.Random) -> bytes:
    """Turn 1 to 20 bits round."""
    damaged = bytearray(original.content)
    for _ in range(rng.randint(1, 20)):
        damaged[place(spans, rng)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def in_header(original: Original, rng: random.Random) -> bytes:
    return flips(original, [(0, 64)], rng)


def in_tables(original: Original, rng: random.Random) -> bytes:
    return flips(original, original.tables, rng)


def one_bit_in_tables(original: Original, rng: random.Random) -> bytes:
    damaged = bytearray(original.content)
    damaged[place(original.tables, rng)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def in_buffers(original: Original, rng: random.Random) -> bytes:
    return flips(original, [(0, original.zip[0])], rng)


def in_metadata(original: Original, rng: random.Random) -> bytes:
    return flips(original, original.metadata or original.tables, rng)


def in_zip(original: Original, rng: random.Random) -> bytes:
    return flips(original, [original.zip if original.zip[0] < original.zip[1] else (0, 64)], rng)


def extreme_numbers(original: Original, rng: random.Random) -> bytes:
    """Put 32-bit numbers at the edges of what they can be into the tables."""
    damaged = bytearray(original.content)
    for _ in range(rng.randint(1, 4)):
        at = place(original.tables, rng, 4) & ~3
        damaged[at : at + 4] = rng.choice(EXTREMES).to_bytes(4, "little")
    return bytes(damaged)


def exchanged(original: Original, rng: random.Random) -> bytes:
    """Exchange two pieces of the tables."""
    damaged, size = bytearray(original.content), rng.choice((2, 4, 8))
    one, other = (place(original.tables, rng, size) for _ in range(2))
    pieces = original.content[one : one + size], original.content[other : other + size]
    damaged[other : other + size], damaged[one : one + size] = pieces
    return bytes(damaged)


def cut_short(original: Original, rng: random.Random) -> bytes:
    return original.content[: rng.randrange(len(original.content))]


def cut_at_the_end(original: Original, rng: random.Random) -> bytes:
    return original.content[: -rng.randint(1, 3000)]


def without_a_piece(original: Original, rng: random.Random) -> bytes:
    """Leave out, or put in, some bytes: all that follows is moved."""
    at, size = rng.randrange(len(original.content)), rng.choice((1, 4, 64, 4096))
    more = rng.randbytes(size) if rng.random() < 0.5 else b""
    return original.content[:at] + more + original.content[at + (0 if more else size) :]


def with_another_tail(original: Original, rng: random.Random) -> bytes:
    """Append another zip, with odd files of the names that are looked for, or noise."""
    head = original.content[: original.zip[0]]
    if rng.random() < 0.3:
        return head + rng.randbytes(rng.randint(1, 2000))
    stream = BytesIO(head)
    how = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(stream, "a", how) as archive:
        for name in ("labels.txt", "edge.json"):
            archive.writestr(name, rng.choice(ODD_TEXTS) or rng.randbytes(300))
    tail = bytearray(stream.getvalue())
    if rng.random() < 0.5:
        tail[rng.randrange(len(head), len(tail))] ^= 1 << rng.randrange(8)
    return bytes(tail)


ODD_TEXTS = (
    "",
    "\n",
    "a\nb\n",
    "a\n" * 5000,
    "[" * 100_000,
    '["a", "b"]',
    '{"0": 1}',
    '{"labels": ["x\\n", "y"], "threshold": 1e999, "golden": []}',
    '{"preprocessing": {"resize": ["pad"], "version": 1}}',
    '{"golden": {"scores": [[1]], "tolerance": 0.1}, "threshold": null}',
    "0" * 30_000_000,
)
WAYS: tuple[Callable[[Original, random.Random], bytes], ...] = (
    in_header,
    in_tables,
    one_bit_in_tables,
    one_bit_in_tables,
    in_buffers,
    in_metadata,
    in_zip,
    extreme_numbers,
    exchanged,
    cut_short,
    cut_at_the_end,
    without_a_piece,
    with_another_tail,
)


def kinds(folder: Path) -> list[Path]:
    """Copies of a small model as others' are: a dynamic size, several outputs, a maker's names."""

    def dynamic(model: Any) -> None:
        (graph,) = model.subgraphs
        image = graph.tensors[graph.inputs[0]]
        image.shape, image.shapeSignature = [1, 1, 1, 3], [-1, -1, -1, 3]

    def several(model: Any) -> None:
        (graph,) = model.subgraphs
        graph.outputs = [graph.operators[-2].outputs[0], *graph.outputs, *graph.outputs]

    def teachable(model: Any) -> None:
        (graph,) = model.subgraphs
        graph.tensors[graph.inputs[0]].name = b"sequential_1_input"
        graph.tensors[graph.outputs[0]].name = b"sequential_3/dense_Dense2/Softmax"

    paths = []
    for change in (dynamic, several, teachable):
        paths.append(folder / f"{change.__name__}.tflite")
        paths[-1].write_bytes(changed(change))
    return paths


def asked(path: Path, runtime: str) -> str:
    """Do what a program does with a model; return what became of it."""
    try:
        with Model(path, runtime=runtime, normalization=ZERO_CENTRED) as model:
            (frame,) = photos([PICTURE])
            json.dumps(classify(model, frame, top_k=3).as_dict(), allow_nan=False)
    except EdgeError as error:
        return f"{REFUSED}: {kind(error)}" if str(error).isprintable() else f"not one line: {error}"
    except MemoryError as error:
        return f"takes too much memory: {error}"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {error}"
    return ANSWERED


def kind(error: EdgeError) -> str:
    """The fault, without what differs from file to file."""
    fault = re.sub(r"\(.*", "", error.fault)
    return re.sub(r"[\d.]+", "N", fault).strip()[:60]


def forked(path: Path, runtime: str) -> str:
    """Ask in a process of its own; also say if it crashes, hangs, or takes too much memory."""
    answer, speak = os.pipe()
    process = os.fork()
    if not process:
        status = 1
        try:
            noise = os.open(path.with_suffix(".stderr"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            os.dup2(noise, 2)
            os.write(speak, asked(path, runtime).encode("utf-8", "replace")[:4000])
            status = 0
        finally:
            os._exit(status)
    os.close(speak)
    ready, _, _ = select.select([answer], [], [], TIMEOUT_S)
    said = os.read(answer, 4000).decode() if ready else ""
    os.close(answer)
    if not ready:
        os.kill(process, signal.SIGKILL)
    _, status, usage = os.wait4(process, 0)
    if not ready:
        return "hangs"
    if usage.ru_maxrss * 1024 > MOST_MEMORY_BYTES:
        return f"takes {usage.ru_maxrss // 1024} MB"
    if os.WIFSIGNALED(status):
        return f"dies ({signal.Signals(os.WTERMSIG(status)).name})"
    noise = path.with_suffix(".stderr").read_text(errors="replace").strip()
    return f"also says: {noise[:300]}" if noise else said


def outcome(path: Path, runtime: str) -> str:
    """How a damaged model ends: as asked, or else as `ensure_sound` says before it is."""
    found = forked(path, runtime)
    if not found.startswith(("dies", "hangs", "takes")):
        return found
    began = time.monotonic()
    try:
        ensure_sound(path, runtime)
    except EdgeError as error:
        if time.monotonic() - began < TIMEOUT_S + 2 and str(error).isprintable():
            return f"{CAUGHT}: {error.fault}"
        return f"late, or not one line: {error}"
    return f"{found}, but its trial found nothing"


def damaged(count: int, first: int, seed: int, originals: list[Original]) -> Iterator[bytes]:
    for number in range(first, first + count):
        rng = random.Random(f"{seed} {number}")
        yield WAYS[number % len(WAYS)](rng.choice(originals), rng)


def fuzz(
    count: int,
    seed: int,
    runtime: str,
    models: list[Path],
    first: int = 0,
    keep: Path | None = None,
) -> tuple[Counter[str], list[str]]:
    """Return how many models ended in which way, and what is wrong, by number."""
    outcomes: Counter[str] = Counter()
    failures = []
    chosen_runtime(runtime)  # imported once, for all that are forked
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        # No mark of an earlier run, and none that outlasts this one.
        os.environ["CACHE_DIRECTORY"] = str(Path(folder) / "cache")
        originals = [Original(path) for path in (*models, *kinds(Path(folder)))]
        for number, content in enumerate(damaged(count, first, seed, originals), start=first):
            path = (keep or Path(folder)) / f"{seed}-{number}.tflite"
            path.write_bytes(content)
            found = outcome(path, runtime)
            outcomes[found if found.startswith((ANSWERED, REFUSED, CAUGHT)) else "FAILED"] += 1
            if not found.startswith((ANSWERED, REFUSED, CAUGHT)):
                way = WAYS[number % len(WAYS)].__name__
                failures.append(f"seed {seed}, number {number} ({way}): {found}")
                print(failures[-1], file=sys.stderr, flush=True)
            if keep is None:
                path.unlink()
            if sys.stderr.isatty() or number % 500 == 499:
                done = f"{number - first + 1} of {count}, {len(failures)} failed"
                print(done, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
    return outcomes, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", type=Path, help="(default: those that ship)")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the files there")
    args = parser.parse_args()
    began = time.monotonic()
    models = args.models or shipped_models()
    outcomes, failures = fuzz(args.count, args.seed, args.runtime, models, args.first, args.keep)
    for found, times in outcomes.most_common():
        print(f"{times:6}  {found}")
    label, took_s = chosen_runtime(args.runtime)[1], time.monotonic() - began
    verdict = f"{len(failures)} failed" if failures else "each an answer or one line"
    print(f"{args.count} damaged models, {label}, {took_s:.0f} s: {verdict}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
