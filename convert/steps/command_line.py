"""python -m convert PHOTOS -o OUT: a folder of photos becomes a .tflite classifier."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence

from convert.errors import not_installed
from convert.steps import line
from edge.commands import Parser, add_version
from edge.commands import run as run_command
from edge.errors import EdgeError

NAME = "convert"
STEPS = {
    "check": "check the photos: counts, damaged files, duplicates, leaks between sets",
    "preview": "show what the augmentation does to a photo or a folder",
    "train": "train only; OUT/training keeps the weights",
    "export": "convert, measure and report the training in OUT",
    "evaluate": "measure .tflite files on photos",
    "wrap": "add labels, normalization and golden vectors to a .tflite file made elsewhere",
    "quantize": "convert a Keras model of your own, and measure the files on photos",
}
LINE = ("", "train", "export")  # the whole, and its parts
ON_WINDOWS = ("check", "preview", "evaluate")  # the others fork, and remove open files
POSITIONAL = {"preview": "PHOTO|PHOTOS", "evaluate": "PHOTOS MODEL ...", "wrap": "MODEL -o OUT"}
EXAMPLES = """\
PHOTOS holds one folder per class, or train/, val/ and test/ with those. Sets that are missing are
split from train: 15 % for validation, 15 % for test. Hidden and system folders are ignored.

OUT gets a .tflite file per variant (labels, normalization, threshold and measured accuracy inside),
report.html to look at, card.json for programs, and cache/ with the decoded photos, which you may
delete. Ctrl-C keeps the training so far; --resume continues.

steps (each has --help):
  python -m convert check PHOTOS                      {check}
  python -m convert preview PHOTO|PHOTOS              {preview}
  python -m convert train PHOTOS -o OUT               {train}
  python -m convert export PHOTOS -o OUT              {export}
  python -m convert evaluate PHOTOS MODEL ...         {evaluate}
  python -m convert wrap MODEL -o OUT                 {wrap}
  python -m convert quantize MODEL --photos PHOTOS -o OUT
                                                      {quantize}

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
    return run_command(lambda: _step(step, argv[1:] if step else argv), NAME)


def _step(step: str, argv: Sequence[str]) -> int:
    if step not in ON_WINDOWS and not hasattr(os, "fork"):
        command = f"python -m convert {step}".strip()
        raise EdgeError(command, "needs Linux or macOS", "on Windows, use WSL 2")
    try:
        parser = parser_of(step)
        args = parser.parse_args(argv)
        if step in LINE:
            return line.main(parser, args, step)
        return int(importlib.import_module(f"convert.steps.{step}").main(args))
    except ModuleNotFoundError as error:
        raise not_installed(error.name or step) from error


def parser_of(step: str) -> Parser:
    """Return the parser of a step; "" is the whole line. Raises: ModuleNotFoundError."""
    parser = Parser(
        prog=f"python -m convert {step}".strip(),
        usage=f"%(prog)s [options] {POSITIONAL.get(step, 'PHOTOS')}",
        description=STEPS[step].capitalize() + "."
        if step
        else "Train an image classifier on a folder of photos and make .tflite files of it.",
        epilog=None if step else EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version(parser)
    if step in LINE:
        line.add_arguments(parser, step)
    else:
        importlib.import_module(f"convert.steps.{step}").add_arguments(parser)
    return parser
