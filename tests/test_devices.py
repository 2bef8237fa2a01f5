"""Training on several devices: the same as on one, but for rounding.

No GPU is needed: TensorFlow lets a processor count as several devices.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import PROGRAMS, run


def trained(photos: Path, folder: Path, *words: str) -> tuple[Any, str]:
    """The result of a training in a process of its own, and its stderr."""
    done = run(PROGRAMS / "train_on_devices.py", str(photos), str(folder), *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_two_devices_train_as_one_does(drawn: Path, tmp_path: Path) -> None:
    one, quiet = trained(drawn, tmp_path / "one", "1", "auto")
    two, line = trained(drawn, tmp_path / "two", "2", "auto")
    assert one["devices"] == ["CPU:0"] and "training on" not in quiet
    assert two["devices"] == ["CPU:0", "CPU:1"]
    assert "convert: training on 2 of 2 CPUs, 8 photos of a batch on each\n" in line
    for ours, theirs in zip(one["history"][:1], two["history"][:1], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    # The second epoch, resumed: rounding grows, as Adam divides by the size of a gradient.
    assert one["history"][1] == pytest.approx(two["history"][1], rel=0.05)
    assert one["scores"] == pytest.approx(two["scores"], abs=0.02)


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ("3", "--devices 3: TensorFlow finds 2 GPUs on this machine; use --devices auto"),
        ("1000000000", "--devices 1000000000: TensorFlow finds 2 GPUs on this machine; "),
    ],
)
def test_more_devices_than_there_are(wanted: str, fault: str, drawn: Path, tmp_path: Path) -> None:
    done = run(PROGRAMS / "train_on_devices.py", str(drawn), str(tmp_path), "2", wanted)
    assert done.stderr.splitlines()[-1].startswith(fault)
