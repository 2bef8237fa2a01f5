"""Whether the runtime that is used by default is the faster one of those that are installed.

The model is opened as edge-classify opens it for a batch (measured first), and on each runtime
alone, with the same number of threads; all take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge.benchmark import drawn_picture
from edge.benchmark.measure import Plan, measure
from edge.benchmark.report import findings
from edge.benchmark.samples import paired_ratio
from edge.benchmark.worker import Combination
from edge.classifier.model import default_model
from edge.classifier.runtime import installed_runtimes
from edge.classifier.selection import choose_model
from edge.commands.arguments import count
from edge.names import PACKAGES


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/runtimes.py`."""
    parser = argparse.ArgumentParser(prog="python benchmarks/runtimes.py", description=__doc__)
    parser.add_argument("--num-runs", type=count, default=200)
    parser.add_argument("--model", type=Path, default=default_model())
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:  # what is known already would decide
        os.environ |= {"XDG_CONFIG_HOME": folder, "CONFIGURATION_DIRECTORY": folder}
        how = choose_model(args.model, "auto", None).measured({})
    threads, path = how.num_threads or 1, args.model.resolve()
    names = ["default", *installed_runtimes()]
    runtimes = [how.runtime, *installed_runtimes()]
    plan = Plan(
        tuple(Combination(path, runtime, threads) for runtime in runtimes),
        drawn_picture(),
        num_runs=args.num_runs,
        cold_starts=0,
    )
    rows = findings(measure(plan), "", "drawn").rows
    best = min(rows[1:], key=lambda row: row.invoke.p50_ms if row.invoke else float("inf"))
    print(f"default: {PACKAGES[how.runtime]} with {threads} threads\n")
    print("| runtime | p50 ms | of the fastest alone | 95 % interval |")
    print("|---|---:|---:|---|")
    for name, row in zip(names, rows, strict=True):
        if not row.invoke:
            print(f"| {name} | - | - | {row.error} |")
            continue
        found = paired_ratio(row.samples_ns["invoke"], best.samples_ns["invoke"])
        print(f"| {name} | {row.invoke.p50_ms:.3g} | {found.value:.2f} | {found} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
