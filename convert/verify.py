"""Which of the installed runtimes give a model's golden scores; one process for each.

    python -m convert.verify MODEL RUNTIME

Two TFLite runtimes in one process take each other's symbols; and a crash must not end the caller.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from edge.commands import run
from edge.errors import one_line
from edge.model import Model
from edge.runtime import PACKAGES, installed_runtimes


def runtimes_that_agree(path: Path) -> tuple[list[str], list[str]]:
    """Return (names and versions of those on which the golden vectors hold, faults of others)."""
    agree, faults = [], []
    for runtime in installed_runtimes():
        done = subprocess.run(
            [sys.executable, "-m", "convert.verify", str(path), runtime],
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            agree.append(done.stdout.strip())
        elif done.returncode < 0:
            faults.append(f"{PACKAGES[runtime]} crashes ({signal.Signals(-done.returncode).name})")
        else:
            faults.append(one_line(done.stderr.strip().splitlines()[-1]))
    return agree, faults


def _verify(path: Path, runtime: str) -> int:
    with Model(path, runtime=runtime) as model:
        model.verify()
        print(model.runtime)
    return 0


if __name__ == "__main__":
    sys.exit(run(lambda: _verify(Path(sys.argv[1]), sys.argv[2]), "convert"))
