"""Run `python -m convert` several times in one process, for TensorFlow takes seconds to start.

Usage: python tests/programs/convert_commands.py ARGVS OUT.json

ARGVS is JSON: a list of argument lists; one that begins with "!" is another command, with "@"
another program, run in this process too. OUT.json gets [status, stdout, stderr] of each.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import subprocess
import sys
import traceback
from pathlib import Path

from convert.__main__ import main


def here(argv: list[str]) -> tuple[object, str, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            status: object = program(argv[1:]) if argv[0] == "@" else main(argv)
        except SystemExit as error:
            status = error.code
    return status, stdout.getvalue(), stderr.getvalue()


def program(argv: list[str]) -> int:
    before, sys.argv = sys.argv, argv
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.argv = before
    return 0


def other(argv: list[str]) -> tuple[object, str, str]:
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


if __name__ == "__main__":
    argvs = json.loads(sys.argv[1])
    said = [other(argv[1:]) if argv[0] == "!" else here(argv) for argv in argvs]
    Path(sys.argv[2]).write_text(json.dumps(said))
