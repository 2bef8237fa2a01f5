"""A folder as a source of frames: once, again and again, and while it is not there."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import SourceError
from edge.sources.frame import Frame, Waiting
from edge.sources.replay import LOOK_AGAIN_S, replay


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three files; nothing is decoded here."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.jpg").write_bytes(b"an image")
    return folder


def names(items: Iterator[Frame | Waiting], count: int) -> list[str]:
    """The names of so many frames; the reasons of what waits between them."""
    return [
        Path(item.source).name if isinstance(item, Frame) else item.reason
        for item in itertools.islice(items, count)
    ]


def test_once_is_once(pictures: Path) -> None:
    assert names(replay(pictures), 10) == ["a.jpg", "b.jpg", "c.jpg"]


def test_again_and_again_the_folder_is_listed_anew(pictures: Path) -> None:
    frames = replay(pictures, repeat=True)
    assert names(frames, 3) == ["a.jpg", "b.jpg", "c.jpg"]
    shutil.copy(pictures / "b.jpg", pictures / "d.jpg")
    (pictures / "a.jpg").unlink()
    assert names(frames, 3) == ["b.jpg", "c.jpg", "d.jpg"]


def test_a_pattern_is_listed_anew_as_well(pictures: Path) -> None:
    assert names(replay(pictures / "[bc].jpg", repeat=True), 3) == ["b.jpg", "c.jpg", "b.jpg"]


def test_a_single_picture_is_repeated(pictures: Path) -> None:
    assert names(replay(pictures / "b.jpg", repeat=True), 3) == ["b.jpg"] * 3


def test_a_picture_that_goes_in_the_midst_of_a_round_begins_the_next(pictures: Path) -> None:
    frames = replay(pictures, repeat=True)
    assert names(frames, 1) == ["a.jpg"]
    (pictures / "b.jpg").unlink()
    assert names(frames, 3) == ["a.jpg", "c.jpg", "a.jpg"]


def test_a_link_to_nowhere_is_a_bad_picture_and_no_endless_loop(pictures: Path) -> None:
    for path in pictures.iterdir():
        path.unlink()
    (pictures / "x.jpg").symlink_to("nowhere")
    assert names(replay(pictures, repeat=True), 2) == ["x.jpg", "x.jpg"]


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("absent", ["empty", "absent", "*.png", "-"])
def test_no_picture_is_an_error_at_once_unless_there_is_time(
    tmp_path: Path, repeat: bool, absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"no image|no such file"):
        next(replay(Path(absent), repeat=repeat))


def test_a_folder_without_rights_is_an_error_of_the_source(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0)
    with pytest.raises(SourceError, match="cannot be read"):
        next(replay(folder / "inside"))


def test_it_waits_for_what_is_not_there_and_says_so(pictures: Path) -> None:
    away = pictures.rename(pictures.with_name("away"))
    frames = replay(pictures, repeat=True, give_up_s=30)
    assert names(frames, 2) == [f"{pictures}: no such file or folder"] * 2
    threading.Timer(LOOK_AGAIN_S / 2, away.rename, [pictures]).start()
    waited = itertools.takewhile(lambda item: isinstance(item, Waiting), frames)
    assert 0 <= len(list(waited)) <= 4  # and the frame that ended it was the first
    assert names(frames, 1) == ["b.jpg"]


def test_a_source_that_goes_in_the_midst_is_waited_for(pictures: Path) -> None:
    frames = replay(pictures, repeat=True, give_up_s=30)
    assert names(frames, 2) == ["a.jpg", "b.jpg"]
    pictures.rename(pictures.with_name("away"))
    assert names(frames, 1) == [f"{pictures}: no such file or folder"]


def test_the_wait_has_an_end(pictures: Path) -> None:
    shutil.rmtree(pictures)
    began = time.monotonic()
    with pytest.raises(SourceError, match="no such file or folder"):
        for item in replay(pictures, repeat=True, give_up_s=0.6):
            assert isinstance(item, Waiting)
    assert 0.6 <= time.monotonic() - began < 5
