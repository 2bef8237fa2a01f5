"""Emulated ARM: what is missing is said at once, and a crash is one model's failure there.

What machines answer is tried by make test-arm; here this machine stands for them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, run
from model_copies import SMALL, changed, damaged, no_strides

from convert.tflite.arm import verify_on_arm
from edge.classifier.runtime import installed_runtimes

TESTBED = ROOT / "deploy" / "testbed"
needs_tflite = pytest.mark.skipif("tflite" not in installed_runtimes(), reason="no tflite-runtime")


@pytest.fixture
def path_without_mmdebstrap(tmp_path: Path) -> str:
    """A PATH on which all is found but mmdebstrap."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name != "mmdebstrap" and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return str(folder)


def test_a_missing_tool_is_named_before_any_training(
    tmp_path: Path, path_without_mmdebstrap: str
) -> None:
    out = tmp_path / "out"
    environment = os.environ | {"PATH": path_without_mmdebstrap}
    command = ("-m", "convert", str(tmp_path / "photos"), "-o", str(out), "--verify-arm")
    done = run(*command, env=environment)
    assert done.returncode == 1
    assert "mmdebstrap is not installed: apt-get install mmdebstrap" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("convert: --verify-arm: cannot be done here; ")
    assert "Traceback" not in done.stderr
    assert not out.exists()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """What ask.py works in: two images and no model yet."""
    for name in ("models", "pictures"):
        (tmp_path / name).mkdir()
    shutil.copy(TESTBED / "answers.py", tmp_path)
    for number in range(2):
        shutil.copy(ROOT / "tests" / "data" / "hotdog.jpg", tmp_path / "pictures" / f"{number}.jpg")
    return tmp_path


def ask(work: Path, machine: str, *options: str) -> dict[str, list[dict[str, object]]]:
    """Each model's lines."""
    done = run(str(TESTBED / "ask.py"), *options, "no-cache", str(work), "models", machine)
    assert done.returncode == 0, done.stderr
    return {
        path.name.removesuffix(".jsonl"): [
            json.loads(line) for line in path.read_text().splitlines() if line
        ]
        for path in sorted((work / "answers" / machine).glob("*.jsonl"))
    }


@needs_tflite
def test_a_crash_is_that_models_failure_by_its_signals_name(work: Path) -> None:
    (work / "models" / "1-good").write_bytes(SMALL.read_bytes())
    (work / "models" / "2-crashing").write_bytes(changed(no_strides))
    (work / "models" / "3-damaged").write_bytes(damaged())
    (work / "models" / "4-good").write_bytes(SMALL.read_bytes())
    said = ask(work, "native-tflite")
    assert said["2-crashing"] == [{"failure": "SIGFPE"}]
    assert "damaged" in str(said["3-damaged"][0]["failure"])
    assert said["1-good"] == [
        line | ({"model": "1-good"} if "model" in line else {}) for line in said["4-good"]
    ]
    assert [line.get("golden") for line in said["4-good"]] == [None, None, "ok", None]

    paths = [str(work / name) for name in ("answers", "pictures", "models")]
    compared = run(str(TESTBED / "compare.py"), *paths, "--machines", "native-tflite")
    assert compared.returncode == 1
    rows = [line.split(maxsplit=1) for line in compared.stdout.splitlines()[1:]]
    ends = [row[1].split("  ")[-1].strip() for row in rows]
    assert (ends[0], ends[1], ends[3]) == ("ok", "FAILED: SIGFPE", "ok")


@needs_tflite
def test_a_model_that_takes_too_long_is_ended_and_the_next_one_asked(work: Path) -> None:
    shutil.copy(SMALL, work / "models" / "1-slow")
    for number in range(2, 300):  # a quarter of a minute by the reference kernels
        shutil.copy(work / "pictures" / "1.jpg", work / "pictures" / f"{number}.jpg")
    shutil.copy(SMALL, work / "models" / "2-slow")
    said = ask(work, "reference-tflite", "--limit", "1")
    for lines in said.values():
        assert lines[-1] == {"failure": "no end within 1 s"}
        assert len(lines) < 300
    assert list(said) == ["1-slow", "2-slow"]


@needs_tflite
def test_stopped_it_leaves_no_process(work: Path) -> None:
    shutil.copy(SMALL, work / "models")
    for number in range(2, 300):
        shutil.copy(work / "pictures" / "1.jpg", work / "pictures" / f"{number}.jpg")
    words = [sys.executable, str(TESTBED / "ask.py"), "no-cache", str(work), "models"]
    process = subprocess.Popen(
        [*words, "reference-tflite", "native-tflite"], start_new_session=True
    )
    until = time.monotonic() + 30
    while not list((work / "answers").glob("*/*.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert subprocess.run(["pgrep", "-g", str(process.pid)]).returncode == 1


def test_not_tried_on_arm_is_not_called_a_difference(
    tmp_path: Path, path_without_mmdebstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without_mmdebstrap)
    (fault,) = verify_on_arm([tmp_path / "a.tflite"])
    assert "could not be run" in fault
    assert "so the files are not verified" in fault
