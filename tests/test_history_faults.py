"""A history whose writer is killed, or whose power is cut; fifty of each: benchmarks/history.py."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT

COUNT = 2


@pytest.fixture(scope="module")
def faults() -> ModuleType:
    """benchmarks/history.py."""
    path = ROOT / "benchmarks" / "history.py"
    spec = importlib.util.spec_from_file_location("history_benchmark", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_kill_loses_at_most_the_last_minute(faults: ModuleType, tmp_path: Path) -> None:
    judged = faults.kills(tmp_path / "history.sqlite", COUNT)
    assert judged.readable == COUNT
    assert judged.holds(), judged.text("kill -9")


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mkfs.xfs") or not Path("/dev/loop-control").exists(),
    reason="needs root, loop devices, and: sudo apt install xfsprogs",
)
def test_a_power_cut_loses_at_most_the_last_minute(faults: ModuleType) -> None:
    try:
        with faults.disk() as made:
            judged = faults.cuts(made, COUNT)
    except faults.RigError as error:  # a container without these rights
        pytest.skip(str(error).splitlines()[-1])
    assert judged.readable == COUNT
    assert judged.holds(), judged.text("power cut")


def test_what_judges_can_fail(faults: ModuleType, tmp_path: Path) -> None:
    taken = [(number, number, float(number)) for number in range(1, 11)]
    judged, nothing = faults.Judged(), faults.Kept(0, 0)
    judged.judge(tmp_path / "none.sqlite", taken, 10.0, nothing)
    assert judged.lost_s == [9.0] and not judged.holds()
    (tmp_path / "damaged.sqlite").write_bytes(b"no database" * 999)
    judged = faults.Judged()
    judged.judge(tmp_path / "damaged.sqlite", taken, 10.0, nothing)
    assert (judged.tried, judged.readable) == (1, 0) and not judged.holds()
