"""Ask machines what models answer: ask.py [--limit SECONDS] CACHE WORK FOLDER MACHINE...

A machine is this one, as reference-tflite, native-tflite or native-litert, or an emulated one,
SUITE-ARCHITECTURE-RUNTIME-PROCESSOR, in a root of CACHE. Each is asked by answers.py for every
model in WORK/FOLDER on WORK/pictures, as many machines beside each other as there are processors.
WORK/answers/MACHINE/MODEL.jsonl is what it said. A model that ends its process (a crash,
or more than so many seconds) gets a last line {"failure": ...}, which names the signal, and the
next process begins with the model after it.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from beside import beside

HERE = Path(__file__).resolve().parent


def command(machine: str, cache: Path, work: Path) -> tuple[list[str], dict[str, str], str]:
    """Return what runs answers.py there, in which environment, and where WORK is for it."""
    kind, rest = machine.split("-", 1)
    if kind == "reference":
        words = [sys.executable, str(work / "answers.py"), "--runtime", rest, "--reference"]
    elif kind == "native":
        words = [sys.executable, str(work / "answers.py"), "--runtime", rest]
    else:
        architecture, runtime, processor = rest.split("-", 2)
        root = [f"{kind}-{architecture}", runtime, processor]
        words = [str(HERE / "in-root.sh"), str(cache), *root, str(work)]
        words += ["/usr/bin/python3", "/trial/answers.py", "--runtime", runtime]
        return words, dict(os.environ), "/trial"
    return words, os.environ | {"PYTHONPATH": str(work / "site")}, str(work)


def ask(machine: str, cache: Path, work: Path, models: Sequence[Path], limit: int) -> int:
    """Fill WORK/answers/MACHINE; return 0. Each round ends one model at least."""
    started = time.monotonic()
    words, environment, base = command(machine, cache, work)
    out = work / "answers" / machine
    out.mkdir(parents=True, exist_ok=True)
    fixed = ["--limit", str(limit), f"{base}/pictures", f"{base}/answers/{machine}"]
    left = [model.relative_to(work) for model in models]
    while left:
        asked = [*words, *fixed, *(f"{base}/{model}" for model in left)]
        with (out / "stderr").open("w+") as errors:
            done = subprocess.run(asked, env=environment, stdout=errors, stderr=errors)
            errors.seek(0)
            said = errors.read().splitlines()
        if done.returncode == -signal.SIGTERM:
            return 1  # and so is all that was started
        left = [model for model in left if not has_ended(out / f"{model.name}.jsonl")]
        if left:
            failed = left.pop(0)
            print(f"ask: {failed.name} failed on {machine}", *said[-5:], sep="\n", file=sys.stderr)
            with (out / f"{failed.name}.jsonl").open("a") as answers:
                answers.write(f"\n{json.dumps({'failure': reason(done.returncode, limit)})}\n")
    took = time.monotonic() - started
    print(f"ask: {machine} answered ({took:.0f} s)", file=sys.stderr, flush=True)
    return 0


def has_ended(answers: Path) -> bool:
    """Whether answers.py came to the end of a model, good or bad."""
    return answers.is_file() and answers.read_text().endswith('{"end": true}\n')


def reason(returncode: int, limit: int) -> str:
    """How a process ended that should have gone on to the next model."""
    if returncode == -signal.SIGALRM:
        return f"no end within {limit} s"
    if returncode < 0:
        return signal.Signals(-returncode).name
    return f"exit status {returncode}"


def main() -> int:
    """Ask all; a failure of a model is an answer too, for compare.py to judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=180, help="seconds for a model on a machine")
    parser.add_argument("cache", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("folder")
    parser.add_argument("machines", nargs="+", metavar="machine")
    args = parser.parse_args()
    models = sorted((args.work / args.folder).iterdir())
    print(f"ask: {len(models)} models on {len(args.machines)} machines", file=sys.stderr)
    tasks = [
        functools.partial(ask, machine, args.cache, args.work, models, args.limit)
        for machine in args.machines
    ]
    return max(beside(tasks))


if __name__ == "__main__":
    sys.exit(main())
