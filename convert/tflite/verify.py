"""What each installed runtime makes of a model's golden inputs; one process for each.

    python -m convert.tflite.verify MODEL RUNTIME [--reference]

Two TFLite runtimes in one process take each other's symbols; and a crash must not end the caller.

Right runtimes differ: kernels for one processor round otherwise than those for another, and fifty
layers of int8 make a tenth of a score of it. tflite-runtime on ARM computes int8 convolutions and
additions bit for bit as the reference kernels do on x86-64 (deploy/testbed shows it), so that these
are checked too: the golden vectors then hold on a Raspberry Pi.
"""

from __future__ import annotations

import functools
import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.tflite.process import last_words, run_module
from edge.classifier import golden
from edge.classifier.model import Model
from edge.classifier.runtime import installed_runtimes
from edge.commands import run
from edge.names import PACKAGES, RUNTIMES

Scores = list[list[float]]  # of each golden input, in order

# What runtimes were seen to differ by is allowed twice over, never less or more than this.
LEAST_TOLERANCE = 2 / 256 + 1e-6  # two steps of an 8-bit score
MOST_TOLERANCE = 0.25
# Reference kernels take minutes on a network of VGG16's size: it then goes without.
MOST_SECONDS = 60


@dataclass(frozen=True)
class Golden:
    """The golden vectors of a model, and the runtimes on which they hold."""

    scores: Scores
    tolerance: float
    runtimes: tuple[str, ...]  # names and versions
    faults: tuple[str, ...]  # of the others
    crashes: tuple[str, ...] = ()  # those of the faults that end the process

    def as_dict(self) -> dict[str, object]:
        """Return what goes into edge.json, where `Model.verify` reads it."""
        return {"scores": self.scores, "tolerance": self.tolerance}


def golden_vectors(path: Path) -> Golden:
    """Invoke the golden inputs on every installed runtime; the preferred one sets the scores."""
    scores: dict[str, Scores] = {}
    faults, crashes = [], []
    for name in installed_runtimes():
        done = run_module(__name__, str(path), name)
        if done.returncode == 0:
            scores |= json.loads(done.stdout)
        elif done.returncode < 0:
            crashes.append(f"{PACKAGES[name]} crashes ({signal.Signals(-done.returncode).name})")
        else:
            faults.append(last_words(done))
    found = _judge(scores, [*crashes, *faults], _by_reference(path))
    return replace(found, crashes=tuple(crashes))


def _by_reference(path: Path) -> Scores:
    """Scores by the reference kernels of an installed runtime; empty where there are none."""
    for name in installed_runtimes():
        try:
            done = run_module(__name__, str(path), name, "--reference", timeout_s=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            return []
        if done.returncode == 0:
            return next(iter(json.loads(done.stdout).values()))
    return []


def _judge(scores: Mapping[str, Scores], faults: list[str], by_reference: Scores) -> Golden:
    reference = next(iter(scores.values()), [])
    change = {
        runtime: float(np.abs(np.subtract(theirs, reference)).max())
        for runtime, theirs in scores.items()
    }
    agreeing = [runtime for runtime in scores if 2 * change[runtime] <= MOST_TOLERANCE]
    faults += [f"{r} differs by {change[r]:.4f}" for r in scores if r not in agreeing]
    seen = [change[runtime] for runtime in agreeing]
    if reference and by_reference:
        seen.append(float(np.abs(np.subtract(by_reference, reference)).max()))
    tolerance = min(MOST_TOLERANCE, max([LEAST_TOLERANCE, *(2 * d for d in seen)]))
    return Golden(reference, round(tolerance, 6), tuple(agreeing), tuple(faults))


def _answer(path: Path, runtime: str, *, reference: bool) -> int:
    """Print {runtime: scores} of the golden inputs."""
    if reference:
        module: Any = importlib.import_module(f"{RUNTIMES[runtime]}.interpreter")
        kernels = module.OpResolverType.BUILTIN_REF
        module.Interpreter = functools.partial(
            module.Interpreter, experimental_op_resolver_type=kernels
        )
    with Model(path, runtime=runtime) as model:
        drawn = [golden.draw(seed, model.input.size) for seed in range(golden.NUM_GOLDEN)]
        # Six digits: 1,000 labels make 40 kB of it, a hundredth of the model.
        scores = [[round(float(s), 6) for s in model.scores(pixels)] for pixels in drawn]
        print(json.dumps({model.runtime: scores}))
    return 0


def main() -> int:
    """Print the result of one runtime to stdout."""
    path, runtime, *kernels = sys.argv[1:]
    return run(lambda: _answer(Path(path), runtime, reference=bool(kernels)), "convert")


if __name__ == "__main__":
    sys.exit(main())
