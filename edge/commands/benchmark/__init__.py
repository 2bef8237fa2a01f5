"""edge-benchmark: how long does a model take on this machine, and is that reliable?"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge.benchmark import compare, drawn_picture, plot, recommend, tables
from edge.benchmark.measure import Plan
from edge.benchmark.measure import measure as measure_plan
from edge.benchmark.report import Findings, findings
from edge.benchmark.worker import Combination
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
from edge.commands import complain, run
from edge.commands.arguments import facts
from edge.commands.benchmark.options import NAME, read_options
from edge.commands.progress import ShareBar
from edge.errors import ConfigurationError, EdgeError, ModelError, RuntimeMissingError
from edge.files import replace_file
from edge.image.preprocess import read_image
from edge.names import PACKAGES
from edge.service.configuration import Configuration, build, read


def main(argv: Sequence[str] | None = None) -> int:
    """Measure models; the console entry."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = read_options(words)
    args.command = shlex.join([NAME, *words])
    return run(lambda: _benchmark(args), NAME)


def _benchmark(args: argparse.Namespace) -> int:
    configuration = build(read(args.config)) if args.config else Configuration()
    args.models = _models(args, configuration)
    if args.mode == "tune":
        return _tune(args, configuration)
    combinations = _combinations(args, configuration)
    _ensure_one(args, combinations)
    for path, head, what in ((args.plot, b"\x89PNG", "PNG file"), (args.save, b"{", "record")):
        if path:
            _ensure_writable(path, head, what)
    if args.plot:
        plot.require()
    if args.image:
        read_image(args.image, at_least=(1, 1))  # before an hour of measuring
    if args.mode:
        from edge.commands.benchmark import frames

        if args.mode == "rate":
            return frames.rated(args, combinations)
        if args.mode == "source":
            return frames.stream(args, combinations)
        return frames.soaked(args, combinations[0])
    return _measure(args, combinations)


def _models(args: argparse.Namespace, configuration: Configuration) -> list[Path]:
    """The models that are named, in folders as well; else the configuration's, or the shipped."""
    paths: list[Path] = []
    for path in args.models:
        inside = sorted(path.glob("*.tflite")) if path.is_dir() else [path]
        if not inside:
            raise ModelError(path, "has no .tflite files", "name a model, or a folder of models")
        paths += inside
    if not paths and args.config:
        paths = [Path(configuration.model) if configuration.model else default_model()]
    paths = paths or ([default_model()] if args.mode == "soak" else shipped_models())
    if not paths:
        raise ModelError(models_folder(), "contains no models", "name one: edge-benchmark MODEL")
    return list(_once(paths))


def _once(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield each file once, by whatever names; name those that are left out."""
    first: dict[object, Path] = {}
    for path in paths:
        with contextlib.suppress(OSError):  # opening it will report it
            file = path.stat()
            earlier = first.setdefault((file.st_dev, file.st_ino), path)
            if earlier is not path:
                complain(NAME, f"{path}: is the same file as {earlier}, and is measured once")
                continue
        yield path


def _ensure_one(args: argparse.Namespace, combinations: Sequence[Combination]) -> None:
    """See that what takes one model has no folder of them. Raises: ConfigurationError."""
    if args.mode == "soak" and len(combinations) > 1:
        fault = f"takes one model, runtime and number of threads. Received: {len(combinations)}"
        raise ConfigurationError("--soak", fault, "run several in turn with --rate")
    if args.role and len(args.models) > 1:
        fault = f"is for one model. Received: {len(args.models)}"
        raise ConfigurationError("--as", fault, "name one model file")


def _tune(args: argparse.Namespace, configuration: Configuration) -> int:
    """Measure what is not known yet, keep it, and print what is used from now on."""
    failed = False
    for path in args.models:
        try:
            kept = known(path) or measure(path, configuration.facts | facts(args))
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


def _combinations(
    args: argparse.Namespace, configuration: Configuration
) -> tuple[Combination, ...]:
    installed = installed_runtimes()
    if not installed:
        fault, remedy = "none is installed", "pip install 'ai-edge-litert>=2.1'"
        raise RuntimeMissingError("TFLite runtime", fault, remedy)
    options = configuration.facts | facts(args)
    return tuple(
        Combination(
            path.resolve(), runtime, threads, options, configuration.camera, configuration.framing
        )
        for path in args.models
        for runtime in (installed if args.runtime == "all" else [args.runtime])
        for runtime, threads in _ways(path, runtime, args.threads)
    )


def _ways(path: Path, runtime: str, threads: Sequence[int] | None) -> Iterator[tuple[str, int]]:
    """Yield runtime and threads: those that are given, else as all commands have them."""
    for number in dict.fromkeys(threads or (None,)):
        how = choose_model(path, runtime, number)
        name = installed_runtimes()[0] if how.runtime == "auto" else how.runtime
        yield name, how.num_threads or default_num_threads()


def _ensure_writable(path: Path, head: bytes, what: str) -> None:
    """Check before an hour of measuring that the result can be saved, over nothing else.

    Args:
        path: a file that may be there.
        head: how a file begins that may be replaced.
        what: that file in words.

    Raises: EdgeError.
    """
    if path.exists() and not path.is_file():
        raise EdgeError(path, "is not a regular file", "use the name of a regular file")
    try:
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            begins = b""
        if path.exists():
            with path.open("rb") as file:
                begins = file.read(len(head))
    except OSError as error:
        fault = f"cannot be written ({error.strerror})"
        raise EdgeError(path, fault, "check the folder and its permissions") from error
    if begins not in (b"", head):
        raise EdgeError(path, f"is not a {what}, and would be overwritten", "use another name")


def _measure(args: argparse.Namespace, combinations: tuple[Combination, ...]) -> int:
    baseline = compare.read_baseline(args.compare) if args.compare else None
    plan = Plan(
        combinations,
        args.image or drawn_picture(),
        warmup_runs=args.warmup_runs,
        num_runs=args.num_runs,
        seconds=args.seconds,
        cold_starts=args.cold_starts,
        verbose=args.verbose,
    )
    with ShareBar() as progress:
        taking = measure_plan(plan, progress.show)
    shown = args.image.name if args.image else "a drawn 640 x 480 JPEG"
    found = findings(taking, args.command, shown, args.role or "")
    outcome = compare.compare(found, baseline) if baseline is not None else None
    _print(found, outcome, args)
    return _after(found, outcome, baseline, args)


def _print(found: Findings, outcome: compare.Outcome | None, args: argparse.Namespace) -> None:
    if args.format == "json":
        print(json.dumps(compare.record(found, outcome, raw=args.raw), indent=1))
    elif args.format == "csv":
        print(tables.csv_text(found), end="")
    else:
        for line in {"text": tables.text, "markdown": tables.markdown}[args.format](found):
            print(line)
    for row in found.rows:
        if row.error:
            complain(NAME, row.error)
    sys.stdout.flush()


def _after(
    found: Findings,
    outcome: compare.Outcome | None,
    baseline: compare.Record | None,
    args: argparse.Namespace,
) -> int:
    """Compare, recommend, keep; return the exit status."""
    # Beside JSON and CSV on stdout, words go to stderr.
    say = print if args.format == "text" else functools.partial(complain, NAME)
    failed = any(row.error for row in found.rows)
    if outcome:
        for line in outcome.lines():
            say(line)
        failed |= outcome.failed(args.fail_above)
    if args.strict and found.doubts:
        say("the figures are unreliable, see above (--strict)")
        failed = True
    recommended = recommend.recommend(found, args.max_loss)
    if recommended:
        row = recommended.row
        say(
            f"recommended: {row.model} on {row.runtime} with {threads_of(row.threads)}: "
            f"{recommended.reason}"
        )
    if args.save:
        say(f"saved to {_save(found, outcome, args.save)}")
    if args.plot and any(row.invoke for row in found.rows):
        replace_file(args.plot.resolve(), plot.findings_png(found, baseline))
    if args.apply and recommended and not found.partial:
        failed |= not _apply(found, recommended, args.force, say)
    return 130 if found.partial else int(failed)


def _save(found: Findings, outcome: compare.Outcome | None, path: Path) -> Path:
    """Save the record whole; a partial one beside a complete one. Raises: OSError."""
    is_partial = found.partial or any(row.error for row in found.rows)
    if is_partial and compare.is_complete(path):
        path = path.with_suffix(".partial.json")
    path = path.resolve()  # a link stays one
    content = json.dumps(compare.record(found, outcome, raw=True), separators=(",", ":"))
    replace_file(path, content.encode() + b"\n")
    return path


def _apply(
    found: Findings,
    recommended: recommend.Recommendation,
    force: bool,
    say: Callable[[str], None],
) -> bool:
    """Let all commands use what was found; return whether that was done. Raises: OSError."""
    if found.doubts and not force:
        say("not applied: the figures are unreliable, see above; --force applies them")
        return False
    place = tuned.keep(recommend.measured(found, versions()), recommended.row.path)
    say(f"written to {place}")
    return True
