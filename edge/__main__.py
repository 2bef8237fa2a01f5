"""python -m edge classify|watch|benchmark|doctor ...: the same as the console scripts."""

from __future__ import annotations

import sys
from importlib import import_module

from edge.child import forget_current_folder

COMMANDS = ("classify", "watch", "benchmark", "doctor")


def main() -> int:
    """Run the command that the first argument names."""
    forget_current_folder()
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in COMMANDS:
        status: int = import_module(f"edge.commands.{command}").main(sys.argv[2:])
        return status
    if command == "--version":
        from edge.commands import version

        print(f"python -m edge {version()}")
        return 0
    usage = f"usage: python -m edge {{{','.join(COMMANDS)}}} ...   (each has --help)"
    asked = command in ("-h", "--help")
    print(usage, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
