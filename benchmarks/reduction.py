"""What shrinking by a power of two before the resize costs in accuracy, and gains in time.

A picture is shrunk by the largest power of two that still covers the model's input so many times
(OVERSAMPLING in edge/image/framing.py): a JPEG as it is decoded (DCT scale), pixels by box average.
Each rule is compared with full decoding, by the same resize:

- Pixels and time: what a 224 x 224 input sees of JPEGs and frames of several sizes.
- Accuracy: validation photos as they are, by the shipped networks at inputs so small that each
  photo is shrunk; and enlarged to sizes of cameras, with another photo's finest detail laid over,
  stored as JPEG, which is harder than any photo. Label changes and McNemar's exact test are paired,
  photo by photo.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import math
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mosaics import ROOT, TEST_DATA, detailed, photo
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from convert.measure.scores import mcnemar_p
from convert.tflite.alter import with_input_size
from convert.tflite.embed import embed
from edge.classifier.labels import parse_labels
from edge.classifier.metadata import read_metadata
from edge.classifier.model import Model
from edge.commands import run
from edge.commands.arguments import count
from edge.errors import EdgeError
from edge.image import framing
from edge.image.preprocess import read_image, resized

NAME = "reduction"
FULL = math.inf
RULES = (2.0, 1.5, 1.0)  # how many times the input is covered
SIZES = ((640, 480), (896, 896), (1632, 1224), (4000, 3000))  # (width, height) of the first table
# Validation photos, and the short sides that they get; 0: as they are.
SETS = {
    "hotdog/val": (0, 480, 896),
    "sets/flowers": (480,),
    "sets/signs": (0,),
    "sets/fixedcam": (0,),
}
INPUTS = (150, 144, 112)  # of the shipped networks, for photos with a short side of 300
ANY_SIZE = ("hotdog", "hotdog-small", "hotdog-scratch")  # those that have no dense layer of pixels
SHIPPED = ("hotdog", "hotdog-small", "hotdog-scratch", "hotdog-tutorial")
PEERS = (
    "coral/mobilenet_v2_1.0_224_quant",
    "coral/mobilenet_v1_0.5_160_quant",
    "tflite-support/mobilenet_v1_0.25_224_quant",
    "mlperf-tiny/vww_96_int8",
)


class Answers(NamedTuple):
    """What one model says of each photo, by one rule."""

    tops: NDArray[np.intp]
    right: NDArray[np.bool_]
    top_scores: NDArray[np.float32]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print two tables; the entry of `python benchmarks/reduction.py`."""
    args = _parser().parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmarks/reduction.py", *words])
    return run(lambda: _measure(args, command), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/reduction.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=count, default=25, metavar="N", help="(default: 25)")
    parser.add_argument(
        "--photos", type=count, default=200, metavar="N", help="of each set (default: 200)"
    )
    parser.add_argument(
        "--sets", nargs="+", choices=SETS, default=list(SETS), help="(default: all four)"
    )
    return parser


def _measure(args: argparse.Namespace, command: str) -> int:
    if not (TEST_DATA / "hotdog" / "val").is_dir():
        raise EdgeError(TEST_DATA, "has no validation photos", "set EDGE_TEST_DATA")
    _print_pixels(args.runs)
    print(
        "\n| photos | model | rule | accuracy (full decoding) | lost, gained | McNemar's p |",
        end="",
    )
    print(" other labels | top score by |\n|---|---|---|---|---|---|---|---|", flush=True)
    with _models() as models, _small_models() as small:
        for name in args.sets:
            photos = _photos(name, args.photos)
            for side in SETS[name]:
                chosen = models if side or name != "hotdog/val" else small
                _print_accuracy(f"{name}, {side or 'as they are'}", photos, side, chosen)
    print(f"\n{command}")
    return 0


# Pixels and time ----------------------------------------------------------------------------------


def _print_pixels(runs: int) -> None:
    rules = (FULL, *RULES)
    print("| picture | rule | ms | of full decoding | mean, largest difference of 255 |")
    print("|---|---|---|---|---|", flush=True)
    for seed, size in enumerate(SIZES):
        jpeg = photo(size, seed)
        for kind, picture in (("JPEG", jpeg), ("frame", read_image(jpeg))):
            seen = [_by(rule, lambda p=picture: resized(p, (224, 224))) for rule in rules]
            turns = [[_timed(rule, picture) for rule in rules] for _ in range(3 + runs)][3:]
            times = [statistics.median(of_rule) for of_rule in zip(*turns, strict=True)]
            for rule, pixels, ms in zip(rules, seen, times, strict=True):
                change = np.abs(pixels.astype(int) - seen[0])
                print(
                    f"| {kind} {size[0]} x {size[1]} | {_said(rule)} | {ms:.2f} | "
                    f"{ms / times[0]:.2f} | {change.mean():.2f}, {change.max()} |",
                    flush=True,
                )


def _timed(rule: float, picture: bytes | NDArray[np.uint8]) -> float:
    began = time.perf_counter()
    _by(rule, lambda: resized(picture, (224, 224)))
    return 1000 * (time.perf_counter() - began)


def _by(rule: float, action: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """What an action gives by a rule."""
    standing, framing.OVERSAMPLING = framing.OVERSAMPLING, rule
    framing.view.cache_clear()  # what it remembers is by the rule
    try:
        return action()
    finally:
        framing.OVERSAMPLING = standing
        framing.view.cache_clear()


def _said(rule: float) -> str:
    return "full" if rule == FULL else f"{rule:g} times"


# Accuracy -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _models() -> Iterator[list[tuple[str, Model]]]:
    """The shipped models and the peers', opened."""
    with contextlib.ExitStack() as stack:
        shipped = [(name, Model(ROOT / "models" / f"{name}.tflite")) for name in SHIPPED]
        models = shipped + [(name.split("/")[1], _peer(name)) for name in PEERS]
        for _, model in models:
            stack.enter_context(model)
        yield models


@contextlib.contextmanager
def _small_models() -> Iterator[list[tuple[str, Model]]]:
    """The shipped networks with smaller inputs than they were trained for."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        models = []
        for name, side in itertools.product(ANY_SIZE, INPUTS):
            content = (ROOT / "models" / f"{name}.tflite").read_bytes()
            known = read_metadata(content, name)
            small = embed(
                with_input_size(content, (side, side)),
                name=name,
                labels=known.labels,
                normalization=known.normalization,
                edge={},
            )
            (folder / f"{name}-{side}.tflite").write_bytes(small)
            model = stack.enter_context(Model(folder / f"{name}-{side}.tflite"))
            models.append((f"{name} at {side}", model))
        yield models


def _peer(name: str) -> Model:
    path = TEST_DATA / "peers" / f"{name}.tflite"
    if "vww" in name:
        return Model(path, labels=("nobody", "person"))
    if "tflite-support" in name:
        return Model(path)
    return Model(path, labels=parse_labels((path.parent / "imagenet_labels.txt").read_bytes()))


def _photos(name: str, most: int) -> list[Path]:
    """At most so many photos of a set, evenly drawn; never a test photo."""
    paths = sorted((TEST_DATA / name).rglob("*.jpg"))
    picked = np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).astype(int))
    return [paths[index] for index in picked]


def _print_accuracy(
    name: str, paths: list[Path], side: int, models: Sequence[tuple[str, Model]]
) -> None:
    rules = (FULL, *RULES)
    found: dict[tuple[str, float], list[tuple[int, bool, float]]] = {}
    for index, path in enumerate(tqdm(paths, name, unit="photo")):
        picture = _enlarged(path, paths[index * 7919 % len(paths)], side)
        for called, model in models:
            size, answers = model.input.size, {}  # by pixels: most rules give the same
            for rule in rules:
                pixels = _by(rule, lambda p=picture, size=size: resized(p, size))
                if (key := pixels.tobytes()) not in answers:
                    answers[key] = model.scores(pixels)
                top = int(answers[key].argmax())
                right = _is_right(model.labels[top], path.parent.name)
                row = (top, right, float(answers[key].max()))
                found.setdefault((called, rule), []).append(row)
    for called, _ in models:
        full = _answers(found[called, FULL])
        for rule in RULES:
            print(_row(name, called, rule, full, _answers(found[called, rule])), flush=True)


def _answers(rows: list[tuple[int, bool, float]]) -> Answers:
    tops, right, scores = zip(*rows, strict=True)
    return Answers(np.array(tops), np.array(right), np.array(scores, np.float32))


def _row(name: str, model: str, rule: float, full: Answers, other: Answers) -> str:
    lost = int((full.right & ~other.right).sum())
    gained = int((~full.right & other.right).sum())
    changed = int((full.tops != other.tops).sum())
    moved = float(np.abs(full.top_scores - other.top_scores).mean())
    knows = full.right.any()
    shares = f"{other.right.mean():.4f} ({full.right.mean():.4f})" if knows else "-"
    p = f"{lost}, {gained} | {mcnemar_p(lost, gained):.2f}" if knows else "- | -"
    cells = [name, model, _said(rule), shares, p, f"{changed} of {len(full.tops)}", f"{moved:.4f}"]
    return f"| {' | '.join(cells)} |"


def _is_right(said: str, folder: str) -> bool:
    """Whether an answer fits the folder; a model of ImageNet may know hot dogs and daisies."""
    said = said.split(",")[0].replace(" ", "").casefold()
    return said != "hotdog" if folder == "nothotdog" else said == folder.casefold()


def _enlarged(path: Path, other: Path, side: int) -> bytes:
    """A photo's JPEG, or what it is with a short side of so many pixels."""
    if not side:
        return path.read_bytes()
    with Image.open(path) as scene, Image.open(other) as detail:
        scale = side / min(scene.size)
        size = (math.ceil(scale * scene.width), math.ceil(scale * scene.height))
        image = detailed(size, scene.convert("RGB"), detail.convert("RGB"))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=88)
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(main())
