"""How often edge-benchmark calls an unchanged model slower, and how often it finds a change.

Pairs of benchmarks of one model, each in processes of its own, are compared as --compare does:
unchanged, where nothing may be called slower or faster, and with a change planted into the samples
of invoke, which must be found. --busy keeps cores busy meanwhile, as other programs do. --drawn
measures once, and draws the pairs around that: rounds that differ by 1 %, runs by 5 %, and a
neighbour that slows down a third of the runs in half of the rounds, on four cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.benchmark import drawn_picture
from edge.benchmark.compare import FASTER, LATENCIES, SLOWER, UNKNOWN, Outcome, compare, record
from edge.benchmark.measure import Plan, measure
from edge.benchmark.report import Findings, findings
from edge.benchmark.worker import Combination
from edge.classifier.model import models_folder
from edge.classifier.runtime import installed_runtimes
from edge.commands.arguments import count, real, whole
from edge.interval import wilson


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/verdicts.py`."""
    parser = argparse.ArgumentParser(prog="python benchmarks/verdicts.py", description=__doc__)
    parser.add_argument("--pairs", type=count, default=100)
    parser.add_argument("--busy", type=whole(0, 64), default=1, help="busy processes (default: 1)")
    parser.add_argument("--planted", type=real(0.0, 10.0), default=1.1, help="(default: 1.1)")
    model = models_folder() / "hotdog-scratch.tflite"
    parser.add_argument("--model", type=Path, default=model)
    parser.add_argument("--drawn", action="store_true", help="draw the pairs")
    args = parser.parse_args(argv)
    judged: Counter[str] = Counter()
    pairs = drawn_pairs(args.model) if args.drawn else measured_pairs(args.model)
    with ExitStack() as stack:
        for _ in range(args.busy):
            stack.enter_context(busy())
        for _ in range(args.pairs):
            before, after = next(pairs)
            judge(compare(after, record(before, None, raw=True)), judged)
            changed = compare(planted(after, args.planted), record(before, None, raw=True))
            invoke = next(one for one in changed.comparisons if one.what == "invoke")
            judged["planted found"] += invoke.verdict == SLOWER
            judged["planted without a verdict"] += invoke.verdict.startswith(UNKNOWN)
    print_table(judged, args)
    return 0


@contextmanager
def busy() -> Iterator[None]:
    """Keep a core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def measured_pairs(model: Path) -> Iterator[tuple[Findings, Findings]]:
    """Yield two benchmarks of a model, again and again."""
    while True:
        yield found(model), found(model)


def drawn_pairs(model: Path) -> Iterator[tuple[Findings, Findings]]:
    """Yield two that are drawn around one benchmark of a model."""
    measured, random = found(model), np.random.default_rng(0)
    (row,) = measured.rows
    alone = replace(measured.after, affinity=(0, 1, 2, 3), load_of_others=1.0)

    def drawn() -> Findings:
        samples = {
            what: [around(np.median(np.concatenate(rounds)), len(part), random) for part in rounds]
            for what, rounds in row.samples_ns.items()
        }
        return replace(measured, after=alone, rows=(replace(row, samples_ns=samples),))

    while True:
        yield drawn(), drawn()


def around(median: float, runs: int, random: np.random.Generator) -> list[int]:
    """Draw a round's runs."""
    times = median * random.normal(1, 0.01) * random.lognormal(0, 0.05, runs)
    if random.random() < 0.5:  # the neighbour is at work
        disturbed = random.random(runs) < 1 / 3
        times = np.where(disturbed, times * random.uniform(1.2, 2.5, runs), times)
    return [round(ns) for ns in times.tolist()]


def found(model: Path) -> Findings:
    """Benchmark a model with one thread."""
    combination = Combination(model.resolve(), installed_runtimes()[0], 1)
    return findings(measure(Plan((combination,), drawn_picture(), cold_starts=0)), "", "drawn")


def planted(unchanged: Findings, ratio: float) -> Findings:
    """Return the findings as if invoke had taken that many times as long."""
    (row,) = unchanged.rows
    slower = [[round(ns * ratio) for ns in samples] for samples in row.samples_ns["invoke"]]
    changed = replace(row, samples_ns={**row.samples_ns, "invoke": slower})
    return replace(unchanged, rows=(changed,))


def judge(outcome: Outcome, judged: Counter[str]) -> None:
    """Count the comparisons of an unchanged pair, and those that are called changed."""
    for one in outcome.comparisons:
        kind = "latency" if one.what.startswith(LATENCIES) else "stage"
        judged[f"{kind} compared"] += 1
        judged[f"{kind} called changed"] += one.verdict in (SLOWER, FASTER)
        judged[f"{kind} without a verdict"] += one.verdict.startswith(UNKNOWN)


def print_table(judged: Counter[str], args: argparse.Namespace) -> None:
    """Print each share with its 95 % interval."""
    print("| what | number | of | 95 % interval | without a verdict |")
    print("|---|---:|---:|---|---:|")
    for what, part, total, unknown in (
        ("unchanged latencies called changed", "latency called changed", "latency compared", ""),
        ("unchanged stages called changed", "stage called changed", "stage compared", ""),
        (f"invoke at {args.planted:g} times found", "planted found", "", "planted"),
    ):
        number, of = judged[part], judged[total] if total else args.pairs
        low, high = wilson(number, of)
        kind = unknown or part.split()[0]
        left = judged[f"{kind} without a verdict"]
        print(f"| {what} | {number} | {of} | {low:.1%} to {high:.1%} | {left} |")


if __name__ == "__main__":
    sys.exit(main())
