"""python -m edge classify|watch|benchmark|doctor ...: the same as the console scripts.

edge-doctor begins here: nothing of the project is imported before a function runs, so that it has
something to say where files are empty, as after a power cut.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

COMMANDS = ("classify", "watch", "benchmark", "doctor")


def main() -> int:
    """Run the command that the first argument names."""
    from edge.child import forget_current_folder

    forget_current_folder()
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "doctor":
        return doctor(sys.argv[2:])
    if command in COMMANDS:
        return _main_of(command)(sys.argv[2:])
    if command == "--version":
        from edge.commands import version

        print(f"python -m edge {version()}")
        return 0
    usage = f"usage: python -m edge {{{','.join(COMMANDS)}}} ...   (each has --help)"
    asked = command in ("-h", "--help")
    print(usage, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


def doctor(argv: Sequence[str] | None = None) -> int:
    """Run edge-doctor; the console entry."""
    try:
        examine = _main_of("doctor")
    except Exception as error:  # an empty module lacks all of its names
        print(f"edge-doctor: {_damage(error)}", file=sys.stderr)
        return 1
    return examine(argv)


def _main_of(command: str) -> Callable[[Sequence[str] | None], int]:
    main: Callable[[Sequence[str] | None], int] = import_module(f"edge.commands.{command}").main
    return main


def _damage(error: Exception) -> str:
    """Say in one line what keeps edge-doctor from starting, and the remedy."""
    try:
        from edge.doctor.finding import FAULT, Context
        from edge.doctor.record import files

        finding = files(Context())
        if finding.status == FAULT:
            return f"{finding.found}; {finding.remedy}"
    except Exception as further:  # these are damaged as well
        error = further
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"the installation is damaged ({reason}); sudo deploy/install.sh"


if __name__ == "__main__":
    sys.exit(main())
