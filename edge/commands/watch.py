"""edge-watch: classify frames as they come; what the systemd unit runs."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from edge.commands import complain, run
from edge.commands.arguments import (
    add_model_arguments,
    add_threshold_argument,
    open_model,
    threshold_of,
)
from edge.notify import Notifier
from edge.sinks.jsonlines import JsonLines
from edge.watch import paced, replay, watch

NAME = "edge-watch"
EXAMPLES = """\
One JSON line on stdout for each frame. Under systemd (Type=notify) it reports readiness after the
first classified frame, and feeds the watchdog after every one.

examples:
  edge-watch --source photos/                          each picture once
  edge-watch --source photos/ --repeat --fps 1         as a camera would, one frame a second
  edge-watch --source 'frames/*.jpg' -t 0.8 | jq .label
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the loop; the console entry."""
    args = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    return run(lambda: _watch(args), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Classify a stream of frames by a TFLite image classifier.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="folder, file or glob of pictures"
    )
    parser.add_argument("--repeat", action="store_true", help="begin again at the end, for ever")
    parser.add_argument("--fps", type=_fps, metavar="N", help="at most N frames a second")
    add_threshold_argument(parser)
    add_model_arguments(parser)
    return parser


def _watch(args: argparse.Namespace) -> int:
    with open_model(args, NAME) as model, closing(Notifier()) as notifier:
        frames = replay(args.source, repeat=args.repeat)
        if args.fps:
            frames = paced(frames, args.fps)
        faults = 0

        def report(line: str) -> None:
            nonlocal faults
            faults += 1
            complain(NAME, line)

        try:
            watch(
                model,
                frames,
                [JsonLines(sys.stdout)],
                notifier,
                threshold=threshold_of(args, model),
                report=report,
            )
        finally:
            notifier.stopping()
    return 1 if faults else 0


def _fps(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 1000.0:
        raise argparse.ArgumentTypeError(f"must be above 0, at most 1000. Received: {text}")
    return value


def _end(*_: object) -> None:
    raise SystemExit(0)
