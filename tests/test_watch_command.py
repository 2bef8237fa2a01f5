"""edge-watch as a process: signals, checks, what systemd hears, and a model that changes."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PROGRAMS, ROOT, run
from model_copies import SMALL, damaged, relabelled

from edge.service.configuration import Configuration, build, read

PICTURE = Path(__file__).parent / "data" / "hotdog.jpg"
TIMEOUT_S = 120.0
ENDS_WITHIN_S = 5.0  # 2 s are promised; on a busy machine all takes its time


class Service:
    """A running edge-watch, and systemd's end of its socket."""

    def __init__(self, folder: Path, *options: object, stdout: int | None = None) -> None:
        self.folder = folder
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(str(folder / "notify"))
        self.systemd.settimeout(TIMEOUT_S)
        for name in ("run", "state"):
            (folder / name).mkdir()
        words = [sys.executable, "-m", "edge", "watch", *map(str, options)]
        self.stderr = (folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=self.stderr,
            cwd=ROOT,
            env=os.environ
            | {
                "NOTIFY_SOCKET": str(folder / "notify"),
                "RUNTIME_DIRECTORY": str(folder / "run"),
                "STATE_DIRECTORY": str(folder / "state"),
            },
        )

    def told(self) -> dict[str, str]:
        """The next message to systemd."""
        lines = self.systemd.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def until(self, status: str) -> str:
        """Wait for a status that matches, and return it."""
        while not re.search(status, found := self.told().get("STATUS", "")):
            pass
        return found

    @property
    def said(self) -> str:
        """What is on stderr so far."""
        return (self.folder / "stderr").read_text()

    def until_said(self, text: str) -> None:
        until = time.monotonic() + TIMEOUT_S
        while text not in self.said:
            assert time.monotonic() < until, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.05)

    def records(self) -> list[dict[str, Any]]:
        """What it prints until it ends."""
        assert self.process.stdout
        return [json.loads(line) for line in self.process.stdout]

    def ended(self, number: signal.Signals) -> int:
        """Send a signal, and return the status, which must come soon."""
        self.process.send_signal(number)
        return self.process.wait(timeout=ENDS_WITHIN_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.systemd.close()
        self.stderr.close()
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture
def services() -> Iterator[list[Service]]:
    """Services to be ended, whatever happens."""
    found: list[Service] = []
    yield found
    for service in found:
        service.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in "ab":
        shutil.copy(PICTURE, folder / f"{name}.jpg")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(SMALL, tmp_path / "model.tflite"))


def watch(*options: object, **more: object) -> subprocess.CompletedProcess[str]:
    return run("-m", "edge", "watch", *map(str, options), **more)


# --- to the end of a folder


def test_each_picture_once_and_the_newest_in_a_file(pictures: Path, tmp_path: Path) -> None:
    latest, results = tmp_path / "latest.json", tmp_path / "results.jsonl"
    options = ("--latest", latest, "--results-file", results, "--snapshots-folder", tmp_path / "s")
    steady = ("--steady-frames", 1, "--steady-hold-s", 0)
    done = watch("--source", pictures, "-m", SMALL, *options, *steady)
    assert (done.returncode, done.stderr) == (0, "")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(record["source"]).name for record in records] == ["a.jpg", "b.jpg"]
    assert [record.get("event", {}).get("to") for record in records] == ["hotdog", None]
    assert json.loads(latest.read_text()) == records[-1]
    assert results.read_text() == done.stdout
    assert len(list((tmp_path / "s").glob("*Z-hotdog-*"))) == 2


def test_a_bad_picture_is_one_line_and_status_1_at_the_end(pictures: Path) -> None:
    (pictures / "a.jpg").write_bytes(b"no image")
    done = watch("--source", pictures, "-m", SMALL)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-watch: ")
    assert "a.jpg" in line


def test_a_full_disk_behind_stdout_is_one_line_and_status_1(pictures: Path, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = watch(
            "--source", pictures, "-m", SMALL, "--latest", tmp_path / "latest.json",
            capture_output=False, stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == ("edge-watch: stdout: No space left on device; next attempt in 1 s\n")
    assert json.loads((tmp_path / "latest.json").read_text())["frame"] == 2


def test_a_reader_that_has_enough_ends_it_in_peace(pictures: Path) -> None:
    command = f"{sys.executable} -m edge watch --source {pictures} --repeat -m {SMALL} | head -n 3"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 3)


# --- wrong usage, wrong configuration


@pytest.mark.parametrize(
    "options, words",
    [
        (["--fps", "nan"], "fps: must be a number from 0 to 1000. Received: nan"),
        (["--fps=-1"], "fps: must be a number from 0 to 1000. Received: -1.0"),
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["--config", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
        (["--snapshots-labels", "fish"], "snapshots.labels: the model has no label 'fish'"),
    ],
)
def test_what_is_wrong_is_named_and_the_status_is_2(options: list[str], words: str) -> None:
    done = watch("--source", "x", "-m", SMALL, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"edge-watch: {words}" in done.stderr and done.stderr.count("\n") == 1


def test_the_configuration_is_printed_as_a_file_that_means_the_same(tmp_path: Path) -> None:
    given, printed = tmp_path / "given.toml", tmp_path / "printed.toml"
    given.write_text("fps = 3\nrepeat = true\n[steady]\nframes = 7\n[camera]\nrotate = 90\n")
    options = ("--config", given, "--no-repeat", "--steady-frames", 5, "--camera", 1)
    done = watch("--print-config", *options)
    assert (done.returncode, done.stderr) == (0, "")
    printed.write_text(done.stdout)
    wanted = {"fps": 3.0, "steady.frames": 5, "camera.rotate": 90, "camera.number": 1}
    assert build(read(printed)) == build(wanted) != Configuration()


def test_a_check_of_what_is_good_says_so() -> None:
    done = watch("--check", "-m", SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "configuration: good"
    assert second.startswith(f"{SMALL}: good (hotdog, nothotdog; 4 golden vectors hold; ")


def test_a_check_tells_a_bad_model_from_a_wrong_configuration(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(damaged())
    done = watch("--check", "-m", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"edge-watch: {path}: ")
    assert len(done.stderr.splitlines()) == 1
    done = watch("--check", "-m", SMALL, "--snapshots-labels", "fish")
    assert (done.returncode, done.stdout) == (2, "")
    assert "snapshots.labels" in done.stderr


@pytest.mark.parametrize(
    "text, fault",
    [
        ('labels = ["fish"]', "zone.labels (door): the model has no label 'fish'"),
        (
            'model = "OTHER"\nlabels = ["hotdog"]',
            "zone.labels (door): the model has no label 'hotdog'",
        ),
        (
            'model = "OTHER"\n[snapshots]\nlabels = ["fish"]',
            "snapshots.labels: no model has label 'fish'",
        ),
        ("roi = [0.9, 0.0, 0.2, 1.0]", "zone.roi ([[zone]] 1): must be x, y, width, height"),
    ],
)
def test_a_check_of_zones_names_the_key(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "other.tflite").write_bytes(relabelled(["open", "shut"]))
    text = text.replace("OTHER", str(tmp_path / "other.tflite"))
    path = tmp_path / "watch.toml"
    path.write_text(f'[[zone]]\nname = "door"\n{text}\n[[zone]]\nname = "all"\n')
    done = watch("--config", path, "--check", "-m", SMALL)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert fault in line


def test_without_picamera2_the_line_says_how_to_get_it() -> None:
    if importlib.util.find_spec("picamera2"):
        pytest.skip("picamera2 is installed")
    done = watch("-m", SMALL)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "apt install -y python3-picamera2" in line


# --- as a service


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_its_files_whole(
    services: list[Service], pictures: Path, tmp_path: Path, number: signal.Signals
) -> None:
    options = ("--source", pictures, "--repeat", "--fps", 20, "-m", SMALL)
    services.append(service := Service(tmp_path, *options))
    assert service.told()["READY"] == "1"
    status = service.until(r"^hotdog 0\.\d\d, ")
    assert re.fullmatch(r"hotdog 0\.\d\d, \d+\.\d frames a second(, -?\d+ Celsius)?", status)
    assert service.ended(number) == 0
    assert service.said == ""
    records = service.records()
    assert [record["frame"] for record in records] == list(range(1, len(records) + 1))
    (latest,) = (tmp_path / "run").iterdir()
    assert json.loads(latest.read_text())["frame"] in (len(records), len(records) - 1)
    while "STOPPING" not in (told := service.told()):
        assert told["WATCHDOG"] == "1"


def test_several_signals_at_once_end_it_without_a_word(
    services: list[Service], pictures: Path, tmp_path: Path
) -> None:
    options = ("--source", pictures, "--repeat", "--every", 0, "-m", SMALL)
    services.append(service := Service(tmp_path, *options))
    assert service.told()["READY"] == "1"
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGINT):
        service.process.send_signal(number)
    assert service.ended(signal.SIGTERM) == 0
    assert service.said == ""


def test_a_signal_ends_it_in_a_long_rest(
    services: list[Service], pictures: Path, tmp_path: Path
) -> None:
    options = ("--source", pictures, "--fps", 0.01, "-m", SMALL)
    services.append(service := Service(tmp_path, *options))
    assert service.told()["READY"] == "1"
    time.sleep(0.1)
    assert service.ended(signal.SIGTERM) == 0


def test_a_signal_ends_it_even_where_native_code_hangs() -> None:
    with subprocess.Popen(
        [sys.executable, PROGRAMS / "hang.py"], stdout=subprocess.PIPE, cwd=ROOT
    ) as hung:
        assert hung.stdout
        assert hung.stdout.readline() == b"hangs\n"
        try:
            hung.send_signal(signal.SIGTERM)
            assert hung.wait(timeout=ENDS_WITHIN_S) == 0
        finally:
            hung.kill()


def test_a_signal_ends_it_while_nobody_reads_what_it_writes(
    services: list[Service], pictures: Path, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # a few records fill it
    options = ("--source", pictures, "--repeat", "-m", SMALL)
    services.append(service := Service(tmp_path, *options, stdout=writing))
    os.close(writing)
    assert service.told()["READY"] == "1"
    while select.select([service.systemd], [], [], 1)[0]:  # until it is full
        service.told()
    assert service.ended(signal.SIGTERM) == 0
    os.close(reading)


def test_a_picture_is_kept_when_asked(
    services: list[Service], pictures: Path, tmp_path: Path
) -> None:
    options = ("--source", pictures, "--repeat", "--fps", 5, "--every", 0, "-m", SMALL)
    services.append(service := Service(tmp_path, *options))
    assert service.told()["READY"] == "1"
    service.process.send_signal(signal.SIGUSR1)
    service.until("hotdog")
    service.until("hotdog")
    assert service.ended(signal.SIGTERM) == 0
    kept = sorted(path.suffix for path in (tmp_path / "state" / "snapshots").iterdir())
    assert kept == [".jpg", ".json"]
    assert [record["event"]["to"] for record in service.records()] in ([], ["hotdog"])


def test_a_model_is_swapped_without_losing_a_frame_and_a_bad_one_is_refused(
    services: list[Service], pictures: Path, tmp_path: Path, model: Path
) -> None:
    options = ("--source", pictures, "--repeat", "--fps", 5, "-m", model)
    services.append(service := Service(tmp_path, *options, stdout=os.open(tmp_path / "out", 65)))
    assert service.told()["READY"] == "1"
    service.process.send_signal(signal.SIGHUP)
    service.until_said("new model loaded")
    replace(model, damaged())
    service.until_said("; the current model stays in use")
    replace(model, relabelled(["sausage", "nothing"]))
    service.until(r"^sausage ")
    model.unlink()
    service.until(rf"^sausage .*; {model}: no such file$")
    assert service.ended(signal.SIGTERM) == 0
    records = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [record["frame"] for record in records] == list(range(1, len(records) + 1))
    events = [record["event"]["to"] for record in records if "event" in record]
    assert events == ["hotdog", "sausage"]
    assert service.said.count("new model loaded") == 2
    assert len(service.said.splitlines()) == 4


def replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def test_a_folder_that_is_not_there_is_waited_for_and_found(
    services: list[Service], pictures: Path, tmp_path: Path
) -> None:
    away = pictures.rename(tmp_path / "away")
    options = ("--source", pictures, "--repeat", "--give-up-s", 60, "--fps", 5, "-m", SMALL)
    services.append(service := Service(tmp_path, *options))
    status = f"waiting: {pictures}: no such file or folder"
    assert service.told() == {"READY": "1", "WATCHDOG": "1", "STATUS": status}
    away.rename(pictures)
    service.until("frames a second")
    pictures.rename(away)
    service.until("^waiting: ")
    assert service.ended(signal.SIGTERM) == 0
    assert service.said == ""


def test_it_gives_up_with_a_line_so_that_systemd_begins_it_anew(tmp_path: Path) -> None:
    source = tmp_path / "absent"
    done = watch("--source", source, "--repeat", "--give-up-s", 0.3, "-m", SMALL)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"edge-watch: {source}: no such file or folder; check the path\n"


def test_it_leaves_when_it_takes_too_much_memory(pictures: Path) -> None:
    done = watch("--source", pictures, "--repeat", "--max-memory-mb", 10, "-m", SMALL)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.search(r"takes \d+ MB, more than max_memory_mb = 10; ", line)
    assert len(done.stdout.splitlines()) == 1


def test_a_folder_that_is_followed_is_classified_once_then_new_pictures(
    services: list[Service], pictures: Path, tmp_path: Path
) -> None:
    options = ("--source", pictures, "--follow", "-m", SMALL, "--results-file", tmp_path / "seen")
    services.append(service := Service(tmp_path, *options))
    service.until("^waiting: no new image$")
    with (pictures / "c.jpg").open("wb") as slow:
        content = PICTURE.read_bytes()
        for start in range(0, len(content), len(content) // 5):
            slow.write(content[start : start + len(content) // 5])
            slow.flush()
            time.sleep(0.3)
    service.until("c.jpg is still being written$")
    service.until("frames a second")
    service.until("^waiting: no new image$")
    assert service.ended(signal.SIGTERM) == 0
    assert service.said == ""
    records = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert [Path(record["source"]).name for record in records] == ["a.jpg", "b.jpg", "c.jpg"]
