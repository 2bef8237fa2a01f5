"""python -m edge classify|watch|benchmark|doctor ...: the same as the console scripts.

All begin here: nothing of the project is imported before a function runs, so that they can
report a fault even if files are empty, as after a power cut.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

LONGEST_REASON = 200  # characters; numpy explains a failed import on two screens
COMMANDS = ("classify", "watch", "benchmark", "doctor")


def main() -> int:
    """Run the command that the first argument names."""
    from edge.child import forget_current_folder

    forget_current_folder()
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in COMMANDS:
        return _start(command, sys.argv[2:])
    if command == "--version":
        from edge.commands import version

        print(f"python -m edge {version()}")
        return 0
    usage = f"usage: python -m edge {{{','.join(COMMANDS)}}} ...   (each has --help)"
    asked = command in ("-h", "--help")
    print(usage, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


def classify() -> int:
    """Run edge-classify; the console entry."""
    return _start("classify", sys.argv[1:])


def watch() -> int:
    """Run edge-watch; the console entry."""
    return _start("watch", sys.argv[1:])


def benchmark() -> int:
    """Run edge-benchmark; the console entry."""
    return _start("benchmark", sys.argv[1:])


def doctor() -> int:
    """Run edge-doctor; the console entry."""
    return _start("doctor", sys.argv[1:])


def _start(command: str, argv: Sequence[str]) -> int:
    if command != "classify" and not hasattr(os, "fork"):
        print(f"edge-{command}: needs Linux or macOS; on Windows, use WSL 2", file=sys.stderr)
        return 1
    try:
        main = import_module(f"edge.commands.{command}").main
    except Exception as error:  # an empty module lacks all of its names
        print(f"edge-{command}: {_damage(command, error)}", file=sys.stderr)
        return 1
    try:
        status: int = main(argv)
    except ImportError as error:  # numpy, Pillow or a runtime, which some commands import late
        print(f"edge-{command}: {_damage(command, error)}", file=sys.stderr)
        return 1
    return status


def _damage(command: str, error: Exception) -> str:
    """Return one line with what keeps a command from starting, and the remedy."""
    remedy = "sudo deploy/install.sh" if command == "doctor" else "edge-doctor"
    try:
        from edge.doctor.finding import FAULT, Context
        from edge.doctor.record import files

        finding = files(Context())
        if finding.status == FAULT:
            return f"{finding.found}; {finding.remedy}"
    except Exception as further:  # these are damaged as well
        error, remedy = further, "sudo deploy/install.sh"
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    reason = reason if len(reason) <= LONGEST_REASON else f"... {reason[-LONGEST_REASON:]}"
    return f"cannot be imported ({reason}); {remedy}"


if __name__ == "__main__":
    sys.exit(main())
