"""--verify-arm: run the exported files on emulated ARM, by the scripts of a checkout."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from convert.errors import ConversionError

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "deploy" / "testbed" / "test-arm.sh"
OPTION = "--verify-arm"
DIFFERS = 1  # the script's exit status if scores differ on ARM; another means that it failed


def check_tools() -> None:
    """Look for all that it needs, before hours are spent on a training. Raises: ConversionError."""
    if not SCRIPT.is_file():
        fault = f"needs a git checkout of the project ({SCRIPT.name} is missing)"
        raise ConversionError(OPTION, fault, "git clone the repository and run the command in it")
    status, said = _run("--check")
    if status:
        raise ConversionError(OPTION, "cannot be done here", said)


def verify_on_arm(models: Sequence[Path]) -> list[str]:
    """Compare labels, scores and golden vectors with x86-64's; return what is not as wanted.

    A table goes to stderr.
    """
    words = ["--quick", *(str(model.resolve()) for model in models)]
    status, said = _run(*words)
    if not status:
        return []
    fault = "scores of a file differ on ARM, see the table above"
    remedy = "do not ship it: convert another variant, or another network"
    if status != DIFFERS:
        fault = f"could not be run ({said}), so the files are not verified"
        again = shlex.join([f"PYTHON={sys.executable}", str(SCRIPT.relative_to(ROOT)), *words])
        remedy = f"fix that, then verify again: cd {shlex.quote(str(ROOT))} && sudo {again}"
    return [str(ConversionError(OPTION, fault, remedy))]


def _run(*words: str) -> tuple[int, str]:
    """Run the script, which prints to stderr; return its exit status and its last line."""
    command = [str(SCRIPT), *words]
    environment = os.environ | {"PYTHON": sys.executable}
    last = deque([""], maxlen=1)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=sys.stderr, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            last.append(line.strip())
    return process.returncode, last[0] or f"exit status {process.returncode}"
