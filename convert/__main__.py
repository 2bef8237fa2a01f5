"""python -m convert PHOTOS -o OUT: a folder of photos becomes a .tflite classifier."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from convert.errors import ConversionError
from edge.commands import run as run_command
from edge.commands.arguments import count

NAME = "convert"
EXAMPLES = """\
PHOTOS holds one folder per class, or train/, val/ and test/ that hold those. What has no folder
is drawn from train: 15 % for val, 15 % for test, by class and seed. Hidden folders are ignored.

OUT gets a .tflite file per variant (labels, normalization and measured accuracy inside), report.md,
card.json, history.csv and .png, and cache/ with the decoded photos, which you may delete.

examples:
  python -m convert photos -o out
  python -m convert photos -o out --image-size 128 --epochs 20 --quantize float32,dynamic,int8
then, on the device:
  edge-classify -m out/model-int8.tflite dinner.jpg
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Train, convert, measure; the entry of `python -m convert`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(arguments)
    return run_command(lambda: _convert(args), NAME)


def _parser() -> argparse.ArgumentParser:
    from convert.quantize import VARIANTS

    parser = argparse.ArgumentParser(
        prog="python -m convert",
        description="Train an image classifier on a folder of photos and make .tflite files of it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "photos", type=Path, metavar="PHOTOS", help="folder with one folder per class"
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("out"), metavar="OUT", help="(default: out)"
    )
    parser.add_argument(
        "--name", type=_name, default="model", help="of the model and its files (default: model)"
    )
    _add_training_arguments(parser)
    parser.add_argument(
        "--quantize",
        type=lambda text: _variants(text, tuple(VARIANTS)),
        default=("float32", "int8"),
        metavar="LIST|all",
        help=f"variants to make, of {', '.join(VARIANTS)} (default: float32,int8)",
    )
    return parser


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image-size",
        type=_image_size,
        default=(300, 300),
        metavar="N|HxW",
        help="what the network sees, in pixels (default: 300, the tutorial's)",
    )
    for flag, default, what in (
        ("--batch-size", 32, "photos a step"),
        ("--epochs", 30, "rounds of training"),
        ("--steps-per-epoch", None, "steps a round (default: every photo once)"),
        ("--calibration-photos", 200, "training photos that set the ranges of int8"),
    ):
        shown = what if default is None else f"{what} (default: {default})"
        parser.add_argument(flag, type=count, default=default, metavar="N", help=shown)
    parser.add_argument(
        "--learning-rate",
        type=_rate,
        default=1e-3,
        metavar="RATE",
        help="of the first step; it falls to 0 along a cosine (default: 0.001)",
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, help="of split, order, weights (default: 0)"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="to compute in while training; bfloat16 gains on processors with AMX",
    )


def _convert(args: argparse.Namespace) -> int:
    if not importlib.util.find_spec("tensorflow"):
        raise ConversionError(
            "tensorflow", "is not installed", "pip install 'edge-classify[convert]'"
        )
    # Before TensorFlow is imported; its chatter helps nobody.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from convert.pipeline import Run, run
    from convert.train import TrainConfig

    config = TrainConfig(
        image_size=args.image_size,
        batch_size=args.batch_size,
        epochs=args.epochs,
        steps_per_epoch=args.steps_per_epoch,
        learning_rate=args.learning_rate,
        seed=args.seed,
        precision=args.precision,
    )
    job = Run(
        photos=args.photos,
        out=args.out,
        name=args.name,
        command=_command(args),
        variants=args.quantize,
        calibration_photos=args.calibration_photos,
        config=config,
    )
    return 1 if run(job) else 0


def _command(args: argparse.Namespace) -> str:
    """The command as it can be given again: every option that is not the default, no path."""
    parser = _parser()
    words = ["python -m convert PHOTOS"]
    for name, value in vars(args).items():
        if name not in ("photos", "out") and value != parser.get_default(name):
            shown = "x".join(map(str, value)) if name == "image_size" else value
            shown = ",".join(value) if name == "quantize" else shown
            words.append(f"--{name.replace('_', '-')} {shlex.quote(str(shown))}")
    return " ".join(words)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 2^32 - 1. Received: {text}")
    return int(text)


def _name(text: str) -> str:
    if not text or text.startswith(".") or not text.isprintable() or "/" in text:
        raise argparse.ArgumentTypeError(f"must be a file name, not hidden. Received: {text!r}")
    return text


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"must be a number above 0. Received: {text}")
    return value


def _image_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise argparse.ArgumentTypeError(f"must be like 128 or 96x128. Received: {text}")
    height, width = int(sides[0]), int(sides[-1])
    if min(height, width) < 96:
        raise argparse.ArgumentTypeError(
            f"the tutorial network needs at least 96. Received: {text}"
        )
    return height, width


def _variants(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    wanted = known if text == "all" else tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"must be of {', '.join(known)}. Received: {unknown[0]}")
    return wanted


if __name__ == "__main__":
    sys.exit(main())
