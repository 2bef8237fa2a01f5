"""Seconds until `python -m convert` reports how it understands a folder of many photos.

    python benchmarks/first_line.py PHOTOS [--photos 5000] [--runs 3]

The files of PHOTOS are copied, each made different by a few bytes at its end, into five classes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edge.sources.photos import files


def copy(photos: Path, folder: Path, count: int) -> None:
    """Write so many different files, in five classes."""
    paths = list(files(photos, recursive=True))
    for number in range(count):
        label = folder / f"class {number % 5}"
        label.mkdir(parents=True, exist_ok=True)
        content = paths[number % len(paths)].read_bytes() + b"%d" % number
        (label / f"{number:05}.jpg").write_bytes(content)


def seconds(photos: Path, out: Path) -> float:
    """Start a run, and stop it after the last line of its table."""
    command = [sys.executable, "-m", "convert", str(photos), "-o", str(out), "--network", "small"]
    started = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if " classes " in line:
                break
        else:
            raise SystemExit("it ended without its table")
        found = time.monotonic() - started
        process.kill()
        return found


def main() -> None:
    """Print the median and all runs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--photos", dest="count", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy(args.photos, folder / "photos", args.count)
        runs = [seconds(folder / "photos", folder / f"out{run}") for run in range(args.runs)]
    shown = ", ".join(f"{run:.2f}" for run in runs)
    print(f"{args.count} photos: {statistics.median(runs):.2f} s until the table ({shown})")


if __name__ == "__main__":
    main()
