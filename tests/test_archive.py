"""Zip archives of photos: read without unpacking by hand, and never trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from convert.data.reading.archive import unpacked
from convert.data.walk import walk_photos
from convert.errors import DatasetError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def archive(path: Path, *names: str, content: bytes = PNG) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, content)
    return path


def test_an_archive_is_a_folder_of_classes(tmp_path: Path) -> None:
    names = ["photos/cat/1.png", "photos/dog/2.png", "__MACOSX/photos/cat/._1.png"]
    folder = unpacked(archive(tmp_path / "photos.zip", *names), tmp_path / "cache")
    tree = walk_photos(folder)
    assert {(file.label, file.name) for file in tree.files} == {
        ("cat", "photos/cat/1.png"),
        ("dog", "photos/dog/2.png"),
    }
    assert unpacked(tmp_path / "photos.zip", tmp_path / "cache") == folder
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_a_folder_stays_itself(tmp_path: Path) -> None:
    assert unpacked(tmp_path) == tmp_path
    assert unpacked(tmp_path / "nowhere") == tmp_path / "nowhere"


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "C:\\x.png"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "photos.zip", "cat/1.png", name)
    with pytest.raises(DatasetError, match="writes outside of its folder"):
        unpacked(path, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convert.data.reading.archive.SPARE_BYTES", 0)
    path = archive(tmp_path / "bomb.zip", "1.png", "2.png", content=bytes(3_000_000))
    with pytest.raises(DatasetError, match=r"holds 2 files of 0\.0 GB; the limits are"):
        unpacked(path, tmp_path / "cache")


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    path = archive(tmp_path / "photos.zip", "cat/1.png", content=b"x" * 1000 + PNG)
    content = bytearray(path.read_bytes())
    content[45] ^= 255
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="is damaged"):
        unpacked(path, tmp_path / "cache")
    assert not any((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_for_each_class_as_teachable_machine_saves_them(
    tmp_path: Path, packed: bool
) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    for name in ("Class 1-samples.zip", "caf\u00e9-samples.zip"):
        archive(saved / name, "0.jpg", "1.jpg")
    (saved / "converted_keras.txt").write_text("no photo")
    given = saved
    if packed:
        given = tmp_path / "all.zip"
        with zipfile.ZipFile(given, "w") as file:
            for path in saved.glob("*.zip"):
                file.write(path, f"samples/{path.name}")
    folder = unpacked(given, tmp_path / "cache")
    labels = [file.label for file in walk_photos(folder).files]
    assert labels == ["Class 1"] * 2 + ["caf\u00e9"] * 2
    assert unpacked(given, tmp_path / "cache") == folder
    assert not list(tmp_path.glob("cache/.*"))


def test_an_archive_that_is_all_of_a_folder_is_read(tmp_path: Path) -> None:
    inner = archive(tmp_path / "cat-samples.zip", "0.jpg", "1.jpg").read_bytes()
    (tmp_path / "downloads").mkdir()
    with zipfile.ZipFile(tmp_path / "downloads" / "all.zip", "w") as file:
        for name in ("cat", "dog"):
            file.writestr(f"{name}-samples.zip", inner)
    folder = unpacked(tmp_path / "downloads", tmp_path / "cache")
    assert [file.label for file in walk_photos(folder).files] == ["cat"] * 2 + ["dog"] * 2


def test_a_damaged_archive_among_others_is_one_line(tmp_path: Path) -> None:
    archive(tmp_path / "a.zip", "0.jpg", content=b"x" * 1000 + PNG)
    content = bytearray(archive(tmp_path / "b.zip", "0.jpg", content=b"x" * 1000).read_bytes())
    content[40] ^= 255
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=r"b\.zip: is damaged"):
        unpacked(tmp_path, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_archives_beside_class_folders_are_no_classes(tmp_path: Path) -> None:
    archive(tmp_path / "backup.zip", "0.jpg")
    (tmp_path / "cat").mkdir()
    assert unpacked(tmp_path, tmp_path / "cache") == tmp_path
