"""Put what --help prints into docs/command-line.md while the site is built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace {help MODULE COMMAND} by a heading and that command's help."""
    return re.sub(r"^\{help ([a-z ]+)\}$", lambda match: _help(match[1]), markdown, flags=re.M)


def _help(words: str) -> str:
    module, *command = words.split()
    shown = f"edge-{command[0]}" if module == "edge" else f"python -m {words}"
    done = subprocess.run(
        [sys.executable, "-m", module, *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "90"},
    )
    return f"## {shown}\n\n```text\n{done.stdout.rstrip()}\n```"
