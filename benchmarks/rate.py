"""Whether --rate shows what edge-watch then takes: p50 of invoke, in turns.

`edge-watch --fps 10` classifies the images of a folder, and `edge-benchmark --rate 10 --source`
the same, with the same model, runtime and threads; a ratio near 1 says that one can plan with it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge.benchmark import drawn_picture
from edge.classifier.model import default_model
from edge.commands.arguments import count, real

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 10  # frames that do not count: a service runs for days


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/rate.py`."""
    parser = argparse.ArgumentParser(prog="python benchmarks/rate.py", description=__doc__)
    parser.add_argument("--pairs", type=count, default=4)
    parser.add_argument("--fps", type=real(0.0, 1000.0, above=True), default=10.0)
    parser.add_argument("--seconds", type=count, default=20, help="of each (default: 20)")
    parser.add_argument("--model", type=Path, default=default_model())
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "photo.jpg").write_bytes(drawn_picture())
        pairs = [(benchmarked(args, folder), watched(args, folder)) for _ in range(args.pairs)]
    print(f"| pair | edge-benchmark --rate {args.fps:g}, ms | edge-watch, ms | ratio |")
    print("|---|---:|---:|---:|")
    for place, (ours, theirs) in enumerate(pairs, start=1):
        print(f"| {place} | {ours:.3f} | {theirs:.3f} | {ours / theirs:.2f} |")
    ratios = [ours / theirs for ours, theirs in pairs]
    print(f"| median | | | {statistics.median(ratios):.2f} |")
    return 0


def benchmarked(args: argparse.Namespace, folder: str) -> float:
    """Return the p50 of invoke that --rate shows, in ms."""
    words = ["benchmark", args.model, "--rate", args.fps, "--soak", args.seconds]
    options = ["--source", folder, "--threads", 1, "--format", "json"]
    lines = output([*words, *options]).splitlines()
    return statistics.median(json.loads(line)["p50_ms"] for line in lines[:-1])


def watched(args: argparse.Namespace, folder: str) -> float:
    """Return the p50 of invoke of edge-watch's results, in ms."""
    words = ["watch", "--source", folder, "--repeat", "--model", args.model, "--fps", args.fps]
    command = [sys.executable, "-m", "edge", *map(str, words), "--threads", "1", "--every", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        wanted = int(args.fps * args.seconds)
        lines = [process.stdout.readline() for _ in range(wanted)]
        process.terminate()
        process.communicate()
    found = [json.loads(line) for line in lines if line.strip()]
    times = [record["invoke_ms"] for record in found if "invoke_ms" in record]
    return statistics.median(times[WARM_UP:])


def output(words: Sequence[object]) -> str:
    """Return what a command prints, or end with what went wrong."""
    command = [sys.executable, "-m", "edge", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"rate: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
