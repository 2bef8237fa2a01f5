"""What each installed runtime makes of a model's golden inputs; one process for each.

    python -m convert.verify MODEL RUNTIME

Two TFLite runtimes in one process take each other's symbols; and a crash must not end the caller.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge import golden
from edge.commands import run
from edge.errors import one_line
from edge.model import Model
from edge.runtime import PACKAGES, installed_runtimes

Scores = list[list[float]]  # of each golden input, in order

# Runtimes round the last layer differently, and a step of an int8 logit is several of the score.
# What they were seen to differ by is allowed twice over, never less or more than this.
LEAST_TOLERANCE = 2 / 256 + 1e-6  # two steps of an 8-bit score
MOST_TOLERANCE = 0.05


@dataclass(frozen=True)
class Golden:
    """The golden vectors of a model, and the runtimes on which they hold."""

    scores: Scores
    tolerance: float
    runtimes: tuple[str, ...]  # names and versions
    faults: tuple[str, ...]  # of the others

    def as_dict(self) -> dict[str, object]:
        """Return what goes into edge.json, where `Model.verify` reads it."""
        return {"scores": self.scores, "tolerance": self.tolerance}


def golden_vectors(path: Path) -> Golden:
    """Invoke the golden inputs on every installed runtime; the preferred one sets the scores."""
    scores: dict[str, Scores] = {}
    faults = []
    for name in installed_runtimes():
        command = [sys.executable, "-m", "convert.verify", str(path), name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            scores |= json.loads(done.stdout)
        elif done.returncode < 0:
            faults.append(f"{PACKAGES[name]} crashes ({signal.Signals(-done.returncode).name})")
        else:
            faults.append(one_line(done.stderr.strip().splitlines()[-1]))
    return _judge(scores, faults)


def _judge(scores: Mapping[str, Scores], faults: list[str]) -> Golden:
    reference = next(iter(scores.values()), [])
    change = {
        runtime: float(np.abs(np.subtract(theirs, reference)).max())
        for runtime, theirs in scores.items()
    }
    agreeing = [runtime for runtime in scores if 2 * change[runtime] <= MOST_TOLERANCE]
    faults += [f"{r} differs by {change[r]:.4f}" for r in scores if r not in agreeing]
    widest = max((change[runtime] for runtime in agreeing), default=0.0)
    tolerance = max(LEAST_TOLERANCE, 2 * widest)
    return Golden(reference, round(tolerance, 6), tuple(agreeing), tuple(faults))


def _answer(path: Path, runtime: str) -> int:
    """Print {runtime: scores} of the golden inputs."""
    with Model(path, runtime=runtime) as model:
        drawn = [golden.draw(seed, model.input.size) for seed in range(golden.NUM_GOLDEN)]
        scores = [[round(float(s), 6) for s in model.scores(pixels)] for pixels in drawn]
        print(json.dumps({model.runtime: scores}))
    return 0


if __name__ == "__main__":
    sys.exit(run(lambda: _answer(Path(sys.argv[1]), sys.argv[2]), "convert"))
