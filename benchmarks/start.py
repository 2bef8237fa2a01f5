"""How long `edge-classify photo.jpg` takes as a whole process, beside a script of ten lines.

Both classify the same photo by the same model on the same runtime, in turns: a ratio near 1 says
that argparse, metadata, labels and checks cost little beside importing numpy and the runtime. Then
`edge-classify --help` and a bare Python. Processor time is steadier than the time that passes where
the machine is busy. Bytecode is compiled before, as an installed package's is.
"""

from __future__ import annotations

import argparse
import compileall
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from peers import SCRIPT

from edge.benchmark import drawn_picture
from edge.classifier.model import default_model
from edge.classifier.runtime import default_num_threads, installed_runtimes
from edge.commands.arguments import count
from edge.names import RUNTIMES

ROOT = Path(__file__).resolve().parent.parent
# What the console script runs; `python -m` would look for the package once more.
ENTRY = "import sys; from edge.commands.classify import main; sys.exit(main())"
WARMUP = 2  # rounds that do not count


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/start.py`."""
    parser = argparse.ArgumentParser(prog="python benchmarks/start.py", description=__doc__)
    parser.add_argument("--starts", type=count, default=15, help="of each that count (default: 15)")
    starts = parser.parse_args(argv).starts
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(drawn_picture())
        print_starts(photo, default_model(), starts)
    return 0


def print_starts(photo: Path, model: Path, starts: int) -> None:
    """Print a row for the classification of a photo, and one for --help."""
    compileall.compile_dir(ROOT / "edge", quiet=1)
    module = RUNTIMES[installed_runtimes()[0]]
    script = SCRIPT.format(module=module, threads=default_num_threads())
    ways = (
        ("-c", ENTRY, "-m", str(model), str(photo)),
        ("-c", script, str(model), str(photo)),
        ("-c", ENTRY, "--help"),
        ("-c", "pass"),
    )
    rounds = [[_seconds(words) for words in ways] for _ in range(WARMUP + starts)][WARMUP:]
    ours, theirs, shown, bare = zip(*rounds, strict=True)
    print("| a whole process | it, ms | beside it, ms | ratio | of processor time | wanted |")
    print("|---|---|---|---|---|---|")
    _print_row("edge-classify photo.jpg; the script of ten lines", ours, theirs, "1.05")
    _print_row("edge-classify --help; python -c pass", shown, bare, "30 ms")


def _print_row(
    what: str, ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], wanted: str
) -> None:
    """Print medians of the time that passed, and of the ratios of pairs."""
    passed, other = (1000 * statistics.median(pair[0] for pair in each) for each in (ours, theirs))
    ratio, of_processor = (
        statistics.median(a[index] / b[index] for a, b in zip(ours, theirs, strict=True))
        for index in range(2)
    )
    print(f"| {what} | {passed:.0f} | {other:.0f} | {ratio:.2f} | {of_processor:.2f} | {wanted} |")


def _seconds(words: Sequence[str]) -> tuple[float, float]:
    """How long a process takes: the time that passes, and the processors'."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # in which a runtime tells of its delegate
    )
    _, status, usage = os.wait4(process.pid, 0)
    passed = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"start: {words[:2]} ended with {process.returncode}")
    return passed, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
