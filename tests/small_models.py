"""The files that tests/make_converted.py makes, made once for all who ask."""

from __future__ import annotations

import functools
from pathlib import Path

from conftest import run


@functools.cache
def small_models_in(folder: Path) -> Path:
    """Make them in a subfolder, and return it."""
    out = folder / "small-models"
    out.mkdir()
    done = run("tests/make_converted.py", str(out))
    assert done.returncode == 0, done.stderr
    return out
