"""Python in a process of its own, with the packages of this one and nothing of the current folder.

Without -P, `python -m` and `python -c` import json.py or random.py from wherever they are started.
"""

from __future__ import annotations

import os
import sys


def python(*arguments: str) -> list[str]:
    """Return the command that runs this Python with arguments, such as "-m", "edge"."""
    return [sys.executable, "-P", *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which a child imports what this process does."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def forget_current_folder() -> None:
    """Import nothing more from the current folder, unless this package lies in it."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    try:
        current = os.getcwd()  # noqa: PTH109
    except OSError:  # it was removed
        return
    if not sys.flags.safe_path and sys.path[:1] == [current] != [package]:
        del sys.path[0]
