"""What runs on macOS and Windows, as far as Linux can show: without what those systems lack.

tests/without_posix takes it from Python and from all child processes: modules, functions, signals,
/proc and /sys. Whether libraries work there, and file systems, it cannot show.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, run
from model_copies import changed

HOTDOG = ROOT / "tests" / "data" / "hotdog.jpg"
SMALL = ROOT / "models" / "hotdog-scratch.tflite"
LACKING = str(ROOT / "tests" / "without_posix")


def on(system: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run this Python without what a system lacks."""
    path = os.pathsep.join([LACKING, str(ROOT)])
    return run(*arguments, env=os.environ | {"EDGE_TEST_SYSTEM": system, "PYTHONPATH": path})


def test_images_are_classified(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    for done in (
        on("windows", "-m", "edge", "classify", HOTDOG),
        on("windows", "-m", "edge", "classify", "--summary", "-r", HOTDOG.parent),
        on("windows", "-m", "edge", "classify", "--resume", results, HOTDOG),
    ):
        assert (done.returncode, "Error" in done.stderr) == (0, False), done.stderr
    assert '"label": "hotdog"' in results.read_text()


def test_a_model_is_validated_and_timed(tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.tflite"
    unknown.write_bytes(changed(lambda model: None))
    done = on("windows", "-m", "edge", "classify", "-m", unknown, HOTDOG)
    assert (done.returncode, done.stderr) == (0, "")
    for number in range(20):
        (tmp_path / f"{number}.jpg").symlink_to(HOTDOG)
    done = on("windows", "-m", "edge", "classify", "-m", SMALL, tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 20), done.stderr


def test_photos_are_checked(drawn: Path) -> None:
    done = on("windows", "-m", "convert", "check", drawn)
    assert done.returncode == 0, done.stderr
    assert "90 photos: 0 errors" in done.stdout


def test_macos_has_all_commands(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "a.jpg").write_bytes(HOTDOG.read_bytes())
    quick = ["--num-runs", "1", "--warmup-runs", "1", "--cold-starts", "0"]
    for words in (
        ["benchmark", SMALL, *quick],
        ["watch", "--model", SMALL, "--source", frames],
        ["doctor", "--model", SMALL],
    ):
        done = on("macos", "-m", "edge", *words)
        assert (done.returncode, "the check itself failed" in done.stdout) == (0, False), done


@pytest.mark.parametrize("command", ["watch", "benchmark", "doctor"])
def test_windows_lacks_what_some_commands_need(command: str) -> None:
    done = on("windows", "-m", "edge", command, "--help")
    assert done.returncode == 1
    assert done.stderr == f"edge-{command}: needs Linux or macOS; on Windows, use WSL 2\n"


def test_windows_has_neither_training_nor_videos(drawn: Path, tmp_path: Path) -> None:
    done = on("windows", "-m", "convert", drawn, "-o", tmp_path / "out")
    line = "convert: python -m convert: needs Linux or macOS; on Windows, use WSL 2\n"
    assert (done.returncode, done.stderr) == (1, line)
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"")
    done = on("windows", "-m", "edge", "classify", clip)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "need Linux or macOS; on Windows, use WSL 2" in done.stderr


def test_the_wheel_names_the_system_that_is_tested() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert [line for line in text.splitlines() if "Operating System ::" in line] == [
        '    "Operating System :: POSIX :: Linux",'
    ]
