"""Run a module of ours in its own process: its output, or why it failed."""

from __future__ import annotations

import re
import signal
import subprocess

from edge import child
from edge.errors import one_line

_DYING = re.compile("Check failed|LLVM ERROR|terminate called|bad_alloc")


def run_module(
    module: str, *arguments: str, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a module by its name, output captured. Raises: subprocess.TimeoutExpired."""
    command = child.python("-m", module, *arguments)
    return subprocess.run(
        command, capture_output=True, text=True, env=child.environment(), timeout=timeout_s
    )


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return why a process failed: its last line, or the signal of native code; one line."""
    lines = done.stderr.strip().splitlines()
    if done.returncode >= 0:
        return one_line(lines[-1]) if lines else f"the process ended with {done.returncode}"
    name = signal.Signals(-done.returncode).name
    if name == "SIGKILL":
        return "its process was killed, as when memory runs out"
    cause = next((line for line in lines if _DYING.search(line)), "without a message")
    return one_line(f"its process crashed with {name}: {cause}")
