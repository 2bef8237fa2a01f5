"""edge-benchmark: how long does a model take on this machine?"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge.benchmark import drawn_picture, measure
from edge.commands import complain, run
from edge.commands.arguments import add_normalize_argument, add_runtime_arguments, count
from edge.errors import EdgeError, ModelError
from edge.known import ensure_sound
from edge.model import Model, models_folder, shipped_models
from edge.preprocess import Normalization, Picture
from edge.runtime import default_num_threads

NAME = "edge-benchmark"
COLUMNS = (
    "model",
    "runtime",
    "threads",
    "size_bytes",
    "num_runs",
    "invoke_p50_ms",
    "invoke_p90_ms",
    "whole_p50_ms",
    "whole_p90_ms",
)
EXAMPLES = """\
"invoke" is the model alone; "whole" is the way from an encoded picture to its label: decode,
resize, copy, invoke, rank. The picture is a drawn 640 x 480 JPEG unless --image names another.

examples:
  edge-benchmark                                 the shipped models
  edge-benchmark mine.tflite --threads 1,2,4     how it scales
  edge-benchmark --format csv --image dinner.jpg
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure models; the console entry."""
    args = _parser().parse_args(argv)
    return run(lambda: _benchmark(args), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Measure the latency of TFLite image classifiers on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models", nargs="*", type=Path, metavar="MODEL", help="(default: the shipped models)"
    )
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="the picture (default: a drawn one)"
    )
    parser.add_argument("--num-runs", type=count, default=100, metavar="N", help="(default: 100)")
    parser.add_argument("--warmup-runs", type=count, default=10, metavar="N", help="(default: 10)")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text")
    add_normalize_argument(parser)
    add_runtime_arguments(parser, several_threads=True)
    return parser


def _benchmark(args: argparse.Namespace) -> int:
    picture: Picture = args.image or drawn_picture()
    paths = args.models or shipped_models()
    if not paths:
        raise ModelError(models_folder(), "no model ships here", "name one: edge-benchmark MODEL")
    rows, failed = [], False
    for path in paths:
        for threads in args.threads or (default_num_threads(),):
            try:
                ensure_sound(path, args.runtime)
                with Model(
                    path,
                    num_threads=threads,
                    runtime=args.runtime,
                    verbose=args.verbose,
                    normalization=Normalization(*args.normalize) if args.normalize else None,
                ) as model:
                    rows.append(_row(model, threads, picture, args))
            except EdgeError as error:
                failed = True
                complain(NAME, error)
    _print(rows, args.format)
    return 1 if failed else 0


def _row(model: Model, threads: int, picture: Picture, args: argparse.Namespace) -> dict[str, Any]:
    if sys.stderr.isatty():
        complain(NAME, f"measure {model.path.name} with {threads} threads ...")
    measured = measure(model, picture, warmup_runs=args.warmup_runs, num_runs=args.num_runs)
    values = (
        model.path.name,
        model.runtime,
        threads,
        model.path.stat().st_size,
        measured.num_runs,
        *(
            round(value, 3)
            for latency in (measured.invoke, measured.whole)
            for value in (latency.p50_ms, latency.p90_ms)
        ),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _print(rows: list[dict[str, Any]], format_name: str) -> None:
    if format_name == "json":
        print(json.dumps(rows, indent=1))
    elif format_name == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        for line in _table(rows):
            print(line)


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Aligned columns: text to the left, numbers to the right."""
    cells = [COLUMNS, *(tuple(str(row[column]) for column in COLUMNS) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(COLUMNS))]
    for row in cells:
        yield "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
