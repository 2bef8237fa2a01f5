"""`python -m convert check`: every bad thing is told in one run, and good photos pass."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convert.data import examine
from convert.data.dataset import load
from convert.data.walk import PhotoTree, walk_photos
from convert.errors import DatasetError
from convert.steps import check
from edge.errors import EdgeError
from edge.image.decode import read_facts
from edge.image.preprocess import read_image


def photo(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    rough = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    return Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC)


def fill(folder: Path, count: int = 6, first: int = 0) -> Path:
    """Write photos of one class."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        photo(first + number).save(folder / f"{number}.jpg", quality=90)
    return folder


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Good photos: two classes in three sets."""
    for place, name in enumerate(("train", "val", "test")):
        for index, label in enumerate(("cup", "key")):
            fill(tmp_path / "photos" / name / label, first=100 * place + 10 * index)
    return tmp_path / "photos"


def arguments(*words: str | Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What --format json tells, and the exit status."""
    status = check.main(arguments(folder, "--format", "json"))
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert status == (1 if told["errors"] else 0)
    return told


def of_kind(told: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [finding for finding in told["findings"] if finding["kind"] == kind]


def only(told: dict[str, Any], kind: str, level: str) -> dict[str, Any]:
    """The one finding of a kind; of errors, there is no other."""
    (finding,) = of_kind(told, kind)
    assert finding["level"] == level
    if level == "error":
        assert told["errors"] == 1, told["findings"]
    return finding


def test_good_photos_pass(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = checked(sets, capsys)
    assert told["findings"] == []
    assert told["photos"] == 36
    assert told["counts"]["val"] == {"cup": 6, "key": 6}
    assert told["pixels_min_median_max"] == {"height": [240] * 3, "width": [320] * 3}
    assert told["formats"] == {"JPEG": 36}


def test_the_text_is_a_table_and_a_line_for_each_finding(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sets / "train" / "cup" / "notes.txt").write_text("no photo")
    (sets / "train" / "cup" / "bad.jpg").write_bytes(b"no image")
    assert check.main(arguments(sets)) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[:4] == [
        "class  train  val  test",
        "cup        7    6     6",
        "key        6    6     6",
        "total     13   12    12",
    ]
    assert lines[-3] == f"warning: {'train/cup/notes.txt'}: is not an image; it is ignored"
    assert lines[-2].startswith("warning: train/cup/bad.jpg: ")
    assert lines[-2].endswith("; it is skipped; replace it")
    assert lines[-1] == "37 photos: 0 errors, 2 warnings"
    assert "-o sheet.png" in err


def test_unreadable_photos_are_all_named(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = (sets / "train" / "cup" / "0.jpg").read_bytes()
    bad = {
        "cut.jpg": good[: len(good) // 2],
        "empty.jpg": b"",
        "text.png": b"hello",
    }
    for name, content in bad.items():
        (sets / "train" / "key" / name).write_bytes(content)
    (sets / "val" / "key" / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(sets / "val" / "key" / "pipe.jpg")
    found = of_kind(checked(sets, capsys), "unreadable")
    names = {Path(finding["subject"]).name for finding in found}
    assert names == {*bad, "gone.jpg", "pipe.jpg"}
    assert all(finding["fault"] and finding["remedy"] for finding in found)
    assert {finding["level"] for finding in found} == {"error"}  # 5 of 41: no training


def test_a_photo_that_is_removed_meanwhile_is_named(
    sets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = sets / "train" / "cup" / "0.jpg"

    def walk_then_lose_one(path: Path) -> PhotoTree:
        tree = walk_photos(path)
        gone.unlink()
        return tree

    monkeypatch.setattr(examine, "walk_photos", walk_then_lose_one)
    finding = only(checked(sets, capsys), "unreadable", "warning")
    assert finding["subject"] == "train/cup/0.jpg"
    assert finding["fault"] == "was removed while the folder was read"


def test_exact_copies_across_sets_are_a_leak(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(sets / "train" / "cup" / "2.jpg", sets / "test" / "cup" / "copy.jpg")
    leak = only(checked(sets, capsys), "leak", "error")
    assert leak["files"] == ["test/cup/copy.jpg", "train/cup/2.jpg"]
    assert leak["fault"] == "are the same photo, in train and test: a leak"


@pytest.mark.parametrize("target", ["val", "test"])
def test_look_alikes_across_sets_are_a_leak(
    sets: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(2, (200, 150)).save(sets / target / "cup" / "smaller.jpg", quality=60)
    leak = only(checked(sets, capsys), "leak", "error")
    assert leak["files"] == sorted([f"{target}/cup/smaller.jpg", "train/cup/2.jpg"])
    assert "look alike" in leak["fault"]


def test_duplicates_within_a_class_are_a_warning(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(sets / "train" / "cup" / "2.jpg", sets / "train" / "cup" / "copy.jpg")
    photo(4, (200, 150)).save(sets / "train" / "cup" / "smaller.jpg")
    told = checked(sets, capsys)
    duplicate, alike = only(told, "duplicate", "warning"), only(told, "look-alike", "warning")
    assert duplicate["files"] == ["train/cup/2.jpg", "train/cup/copy.jpg"]
    assert alike["files"] == ["train/cup/4.jpg", "train/cup/smaller.jpg"]
    assert told["errors"] == 0


def test_the_same_photo_in_two_classes_is_an_error(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(sets / "train" / "cup" / "2.jpg", sets / "train" / "key" / "copy.jpg")
    assert "cup and key" in only(checked(sets, capsys), "two-labels", "error")["fault"]


def test_look_alikes_in_two_classes_are_a_warning(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(2, (200, 150)).save(sets / "train" / "key" / "smaller.jpg")
    assert "cup and key" in only(checked(sets, capsys), "two-labels", "warning")["fault"]


def test_empty_classes_are_an_error(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (sets / "val" / "key").iterdir():
        path.unlink()
    assert only(checked(sets, capsys), "empty-class", "error")["subject"] == "val/key"


def test_class_folders_that_differ_between_sets_are_an_error(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sets / "val" / "key").rename(sets / "val" / "keys")
    found = of_kind(checked(sets, capsys), "classes-differ")
    assert {finding["subject"] for finding in found} == {"val/keys", "train/key"}


def test_one_class_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "cup")
    assert of_kind(checked(tmp_path, capsys), "classes")


def test_sets_without_train_are_an_error(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sets / "train").rename(sets / "learning")
    told = checked(sets, capsys)
    only(told, "no-train", "error")
    assert only(told, "unknown-folder", "warning")["subject"] == "learning"


def test_what_is_ignored_is_told(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(sets / ".cache", 1)
    fill(sets / "train" / "cup" / ".thumbnails", 1)
    photo(900).save(sets / "train" / "loose.jpg")
    photo(901).save(sets / "loose.jpg")
    told = checked(sets, capsys)
    assert {f["subject"] for f in of_kind(told, "hidden")} == {".cache", "train/cup/.thumbnails"}
    assert {f["subject"] for f in of_kind(told, "stray")} == {"loose.jpg", "train/loose.jpg"}
    assert told["photos"] == 36


def test_imbalance_is_a_warning_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "cup", 30)
    fill(tmp_path / "key", 10, first=100)
    finding = only(checked(tmp_path, capsys), "imbalance", "warning")
    assert "(1:3.0)" in finding["fault"]
    assert "weights the classes" in finding["remedy"]


def test_slight_imbalance_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "cup", 29)
    fill(tmp_path / "key", 10, first=100)
    assert not of_kind(checked(tmp_path, capsys), "imbalance")


def test_a_class_too_small_to_split_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "cup")
    fill(tmp_path / "key", 2, first=100)
    shutil.copy(tmp_path / "key" / "0.jpg", tmp_path / "key" / "copy.jpg")
    finding = only(checked(tmp_path, capsys), "too-few", "error")
    assert (finding["subject"], finding["fault"]) == ("key", "has only 2 different photos")


def test_orientations_and_small_photos_are_told(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(900).save(sets / "train" / "cup" / "turned.jpg", exif=exif)
    photo(901, (300, 200)).save(sets / "train" / "cup" / "small.png")
    told = checked(sets, capsys)
    assert told["orientations"] == {"1": 37, "6": 1}
    assert told["formats"] == {"JPEG": 37, "PNG": 1}
    assert told["pixels_min_median_max"]["height"] == [200, 240, 320]  # upright
    assert only(told, "orientation", "note")["files"] == ["train/cup/turned.jpg"]
    assert only(told, "small", "warning")["files"] == ["train/cup/small.png"]
    assert check.main(arguments(sets, "--image-size", "96")) == 0
    assert "smaller than" not in capsys.readouterr().out


def test_the_orientation_is_the_one_by_which_training_turns(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """EXIF's or a TIFF's own; Pillow alone would also take the one that stands in XMP."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/">'
    xmp += b'<rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    exif = Image.Exif()
    exif[0x0112] = 8
    cup = sets / "train" / "cup"
    photo(900).save(cup / "xmp.jpg", xmp=xmp)
    photo(901).save(cup / "both.jpg", xmp=xmp, exif=exif)
    photo(902).save(cup / "exif.png", exif=exif)
    photo(903).save(cup / "stored.tiff", tiffinfo={0x0112: 6})
    told = checked(sets, capsys)
    assert told["orientations"] == {"1": 37, "6": 1, "8": 2}
    turned = ["train/cup/both.jpg", "train/cup/exif.png", "train/cup/stored.tiff"]
    assert only(told, "orientation", "note")["files"] == turned
    for name in ("xmp.jpg", "both.jpg", "exif.png", "stored.tiff"):
        facts, pixels = read_facts(cup / name), read_image(cup / name)
        assert facts.size == pixels.shape[:2], name


def test_check_and_training_find_the_same_photos_in_folders_that_link_to_each_other(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("train/cup", "train/key", "test/key"):
        (sets / place / "again").symlink_to(sets / place)
        (sets / place / "all").symlink_to(sets)
        (sets / place / "up").symlink_to("..")
    told = checked(sets, capsys)
    assert told["findings"] == []
    assert told["photos"] == 36
    assert told["counts"] == load(sets, 0).counts()


def test_all_bad_things_are_told_in_one_run(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sets / "train" / "cup" / "bad.jpg").write_bytes(b"no image")
    shutil.copy(sets / "train" / "cup" / "2.jpg", sets / "test" / "cup" / "copy.jpg")
    shutil.copy(sets / "train" / "key" / "2.jpg", sets / "train" / "cup" / "key.jpg")
    (sets / "train" / "mug").mkdir()
    kinds = {finding["kind"] for finding in checked(sets, capsys)["findings"]}
    assert kinds >= {"unreadable", "leak", "two-labels", "empty-class", "classes-differ"}


@pytest.mark.parametrize("label", ["a, b", 'say "x"', "two\nlines", "ünï"])
def test_any_label_is_one_line(sets: Path, label: str, capsys: pytest.CaptureFixture[str]) -> None:
    (sets / "train" / "cup").rename(sets / "train" / label)
    (sets / "train" / label / "bad.jpg").write_bytes(b"no image")
    assert check.main(arguments(sets)) == 1
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("warning: train/")]
    assert label.replace("\n", "\\n") in out
    assert label in checked(sets, capsys)["counts"]["train"]


def test_a_thousand_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(1000):
        folder = tmp_path / f"class {number:03}"
        folder.mkdir()
        photo(number, (32, 24)).save(folder / "0.jpg")
    assert check.main(arguments(tmp_path, "-o", tmp_path.parent / "thousand.png")) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sum("has only 1 different photo" in line for line in lines) == check.MOST_LINES
    assert any(line.startswith("error: 980 more of this kind") for line in lines)
    (tmp_path.parent / "thousand.png").unlink()


def test_the_sheet_shows_each_class_and_look_alikes(
    sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(sets / "train" / "cup" / "2.jpg", sets / "test" / "cup" / "copy.jpg")
    (sets / "train" / "cup" / "bad.jpg").write_bytes(b"no image")
    assert check.main(arguments(sets, "-o", tmp_path / "sheet.png")) == 1
    tiles, marks = check._tiles(check.examine(sets))
    assert [caption for _, caption in tiles][::6] == ["cup", "key", "alike 1: train/cup/2.jpg"]
    assert marks == [""] * 12 + ["wrong"] * 2
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width > 6 * check.TILE
    assert "sheet.png" not in capsys.readouterr().err


def test_the_sheet_is_not_written_into_the_photos(sets: Path) -> None:
    with pytest.raises(DatasetError, match="is inside the photos folder"):
        check.main(arguments(sets, "-o", sets / "sheet.png"))


def test_a_sheet_that_cannot_be_written_is_one_line(sets: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="cannot be written"):
        check.main(arguments(sets, "-o", tmp_path / "nowhere" / "sheet.png"))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        check.main(arguments(tmp_path / "nowhere"))


def test_an_empty_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = checked(tmp_path, capsys)
    assert only(told, "classes", "error")["fault"] == "has 0 class folders"


def test_real_photos_have_hardly_a_leak(
    hotdog_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real set's val and test share two photos of one hot dog, from two distances."""
    for name, target in (("train", "val"), ("test", "test")):
        (tmp_path / name).symlink_to(hotdog_photos.parent / target)
    told = checked(tmp_path, capsys)
    assert {finding["kind"] for finding in told["findings"] if finding["level"] == "error"} <= {
        "leak"
    }
    assert told["errors"] <= 1
    assert told["photos"] == 1177
