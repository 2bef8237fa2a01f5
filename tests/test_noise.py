"""What TensorFlow says to everybody is left out of stderr; what is real comes through."""

from __future__ import annotations

import signal
from pathlib import Path

from conftest import run

PROGRAM = Path(__file__).parent / "programs" / "noisy.py"


def test_known_noise_is_left_out_and_the_rest_stays_in_order() -> None:
    done = run(PROGRAM)
    assert done.returncode == 0
    assert done.stderr.splitlines() == ["F0000 the processor lacks AVX2", "after"]


def test_what_is_said_before_a_crash_comes_through() -> None:
    done = run(PROGRAM, int(signal.SIGABRT))
    assert done.returncode == -signal.SIGABRT
    assert done.stderr.splitlines() == ["F0000 the processor lacks AVX2"]


def test_without_grep_everything_comes_through() -> None:
    done = run(PROGRAM, env={"PATH": "/nowhere"})
    assert len(done.stderr.splitlines()) == 4
