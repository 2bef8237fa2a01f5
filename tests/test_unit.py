"""The systemd unit, as systemd itself reads it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from edge.commands.watch import _parser

UNIT = ROOT / "deploy" / "edge-watch.service"


def verify(content: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze verify on a unit in a root of its own, with its program there."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: apt install systemd)")
    program = root / command(content)[0].lstrip("/")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    units = root / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    (units / UNIT.name).write_text(content)
    # The root holds no other unit and no man page; what this one says is all that is judged.
    options = (f"--root={root}", "--man=no", "--recursive-errors=no")
    return subprocess.run(
        ["systemd-analyze", "verify", *options, UNIT.name],
        capture_output=True,
        text=True,
        timeout=60,
    )


def command(content: str) -> list[str]:
    (line,) = (line for line in content.splitlines() if line.startswith("ExecStart="))
    return line.removeprefix("ExecStart=").split()


def test_systemd_accepts_it_without_a_word(tmp_path: Path) -> None:
    done = verify(UNIT.read_text(), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("line", ["NoSuchOption=1", "WatchdogSec=soon"])
def test_the_check_sees_a_fault(tmp_path: Path, line: str) -> None:
    done = verify(UNIT.read_text().replace("Type=notify", f"Type=notify\n{line}"), tmp_path)
    assert done.returncode != 0
    assert UNIT.name in done.stderr


def test_its_command_line_is_one_that_edge_watch_takes() -> None:
    program, *arguments = command(UNIT.read_text())
    assert Path(program).name == "edge-watch"
    args = _parser().parse_args(arguments)
    assert args.repeat
    assert args.fps == 1


def test_it_is_restarted_watched_and_may_see_a_camera() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert service["Restart"] == "always"
    assert service["WatchdogSec"] == "30"
    assert "video" in service["SupplementaryGroups"].split()
    # strict=False keeps the last of several lines, which is the one that takes calls away.
    # numpy's OpenBLAS calls mbind, one of @resources, while it is imported.
    assert service["SystemCallFilter"] == "~@privileged"
    assert not {"PrivateDevices", "ProtectClock"} & set(service)  # both hide /dev/video*
