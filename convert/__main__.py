"""python -m convert: see convert.steps.command_line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge.child import forget_current_folder


def main(argv: Sequence[str] | None = None) -> int:
    """Run a step of convert, or all of the line; argv defaults to the process's arguments."""
    forget_current_folder()
    from convert.steps.command_line import main as run

    return run(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
