"""edge-classify: what is in these pictures?"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence

from edge.commands import run
from edge.commands.arguments import (
    Parser,
    add_framing_arguments,
    add_model_arguments,
    add_runtime_arguments,
    add_threshold_argument,
    count,
    num_threads,
)

NAME = "edge-classify"
EXAMPLES = """\
formats:
  text    a line for each picture: its name, then its labels with their scores
          (0..1), best first
  json    one array of objects
  jsonl   the same objects, one a line, each written as soon as it is known
  csv     a line for each picture; control characters are escaped; a ' is set
          before a name or label that a spreadsheet would compute
An object has source, label, score, categories (index, label, score), model,
runtime, preprocess_ms, invoke_ms and captured_at; or source and error.
--summary is the last object, {"summary": ...}; with csv it goes to stderr.

examples:
  edge-classify dinner.jpg                     what the shipped model says
  edge-classify -k 2 -t 0.8 photos/ '*.png'    "unknown" where all is below 0.8
  edge-classify --format jsonl -r photos/      JSON lines, the whole tree
  edge-classify --summary -r test/             accuracy, where test/LABEL/*.jpg
  find . -name '*.jpg' -print0 | edge-classify --files-from -
  curl -s URL | edge-classify -m my.tflite -   a picture on stdin, your model
  edge-classify -m float.tflite --labels labels.txt --normalize '[-1,1]' a.jpg
                                               for one that says nothing
  edge-classify --roi 0.25,0.25,0.5,0.5 a.jpg  the middle of it
  edge-classify -- -odd-.jpg                   a name that begins with a dash

exit status:
  0 all pictures are classified; 1 something failed: it is named on stderr, and
  the other pictures are done; 2 wrong usage; 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Classify pictures; the console entry."""
    gc.disable()  # until all is loaded: there is nothing to collect yet, and looking takes time
    try:
        return run(lambda: _classify_all(_parse(argv)), NAME)
    finally:
        gc.enable()


def _classify_all(args: argparse.Namespace) -> int:
    if args.formats:
        return _print_formats()
    from edge.commands.batch import classify_all  # numpy and all: not for --help or a wrong option

    return classify_all(args)


def _print_formats() -> int:
    """Say which image formats this installation reads."""
    from edge.image.formats import FORMATS, is_installed

    for known in FORMATS:
        state = "read" if is_installed(known) else f"not read: {known.install}"
        print(f"{known.name:5} {' '.join(known.suffixes):32} {state}")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    # Paths and options in any order; argparse forgets there what "--" protects.
    args = parser.parse_intermixed_args(words[:end])
    args.paths += words[end + 1 :]
    if args.formats:
        return args
    if not args.paths and not args.files_from:
        parser.error("a PATH, or --files-from, must be given")
    if args.files_from.count("-") + args.paths.count("-") > 1:
        parser.error("stdin can be one thing only: - once, as a PATH or in --files-from")
    return args


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=NAME,
        usage="%(prog)s [options] PATH ...",
        description="Say what is in pictures, by any TFLite image classifier.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_picture_arguments(parser.add_argument_group("which pictures"))
    add_model_arguments(parser.add_argument_group("the model"))
    add_framing_arguments(parser.add_argument_group("what the model sees of a picture"))
    _add_answer_arguments(parser.add_argument_group("the answers"))
    group = parser.add_argument_group("how it runs")
    group.add_argument(
        "--jobs",
        type=num_threads,
        metavar="N|auto",
        help="pictures decoded at a time, while the model works; 1: one after the other (default: "
        "auto, one a core)",
    )
    group.add_argument(
        "--formats", action="store_true", help="list the image formats that are read here, and exit"
    )
    add_runtime_arguments(group)
    return parser


def _add_picture_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a picture, a folder of pictures, a glob pattern, or - for a picture on stdin",
    )
    group.add_argument("-r", "--recursive", action="store_true", help="folders in folders too")
    group.add_argument(
        "--files-from",
        action="append",
        default=[],
        metavar="FILE|-",
        help="a list of paths, one a line, or with a NUL after each; taken as they are; they come "
        "after the PATHs",
    )


def _add_answer_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-k", "--top-k", type=count, default=1, metavar="N", help="labels a picture (default: 1)"
    )
    add_threshold_argument(group)
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="LABEL[,LABEL]",
        help="only these labels may be an answer; can be given several times",
    )
    which.add_argument(
        "--deny", action="append", default=[], metavar="LABEL[,LABEL]", help="all but these"
    )
    group.add_argument(
        "--format", choices=("text", "json", "jsonl", "csv"), default="text", help="(default: text)"
    )
    group.add_argument(
        "--summary",
        action="store_true",
        help="at the end: counts, speed, and where the pictures' folders are called as labels are, "
        "accuracy (with its 95%% interval) and the confusion matrix",
    )
