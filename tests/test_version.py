"""--version of every command: the version, and where it runs from."""

from __future__ import annotations

import re
import sys

import pytest
from conftest import ROOT, run

from edge import __version__

COMMANDS = [("edge", name) for name in ("", "classify", "watch", "benchmark", "doctor")]
COMMANDS += [("convert", name) for name in ("", "check", "train")]


@pytest.mark.parametrize("package, command", COMMANDS)
def test_version_says_where_it_runs_from_in_one_line(package: str, command: str) -> None:
    done = run("-m", package, *filter(None, [command]), "--version")
    assert (done.returncode, done.stderr) == (0, "")
    place = re.escape(f"from {ROOT} (Python {sys.version.split()[0]}, {sys.executable})")
    assert re.fullmatch(rf"[-\w ]+ {re.escape(__version__)} {place}\n", done.stdout)
