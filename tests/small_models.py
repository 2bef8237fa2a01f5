"""The files that tests/programs/make_converted.py makes, made once for all who ask."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import PROGRAMS, once, run


def small_models_of(factory: pytest.TempPathFactory) -> Path:
    """The folder that they are in."""
    return once(factory, "small-models", _make)


def _make(folder: Path) -> None:
    done = run(PROGRAMS / "make_converted.py", folder)
    assert done.returncode == 0, done.stderr
