"""The options of edge-benchmark, and which of them can act together."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from edge.commands import Parser, add_version
from edge.commands.arguments import add_fact_arguments, count, real, score, threads_list, whole
from edge.names import RUNTIMES

NAME = "edge-benchmark"
EXAMPLES = """\
Models, runtimes and numbers of threads take turns, so that heat and other load affect all of
them; each turn is a new process, since where the system puts its memory decides its speed.
"invoke" is the model alone; "whole" is end to end, from an encoded image to its label. The report
warns if the machine was busy, hot or throttled.

examples:
  edge-benchmark                                     the models that ship
  edge-benchmark mine.tflite --runtime all --threads 1,2,4
  edge-benchmark --runtime all --threads 1,2,4 --apply    use the fastest from now on
  edge-benchmark a.tflite b.tflite --rate 10 --soak 10m   which holds 10 frames a second?
  edge-benchmark --save before.json;  edge-benchmark --compare before.json --fail-above 1.1
  edge-benchmark mine.tflite --soak 10m --plot soak.png > soak.csv
  edge-benchmark mine.tflite --source camera         frames per second, and their age

exit status: 0 done, 1 something failed or is slower than --fail-above, 2 wrong usage,
130 interrupted (prints what was measured)
"""
DEFAULTS = {"num_runs": 200, "seconds": 0.0, "warmup_runs": 10, "cold_starts": 5, "max_loss": 0.01}
# What decides how it is measured, the first that is given, and the options that can act there.
COMMON = {"labels", "normalize", "output", "input_size", "runtime", "threads", "config"}
MODES = {
    "tune": {"labels", "normalize", "output", "input_size", "config"},
    "rate": COMMON | {"source", "soak", "image", "warmup_runs", "format", "plot"},
    "source": COMMON | {"seconds", "warmup_runs", "format"},
    "soak": COMMON | {"image", "warmup_runs", "format", "plot"},
}
NEEDS = {"fail_above": "compare", "strict": "fail_above", "force": "apply"}


def read_options(words: list[str]) -> argparse.Namespace:
    """Read the command line; exit with 2 where an option could not act."""
    parser = _parser()
    args = parser.parse_args(words)
    given = {name for name, value in vars(args).items() if value not in (None, False, [], "auto")}
    given -= {"models", "verbose"}
    mode = next((name for name in MODES if name in given), None)
    if mode:
        for name in sorted(given - MODES[mode] - {mode}):
            parser.error(f"{_option(name)}: has no effect with {_option(mode)}; remove one of them")
    for name, needed in NEEDS.items():
        if name in given and needed not in given:
            parser.error(f"{_option(name)}: has no effect without {_option(needed)}")
    if args.raw and args.format != "json":
        parser.error("--raw: has no effect without --format json")
    if mode == "soak" and len(args.models) > 1:
        parser.error("--soak: takes one model; run several in turn with --rate")
    if args.role and len(args.models) != 1:
        parser.error("--as: is for one model; name one")
    for name in ("compare", "plot"):
        other = getattr(args, name)
        if args.save and other and args.save.resolve() == other.resolve():
            parser.error(f"--save: is the file of {_option(name)}; use another")
    for name, value in DEFAULTS.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.format = args.format or "text"
    args.mode = mode
    return args


def _option(name: str) -> str:
    return {"role": "--as"}.get(name, f"--{name.replace('_', '-')}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=NAME,
        usage="%(prog)s [options] [MODEL ...]",
        description="Measure the latency of TFLite models on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models",
        nargs="*",
        type=Path,
        metavar="MODEL",
        help="a .tflite file, or a folder of them (default: the shipped models)",
    )
    what = parser.add_argument_group("what to measure")
    _add_model(what)
    _add_runs(what)
    _add_frames(what)
    _add_output(parser.add_argument_group("output"))
    _add_comparison(parser.add_argument_group("comparison"))
    _add_use(parser.add_argument_group("use"))
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the native runtime's output"
    )
    add_version(parser)
    return parser


def _add_model(group: argparse._ArgumentGroup) -> None:
    runtimes = ("auto", "all", *RUNTIMES)
    group.add_argument(
        "--runtime",
        choices=runtimes,
        default="auto",
        help="(default: auto, the fastest that was measured here, else the first installed)",
    )
    group.add_argument(
        "--threads",
        type=threads_list,
        metavar="N,N|auto",
        help="(default: auto, what was measured to be fastest, else one per core, up to 4)",
    )
    add_fact_arguments(group)
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="read model, camera and related settings from a configuration of edge-watch",
    )


def _add_runs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--image",
        type=Path,
        metavar="FILE",
        help="image to classify (default: a drawn 640 x 480 JPEG)",
    )
    group.add_argument(
        "--num-runs", type=count, metavar="N", help="number of timed runs (default: 200)"
    )
    group.add_argument(
        "--seconds",
        type=duration,
        metavar="S",
        help="time for this many seconds, instead of --num-runs",
    )
    group.add_argument(
        "--warmup-runs",
        type=count,
        metavar="N",
        help="minimum number of untimed runs before the timed ones (default: 10)",
    )
    group.add_argument(
        "--cold-starts",
        type=whole(0, 1000),
        metavar="N",
        help="number of fresh processes to start; the median counts (default: 5; 0 = none)",
    )


def _add_frames(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--rate",
        type=real(0.0, 1000.0, above=True),
        metavar="FPS",
        help="run the models in turns at this many frames per second; print a line per interval, "
        "and whether each holds the rate (for --soak, default: 30s each)",
    )
    group.add_argument(
        "--source",
        metavar="SOURCE",
        help="measure with frames instead of one image: camera, /dev/video0, rtsp://, http://, a "
        "video or a folder",
    )
    group.add_argument(
        "--soak",
        type=duration,
        metavar="10m",
        help="run one model for this long without a pause, and print a time series as CSV",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    formats = ("text", "json", "csv", "markdown")
    group.add_argument("--format", choices=formats, help="output format (default: text)")
    group.add_argument("--raw", action="store_true", help="include every sample in JSON")
    group.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="draw the distributions, with --compare before and after (needs matplotlib)",
    )
    group.add_argument(
        "--save", type=Path, metavar="FILE.json", help="save the record, for --compare"
    )


def _add_comparison(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--compare", type=Path, metavar="FILE.json", help="compare with a saved record"
    )
    group.add_argument(
        "--as",
        dest="role",
        type=role,
        metavar="ROLE",
        help="role of the model, such as current: compare it with the saved record of the same "
        "role, even if the file differs (default: with that of the same file)",
    )
    group.add_argument(
        "--fail-above",
        type=real(0.0, 1000.0),
        metavar="RATIO",
        help="exit 1 if invoke or end to end takes more than RATIO times the baseline",
    )
    group.add_argument(
        "--strict", action="store_true", help="also exit 1 if the figures are unreliable"
    )


def _add_use(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--tune",
        action="store_true",
        help="only find the fastest runtime and number of threads, in seconds, for all commands to "
        "use; what is known already is not measured again",
    )
    group.add_argument(
        "--apply",
        action="store_true",
        help="make edge-classify use the recommended settings; as root, edge-watch too",
    )
    group.add_argument(
        "--force", action="store_true", help="apply the settings even if the figures are unreliable"
    )
    group.add_argument(
        "--max-loss",
        type=score,
        metavar="SHARE",
        help="maximum loss of accuracy that a faster model may have (default: 0.01)",
    )


def role(text: str) -> str:
    """Read the name of a role."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must name a role, such as current. Received nothing")
    return text


def duration(text: str) -> float:
    """Read seconds, such as 90, 90s, 10m or 1h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not 0 < seconds <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"must be seconds, or such as 10m. Received: {text}")
    return seconds
