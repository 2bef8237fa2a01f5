"""What is fastest on a machine, kept and read again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from trees import raspberry_pi

from edge.classifier import tuned
from edge.classifier.tuned import Measured, Tuned

TIMES = {"litert": {1: 9.0, 2: 5.0, 3: 4.0, 4: 3.95}, "tflite": {1: 40.0, 2: 30.0}}
MEASURED = Measured("a.tflite", "2026-11-25T05:00:00+00:00", {"litert": "2.3.0"}, TIMES)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Raspberry Pi 4 whose user has a configuration folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    return raspberry_pi(tmp_path / "root", 4)


def write_as(user: int, monkeypatch: pytest.MonkeyPatch, root: Path, *what: object) -> Path:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    return tuned.keep(*what, root=root)


def test_it_is_read_as_it_was_written_and_added_to(root: Path) -> None:
    assert tuned.read(root) == Tuned()
    tuned.keep({"1": MEASURED}, "/home/pi/a.tflite", root=root)
    tuned.keep({"2": MEASURED}, root=root)
    assert tuned.read(root) == Tuned("/home/pi/a.tflite", {"1": MEASURED, "2": MEASURED})


def test_what_is_known_already_is_not_written_again(root: Path) -> None:
    path = tuned.keep({"1": MEASURED}, root=root)
    before = path.stat()
    tuned.keep({"1": tuned.read(root).measured["1"]}, root=root)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    tuned.keep({"1": MEASURED._replace(measured_at="later")}, root=root)
    assert path.stat().st_ino != before.st_ino


def test_the_users_own_comes_before_the_systems(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = write_as(0, monkeypatch, root, {"1": MEASURED, "2": MEASURED}, "/srv/b.tflite")
    later = MEASURED._replace(measured_at="later")
    own = write_as(1000, monkeypatch, root, {"1": later})
    assert system == root / "etc/edge-classify/tuned.json"
    assert own.parts[-3:] == ("own", "edge-classify", "tuned.json")
    assert tuned.read(root) == Tuned("/srv/b.tflite", {"1": later, "2": MEASURED})


def test_a_card_that_moved_to_another_board_is_measured_anew(root: Path, tmp_path: Path) -> None:
    tuned.keep({"1": MEASURED}, root=root)
    assert tuned.read(raspberry_pi(tmp_path / "other", 5)) == Tuned()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"schema": 1}', '{"schema": 2, "measured": 3}', "\xff"],
)
def test_a_damaged_file_is_as_none(root: Path, content: str) -> None:
    path = tuned.place(root)
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="latin-1")
    assert tuned.read(root) == Tuned()


@pytest.mark.parametrize(("threads", "took"), [("0", 1.0), ("4711", 1.0), ("1", 0.0), ("x", 1.0)])
def test_times_that_cannot_be_are_as_none(root: Path, threads: str, took: float) -> None:
    path = tuned.keep({"1": MEASURED}, root=root)
    said = json.loads(path.read_text())
    said["measured"]["1"]["invoke_ms"]["litert"] = {threads: took}
    path.write_text(json.dumps(said))
    assert tuned.read(root) == Tuned()


def test_the_fastest_within_what_is_asked_for_is_chosen() -> None:
    assert MEASURED.best(4) == ("litert", 3, 4.0)  # as fast as with four
    assert MEASURED.best(2) == ("litert", 2, 5.0)
    assert MEASURED.best(4, "tflite") == ("tflite", 2, 30.0)
    assert MEASURED.best(1, threads=4) == ("litert", 4, 3.95)
    assert MEASURED.best(4, threads=5) is None
    assert MEASURED.others("litert", 4) == {"tflite": 7.5}
    assert MEASURED.others("tflite", 1) == {"litert": 9 / 40}
