"""The options that commands with a model have. Nothing heavy is imported before it is used."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from edge.commands import add_version, complain
from edge.errors import one_line

if TYPE_CHECKING:
    from edge.classifier.model import Model

# As runtime.py and preprocess.py have them, which cannot be imported without numpy.
RUNTIMES = ("litert", "tflite")
RESIZES = ("squash", "crop", "pad")
FILTERS = ("antialias", "bilinear", "nearest")
MOST_THREADS = 256
MOST_COUNT = 1_000_000
MOST_PIXELS = 1_000_000  # of a side
Group = argparse._ActionsContainer  # a parser, or a group of its options


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line: a usage of many options would hide it."""

    def error(self, message: str) -> NoReturn:
        """Name the option and the fault, and exit with 2."""
        fault = one_line(message.removeprefix("argument "))
        complain(self.prog, f"{fault}; see {self.prog} --help")
        sys.exit(2)


def add_model_arguments(group: Group) -> None:
    """Add -m, --labels and --normalize: the model, and what it does not say of itself."""
    group.add_argument(
        "-m",
        "--model",
        type=Path,
        metavar="FILE",
        help="a .tflite classifier (default: the shipped one)",
    )
    group.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help='its labels, if not those inside: one a line, "0 name" lines, or JSON',
    )
    add_normalize_argument(group)


def add_normalize_argument(group: Group) -> None:
    """Add --normalize."""
    group.add_argument(
        "--normalize",
        type=normalization,
        metavar="RANGE|MEAN,STD",
        help="what becomes of pixels 0..255, if not what the model says: '[-1,1]', '[0,1]', "
        "'[0,255]' or another range, or MEAN,STD: (pixel - MEAN) / STD",
    )


def add_framing_arguments(group: Group) -> None:
    """Add --resize, --filter, --roi and --rotate: what of a picture the model sees."""
    group.add_argument(
        "--resize",
        choices=RESIZES,
        help="squash: whatever the aspect; crop: the middle, filling the input; pad: the whole, "
        "on black (default: the model's own, else squash)",
    )
    group.add_argument(
        "--filter",
        choices=FILTERS,
        help="antialias: all pixels count; bilinear: 2 x 2 pixels, as many tools do; nearest: one "
        "(default: the model's own, else antialias)",
    )
    group.add_argument(
        "--roi",
        type=region,
        metavar="X,Y,W,H",
        help="look at this part: left, top, width, height, as shares 0..1 of the upright picture, "
        "or as pixels where one is above 1 (slower: all of it is decoded)",
    )
    group.add_argument(
        "--rotate",
        type=int,
        choices=(0, 90, 180, 270),
        default=0,
        help="then turn it clockwise; what EXIF says is done in any case (default: 0)",
    )


def add_runtime_arguments(parser: Group, *, several_threads: bool = False) -> None:
    """Add what a command that names its models otherwise has: all but -m."""
    parser.add_argument(
        "--threads",
        type=threads_list if several_threads else num_threads,
        metavar="N,N|auto" if several_threads else "N|auto",
        help="threads of one invoke (default: auto, one a core up to 4"
        + (")" if several_threads else "; for many pictures measured, once)"),
    )
    parser.add_argument(
        "--runtime",
        choices=("auto", *RUNTIMES),
        default="auto",
        help="which TFLite runtime (default: auto, the first that is installed)",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say what is made of the model, and show what the runtime says",
    )
    add_version(parser)


def add_threshold_argument(parser: Group) -> None:
    """Add -t."""
    parser.add_argument(
        "-t",
        "--threshold",
        type=score,
        metavar="SCORE",
        help="below this score it is unknown (default: the model's own, else 0)",
    )


def threshold_of(args: argparse.Namespace, model: Model) -> float:
    """The threshold of -t, or else the one that the model carries, or else 0."""
    if args.threshold is None:
        return float(model.metadata.edge.get("threshold") or 0.0)
    return float(args.threshold)


def num_threads(text: str) -> int | None:
    """Read a number of threads; None stands for "auto"."""
    if text == "auto":
        return None
    return whole(1, MOST_THREADS, or_else=", or auto")(text)


def whole(least: int, most: int, or_else: str = "") -> Callable[[str], int]:
    """Make what reads a whole number within bounds; `or_else` names what may stand instead."""

    def read(text: str) -> int:
        # The length first: Python converts no number of thousands of digits.
        if not text.isdecimal() or len(text) > 20 or not least <= int(text) <= most:
            bounds = f"a number from {least} to {most}{or_else}"
            raise argparse.ArgumentTypeError(f"must be {bounds}. Received: {text}")
        return int(text)

    return read


count = whole(1, MOST_COUNT)
seed = whole(0, 2**32 - 1)


def threads_list(text: str) -> list[int] | None:
    """Read several numbers of threads, such as 1,2,4; None stands for "auto"."""
    numbers = [num_threads(part) for part in text.split(",")]
    return None if None in numbers else [number for number in numbers if number]


def real(least: float, most: float, *, above: bool = False) -> Callable[[str], float]:
    """Make what reads a number within bounds; `above` keeps out the lower bound itself."""

    def read(text: str) -> float:
        values = _numbers(text)
        if len(values) != 1 or not least <= values[0] <= most or (above and values[0] == least):
            bounds = f"{'above' if above else 'from'} {least:g} to {most:g}"
            raise argparse.ArgumentTypeError(f"must be a number {bounds}. Received: {text}")
        return values[0]

    return read


score = real(0.0, 1.0)


def normalization(text: str) -> tuple[float, float]:
    """Read what becomes of pixels: [LOW,HIGH], or MEAN,STD; return (mean, std) of pixels 0..255."""
    is_range = text.startswith("[") and text.endswith("]")
    values = _numbers(text[1:-1] if is_range else text)
    if len(values) == 2 and is_range and values[0] < values[1]:
        std = 255 / (values[1] - values[0])
        return 0.0 - values[0] * std, std
    if len(values) != 2 or is_range or values[1] <= 0:
        raise argparse.ArgumentTypeError(
            "must be a range, such as [-1,1], [0,1] or [0,255], or MEAN,STD in pixels 0..255, "
            f"such as 127.5,127.5, which is [-1,1]. Received: {text}"
        )
    if values[1] < 1:
        meant = ",".join(f"{255 * value:g}" for value in values)
        raise argparse.ArgumentTypeError(
            f"MEAN,STD are in pixels 0..255, not 0..1; give {meant}. Received: {text}"
        )
    return values[0], values[1]


def region(text: str) -> tuple[float, float, float, float]:
    """Read x, y, width, height: shares of a picture, or whole pixels where one is above 1."""
    values = _numbers(text)
    shares = max(values, default=0.0) <= 1
    limit = 1 + 1e-9 if shares else MOST_PIXELS
    if (
        len(values) != 4
        or min(values) < 0
        or min(values[2:]) <= 0
        or max(values[0] + values[2], values[1] + values[3]) > limit
        or not (shares or all(value.is_integer() for value in values))
    ):
        raise argparse.ArgumentTypeError(
            "must be X,Y,WIDTH,HEIGHT within the picture, as shares 0..1, such as 0.25,0,0.5,1, "
            f"or as whole pixels. Received: {text}"
        )
    return values[0], values[1], values[2], values[3]


def in_pixels(roi: tuple[float, float, float, float] | None) -> bool:
    """Whether a region is given in pixels, not in shares."""
    return roi is not None and max(roi) > 1


def _numbers(text: str) -> tuple[float, ...]:
    """Read numbers between commas; none where one of them is no finite number."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        return ()
    return values if all(map(math.isfinite, values)) else ()


def open_model(args: argparse.Namespace, name: str, *, for_many: bool = False) -> Model:
    """Open the model that the options name, see it framed as they say, and say what is odd.

    Args: the options; the command's name; whether it is worth it to measure how many threads the
        model wants, which is done once.
    """
    from dataclasses import replace

    from edge.classifier.known import ensure_sound
    from edge.classifier.model import Model
    from edge.commands.tuning import way
    from edge.image.preprocess import Normalization

    how = way(args.model, args.runtime, args.threads)
    ensure_sound(how.path, how.runtime)
    model = Model(
        how.path,
        num_threads=how.threads or (_measured(how.path, how.runtime) if for_many else None),
        runtime=how.runtime,
        verbose=args.verbose,
        labels=args.labels,
        normalization=Normalization(*args.normalize) if args.normalize else None,
    )
    options = {name: getattr(args, name) for name in ("resize", "filter", "roi", "rotate")}
    if in_pixels(args.roi):  # of pictures of any size: it is cut out of each
        del options["roi"]
    if given := {name: value for name, value in options.items() if value}:
        # Over what the model was trained with: who rotates still means the model's own resizing.
        model.input = replace(model.input, framing=replace(model.input.framing, **given))
    for line in (*model.warnings, *((*model.notes, _made_of(model)) if args.verbose else ())):
        complain(name, one_line(f"{model.path}: {line}"))
    return model


def _measured(path: Path, runtime: str) -> int | None:
    from edge.classifier.threads import measured_threads
    from edge.errors import ModelError

    try:
        return measured_threads(path, runtime)
    except ModelError:  # opening it will tell, unless an option mends it
        return None


def _made_of(model: Model) -> str:
    """What the model takes, by what options and the file say together."""
    spec, rule, framing = model.input, model.input.normalization, model.input.framing
    pixels = "pixels as they are"
    if rule and spec.dtype != "uint8":  # see InputSpec
        pixels = f"(pixel - {rule.mean:g}) / {rule.std:g}"
    size = " x ".join(map(str, spec.size))
    return (
        f"{size} {spec.dtype}, {pixels}, {framing.resize}, {framing.filter}; "
        f"{len(model.labels)} labels; {model.runtime}"
    )
