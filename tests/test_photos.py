"""Which files a path, a folder or a pattern stands for, in which order."""

from __future__ import annotations

import io
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from edge.errors import SourceError
from edge.photos import files, photos


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Pictures, hidden ones, others' files, and pictures a folder deeper."""
    for name in ("b.png", "a.JPG", ".hidden.jpg", "deep/c.webp", "deep/[1].jpg", ".git/d.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(path)
    (tmp_path / "notes.txt").write_text("not a picture")
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
    with pytest.raises(SourceError, match="no picture in it") as caught:
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
