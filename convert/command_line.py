"""python -m convert PHOTOS -o OUT: a folder of photos becomes a .tflite classifier."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence

from convert import arguments as options
from convert.errors import ConversionError
from convert.tflite.arm import check_tools
from edge.commands import add_version
from edge.commands import run as run_command

NAME = "convert"
STEPS = {
    "check": "look at the photos: counts, damaged files, duplicates, leaks between sets",
    "preview": "see what the augmentation does to a photo, or to a folder of them",
    "train": "train only; OUT/training keeps the best epoch",
    "export": "make .tflite files of what OUT/training holds, measure and report them",
    "evaluate": "measure .tflite files on photos",
}
EXAMPLES = """\
PHOTOS holds one folder per class, or train/, val/ and test/ that hold those. What has no folder
is drawn from train: 15 % for val, 15 % for test, by class and seed. Hidden folders are ignored.

OUT gets a .tflite file per variant (labels, normalization, threshold and measured accuracy inside),
report.html to look at, card.json for programs, and cache/ with the decoded photos, which you may
delete. Ctrl-C keeps the best epoch so far; --resume goes on.

steps, each with a --help of its own:
  python -m convert check PHOTOS                      {check}
  python -m convert preview PHOTO|PHOTOS              {preview}
  python -m convert train PHOTOS -o OUT               {train}
  python -m convert export PHOTOS -o OUT              {export}
  python -m convert evaluate PHOTOS MODEL ...         {evaluate}

examples:
  python -m convert photos -o out                     MobileNetV2, fine-tuned from ImageNet
  python -m convert photos -o out --alpha 0.35 --weights FILE.h5
  python -m convert photos -o out --network small     from scratch, under 300 kB
  python -m convert photos -o out --network tutorial --recipe tutorial --quantize all
then, on the device:
  edge-classify -m out/model-int8.tflite dinner.jpg
""".format(**STEPS)


def main(argv: Sequence[str]) -> int:
    """Run the step that the first argument names, or all of the line; return the exit status."""
    step = argv[0] if argv and argv[0] in STEPS else ""
    return _step(step, argv[1:] if step else argv)


def _step(step: str, argv: Sequence[str]) -> int:
    if step in ("check", "preview", "evaluate"):
        return run_command(lambda: _tool(step, argv), NAME)
    parser = _parser(step)
    args = parser.parse_args(argv)
    words = " ".join(["python -m convert", *([step] if step else []), "PHOTOS"])
    args.command = options.command_of(parser, args, words)
    return run_command(lambda: _line(step, args), NAME)


def _parser(step: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m convert {step}".strip(),
        description=STEPS[step].capitalize() + "."
        if step
        else "Train an image classifier on a folder of photos and make .tflite files of it.",
        epilog=None if step else EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if step not in ("check", "preview", "evaluate"):
        options.add_photos(parser)
    if step in ("", "train"):
        options.add_training(parser)
    if step in ("", "export"):
        options.add_export(parser)
    add_version(parser)
    return parser


def _line(step: str, args: argparse.Namespace) -> int:
    _need_tensorflow()
    if getattr(args, "verify_arm", False):
        check_tools()
    from convert import pipeline

    doing: dict[str, Callable[[argparse.Namespace], int]] = {
        "": lambda args: 1 if pipeline.run(options.run_of(args)) else 0,
        "train": lambda args: pipeline.train_only(options.run_of(args)),
        "export": lambda args: 1 if pipeline.export_only(options.run_of(args)) else 0,
    }
    return doing[step](args)


def _tool(step: str, argv: Sequence[str]) -> int:
    """Run a step that stands by itself."""
    try:
        module = importlib.import_module(f"convert.steps.{step}")
        parser = _parser(step)
        module.add_arguments(parser)
        return int(module.main(parser.parse_args(argv)))
    except ModuleNotFoundError as error:
        raise _not_installed(error.name or step) from error


def _need_tensorflow() -> None:
    if not importlib.util.find_spec("tensorflow"):
        raise _not_installed("tensorflow")
    # Before TensorFlow is imported; its chatter helps nobody.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _not_installed(package: str) -> ConversionError:
    return ConversionError(package, "is not installed", "pip install 'edge-classify[convert]'")
