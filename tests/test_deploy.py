"""The deployment's scripts, as far as they go without root; the rest is deploy/testbed's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

DEPLOY = ROOT / "deploy"
SCRIPTS = ("install.sh", "uninstall.sh", "push.sh")


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(DEPLOY / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_names_every_option(name: str) -> None:
    done = script(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    taken = set(re.findall(r"(?m)^ +(?:-h \| )?(--[a-z-]+)\)", (DEPLOY / name).read_text()))
    assert taken - {"--help"} <= set(re.findall(r"--[a-z-]+", done.stdout))
    assert len(taken) >= 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("install.sh", "--nonsense"),
        ("install.sh", "--model"),
        ("install.sh", "--model", "no-such.tflite"),
        ("install.sh", "--offline", "no-such-folder"),
        ("install.sh", "--with", "web;reboot"),
        ("install.sh", "--with", "convert"),
        ("uninstall.sh", "--nonsense"),
        ("push.sh",),
        ("push.sh", "one", "two"),
        ("push.sh", "pi@raspberrypi", "--with", "$(reboot)"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    done = script(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--help" in done.stderr


def test_a_dry_run_says_each_step_and_changes_nothing(tmp_path: Path) -> None:
    if not shutil.which("dpkg") or not shutil.which("systemctl"):
        pytest.skip("this is no Debian")
    if Path("/opt/edge-classify").exists():
        pytest.skip("the service is installed here")
    wheel = tmp_path / "edge_classify-7.8.9-py3-none-any.whl"
    wheel.touch()
    done = script("install.sh", "--dry-run", "--offline", str(tmp_path), "--wheel", str(wheel))
    if done.returncode == 1:
        pytest.skip(done.stderr.splitlines()[-1])  # no room, or no machine for it
    assert done.returncode == 0
    assert "dry run: building /opt/edge-classify/versions/7.8.9-" in done.stderr
    assert "dry run: starting it" in done.stderr
    assert not Path("/opt/edge-classify").exists()
    assert not Path("/etc/edge-classify").exists()


def test_what_is_copied_is_there_and_all_that_install_needs() -> None:
    files = set((DEPLOY / "files").read_text().split())
    assert {"install.sh", "uninstall.sh", "edge-watch.service", "watch.toml"} <= files
    assert all((DEPLOY / file).is_file() for file in files)
    for name in files:
        sourced = re.findall(r'(?m)^\. "\$here/([^"]+)"', (DEPLOY / name).read_text())
        assert set(sourced) <= files, name


def test_a_checkout_on_windows_keeps_its_line_ends() -> None:
    names = [*(DEPLOY / "files").read_text().split(), "push.sh", "files"]
    command = ["git", "check-attr", "eol", *(f"deploy/{name}" for name in names)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode:
        pytest.skip("this is no git checkout")
    assert all(line.endswith(": eol: lf") for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == len(names)
