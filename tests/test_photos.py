"""Which files a path, a folder or a pattern stands for, in which order."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from edge.errors import ConfigurationError, SourceError
from edge.sources.frame import Frame
from edge.sources.photos import files, listed, photos


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Images, hidden ones, others' files, and images a folder deeper."""
    for name in ("b.png", "a.JPG", ".hidden.jpg", "deep/c.webp", "deep/[1].jpg", ".git/d.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(path)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.jpg").mkdir()
    return tmp_path


def names(found: object, root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in found]


def test_a_folder_gives_its_pictures_by_name_without_hidden_ones(tree: Path) -> None:
    assert names(files(tree), tree) == ["a.JPG", "b.png"]


def test_recursion_descends_into_folders_but_not_hidden_ones(tree: Path) -> None:
    found = names(files(tree, recursive=True), tree)
    assert found == ["a.JPG", "b.png", "deep/[1].jpg", "deep/c.webp"]


def test_a_pattern_gives_what_it_matches_by_name(tree: Path) -> None:
    assert names(files(f"{tree}/*.[Jp][Pn][Gg]"), tree) == ["a.JPG", "b.png"]
    assert names(files(f"{tree}/**/*.webp"), tree) == ["deep/c.webp"]


def test_a_pattern_does_not_match_folders(tree: Path) -> None:
    assert names(files(f"{tree}/*.[jp][pn]g"), tree) == ["b.png"]


def test_a_name_with_brackets_is_the_file_where_there_is_one(tree: Path) -> None:
    assert names(files(tree / "deep" / "[1].jpg"), tree) == ["deep/[1].jpg"]


def test_a_named_file_is_taken_whatever_its_name_or_existence(tree: Path) -> None:
    for name in ("notes.txt", ".hidden.jpg", "missing.jpg"):
        assert names(files(tree / name), tree) == [name]


@pytest.mark.parametrize("path", ["empty", "*.bmp"])
def test_an_empty_folder_or_pattern_is_an_error(tree: Path, path: str) -> None:
    with pytest.raises(SourceError, match="contains no images") as caught:
        list(files(f"{tree}/{path}"))
    assert path in str(caught.value)


def test_frames_come_in_the_given_order_and_stay_encoded(tree: Path) -> None:
    frames = list(photos([tree / "b.png", tree / "a.JPG"]))
    assert [frame.source for frame in frames] == [str(tree / "b.png"), str(tree / "a.JPG")]
    assert [frame.picture for frame in frames] == [tree / "b.png", tree / "a.JPG"]
    assert frames[0].captured_at <= frames[1].captured_at
    assert frames[0].captured_at.utcoffset() == timedelta(0)


def test_a_dash_is_the_picture_on_stdin(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (tree / "b.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (frame,) = photos(["-"])
    assert (frame.source, frame.picture) == ("-", content)


def test_frames_are_made_one_at_a_time(tree: Path) -> None:
    frames = photos([tree / "b.png", tree / "empty"])
    assert next(frames).source == str(tree / "b.png")
    with pytest.raises(SourceError):
        next(frames)


def test_a_pattern_descends_into_the_folders_that_it_matches_where_asked(tree: Path) -> None:
    assert names(files(f"{tree}/d*", recursive=True), tree) == ["deep/[1].jpg", "deep/c.webp"]


def test_a_link_to_a_folder_above_is_followed_no_further(tree: Path) -> None:
    (tree / "deep" / "again").symlink_to(tree)
    (tree / "other").symlink_to(tree / "deep")
    found = names(files(tree, recursive=True), tree)
    assert found == [
        "a.JPG",
        "b.png",
        "deep/[1].jpg",
        "deep/c.webp",
        "other/[1].jpg",
        "other/c.webp",
    ]


def test_what_cannot_be_read_is_told_and_the_others_go_on(tree: Path) -> None:
    told: list[SourceError] = []
    paths = [tree / "empty", "", tree / "a.JPG", f"{tree}/*.bmp", tree / "b.png"]
    frames = list(photos(paths, onerror=told.append))
    assert [frame.source for frame in frames] == [str(tree / "a.JPG"), str(tree / "b.png")]
    assert [error.subject for error in told] == [str(tree / "empty"), "''", f"{tree}/*.bmp"]


def test_a_folder_that_vanishes_while_it_is_read_is_told(tree: Path) -> None:
    told: list[SourceError] = []
    found = files(tree, recursive=True, onerror=told.append)
    assert next(found).name == "a.JPG"
    for path in (tree / "deep").iterdir():
        path.unlink()
    (tree / "deep").rmdir()
    assert [path.name for path in found] == ["b.png"]
    (error,) = told
    assert str(error).startswith(f"{tree / 'deep'}: cannot be read (No such file or directory)")


def test_a_name_that_is_too_long_is_a_file_that_fails_later(tmp_path: Path) -> None:
    assert list(files(tmp_path / ("a" * 300))) == [tmp_path / ("a" * 300)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a.jpg\nb.jpg\n", ["a.jpg", "b.jpg"]),
        (b"a.jpg\r\n\r\n\n b.jpg", ["a.jpg", " b.jpg"]),
        (b"\xef\xbb\xbf\xe9\x92\xa5.jpg\n", ["钥.jpg"]),
        (b"two\nlines.jpg\0-x.jpg\0", ["two\nlines.jpg", "-x.jpg"]),
        (b"\xff.jpg", ["\udcff.jpg"]),
    ],
)
def test_a_list_has_one_path_a_line_or_nuls_between(
    tmp_path: Path, content: bytes, expected: list[str]
) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    assert listed(str(path)) == expected


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\0"])
def test_an_empty_list_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="contains no paths"):
        listed(str(path))
    with pytest.raises(SourceError, match="cannot be read"):
        listed(str(tmp_path))


def test_what_a_list_names_is_taken_literally(tree: Path) -> None:
    told: list[SourceError] = []
    paths = [f"{tree}/*.png", f"{tree}/deep", "-"]
    sources = [frame.source for frame in photos(paths, literal=True, onerror=told.append)]
    deep = [f"{tree}/deep/[1].jpg", f"{tree}/deep/c.webp"]
    assert sources == [f"{tree}/*.png", *deep, "-"]
    assert told == []


def test_an_endless_stdin_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/zero", encoding="latin-1") as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        monkeypatch.setattr("edge.sources.photos.LARGEST_PICTURE", 1_000_000)
        with pytest.raises(SourceError, match="is larger than 1 MB"):
            list(photos(["-"]))


def test_a_video_that_cannot_be_read_here_does_not_end_the_images_beside_it(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.mov", "c.jpg"):
        (tmp_path / name).touch()

    def video(path: Path) -> Iterator[Frame]:
        raise ConfigurationError(path, "needs PyAV", "pip install av")
        yield

    faults: list[SourceError] = []
    frames = list(photos([tmp_path], onerror=faults.append, video=video))
    assert [Path(frame.source).name for frame in frames] == ["a.jpg", "c.jpg"]
    assert [fault.fault for fault in faults] == ["needs PyAV"]
