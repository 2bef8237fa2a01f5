"""The service's loop: frames, sinks, systemd; and edge-watch as a process."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT, run

from edge.classify import Result
from edge.errors import SourceError
from edge.model import Model
from edge.notify import Notifier
from edge.photos import photos
from edge.sinks.jsonlines import JsonLines
from edge.watch import paced, replay, watch


@pytest.fixture(scope="module")
def model(model_path: Path) -> Iterator[Model]:
    with Model(model_path) as opened:
        yield opened


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """What listens at $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        yield listener


@pytest.fixture
def pictures(photo_folder: Path, tmp_path: Path) -> Path:
    """A bad picture, then two good ones."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"not a picture")
    for name, path in zip(("b", "c"), sorted(photo_folder.glob("*.jpg")), strict=False):
        shutil.copy(path, folder / f"{name}.jpg")
    return folder


def messages(listener: socket.socket) -> list[str]:
    """Everything that was sent so far; the first line of each message."""
    found = []
    listener.setblocking(False)
    try:
        while True:
            found.append(listener.recv(4096).decode().splitlines()[0])
    except BlockingIOError:
        return found


def test_every_result_reaches_every_sink(model: Model, photo_folder: Path) -> None:
    first: list[Result] = []
    second = io.StringIO()
    sinks = [first.append, JsonLines(second)]
    reports: list[str] = []
    frames = replay(photo_folder)
    assert watch(model, frames, sinks, Notifier(""), report=reports.append) == 12
    assert reports == []
    assert [result.source for result in first] == list(map(str, sorted(photo_folder.glob("*.jpg"))))
    assert [json.loads(line) for line in second.getvalue().splitlines()] == [
        result.as_dict() for result in first
    ]


def test_systemd_hears_of_classified_frames_only(
    model: Model, pictures: Path, systemd: socket.socket
) -> None:
    reports: list[str] = []
    heard_at_report: list[list[str]] = []

    def report(line: str) -> None:
        reports.append(line)
        heard_at_report.append(messages(systemd))

    with closing(Notifier(systemd.getsockname())) as notifier:
        count = watch(model, replay(pictures), [], notifier, report=report)
    assert count == 2
    assert heard_at_report == [[]]  # the bad one came first: neither ready nor alive
    assert messages(systemd) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    assert len(reports) == 1
    assert "a.jpg" in reports[0]


def test_a_sink_that_fails_is_reported_and_the_others_go_on(
    model: Model, photo_folder: Path, tmp_path: Path
) -> None:
    results: list[Result] = []
    reports: list[str] = []

    class Full:
        def __call__(self, result: Result) -> None:
            raise OSError(28, "No space left on device")

    count = watch(
        model,
        replay(photo_folder),
        [Full(), results.append],
        Notifier(""),
        report=reports.append,
    )
    assert count == len(results) == len(reports) == 12
    assert "Full" in reports[0]
    assert "No space left" in reports[0]


def test_whatever_a_sink_raises_the_loop_goes_on(model: Model, photo_folder: Path) -> None:
    reports: list[str] = []

    def broken(result: Result) -> None:
        raise ValueError("two\nlines")

    assert watch(model, replay(photo_folder), [broken], Notifier(""), report=reports.append) == 12
    assert reports == ["function: two\\nlines"] * 12


def test_a_reader_of_stdout_that_left_ends_it(model: Model, photo_folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    frames = replay(photo_folder)
    with pytest.raises(BrokenPipeError), open(writing, "w") as stream:
        watch(model, frames, [JsonLines(stream)], Notifier(""), report=pytest.fail)
    assert next(frames)  # it ended at the first one


def test_a_threshold_makes_it_unknown(model: Model, photo_folder: Path) -> None:
    results: list[Result] = []
    # Above 1 no score reaches it, whatever the model.
    watch(
        model,
        replay(photo_folder),
        [results.append],
        Notifier(""),
        threshold=1.01,
        report=pytest.fail,
    )
    assert {result.label for result in results} == {"unknown"}


def test_replay_once_ends(photo_folder: Path) -> None:
    assert len(list(replay(photo_folder))) == 12


def test_replay_again_lists_the_folder_anew(pictures: Path) -> None:
    frames = replay(pictures, repeat=True)
    assert [Path(f.source).name for f in itertools.islice(frames, 3)] == ["a.jpg", "b.jpg", "c.jpg"]
    shutil.copy(pictures / "b.jpg", pictures / "d.jpg")
    (pictures / "a.jpg").unlink()
    assert [Path(f.source).name for f in itertools.islice(frames, 3)] == ["b.jpg", "c.jpg", "d.jpg"]


@pytest.mark.parametrize("repeat", [False, True])
def test_an_empty_folder_is_an_error(tmp_path: Path, repeat: bool) -> None:
    with pytest.raises(SourceError, match="no picture"):
        next(replay(tmp_path, repeat=repeat))


@pytest.mark.parametrize("repeat", [False, True])
def test_an_absent_source_is_an_error_and_no_endless_complaint(
    tmp_path: Path, repeat: bool
) -> None:
    with pytest.raises(SourceError, match="no such file"):
        next(replay(tmp_path / "absent", repeat=repeat))


def test_a_pattern_is_listed_anew_as_well(pictures: Path) -> None:
    frames = replay(pictures / "[bc].jpg", repeat=True)
    assert [Path(f.source).name for f in itertools.islice(frames, 3)] == ["b.jpg", "c.jpg", "b.jpg"]


def test_a_folder_that_becomes_empty_ends_the_rounds(pictures: Path) -> None:
    frames = replay(pictures, repeat=True)
    list(itertools.islice(frames, 3))
    for path in pictures.iterdir():
        path.unlink()
    with pytest.raises(SourceError, match="no picture"):
        next(frames)


def test_frames_are_paced(photo_folder: Path) -> None:
    started = time.monotonic()
    assert len(list(itertools.islice(paced(photos([photo_folder]), fps=20), 6))) == 6
    assert time.monotonic() - started >= 5 / 20  # the first comes at once


def test_what_was_missed_is_not_made_up_for(photo_folder: Path) -> None:
    frames = paced(photos([photo_folder]), fps=20)
    next(frames)
    time.sleep(0.5)  # ten frames' time
    next(frames)
    started = time.monotonic()
    for _ in range(4):
        next(frames)
    assert time.monotonic() - started >= 3 / 20


def start(model: Path, source: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    command = ["-m", "edge", "watch", "-m", str(model), "--source", str(source), *options]
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    )


def test_sigterm_ends_it_with_0_and_systemd_hears_it(
    model_path: Path, photo_folder: Path, systemd: socket.socket
) -> None:
    options = ("--repeat", "--fps", "20")
    with start(model_path, photo_folder, *options, NOTIFY_SOCKET=systemd.getsockname()) as process:
        try:
            heard = [systemd.recv(4096).decode().splitlines()[0] for _ in range(20)]
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
    assert heard == ["READY=1"] + ["WATCHDOG=1"] * 19
    assert messages(systemd)[-1] == "STOPPING=1"
    assert (process.returncode, stderr) == (0, "")
    lines = stdout.splitlines()
    assert len(lines) >= 19  # more than one round of twelve
    assert {json.loads(line)["label"] for line in lines} <= {"cup", "fish", "key"}


def test_a_bad_picture_is_one_line_and_status_1_at_the_end(
    model_path: Path, pictures: Path
) -> None:
    done = run("-m", "edge", "watch", "-m", str(model_path), "--source", str(pictures))
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-watch: ")
    assert "a.jpg" in line


def test_an_empty_folder_is_one_line_and_status_1(model_path: Path, tmp_path: Path) -> None:
    done = run("-m", "edge", "watch", "-m", str(model_path), "--source", str(tmp_path), "--repeat")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "no picture" in line


@pytest.mark.parametrize("fps", ["0", "-1", "x", "nan", "inf"])
def test_a_wrong_rate_is_wrong_usage(fps: str) -> None:
    done = run("-m", "edge", "watch", "--source", "x", f"--fps={fps}")
    assert done.returncode == 2
    assert "--fps" in done.stderr
