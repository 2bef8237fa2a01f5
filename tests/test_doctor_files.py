"""What edge-doctor finds of files: emptied ones, another Python, the state folder, the images'.

The installation is a real one, from a wheel that is built here, of which files are then emptied.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, mounted_disk

from edge.doctor import folders, record, service
from edge.doctor.finding import FAULT, INSTALL, NOT_HERE, OK, WARNING, Context
from edge.service.sinks.folders import Folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built from the checkout."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


class Installation:
    """A virtual environment with the wheel alone in it; other packages come from here."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.site = next(folder.glob("lib/python3*/site-packages"))
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(self.site)
        others = [path for path in sys.path if path.endswith("site-packages")]
        (self.site / "others.pth").write_text("\n".join(others))
        entries = next(self.site.glob("*.dist-info/entry_points.txt")).read_text()
        for command, module, name in re.findall(r"(?m)^([\w-]+) = ([\w.]+):(\w+)$", entries):
            code = f"import sys; from {module} import {name}; sys.exit({name}())"
            (folder / "bin" / command).write_text(code)

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        words = [self.folder / "bin" / "python", self.folder / "bin" / command, *arguments]
        return subprocess.run(words, cwd="/", capture_output=True, text=True, timeout=200)

    def doctor(self) -> subprocess.CompletedProcess[str]:
        return self.run("edge-doctor")

    def modules(self) -> list[Path]:
        return sorted(path for path in (self.site / "edge").rglob("*.py") if path.stat().st_size)


@pytest.fixture
def installed(tmp_path: Path, wheel: Path) -> Installation:
    return Installation(tmp_path / "venv", wheel)


def test_a_whole_installation_is_as_it_was_installed(installed: Installation) -> None:
    damage = record.examined(installed.site)
    assert damage.files == ()
    assert damage.count > 100
    line = next(line for line in installed.doctor().stdout.splitlines() if " files " in line)
    assert line.startswith("ok") and line.endswith(f"all {damage.count} files are as installed")


def test_one_emptied_changed_or_missing_file_is_named(installed: Installation) -> None:
    names = [str(path.relative_to(installed.site)) for path in installed.modules()]
    empty, longer, other, gone = random.Random(5).sample(names, 4)
    (installed.site / empty).write_bytes(b"")
    with (installed.site / longer).open("a") as file:
        file.write("x")
    content = (installed.site / other).read_bytes()
    (installed.site / other).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (installed.site / gone).unlink()
    found = dict(line.split(" ", 1) for line in record.examined(installed.site).files)
    assert found.keys() == {empty, longer, other, gone}
    assert found[empty] == "is empty"
    size = len((installed.site / longer).read_bytes())
    assert found[longer] == f"has {size} bytes, not {size - 1}"
    assert (found[other], found[gone]) == ("has other content", "is missing")


def test_an_emptied_record_is_damage(installed: Installation) -> None:
    (next(installed.site.glob("*.dist-info")) / "RECORD").write_bytes(b"")
    (damage,) = record.examined(installed.site).files
    assert damage.endswith("RECORD is empty")


@pytest.mark.parametrize("share", [0.03, 0.5, 1.0])
def test_after_a_power_cut_the_doctor_never_ends_in_silence(
    installed: Installation, share: float
) -> None:
    modules = installed.modules()
    chosen = random.Random(share).sample(modules, round(share * len(modules)))
    stub = installed.site / "edge/__main__.py"  # without it Python itself complains
    for path in chosen:
        if path != stub:
            path.write_bytes(b"")
    done = installed.doctor()
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert " differ (" in said or "cannot be imported (" in said
    stub.write_bytes(b"")
    done = installed.doctor()
    assert (done.returncode, "cannot import name 'doctor'" in done.stderr) == (1, True)


@pytest.mark.parametrize("command", ["classify", "watch", "benchmark"])
def test_other_commands_say_it_in_one_line(installed: Installation, command: str) -> None:
    done = installed.run(f"edge-{command}", "--version")
    assert (done.returncode, str(installed.site) in done.stdout) == (0, True)
    (installed.site / "edge/errors.py").write_bytes(b"")
    done = installed.run(f"edge-{command}", "--version")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edge-{command}: ")
    assert line.endswith("; sudo deploy/install.sh")


def test_files_of_the_service_are_looked_at_from_elsewhere(
    installed: Installation, tmp_path: Path
) -> None:
    current = tmp_path / "opt/edge-classify/current"
    current.parent.mkdir(parents=True)
    current.symlink_to(installed.folder)
    assert record.files(Context(root=tmp_path)).status == OK
    installed.modules()[3].write_bytes(b"")
    finding = record.files(Context(root=tmp_path))
    assert (finding.status, "is empty" in finding.found) == (FAULT, True)


def test_a_python_that_the_system_exchanged_is_named(tmp_path: Path) -> None:
    current = tmp_path / "opt/edge-classify/current"
    assert record.service_python(Context(root=tmp_path)).status == NOT_HERE
    (current / "lib/python3.11/site-packages").mkdir(parents=True)
    (current / "bin").mkdir()
    assert record.service_python(Context(root=tmp_path)).remedy == INSTALL  # no python at all
    (tmp_path / "usr").mkdir()
    for version in ("3.11", "3.13"):
        (tmp_path / f"usr/python{version}").touch()
    python = current / "bin/python"
    python.symlink_to(tmp_path / "usr/python3.11")
    assert record.service_python(Context(root=tmp_path)).status == OK
    python.unlink()
    python.symlink_to(tmp_path / "usr/python3.13")
    finding = record.service_python(Context(root=tmp_path))
    assert (finding.status, finding.remedy) == (FAULT, INSTALL)
    assert finding.found.endswith("installed for python3.11, and the system has python3.13 now")
    kept = current / "deploy/install.sh"
    kept.parent.mkdir()
    kept.write_bytes(b"")
    assert record.service_python(Context(root=tmp_path)).remedy == INSTALL
    kept.write_text("#!/bin/sh\n")
    assert record.service_python(Context(root=tmp_path)).remedy == f"sudo sh {kept}"


def test_a_state_folder_from_a_backup_is_named(tmp_path: Path) -> None:
    context = Context(root=tmp_path)
    assert folders.state(context).status == NOT_HERE
    private = tmp_path / "var/lib/private/edge-classify"
    private.mkdir(parents=True)
    context.state_folder.symlink_to("private/edge-classify")
    assert folders.state(context).status == OK
    context.state_folder.unlink()
    context.state_folder.mkdir()
    finding = folders.state(context)
    assert (finding.status, finding.remedy) == (FAULT, INSTALL)
    private.rmdir()  # systemd moves the folder there itself
    assert folders.state(context).status == OK


@pytest.mark.parametrize("status, name", [("203", "EXEC"), ("238", "STATE_DIRECTORY")])
def test_what_systemd_itself_ends_with_has_the_remedy(status: str, name: str) -> None:
    told = {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}
    told |= {"LoadState": "loaded", "ExecMainStatus": status, "NRestarts": "7"}
    finding = service.judge_unit("edge-watch", told)
    assert (finding.status, finding.remedy) == (FAULT, INSTALL)
    assert f"{status}/{name}: " in finding.found


# The source, and the folders that the configuration names.


@pytest.mark.parametrize(
    "text, status, words",
    [
        ("", NOT_HERE, "the camera"),
        ("follow = true\nsource = '{0}'", OK, "{0}"),
        ("repeat = true\nsource = '{0}'", WARNING, "{0}: replayed endlessly (repeat)"),
        ("source = '{0}/absent'", WARNING, "{0}/absent: no such file or folder"),
    ],
)
def test_the_source_is_looked_at(tmp_path: Path, text: str, status: str, words: str) -> None:
    finding = folders.source(configured(tmp_path, text.format(tmp_path)))
    assert finding.status == status
    assert finding.found.startswith(words.format(tmp_path))


def configured(root: Path, text: str) -> Context:
    context = Context(root=root)
    context.configuration.parent.mkdir(parents=True, exist_ok=True)
    context.configuration.write_text(text)
    return context


def test_folders_that_can_be_written_are_named(tmp_path: Path) -> None:
    assert folders.written(configured(tmp_path, "fps = 1")).status == NOT_HERE
    text = f'latest = "{tmp_path}/l.json"\n[snapshots]\nfolder = "{tmp_path}/seen"\n'
    finding = folders.written(configured(tmp_path, text))
    assert (finding.status, finding.found) == (OK, f"{tmp_path}/seen, {tmp_path}")


def test_a_folder_that_is_read_only_is_a_fault(tmp_path: Path) -> None:
    with mounted_disk(tmp_path, "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        context = configured(tmp_path, f'[results]\nfile = "{disk}/results.jsonl"\n')
        finding = folders.written(context)
    assert finding.status == FAULT
    assert "results.file cannot be written (Read-only file system)" in finding.found


UNIT = {
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ReadWritePaths": '-/srv/given "/srv/with space"',
    "StateDirectory": "edge-classify",
    "RuntimeDirectory": "edge-classify",
}


@pytest.mark.parametrize(
    "path, remedy",
    [
        ("/var/lib/edge-classify/snapshots", ""),
        ("/run/edge-classify", ""),
        ("/srv/given/deep", ""),
        ("/srv/with space", ""),
        ("/srv/other", "sudo deploy/install.sh --snapshots /srv/other"),
        ("/srv/given/../other", "sudo deploy/install.sh --snapshots /srv/given/../other"),
        ("/var/lib/edge", "sudo deploy/install.sh --snapshots /var/lib/edge"),
        ("/home/pi/seen", "use a folder below /var/lib/edge-classify or /srv"),
    ],
)
def test_the_units_sandbox_is_judged_by_its_properties(path: str, remedy: str) -> None:
    fault = folders.judge_folder(Folder("snapshots.folder", Path(path)), UNIT)
    assert (fault.remedy if fault else "") == remedy
    assert folders.judge_folder(Folder("snapshots.folder", Path("/srv/x")), {}) is None


@pytest.fixture
def sandboxed(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and a process of no one that sees it read-only, as the unit's service does."""
    if os.geteuid():
        pytest.skip("a view of the files of its own needs root")
    folder = tmp_path / "seen"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && echo made && exec sleep 60'
    command = ["unshare", "--mount", "sh", "-c", script, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or process.stdout.readline() != "made\n":
            pytest.skip("no view of the files of its own can be had here")
        yield folder, str(process.pid)
    finally:
        process.kill()
        process.communicate()


def test_root_writes_as_the_running_service_would(sandboxed: tuple[Path, str]) -> None:
    folder, process = sandboxed
    if not shutil.which("nsenter") or not shutil.which("setpriv"):
        pytest.skip("nsenter and setpriv are absent")
    kept = Folder("snapshots.folder", folder, is_made=True)
    time.sleep(0.2)  # sh becomes sleep
    fault = folders._tried(kept, {"MainPID": process})
    assert fault and "(Read-only file system: outside the unit's sandbox)" in fault.fault
    assert fault.remedy == f"sudo deploy/install.sh --snapshots {folder}"
    assert folders._tried(kept, {"MainPID": str(os.getpid())}) is None
    assert list(folder.iterdir()) == []
