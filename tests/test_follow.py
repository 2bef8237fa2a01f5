"""A folder that is followed: each image once, whole, and again when it changes.

On real files; the clock is the test's own where an image must settle.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest

from edge.errors import SourceError
from edge.sources.follow import IDLE, LOOK_S, OLD_S, SETTLED_S, Clock, follow
from edge.sources.frame import Frame, Waiting


class Following:
    """A folder that is followed, at a time that passes when the source sleeps."""

    def __init__(self, path: Path, give_up_s: float = 0.0) -> None:
        self.passed_s, began_s = 0.0, time.time()
        clock = Clock(lambda: self.passed_s, lambda: began_s + self.passed_s, self._sleep)
        self._items = follow(path, give_up_s=give_up_s, clock=clock)

    def _sleep(self, seconds: float) -> None:
        self.passed_s += seconds

    def within(self, seconds: float) -> list[str]:
        """The names of the images that come in so much time."""
        until_s, names = self.passed_s + seconds, list[str]()
        while self.passed_s < until_s:
            item = next(self._items)
            if isinstance(item, Frame):
                assert item.picture == Path(item.source)
                names.append(Path(item.source).name)
            else:
                self.waiting = item
        return names

    def next(self) -> str:
        item = next(self._items)
        assert isinstance(item, Frame)
        return Path(item.source).name


def make(path: Path, content: bytes = b"an image", age_s: float = 60.0) -> Path:
    path.write_bytes(content)
    written_s = time.time() - age_s
    os.utime(path, (written_s, written_s))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three files; nothing is decoded here."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in "bca":
        make(folder / f"{name}.jpg")
    return folder


ALL = ["a.jpg", "b.jpg", "c.jpg"]


def test_what_is_there_comes_once_by_name_and_then_nothing(pictures: Path) -> None:
    make(pictures / ".hidden.jpg")
    make(pictures / "notes.txt")
    (pictures / "inner.jpg").mkdir()
    make(pictures / "inner.jpg" / "x.jpg")
    following = Following(pictures)
    assert following.within(3600) == ALL
    assert following.waiting == Waiting(IDLE, idle=True)


def test_a_new_picture_comes_soon_and_once(pictures: Path) -> None:
    following = Following(pictures)
    following.within(10)
    make(pictures / "d.jpg", age_s=0)
    assert following.within(SETTLED_S + 2 * LOOK_S) == ["d.jpg"]
    assert following.within(60) == []


def test_a_picture_moved_into_place_need_not_settle(pictures: Path, tmp_path: Path) -> None:
    following = Following(pictures)
    following.within(10)
    make(tmp_path / "d", age_s=OLD_S + 60).rename(pictures / "d.jpg")
    assert following.within(LOOK_S * 1.5) == ["d.jpg"]


def test_a_picture_that_is_still_being_written_waits(pictures: Path) -> None:
    following = Following(pictures)
    following.within(10)
    path = make(pictures / "d.jpg", b"", age_s=-following.passed_s)
    assert following.within(SETTLED_S + 1) == []  # empty: a name alone, so far
    for _ in range(20):
        with path.open("ab") as file:
            file.write(b"more")
        written_s = time.time() + following.passed_s
        os.utime(path, (written_s, written_s))
        assert following.within(LOOK_S) == []
        assert following.waiting.reason == f"{path} is still being written"
    assert following.within(SETTLED_S + 2 * LOOK_S) == ["d.jpg"]
    assert following.waiting.reason == IDLE


def test_a_picture_that_is_replaced_or_written_over_comes_again(pictures: Path) -> None:
    following = Following(pictures)
    following.within(10)
    make(pictures / ".new").rename(pictures / "b.jpg")
    assert following.within(10) == ["b.jpg"]
    make(pictures / "c.jpg", b"another")
    assert following.within(10) == ["c.jpg"]


def test_a_picture_that_is_removed_is_forgotten(pictures: Path) -> None:
    following = Following(pictures)
    following.within(10)
    kept = pictures / "a.jpg"
    kept.rename(pictures.with_name("away"))
    assert following.within(10) == []
    pictures.with_name("away").rename(kept)
    assert following.within(10) == ["a.jpg"]


def test_what_goes_or_changes_between_listing_and_its_turn_waits(pictures: Path) -> None:
    following = Following(pictures)
    assert following.next() == "a.jpg"
    (pictures / "b.jpg").unlink()
    make(pictures / "c.jpg", b"longer than before")
    assert following.within(10) == ["c.jpg"]  # by the next listing, and once
    assert following.within(60) == []


def test_a_pattern_and_a_single_file_are_followed_as_well(pictures: Path) -> None:
    pattern, single = Following(pictures / "[bd].*"), Following(pictures / "c.jpg")
    assert pattern.within(10) == ["b.jpg"]
    assert single.within(10) == ["c.jpg"]
    make(pictures / "d.png")
    make(pictures / "c.jpg", b"the newest of a camera")
    assert pattern.within(10) == ["d.png"]
    assert single.within(10) == ["c.jpg"]


def test_a_folder_may_begin_empty(tmp_path: Path) -> None:
    following = Following(tmp_path)
    assert following.within(100) == []
    assert following.waiting.idle
    make(tmp_path / "a.jpg")
    assert following.within(10) == ["a.jpg"]


def test_a_link_to_nowhere_is_one_bad_picture(pictures: Path) -> None:
    (pictures / "d.jpg").symlink_to("nowhere")
    assert Following(pictures).within(60) == [*ALL, "d.jpg"]


@pytest.mark.parametrize("absent", ["absent", "absent/*.jpg"])
def test_what_is_missing_is_an_error_when_the_time_is_over(tmp_path: Path, absent: str) -> None:
    following = Following(tmp_path / absent, give_up_s=20)
    assert following.within(19) == []
    assert following.waiting == Waiting(f"{tmp_path / absent}: no such file or folder")
    with pytest.raises(SourceError, match="no such file or folder; check the path"):
        following.within(2)


def test_a_folder_that_comes_back_in_time_does_not_begin_anew(pictures: Path) -> None:
    following = Following(pictures, give_up_s=20)
    assert following.within(60) == ALL
    pictures.rename(pictures.with_name("away"))
    assert following.within(10) == []
    assert not following.waiting.idle
    pictures.with_name("away").rename(pictures)
    make(pictures / "d.jpg")
    assert following.within(60) == ["d.jpg"]


def test_a_folder_without_rights_is_an_error_of_the_source(pictures: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    pictures.chmod(0)
    with pytest.raises(SourceError, match="cannot be read"):
        Following(pictures).within(1)


def test_many_pictures_take_little_memory(tmp_path: Path) -> None:
    count = 4_000
    for number in range(count):
        make(tmp_path / f"{number:06}.jpg", b"")
    items = follow(tmp_path)
    tracemalloc.start()
    try:
        given = waited = 0
        while given < count:
            given += isinstance(next(items), Frame)
        while waited < 2:
            waited += isinstance(next(items), Waiting)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 200 * count
    assert peak < 500 * count


def test_a_folder_that_is_slow_to_list_is_listed_seldom(tmp_path: Path) -> None:
    for number in range(300):
        make(tmp_path / f"{number}.jpg")
    passed_s = slept_s = 0.0

    def monotonic() -> float:
        nonlocal passed_s
        passed_s += 0.01  # a look at the clock comes with each image
        return passed_s

    def sleep(seconds: float) -> None:
        nonlocal passed_s, slept_s
        passed_s, slept_s = passed_s + seconds, slept_s + seconds

    items = follow(tmp_path, clock=Clock(monotonic, time.time, sleep))
    signs, last_s = 0, 0.0
    while passed_s < 500:
        signs += isinstance(next(items), Waiting)
        assert passed_s - last_s < 1.1, "at least a sign of life a second"
        last_s = passed_s
    assert signs > 500
    assert slept_s / passed_s > 0.85
