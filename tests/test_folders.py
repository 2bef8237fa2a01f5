"""Folders that cannot be written: said with the remedy, and working again only with an image.

On real disks that are mounted read-only.
"""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import ROOT, mounted_disk, run
from model_copies import SMALL
from sightings import AT, sighting

from edge.service.delivery import Delivery
from edge.service.sinks.folders import STATE, Folder, FolderError
from edge.service.sinks.jsonlines import JsonLines
from edge.service.sinks.snapshots import Snapshots, SnapshotSettings

PICTURE = Path(__file__).parent / "data" / "hotdog.jpg"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path, "4m") as mounted:
        yield mounted


def remount(disk: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)


class Kept:
    """Snapshots behind a delivery, at a time of the test's own."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder, self.lines, self.now_s = folder, list[str](), 100.0
        settings = {"every_s": 0.0} | settings
        self.sink = Snapshots(
            SnapshotSettings(str(folder), **settings),  # type: ignore[arg-type]
            lambda: self.now_s,
        )
        self.delivery = Delivery(self.sink, self.lines.append, lambda: self.now_s)

    def see(self, number: int, state: str = "cup", **more: object) -> None:
        self.delivery(sighting(number, state, at=AT + timedelta(seconds=number), **more))  # type: ignore[arg-type]

    @property
    def numbers(self) -> list[int]:
        """The frames whose images are there, each with its record."""
        records = (path.with_suffix(".json") for path in sorted(self.folder.glob("*.jpg")))
        return [json.loads(path.read_text())["frame"] for path in records]


def test_only_a_written_picture_is_said_to_work_again(disk: Path) -> None:
    kept = Kept(disk / "seen")
    remount(disk, "ro")
    kept.see(1, changed=True)
    for number in range(2, 200):  # frames without an occasion prove nothing
        kept.see(number)
        kept.now_s += 1
    assert not [line for line in kept.lines if "again (" in line]
    assert kept.delivery.trouble == f"snapshots in {disk / 'seen'} fails"
    assert all("Read-only file system" in line for line in kept.lines)
    remount(disk, "rw")
    kept.now_s += 60
    kept.see(200)
    assert kept.numbers == [1]  # the image that failed, not the frame's
    failures = kept.delivery.failures
    assert failures > 5
    counts = f"({failures} failures in total, 0 changes lost)"
    assert kept.lines[-1] == f"snapshots in {disk / 'seen'}: works again {counts}"
    assert kept.delivery.trouble == ""


def test_pictures_of_changes_that_came_meanwhile_are_counted_as_lost(disk: Path) -> None:
    kept = Kept(disk / "seen")
    remount(disk, "ro")
    for number in range(1, 5):
        kept.see(number, changed=True)
    remount(disk, "rw")
    kept.now_s += 60
    kept.see(6)
    assert kept.numbers == [1]
    assert kept.delivery.lost == 3
    assert kept.lines[-1].endswith("3 changes lost)")
    kept.see(7, changed=True)
    assert kept.numbers == [1, 7]
    assert kept.delivery.lost == 3


def test_the_newest_picture_of_a_label_is_the_one_that_waits(disk: Path) -> None:
    kept = Kept(disk / "seen", on=("label",), labels=("cup",))
    remount(disk, "ro")
    for number in range(1, 4):
        kept.see(number)
        kept.now_s += 60
    remount(disk, "rw")
    kept.see(4, "fish")
    assert kept.numbers == [3]
    assert kept.delivery.lost == 2


def test_a_result_that_is_not_printed_proves_nothing_either() -> None:
    lines = list[str]()
    now_s = itertools.count(100.0, 100.0)
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    delivery = Delivery(JsonLines(full, every=10), lines.append, lambda: next(now_s))
    for number in range(10, 20):
        delivery(sighting(number))
    assert delivery.trouble == "stdout fails"
    assert lines == ["stdout: No space left on device; next attempt in 1 s"]
    full.detach().close()


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    Folder("snapshots.folder", tmp_path / "not" / "yet", is_made=True).check()
    Folder("latest", tmp_path).check()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named_with_the_remedy(disk: Path) -> None:
    with pytest.raises(FolderError, match=r"results.file .*No such file.*; mkdir -p"):
        Folder("results.file", disk / "absent").check()
    (disk / "fill").write_bytes(b"x" * 10)
    with pytest.raises(FolderError, match="Not a directory"):
        Folder("snapshots.folder", disk / "fill" / "in", is_made=True).check()
    with pytest.raises(OSError):
        (disk / "fill").write_bytes(bytes(5 << 20))
    with pytest.raises(FolderError, match=r"No space left on device.*make room"):
        Folder("snapshots.folder", disk / "seen", is_made=True).check()
    (disk / "fill").unlink()
    remount(disk, "ro")
    with pytest.raises(FolderError, match=r"Read-only file system\); sudo mount -o remount,rw"):
        Folder("snapshots.folder", disk / "seen", is_made=True).check()


def test_a_results_file_of_somebody_elses_is_found(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").mkdir()  # root may write any file; none may write a folder
    with pytest.raises(FolderError, match="Is a directory"):
        Folder("results.file", tmp_path, file="results.jsonl").check()


IN_UNIT = {"STATE_DIRECTORY": "/var/lib/private/edge-classify"}


@pytest.mark.parametrize(
    "folder, number, words",
    [
        ("/srv/seen", errno.EROFS, "sandbox); sudo deploy/install.sh --snapshots /srv/seen"),
        ("/srv/seen", errno.EACCES, "sudo deploy/install.sh --snapshots /srv/seen"),
        ("/home/pi/seen", errno.EACCES, "the service cannot see home folders); use a folder below"),
        ("/srv/seen", errno.ENOSPC, "make room: df -h /srv/seen"),
        ("/var/lib/private/edge-classify/s", errno.EROFS, "sudo mount -o remount,rw"),
    ],
)
def test_within_the_unit_the_sandbox_is_the_reason(folder: str, number: int, words: str) -> None:
    error = OSError(number, os.strerror(number))
    fault = Folder("snapshots.folder", Path(folder)).fault(error, IN_UNIT)
    assert str(fault).startswith(f"{folder}: snapshots.folder cannot be written (")
    assert words in str(fault)
    assert "install.sh" not in str(Folder("snapshots.folder", Path(folder)).fault(error, {}))


def test_a_check_writes_to_each_folder_and_says_all_that_fail(disk: Path, tmp_path: Path) -> None:
    options = ("--check", "-m", SMALL, "--snapshots-folder", disk / "seen", "--web", "0")
    options += ("--results-file", disk / "results.jsonl", "--latest", tmp_path / "latest.json")
    options += ("--web-dataset", disk / "dataset")
    done = run("-m", "edge", "watch", *map(str, options))
    assert (done.returncode, done.stderr) == (0, "")
    assert list(disk.iterdir()) == []
    remount(disk, "ro")
    done = run("-m", "edge", "watch", *map(str, options))
    assert (done.returncode, done.stdout) == (1, "")
    keys = [line.split(": ")[2].split()[0] for line in done.stderr.splitlines()]
    assert keys == ["snapshots.folder", "results.file", "web.dataset"]
    assert all("Read-only file system" in line for line in done.stderr.splitlines())


def test_the_log_says_it_at_the_start_and_with_the_picture(disk: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in "ab":
        shutil.copy(PICTURE, pictures / f"{name}.jpg")
    remount(disk, "ro")
    steady = ("--steady-frames", 1, "--steady-hold-s", 0)
    options = ("--source", pictures, "-m", SMALL, "--snapshots-folder", disk / "seen", *steady)
    environment = os.environ | {"STATE_DIRECTORY": str(tmp_path / "state")}
    done = run("-m", "edge", "watch", *map(str, options), env=environment)
    assert done.returncode == 1
    first, second, *_ = done.stderr.splitlines()
    remedy = f"sudo deploy/install.sh --snapshots {disk / 'seen'}"
    assert first == (
        f"edge-watch: {disk / 'seen'}: snapshots.folder cannot be written "
        f"(Read-only file system: outside the unit's sandbox); {remedy}"
    )
    assert second.startswith(f"edge-watch: snapshots in {disk / 'seen'}: ")
    assert second.endswith(f"{remedy}; next attempt in 1 s")
    assert "works again" not in done.stderr


def test_pictures_in_the_state_folder_are_copied_by_one_line() -> None:
    folder = Folder("snapshots.folder", Path(STATE) / "snapshots")
    assert folder.how_to_see() == f"sudo cp -r {STATE}/snapshots ~"
    assert Folder("snapshots.folder", Path("/srv/seen")).how_to_see() == ""


def test_a_check_looks_at_the_source_as_well(tmp_path: Path) -> None:
    check = ("-m", "edge", "watch", "--check", "-m", str(SMALL), "--source")
    (tmp_path / "pictures").mkdir()
    for source in ("pictures", "pictures/*.jpg"):
        done = run(*check, str(tmp_path / source))
        assert (done.returncode, done.stderr) == (0, "")
    for source in ("absent", "absent/*.jpg"):  # a stick may come later
        done = run(*check, str(tmp_path / source))
        line = f"edge-watch: {tmp_path / source}: no such file or folder; the service will wait"
        assert (done.returncode, done.stderr.startswith(line)) == (0, True)
    in_unit = os.environ | {"STATE_DIRECTORY": str(tmp_path)}
    done = run(*check, "/home/nobody-here/pictures", env=in_unit)
    assert done.returncode == 1
    assert "the service cannot see home folders); move it below /srv" in done.stderr


def test_what_is_the_services_alone_is_not_judged_by_others(tmp_path: Path) -> None:
    assert Folder("snapshots.folder", Path(STATE) / "snapshots").is_of_service({})
    assert not Folder("snapshots.folder", Path(STATE) / "snapshots").is_of_service(IN_UNIT)
    assert not Folder("snapshots.folder", tmp_path).is_of_service({})


def test_a_user_without_rights_is_told_of_his_own_folder(tmp_path: Path) -> None:
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("root and setpriv are needed to be another user")
    own = tmp_path / "kept"
    own.mkdir(mode=0o700)
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from edge.service.sinks.folders import Folder; "
        "Folder('snapshots.folder', Path(sys.argv[1]), is_made=True).check()"
    )
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3"]
    for folder in (own, own / "below"):
        done = subprocess.run(
            [*nobody, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True
        )
        if "No module named" in done.stderr or "can't open" in done.stderr:
            pytest.skip("another user cannot read this checkout")
        assert f"{folder}: snapshots.folder cannot be written (Permission denied)" in done.stderr
