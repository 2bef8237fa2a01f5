"""The files that programs make with TensorFlow, made once for all who ask."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import PROGRAMS, once, run


def small_models_of(factory: pytest.TempPathFactory) -> Path:
    """The folder that tests/programs/make_converted.py fills."""
    return once(factory, "small-models", lambda folder: _made_by("make_converted.py", folder))


def _made_by(program: str, folder: Path) -> None:
    done = run(PROGRAMS / program, folder)
    assert done.returncode == 0, done.stderr
