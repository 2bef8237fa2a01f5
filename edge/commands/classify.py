"""edge-classify: what is in these pictures?"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from edge.classify import Result, classify
from edge.commands import complain, run
from edge.commands.arguments import (
    add_model_arguments,
    add_threshold_argument,
    count,
    open_model,
    threshold_of,
)
from edge.errors import EdgeError, ImageError, SourceError, one_line
from edge.model import Model
from edge.photos import Frame, photos

NAME = "edge-classify"
EXAMPLES = """\
examples:
  edge-classify dinner.jpg                      what the shipped model says
  edge-classify -k 2 -t 0.8 photos/ '*.png'     two best labels; "unknown" below 0.8
  edge-classify --format jsonl -r photos/       one JSON object a line, folders in folders too
  curl -s URL | edge-classify -m my.tflite -    a picture on stdin, a model of yours

exit status: 0 all classified, 1 some picture failed (the others are done), 2 wrong usage,
130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Classify pictures; the console entry."""
    args = _parser().parse_args(argv)
    return run(lambda: _classify_all(args), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Say what is in pictures, by a TFLite image classifier.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="file, folder, glob, or - for stdin"
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="folders in folders too")
    parser.add_argument(
        "-k", "--top-k", type=count, default=1, metavar="N", help="labels a picture (default: 1)"
    )
    add_threshold_argument(parser)
    parser.add_argument("--format", choices=tuple(_WRITERS), default="text", help="(default: text)")
    add_model_arguments(parser)
    return parser


def _classify_all(args: argparse.Namespace) -> int:
    with open_model(args, NAME) as model:
        threshold = threshold_of(args, model)
        writer = _WRITERS[args.format](min(args.top_k, len(model.labels)))
        failed = False
        try:
            for outcome in _outcomes(model, args, threshold):
                if isinstance(outcome, Result):
                    writer.result(outcome)
                else:
                    failed = True
                    complain(NAME, outcome)
                    writer.failure(str(outcome.subject), f"{outcome.fault}; {outcome.remedy}")
        finally:
            writer.close()
    return 1 if failed else 0


def _outcomes(
    model: Model, args: argparse.Namespace, threshold: float
) -> Iterator[Result | EdgeError]:
    for path in args.paths:
        try:
            for frame in photos([path], recursive=args.recursive):
                yield _outcome(model, frame, args.top_k, threshold)
        except SourceError as error:
            yield error


def _outcome(model: Model, frame: Frame, top_k: int, threshold: float) -> Result | EdgeError:
    try:
        return classify(model, frame, top_k=top_k, threshold=threshold)
    except ImageError as error:
        return ImageError(frame.source, error.fault, error.remedy)


class _Writer(Protocol):
    def __init__(self, top_k: int) -> None: ...
    def result(self, result: Result) -> None: ...
    def failure(self, source: str, error: str) -> None: ...
    def close(self) -> None: ...


class _Text:
    """`dinner.jpg  hotdog 0.981`; failures are on stderr already."""

    def __init__(self, top_k: int) -> None:
        pass

    def result(self, result: Result) -> None:
        best = [f"{result.label} {result.score:.3f}"]
        others = [f"{c.label} {c.score:.3f}" for c in result.categories[1:]]
        print(f"{one_line(result.source)}  {one_line(', '.join(best + others))}", flush=True)

    def failure(self, source: str, error: str) -> None:
        pass

    def close(self) -> None:
        pass


class _JsonLines:
    def __init__(self, top_k: int) -> None:
        pass

    def result(self, result: Result) -> None:
        self._write(result.as_dict())

    def failure(self, source: str, error: str) -> None:
        self._write({"source": source, "error": error})

    def _write(self, record: dict[str, Any]) -> None:
        print(json.dumps(record), flush=True)

    def close(self) -> None:
        pass


class _Json(_JsonLines):
    """One array, written as it grows, closed even when interrupted."""

    def __init__(self, top_k: int) -> None:
        self._before = "["

    def _write(self, record: dict[str, Any]) -> None:
        print(f"{self._before}\n  {json.dumps(record)}", end="", flush=True)
        self._before = ","

    def close(self) -> None:
        print("[]" if self._before == "[" else "\n]", flush=True)


class _Csv:
    def __init__(self, top_k: int) -> None:
        more = [f"{name}_{place}" for place in range(2, top_k + 1) for name in ("label", "score")]
        columns = [
            "source",
            "label",
            "score",
            *more,
            "preprocess_ms",
            "invoke_ms",
            "model",
            "runtime",
        ]
        self._writer = csv.DictWriter(
            sys.stdout, [*columns, "captured_at", "error"], lineterminator="\n"
        )
        self._writer.writeheader()

    def result(self, result: Result) -> None:
        record = result.as_dict()
        for place, category in enumerate(record.pop("categories")[1:], start=2):
            record |= {f"label_{place}": category["label"], f"score_{place}": category["score"]}
        self._writer.writerow(record)
        sys.stdout.flush()

    def failure(self, source: str, error: str) -> None:
        self._writer.writerow({"source": source, "error": error})

    def close(self) -> None:
        sys.stdout.flush()


_WRITERS: dict[str, type[_Writer]] = {
    "text": _Text,
    "json": _Json,
    "jsonl": _JsonLines,
    "csv": _Csv,
}
