"""The options that every command with a model has."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge import __version__
from edge.commands import complain
from edge.model import Model
from edge.runtime import RUNTIMES

MOST_THREADS = 256
MOST_COUNT = 1_000_000


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add -m, --threads, --runtime, -v and --version."""
    parser.add_argument(
        "-m", "--model", type=Path, help="a .tflite classifier (default: the shipped one)"
    )
    add_runtime_arguments(parser)


def add_runtime_arguments(
    parser: argparse.ArgumentParser, *, several_threads: bool = False
) -> None:
    """Add what a command that names its models otherwise has: all but -m."""
    parser.add_argument(
        "--threads",
        type=threads_list if several_threads else num_threads,
        metavar="N,N|auto" if several_threads else "N|auto",
        help="threads of one invoke (default: auto, one a core up to 4)",
    )
    parser.add_argument(
        "--runtime",
        choices=("auto", *RUNTIMES),
        default="auto",
        help="which TFLite runtime (default: auto, the first that is installed)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the runtime says")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")


def add_threshold_argument(parser: argparse.ArgumentParser) -> None:
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
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(
            f"must be a number from 1 to {MOST_THREADS}, or auto. Received: {text}"
        )
    return int(text)


def count(text: str) -> int:
    """Read a number from 1 to MOST_COUNT."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_COUNT:
        raise argparse.ArgumentTypeError(
            f"must be a number from 1 to {MOST_COUNT}. Received: {text}"
        )
    return int(text)


def threads_list(text: str) -> list[int] | None:
    """Read several numbers of threads, such as 1,2,4; None stands for "auto"."""
    numbers = [num_threads(part) for part in text.split(",")]
    return None if None in numbers else [number for number in numbers if number]


def score(text: str) -> float:
    """Read a score in [0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1. Received: {text}")
    return value


def open_model(args: argparse.Namespace, name: str) -> Model:
    """Open the model that the options name, and say what is odd about it."""
    model = Model(args.model, num_threads=args.threads, runtime=args.runtime, verbose=args.verbose)
    for warning in model.warnings:
        complain(name, f"{model.path}: {warning}")
    return model
