"""What edge-benchmark does with frames: --source, --soak and --rate."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any

from edge.benchmark import drawn_picture, plot, soak, tables
from edge.benchmark.conditions import During, Load, Sampler, doubts, look, look_before, remarks
from edge.benchmark.rate import DEFAULT_S, Interval, Turns, Verdict, verdicts
from edge.benchmark.worker import Combination, Worker
from edge.classifier.selection import threads_of
from edge.commands import complain
from edge.commands.benchmark.options import NAME
from edge.commands.progress import ShareBar
from edge.errors import EdgeError
from edge.files import replace_file
from edge.names import BENCHMARK_SCHEMA

STREAM_S = 10.0


@contextmanager
def looked_at(*, paced: bool = False) -> Iterator[tuple[Sampler, Load]]:
    """Look at the machine before, during and after; print on stderr what is not reliable.

    Args: whether frames come at a rate, at which a low clock is right.
    """
    before, sampler, load = look_before(), Sampler(), Load()
    yield sampler, load
    sampler.between_turns()
    during = sampler.result()
    if paced:
        during = During(during.samples, None, during.highest_celsius, during.throttling)
    after = look(load_of_others=load.look(()))
    for line in remarks(after):
        complain(NAME, line)
    for line in doubts(before, during, after):
        complain(NAME, f"unreliable: {line}")


def stream(args: argparse.Namespace, combinations: Sequence[Combination]) -> int:
    """Measure with frames of a source, as fast as it goes; return the exit status."""
    rows, failed = list[Mapping[str, Any]](), False
    with looked_at() as (sampler, _), ShareBar() as progress:
        for combination in combinations:
            try:
                row = _streamed(args, combination, sampler, progress)
            except KeyboardInterrupt:  # before its first frame
                return _print_rows(rows, args.format, 130)
            except EdgeError as error:
                failed = True
                complain(NAME, error)
                continue
            rows.append(row)
            if row["partial"]:
                complain(NAME, "partial: it was interrupted")
                return _print_rows(rows, args.format, 130)
    return _print_rows(rows, args.format, int(failed))


def _streamed(
    args: argparse.Namespace, combination: Combination, sampler: Sampler, progress: ShareBar
) -> dict[str, Any]:
    seconds = args.seconds or STREAM_S

    def report(share: float, what: str) -> None:
        sampler.under_load()
        progress.show(share, what)

    with Worker(combination, drawn_picture(), verbose=args.verbose) as worker:
        facts = worker.open(args.warmup_runs)
        found = asdict(worker.stream(args.source, seconds, report))
    head = {"schema": BENCHMARK_SCHEMA, "model": combination.path.name, "runtime": facts.runtime}
    return head | {"threads": combination.threads} | found


def _print_rows(rows: Sequence[Mapping[str, Any]], format_name: str, status: int) -> int:
    if format_name == "json":
        print(json.dumps(rows, indent=1))
    elif rows:
        for line in tables.stream_lines(rows, format_name):
            print(line)
    return status


def soaked(args: argparse.Namespace, combination: Combination) -> int:
    """Run one model without a pause; print each interval as it ends; return the exit status."""
    moments: list[soak.Moment] = []
    interrupted = False
    picture: Path | bytes = args.image or drawn_picture()
    with (
        looked_at() as (sampler, _),
        Worker(combination, picture, verbose=args.verbose) as worker,
        ShareBar() as progress,
    ):
        facts = worker.open(args.warmup_runs)
        worker.meanwhile = sampler.under_load
        try:
            for moment in soak.soak(worker, args.soak, progress.show):
                _print_record(moment, args.format, first=not moments)
                moments.append(moment)
        except KeyboardInterrupt:
            interrupted = True
    if not moments:
        return 130
    title = f"{combination.path.name}, {facts.runtime}, {threads_of(combination.threads)}"
    said = f"{title}: {soak.verdict(moments)}"
    complain(NAME, f"{said}{'; partial: it was interrupted' if interrupted else ''}")
    if args.plot:
        replace_file(args.plot, plot.soak_png(moments, said))
    return 130 if interrupted else 0


def _print_record(record: Any, format_name: str, *, first: bool) -> None:
    """Print one line and flush it: what comes after may be a power cut."""
    if format_name == "json":
        print(json.dumps({"schema": BENCHMARK_SCHEMA} | asdict(record)), flush=True)
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if first:
        writer.writerow([field.name for field in fields(record)])
    writer.writerow(["" if value is None else value for value in astuple(record)])
    sys.stdout.flush()


def rated(args: argparse.Namespace, combinations: Sequence[Combination]) -> int:
    """Run the models in turns at a rate; print each interval; return the exit status."""
    intervals: list[Interval] = []
    failed = interrupted = False
    picture: Path | bytes = args.image or drawn_picture()
    with looked_at(paced=True) as (sampler, _), ExitStack() as stack, ShareBar() as progress:
        workers: list[tuple[Worker, str]] = []
        try:
            for combination in combinations:
                worker = stack.enter_context(Worker(combination, picture, verbose=args.verbose))
                try:
                    workers.append((worker, worker.open(args.warmup_runs).runtime))
                except EdgeError as error:
                    failed = True
                    complain(NAME, error)
            turns = Turns(workers, args.rate, args.source or "")
            for interval in turns.run(args.soak or DEFAULT_S, progress.show):
                sampler.under_load()  # as hot as the turn has left it
                _print_interval(interval, args.format, first=not intervals)
                intervals.append(interval)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        complain(NAME, "partial: it was interrupted")
    _print_verdicts(verdicts(intervals, args.rate), args.format)
    if args.plot and intervals:
        replace_file(args.plot, plot.rate_png(intervals, args.rate))
    return 130 if interrupted else int(failed)


def _print_interval(interval: Interval, format_name: str, *, first: bool) -> None:
    if format_name in ("json", "csv"):
        _print_record(interval, format_name, first=first)
        return
    if first:
        print(tables.RATE_HEAD)
    print(tables.rate_line(interval), flush=True)


def _print_verdicts(found: Sequence[Verdict], format_name: str) -> None:
    for one in found:
        if format_name == "json":
            print(json.dumps(one.as_dict()))
        else:
            line = f"{one.model}, {one.runtime}, {threads_of(one.threads)}: {one.words}"
            print(line, file=sys.stderr if format_name == "csv" else sys.stdout)
    sys.stdout.flush()
