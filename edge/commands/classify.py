"""edge-classify: what is in these images?"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands import Parser, run
from edge.commands.arguments import (
    add_framing_arguments,
    add_model_arguments,
    add_runtime_arguments,
    add_threshold_argument,
    count,
    num_threads,
    position,
    real,
)

if TYPE_CHECKING:
    from edge.commands.results.selection import Shard

NAME = "edge-classify"
FORMATS = ("text", "json", "jsonl", "csv", "parquet", "timelapse", "timelapse-csv")
EXAMPLES = """\
formats:
  text    one line per image: its name, then its labels with their scores
          (0..1), best first
  json    one array of objects
  jsonl   the same objects, one per line, each written as soon as it is ready
  csv     one line per image; protected against formula injection by a '
  parquet one row per image; pip install 'edge-classify[parquet]'
  timelapse, timelapse-csv
          for the camera-trap programs Timelapse and AddaxAI
An object has source, label, score, categories (index, label, score), model,
runtime, preprocess_ms, invoke_ms and captured_at; or source and error. A
video's frame also has time_s, its time within the video.
--summary is the last object, {"summary": ...}; with csv it goes to stderr.

examples:
  edge-classify dinner.jpg                     with the model that ships
  edge-classify -k 2 -t 0.8 photos/ '*.png'    "unknown" below a score of 0.8
  edge-classify --format jsonl -r photos/      JSON lines, with sub-folders
  edge-classify --summary -r test/             accuracy, for test/LABEL/*
  find . -name '*.jpg' -print0 | edge-classify --files-from -
  curl -s URL | edge-classify -m my.tflite -   an image on standard input
  edge-classify -m float.tflite --labels labels.txt --normalize '[-1,1]' a.jpg
                                               a model without metadata
  edge-classify --summary clip.mp4             a frame per second, a timeline
  edge-classify --timeline card.csv -r /media/card/DCIM
                                               a card full of clips and photos
  edge-classify --bursts bursts.csv -r /media/card/DCIM
                                               a label for each visit
  edge-classify -r --shard 2/4 --resume part2.jsonl archive/
                                               a quarter of a million images,
                                               continued after an interruption
  edge-classify --roi 0.25,0.25,0.5,0.5 a.jpg  the center of the image
  edge-classify -- -odd-.jpg                   a name that starts with a dash

exit status:
  0 all images were classified; 1 some failed: they are named on standard
  error, the others were classified; 2 wrong usage; 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Classify images; the console entry."""
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
    """Print the image formats that this installation reads."""
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
        parser.error("a PATH or --files-from is required")
    _check_resume(parser, args)
    args.format = args.format or ("jsonl" if args.resume else "text")
    if args.files_from.count("-") + args.paths.count("-") > 1:
        parser.error("stdin can be read only once: use - either as a PATH or in --files-from")
    return args


def _check_resume(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Reject what does not go with --resume."""
    if args.resume and args.format not in (None, "jsonl"):
        parser.error(f"--resume writes JSON lines; remove --format {args.format}")
    for option in ("summary", "timeline", "bursts"):
        if args.resume and getattr(args, option):
            parser.error(f"--{option} cannot be combined with --resume; remove one of them")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=NAME,
        usage="%(prog)s [options] PATH ...",
        description="Classify images and videos with any TFLite image classifier.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_picture_arguments(parser.add_argument_group("images"))
    _add_video_arguments(parser.add_argument_group("videos"))
    add_model_arguments(parser.add_argument_group("model"))
    add_framing_arguments(parser.add_argument_group("preprocessing"))
    results = parser.add_argument_group("results")
    _add_answer_arguments(results)
    _add_explain_argument(results)
    group = parser.add_argument_group("execution")
    group.add_argument(
        "--jobs",
        type=num_threads,
        metavar="N|auto",
        help="number of images to decode at the same time (default: auto, one per core)",
    )
    group.add_argument(
        "--formats",
        action="store_true",
        help="list the image formats that this installation reads, and exit",
    )
    add_runtime_arguments(group)
    return parser


def _add_picture_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="an image, a video, a folder, a glob pattern, a camera (camera, camera:ID, "
        "/dev/video0, rtsp://, http://), or - for an image on standard input",
    )
    group.add_argument(
        "--frames",
        type=count,
        default=1,
        metavar="N",
        help="frames to classify of a camera (default: 1)",
    )
    group.add_argument(
        "--password-file",
        default="",
        metavar="FILE",
        help="file with a network camera's password (default: $EDGE_CAMERA_PASSWORD)",
    )
    group.add_argument("-r", "--recursive", action="store_true", help="include sub-folders")
    group.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="classify only share I of N of the files; a file's path decides its share",
    )
    group.add_argument(
        "--files-from",
        action="append",
        default=[],
        metavar="FILE|-",
        help="read paths from a file, one per line or separated by NUL, after the PATHs",
    )


def _add_video_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--start",
        type=position,
        default=0.0,
        metavar="S|[H:]M:S",
        help="start at this time within each video (default: 0)",
    )
    rate = group.add_mutually_exclusive_group()
    rate.add_argument(
        "--fps",
        type=real(0.0, 1000.0),
        metavar="FPS",
        help="frames to classify per second of video (0 = all; default: 1)",
    )
    rate.add_argument("--every", type=count, metavar="N", help="classify every Nth frame instead")
    group.add_argument(
        "--save-frames",
        type=Path,
        metavar="FOLDER",
        help="save these frames as JPEG files, in full size",
    )
    group.add_argument(
        "--timeline",
        type=table_file,
        metavar="FILE",
        help="write when each label was seen, to a .csv or .json file",
    )


def _shard(text: str) -> Shard:
    from edge.commands.results.selection import parse_shard  # for batches alone

    return parse_shard(text)


def table_file(text: str) -> Path:
    """Read the name of a .csv or .json file."""
    if not text.lower().endswith((".csv", ".json")):
        raise argparse.ArgumentTypeError(f"must be a .csv or .json file. Received: {text}")
    return Path(text)


def _add_explain_argument(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--explain",
        type=Path,
        metavar="FOLDER",
        help="save each image as a JPEG file with the regions that support the top label in red; "
        "invokes the model 50 more times per image",
    )


def _add_answer_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-k",
        "--top-k",
        type=count,
        default=1,
        metavar="N",
        help="number of labels per image (default: 1)",
    )
    add_threshold_argument(group)
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="LABEL[,LABEL]",
        help="consider only these labels (may be repeated)",
    )
    which.add_argument(
        "--deny",
        action="append",
        default=[],
        metavar="LABEL[,LABEL]",
        help="consider all labels except these (may be repeated)",
    )
    group.add_argument(
        "--format", choices=FORMATS, help="output format (default: text; with --resume jsonl)"
    )
    group.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="append the results to FILE as JSON lines, and skip what is in it",
    )
    group.add_argument(
        "--summary",
        action="store_true",
        help="print counts and speed at the end; for videos the timeline; with folders named like "
        "labels also accuracy (95%% interval) and the confusion matrix",
    )
    group.add_argument(
        "--bursts",
        type=table_file,
        metavar="FILE",
        help="write a label for each burst, the images that a camera took within 60 s of each "
        "other by EXIF, by the mean of their scores; to a .csv or .json file",
    )
