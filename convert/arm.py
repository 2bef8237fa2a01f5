"""--verify-arm: what was made is tried on emulated ARM, by the scripts of a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from convert.errors import ConversionError

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "deploy" / "testbed" / "test-arm.sh"
OPTION = "--verify-arm"


def check_tools() -> None:
    """Look for all that it needs, before hours are spent on a training. Raises: ConversionError."""
    if not SCRIPT.is_file():
        fault = f"needs a checkout of the project: {SCRIPT.name} is not here"
        raise ConversionError(OPTION, fault, "git clone it, and give the command there")
    if said := _run("--check"):
        raise ConversionError(OPTION, "cannot be done here", said)


def verify_on_arm(models: Sequence[Path]) -> list[str]:
    """Compare labels, scores and golden vectors with x86-64's; return what is not as wanted.

    A table goes to stderr.
    """
    if not _run("--quick", *map(str, models)):
        return []
    error = ConversionError(
        OPTION,
        "a file answers otherwise on ARM, see the table above",
        "do not ship it: convert another variant, or another network",
    )
    return [str(error)]


def _run(*words: str) -> str:
    """What the script said last, where it ended badly."""
    command = [str(SCRIPT), *words]
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=sys.stderr, stderr=subprocess.PIPE, text=True
    )
    if not done.returncode:
        return ""
    print(done.stderr, end="", file=sys.stderr, flush=True)
    return (done.stderr.splitlines() or [f"it ended with {done.returncode}"])[-1]
