"""edge-benchmark: how long does a model take on this machine, and can that be believed?"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.benchmark import compare, drawn_picture, plot, recommend, soak, tables
from edge.benchmark.measure import Plan
from edge.benchmark.measure import measure as measure_plan
from edge.benchmark.report import Findings, findings
from edge.benchmark.worker import Combination, Worker
from edge.classifier import tuned
from edge.classifier.model import default_model, models_folder, shipped_models
from edge.classifier.runtime import default_num_threads, installed_runtimes
from edge.classifier.selection import (
    choose_model,
    keep,
    known,
    measure,
    slower,
    threads_of,
    versions,
)
from edge.commands import add_version, complain, run
from edge.commands.arguments import (
    add_fact_arguments,
    count,
    facts,
    real,
    threads_list,
    whole,
)
from edge.commands.progress import ShareBar
from edge.errors import EdgeError, ModelError, RuntimeMissingError
from edge.files import replace_file
from edge.image.preprocess import read_image
from edge.names import BENCHMARK_SCHEMA, PACKAGES, RUNTIMES

NAME = "edge-benchmark"
STREAM_S = 10.0
EXAMPLES = """\
Models, runtimes and numbers of threads take turns, each in a process of its own, so that heat and
other load affect all of them. "invoke" is the model alone; "whole" is end to end, from an encoded
image to its label. The report warns if the machine was busy, hot or throttled.

examples:
  edge-benchmark                                     the models that ship
  edge-benchmark mine.tflite --runtime all --threads 1,2,4
  edge-benchmark --runtime all --threads 1,2,4 --apply    use the fastest from now on
  edge-benchmark --save before.json;  edge-benchmark --compare before.json --fail-above 1.1
  edge-benchmark mine.tflite --soak 10m --plot soak.png > soak.csv
  edge-benchmark mine.tflite --source camera         frames per second, and their age

exit status: 0 done, 1 something failed or is slower than --fail-above, 2 wrong usage,
130 interrupted (prints what was measured)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure models; the console entry."""
    words = sys.argv[1:] if argv is None else argv
    args = _parser().parse_args(words)
    args.command = shlex.join([NAME, *words])
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
    _add_what(parser.add_argument_group("what to measure"))
    _add_output(parser.add_argument_group("output"))
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the native runtime's output"
    )
    add_version(parser)
    return parser


def _add_what(group: argparse._ArgumentGroup) -> None:
    runtimes = ("auto", "all", *RUNTIMES)
    group.add_argument(
        "--runtime", choices=runtimes, default="auto", help="(default: the first that is installed)"
    )
    group.add_argument(
        "--threads", type=threads_list, metavar="N,N|auto", help="(default: one per core, up to 4)"
    )
    group.add_argument(
        "--image",
        type=Path,
        metavar="FILE",
        help="image to classify (default: a drawn 640 x 480 JPEG)",
    )
    add_fact_arguments(group)
    group.add_argument(
        "--num-runs",
        type=count,
        default=200,
        metavar="N",
        help="number of timed runs (default: 200)",
    )
    group.add_argument(
        "--seconds",
        type=duration,
        default=0.0,
        metavar="S",
        help="time for this many seconds, instead of --num-runs",
    )
    group.add_argument(
        "--warmup-runs",
        type=count,
        default=10,
        metavar="N",
        help="minimum number of untimed runs first (default: 10)",
    )
    group.add_argument(
        "--cold-starts",
        type=number,
        default=5,
        metavar="N",
        help="number of fresh processes to start; the median counts (default: 5; 0 = none)",
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
        help="run the first model for this long, and print a time series as CSV",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    formats = ("text", "json", "csv", "markdown")
    group.add_argument("--format", choices=formats, default="text", help="(default: text)")
    group.add_argument("--raw", action="store_true", help="include every sample in JSON")
    group.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw the distributions (needs matplotlib)"
    )
    group.add_argument(
        "--save", type=Path, metavar="FILE.json", help="save the record, for --compare"
    )
    group.add_argument(
        "--compare", type=Path, metavar="FILE.json", help="compare with a saved record"
    )
    group.add_argument(
        "--fail-above",
        type=positive,
        metavar="RATIO",
        help="exit 1 if invoke or end to end takes more than RATIO times the baseline",
    )
    group.add_argument(
        "--max-loss",
        type=positive,
        default=0.01,
        metavar="SHARE",
        help="maximum loss of accuracy that a faster model may have (default: 0.01)",
    )
    group.add_argument(
        "--tune",
        action="store_true",
        help="only find the fastest runtime and number of threads, in seconds, for all commands to "
        "use; what is known already is not measured again",
    )
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="measure the model of edge-watch's configuration",
    )
    group.add_argument(
        "--apply",
        action="store_true",
        help="make edge-classify use the recommended settings; as root, edge-watch too",
    )


def duration(text: str) -> float:
    """Read seconds, such as 90, 90s, 10m or 1h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not 0 < seconds <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"must be seconds, or such as 10m. Received: {text}")
    return seconds


number = whole(0, 1000)
positive = real(0.0, 1000.0)


def _benchmark(args: argparse.Namespace) -> int:
    if args.config:
        _of_configuration(args)
    if args.tune:
        return _tune(args)
    combinations = _combinations(args)
    for path in (args.plot, args.save):
        _check_writable(path)
    if args.plot:
        plot.require()
    baseline = compare.read_baseline(args.compare) if args.compare else None
    if args.soak:
        return _soak(args, combinations[0])
    if args.source:
        return _stream(args, combinations)
    picture: Path | bytes = args.image or drawn_picture()
    if args.image:
        read_image(args.image, at_least=(1, 1))  # before an hour of measuring
    plan = Plan(
        combinations,
        picture,
        warmup_runs=args.warmup_runs,
        num_runs=args.num_runs,
        seconds=args.seconds,
        cold_starts=args.cold_starts,
        verbose=args.verbose,
    )
    with ShareBar() as progress:
        taking = measure_plan(plan, progress.show)
    shown = args.image.name if args.image else "a drawn 640 x 480 JPEG"
    found = findings(taking, args.command, shown)
    _print(found, args)
    return _after(found, baseline, args)


def _of_configuration(args: argparse.Namespace) -> None:
    """Take the model from a configuration where none is named. Raises: ConfigurationError."""
    from edge.service.configuration import build, read

    model = build(read(args.config)).model
    args.models = args.models or [Path(model) if model else default_model()]


def _tune(args: argparse.Namespace) -> int:
    """Measure what is not known yet, keep it, and print what is used from now on."""
    failed = False
    for path in args.models or shipped_models():
        try:
            kept = known(path) or measure(path, facts(args))
            place = keep(path, kept)
        except ModelError as error:
            failed = True
            complain(NAME, error)
            continue
        if best := kept.best(default_num_threads()):
            words = f"{PACKAGES[best.runtime]} with {threads_of(best.threads)}"
            others = slower(kept, best.runtime)
            said = f"{path}: {words}, {best.invoke_ms:.3g} ms{others and f'; {others}'}"
            print(f"{said}; kept in {place}")
    return int(failed)


def _combinations(args: argparse.Namespace) -> tuple[Combination, ...]:
    paths = args.models or shipped_models()
    if not paths:
        raise ModelError(models_folder(), "no model ships here", "name one: edge-benchmark MODEL")
    installed = installed_runtimes()
    if not installed:
        fault, remedy = "none is installed", "pip install 'ai-edge-litert>=2.1'"
        raise RuntimeMissingError("TFLite runtime", fault, remedy)
    options = facts(args)
    return tuple(
        Combination(path.resolve(), runtime, threads, options)
        for path in paths
        for runtime in (installed if args.runtime == "all" else [args.runtime])
        for runtime, threads in _ways(path, runtime, args.threads)
    )


def _ways(path: Path, runtime: str, threads: Sequence[int] | None) -> Iterator[tuple[str, int]]:
    """Yield runtime and threads: those that are given, else as all commands have them."""
    for number in dict.fromkeys(threads or (None,)):
        how = choose_model(path, runtime, number)
        name = installed_runtimes()[0] if how.runtime == "auto" else how.runtime
        yield name, how.num_threads or default_num_threads()


def _check_writable(path: Path | None) -> None:
    """Check before an hour of measuring that the result can be saved. Raises: OSError."""
    if path and (not path.parent.is_dir() or not os.access(path.parent, os.W_OK)):
        raise EdgeError(path, "cannot be written there", "check the folder and its rights")


def _print(found: Findings, args: argparse.Namespace) -> None:
    if args.format == "json":
        print(json.dumps(found.as_dict(args.raw), indent=1))
    elif args.format == "csv":
        print(tables.csv_text(found), end="")
    else:
        for line in {"text": tables.text, "markdown": tables.markdown}[args.format](found):
            print(line)
    for row in found.rows:
        if row.error:
            complain(NAME, row.error)
    sys.stdout.flush()


def _after(found: Findings, baseline: Mapping[str, Any] | None, args: argparse.Namespace) -> int:
    """Compare, recommend, keep; return the exit status."""
    # Beside JSON and CSV on stdout, words go to stderr.
    say = print if args.format == "text" else functools.partial(complain, NAME)
    failed = any(row.error for row in found.rows)
    if baseline is not None:
        failed |= _compare(found, baseline, args.fail_above, say)
    if recommended := recommend.recommend(found, args.max_loss):
        row = recommended.row
        say(
            f"recommended: {row.model} on {row.runtime} with {threads_of(row.threads)}: "
            f"{recommended.reason}"
        )
    if args.save:
        compare.save(found, args.save)
    if args.plot and any(row.invoke for row in found.rows):
        replace_file(args.plot, plot.findings_png(found))
    if args.apply and recommended and not found.partial:
        place = tuned.keep(recommend.measured(found, versions()), recommended.row.path)
        say(f"written to {place}")
    return 130 if found.partial else int(failed)


def _compare(
    found: Findings, baseline: Mapping[str, Any], limit: float | None, say: Callable[[str], None]
) -> bool:
    """Print what changed; return whether a limit is exceeded."""
    for line in compare.differences(found, baseline):
        say(line)
    compared = compare.compare(found, baseline)
    for one in compared:
        if one.what in compare.LATENCIES or one.verdict != compare.ALIKE:
            say(str(one))
    if not compared:
        say("nothing to compare: no model, runtime and number of threads are in both")
        return True
    over = [c for c in compared if c.what in compare.LATENCIES and limit and c.ratio.value > limit]
    return bool(over)


def _stream(args: argparse.Namespace, combinations: Sequence[Combination]) -> int:
    seconds = args.seconds or STREAM_S
    rows, failed = list[Mapping[str, Any]](), False
    with ShareBar() as progress:
        for combination in combinations:
            try:
                with Worker(combination, drawn_picture(), verbose=args.verbose) as worker:
                    facts = worker.open(args.warmup_runs)
                    said = asdict(worker.stream(args.source, seconds, progress.show))
            except KeyboardInterrupt:  # before its first frame
                return _told(rows, args.format, 130)
            except EdgeError as error:
                failed = True
                complain(NAME, error)
                continue
            head = {
                "schema": BENCHMARK_SCHEMA,
                "model": combination.path.name,
                "runtime": facts.runtime,
            }
            rows.append(head | {"threads": combination.threads} | said)
            if said["partial"]:
                complain(NAME, "partial: it was interrupted")
                return _told(rows, args.format, 130)
    return _told(rows, args.format, int(failed))


def _told(rows: Sequence[Mapping[str, Any]], format_name: str, status: int) -> int:
    """Print what became of a source's frames, and return the exit status."""
    if format_name == "json":
        print(json.dumps(rows, indent=1))
    else:
        for line in tables.stream_lines(rows, format_name):
            print(line)
    return status


def _soak(args: argparse.Namespace, combination: Combination) -> int:
    moments: list[soak.Moment] = []
    interrupted = False
    picture: Path | bytes = args.image or drawn_picture()
    with Worker(combination, picture, verbose=args.verbose) as worker, ShareBar() as progress:
        facts = worker.open(args.warmup_runs)
        try:
            moments.extend(soak.soak(worker, args.soak, progress.show))
        except KeyboardInterrupt:
            interrupted = True
    if not moments:
        return 130
    if args.format == "json":
        print(json.dumps([{"schema": BENCHMARK_SCHEMA} | asdict(one) for one in moments], indent=1))
    else:
        print(soak.csv_text(moments), end="")
    title = f"{combination.path.name}, {facts.runtime}, {threads_of(combination.threads)}"
    said = f"{title}: {soak.verdict(moments)}"
    complain(NAME, f"{said}{'; partial: it was interrupted' if interrupted else ''}")
    if args.plot:
        replace_file(args.plot, plot.soak_png(moments, said))
    return 130 if interrupted else 0
