"""What judges a power cut must be able to fail: the tools of deploy/testbed/test-power.sh."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import py_compile
import sys
from pathlib import Path
from types import ModuleType

import pytest

TESTBED = Path(__file__).parent.parent / "deploy" / "testbed"


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TESTBED / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


power_files, power_moments = tool("power_files"), tool("power_moments")


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """An installed version, as far as it is looked at."""
    site = tmp_path / "lib/python3.11/site-packages"
    info = site / "edge_classify-1.dist-info"
    info.mkdir(parents=True)
    (site / "edge.py").write_text("ANSWER = 42\n" * 50)
    py_compile.compile(str(site / "edge.py"), cfile=str(site / "edge.cpython-311.pyc"))
    digest = hashlib.sha256((site / "edge.py").read_bytes()).digest()
    hashed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"edge.py,sha256={hashed},600\n{info.name}/RECORD,,\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/edge-watch").write_text("#!/bin/python\n")
    command = hashlib.sha256((tmp_path / "bin/edge-watch").read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{command}  ./bin/edge-watch\n")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/install.sh").write_text("#!/bin/sh\n")
    return tmp_path


def test_a_whole_version_is_whole(version: Path) -> None:
    assert not list(power_files.damaged_installed(version))


@pytest.mark.parametrize("pattern", ["**/edge.py", "bin/edge-watch", "deploy/install.sh"])
@pytest.mark.parametrize("keep", [0, 5])
def test_a_file_that_lost_its_content_is_found(version: Path, pattern: str, keep: int) -> None:
    (path,) = version.glob(pattern)
    path.write_bytes(path.read_bytes()[:keep])
    found = list(power_files.damaged_installed(version))
    assert found == ([f"{path.name} {keep} bytes"] if keep == 0 or "deploy" not in pattern else [])


def test_a_compiled_module_that_python_would_not_compile_again_is_found(version: Path) -> None:
    (path,) = version.glob("**/*.pyc")
    path.write_bytes(path.read_bytes()[:20])
    assert list(power_files.damaged_installed(version)) == [f"{path.name} 20 bytes"]
    path.write_bytes(b"")
    assert not list(power_files.damaged_installed(version))


def test_half_files_of_the_service_are_found(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_bytes(b'{"a": 1}\n{"a\n{"a": 2}\n')
    (tmp_path / "sound-litert").touch()
    (tmp_path / "threads-litert").write_text("2\n")
    assert not list(power_files.damaged_state(tmp_path))
    (tmp_path / "results.jsonl").write_bytes(b'{"a": 1}\n{"a\0\0\n{"a": 2}\n')
    for name in ("a.jpg", "a.json", "threads-litert"):
        (tmp_path / name).write_bytes(b"")
    found = [line.split()[0] for line in power_files.damaged_state(tmp_path)]
    assert found == ["a.jpg", "a.json", "results.jsonl", "threads-litert"]


def recorded(said: dict[float, str], end_s: float) -> list[str]:
    """An index of a run that prints these lines and ends, recorded for 30 s more."""
    rows, count, last = [], 1, "begin"
    for at_s in sorted({*(i / 2 for i in range(round(2 * end_s) + 60)), *said, end_s}):
        why = "line" if at_s in said else "end" if at_s == end_s else "tick"
        if why != "tick":
            count, last = count + 1, said.get(at_s, "ended with exit status 0")
        rows.append(f"disk-{at_s}\t{at_s:.2f}\t{why}\t{count}\t{last}")
    return rows


INDEX = recorded(
    {0.1: "apt", 20.1: "building", 30.1: "checking it", 32.1: "writing unit", 32.7: "starting it"},
    34.1,
)


def test_half_of_the_cuts_follow_the_switch_up_to_half_a_minute_after_the_end() -> None:
    moments = [power_moments.parse(row) for row in INDEX]
    cuts = [power_moments.parse(row) for row in power_moments.choose_cuts(moments, 20)]
    assert len({cut.text for cut in cuts}) == 20
    assert [cut.at_s for cut in cuts] == sorted(cut.at_s for cut in cuts)
    assert sum(cut.at_s > 32.7 for cut in cuts) >= 10
    assert max(cut.at_s for cut in cuts) >= 34.1 + 29
    assert {cut.line for cut in cuts if cut.why == "line"} >= {"checking it", "starting it"}


def test_kills_are_spread_over_the_run_and_follow_its_last_lines() -> None:
    moments = [power_moments.parse(row) for row in INDEX]
    kills = [row.split("\t") for row in power_moments.choose_kills(moments, 20)]
    assert len(kills) == 20
    begins = {"2": 0.1, "3": 20.1, "4": 30.1, "5": 32.1, "6": 32.7, "1": 0.0}
    at_s = [begins[lines] + float(delay_s) for lines, delay_s, _ in kills]
    assert at_s == sorted(at_s)
    assert max(at_s) < 34.1
    assert sum(line == "starting it" for *_, line in kills) >= 2
    assert sum(line == "apt" for *_, line in kills) >= 5


def test_a_line_that_came_with_the_end_is_no_moment_to_kill_at() -> None:
    late = "disk\t34.09\tline\t7\tended with exit status 0"
    moments = [power_moments.parse(row) for row in [*INDEX, late]]
    assert not [row for row in power_moments.choose_kills(moments, 20) if "ended" in row]


def test_a_kill_that_may_come_after_the_end_is_not_chosen() -> None:
    lines = ["disk\t33.40\tline\t7\tis active", "disk\t34.05\tline\t8\teach image's result"]
    moments = [power_moments.parse(row) for row in [*INDEX, *lines]]
    kills = power_moments.choose_kills(moments, 20)
    assert len(kills) == 20
    assert [row.split("\t")[1] for row in kills if "is active" in row] == ["0.00", "0.20"]
    assert not [row for row in kills if "result" in row]


@pytest.mark.parametrize("count", [1, 3, 7, 30])
def test_as_many_moments_are_chosen_as_were_asked_for(count: int) -> None:
    moments = [power_moments.parse(row) for row in INDEX]
    assert len(power_moments.choose_cuts(moments, count)) == count
    assert len(power_moments.choose_kills(moments, count)) == count
