"""The options that commands with a model have. Nothing heavy is imported before it is used."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge.commands import add_version, complain
from edge.errors import one_line
from edge.image import notation
from edge.names import FILTERS, RESIZES, RUNTIMES, TURNS

if TYPE_CHECKING:
    from edge.classifier.model import Model

MOST_THREADS = 256
MOST_COUNT = 1_000_000
T = TypeVar("T")
Group = argparse._ActionsContainer  # a parser, or a group of its options


def add_model_arguments(group: Group) -> None:
    """Add -m, and the options for facts that a model file lacks."""
    group.add_argument(
        "-m",
        "--model",
        type=Path,
        metavar="FILE",
        help="a .tflite classifier (default: the one that ships)",
    )
    add_fact_arguments(group)


def add_fact_arguments(group: Group, *, output: bool = True) -> None:
    """Add --labels, --normalize, --output and --input-size: facts that a model file lacks."""
    group.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help='label file, if the model carries no labels: one per line, "0 name" lines, or JSON',
    )
    group.add_argument(
        "--normalize",
        type=normalization,
        metavar="RANGE|MEAN,STD|imagenet",
        help="normalization of pixels 0..255, if the model carries none: a range such as '[-1,1]' "
        "or '[0,1]'; MEAN,STD or MEAN,MEAN,MEAN/STD,STD,STD per channel for (pixel - MEAN) / "
        "STD; or imagenet (PyTorch's)",
    )
    if output:
        group.add_argument(
            "--output",
            metavar="NAME|INDEX",
            help="output that holds the scores, if there are several (default: detected)",
        )
    group.add_argument(
        "--input-size",
        type=input_size,
        metavar="SIDE|HxW",
        help="size of a dynamic input, in pixels (default: 224)",
    )


def facts(args: argparse.Namespace) -> dict[str, Any]:
    """Return these options as arguments of Model."""
    from edge.image.preprocess import Normalization

    given = {
        "labels": args.labels,
        "normalization": args.normalize and Normalization(*args.normalize),
        "output": args.output,
        "input_size": args.input_size,
    }
    return {name: value for name, value in given.items() if value is not None}


def add_framing_arguments(group: Group) -> None:
    """Add --resize, --filter, --roi and --rotate: what of an image the model sees."""
    group.add_argument(
        "--resize",
        choices=RESIZES,
        help="squash: ignore the aspect ratio; crop: center crop that fills the input; pad: whole "
        "image on black (default: the model's own, else squash)",
    )
    group.add_argument(
        "--filter",
        choices=FILTERS,
        help="antialias: every pixel counts; bilinear: 2 x 2 pixels, as many tools do; nearest: "
        "one pixel (default: the model's own, else antialias)",
    )
    group.add_argument(
        "--roi",
        type=region,
        metavar="X,Y,W,H",
        help="classify this region only: left, top, width, height as shares 0..1 of the upright "
        "image, or in pixels if one is above 1 (slower: decodes the whole image)",
    )
    group.add_argument(
        "--rotate",
        type=int,
        choices=TURNS,
        default=0,
        help="rotate that region clockwise; EXIF orientation is always applied (default: 0)",
    )


def add_runtime_arguments(parser: Group, *, several_threads: bool = False) -> None:
    """Add what a command that names its models otherwise has: all but -m."""
    parser.add_argument(
        "--threads",
        type=threads_list if several_threads else num_threads,
        metavar="N,N|auto" if several_threads else "N|auto",
        help="threads of one invoke (default: auto, "
        + ("one per core, up to 4)" if several_threads else "as measured here, else one per core)"),
    )
    parser.add_argument(
        "--runtime",
        choices=("auto", *RUNTIMES),
        default="auto",
        help="TFLite runtime to use (default: auto, the fastest measured here)",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="explain how the model is used, and show the native runtime's output",
    )
    add_version(parser)


def add_threshold_argument(parser: Group) -> None:
    """Add -t."""
    parser.add_argument(
        "-t",
        "--threshold",
        type=score,
        metavar="SCORE",
        help="confidence threshold: below it the label is unknown (default: the model's own, of "
        "each label, else 0)",
    )


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
        values = notation.numbers(text)
        if len(values) != 1 or not least <= values[0] <= most or (above and values[0] == least):
            bounds = f"{'above' if above else 'from'} {least:g} to {most:g}"
            raise argparse.ArgumentTypeError(f"must be a number {bounds}. Received: {text}")
        return values[0]

    return read


score = real(0.0, 1.0)
MOST_HOURS = 1000.0


def position(text: str) -> float:
    """Read a time within a video, in seconds: 90, 1:30 or 1:01:30.5."""
    parts = text.split(":")
    values = [notation.numbers(part) for part in parts]
    seconds = 0.0
    for value in values:
        if len(values) > 3 or len(value) != 1 or not 0 <= value[0] < 60 * 60 * MOST_HOURS:
            message = f"must be seconds or [H:]M:S. Received: {text}"
            raise argparse.ArgumentTypeError(message)
        seconds = 60 * seconds + value[0]
    return seconds


def normalization(text: str) -> tuple[notation.Numbers, notation.Numbers]:
    """Read what becomes of pixels 0..255; return (mean, std)."""
    return _read(notation.normalization, text)


def region(text: str) -> tuple[float, float, float, float]:
    """Read x, y, width, height: shares of an image, or whole pixels where one is above 1."""
    return _read(notation.region, text)


def input_size(text: str) -> tuple[int, int]:
    """Read (height, width) in pixels."""
    return _read(notation.input_size, text)


def _read(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def in_pixels(roi: tuple[float, float, float, float] | None) -> bool:
    """Whether a region is given in pixels, not in shares."""
    return roi is not None and max(roi) > 1


def open_model(args: argparse.Namespace, name: str, *, for_many: bool = False) -> Model:
    """Open the model that the options name, with their framing, and print its warnings.

    Args: the options; the command's name; whether it is worth it to measure how many threads the
        model wants, which is done once.
    """
    from edge.classifier.facts import reframe
    from edge.classifier.known import ensure_sound
    from edge.classifier.model import Model
    from edge.classifier.selection import choose_model

    how = choose_model(args.model, args.runtime, args.threads)
    if for_many:  # in processes of their own, and before a runtime is loaded here
        how = how.measured(facts(args))
    ensure_sound(how.path, how.runtime, args.input_size)
    model = Model(
        how.path,
        num_threads=how.num_threads,
        runtime=how.runtime,
        verbose=args.verbose,
        **facts(args),
    )
    framing = {name: getattr(args, name) for name in ("resize", "filter", "roi", "rotate")}
    if in_pixels(args.roi):  # of images of any size: it is cut out of each
        del framing["roi"]
    reframe(model, framing)
    for line in (*model.warnings, *(explained(model) if args.verbose else ())):
        complain(name, one_line(f"{model.path}: {line}"))
    return model


def explained(model: Model) -> Iterator[str]:
    """Yield what -v prints: how a model is understood, and what runs it."""
    from edge.classifier.selection import explain, threads_of

    yield from model.notes
    yield _made_of(model)
    used = f"{model.runtime}, {threads_of(model.num_threads)}"
    told = (used, model.delegated(), explain(model.path, model))
    yield "; ".join(str(each) for each in told if each)


def _made_of(model: Model) -> str:
    """Return the model's input in words, as options and file define it."""
    spec, rule, framing = model.input, model.input.normalization, model.input.framing
    pixels = "pixels as they are"
    if rule and spec.dtype != "uint8":  # see InputSpec
        pixels = str(rule)
    size = " x ".join(map(str, spec.size))
    if spec.is_channels_first:
        size += ", channels first,"
    return (
        f"{size} {spec.dtype}, {pixels}, {framing.resize}, {framing.filter}; "
        f"{len(model.labels)} labels"
    )
