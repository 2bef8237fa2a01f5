"""Photos of none of the classes: --negatives, and a class folder that is called so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_dataset import write_photo, write_photos

from convert.data.dataset import load
from convert.data.reading.set_names import unknown_labels
from convert.errors import DatasetError


def test_negatives_become_a_class_of_their_own(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "cup key")
    for number in range(20):
        write_photo(tmp_path / "negatives" / f"day{number % 4}" / f"{number}.png", 900 + number)
    dataset = load(photos, 0, negatives=tmp_path / "negatives")
    assert dataset.labels == ("cup", "key", "none")
    assert unknown_labels(dataset.labels) == (2,)
    assert sum(of_set["none"] for of_set in dataset.counts().values()) == 20
    assert all(of_set["none"] for of_set in dataset.counts().values())


def test_negatives_join_a_class_that_is_called_so(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "cup Background")
    negatives = write_photos(tmp_path / "negatives", "day", first=500)
    dataset = load(photos, 0, negatives=negatives)
    assert dataset.labels == ("Background", "cup")
    assert unknown_labels(dataset.labels) == (0,)
    assert sum(of_set["Background"] for of_set in dataset.counts().values()) == 40


@pytest.mark.parametrize(
    "wrong, fault",
    [
        ("absent", "no such folder"),
        ("empty", "contains no images"),
        (".", "contains the class folders, or is in one of them"),
        ("photos/cup", "contains the class folders, or is in one of them"),
        ("classes", "contains the folder of a class: key"),
        ("shared", "is the same photo as"),
    ],
)
def test_wrong_negatives_are_one_line(tmp_path: Path, wrong: str, fault: str) -> None:
    photos = write_photos(tmp_path / "photos", "cup key")
    (tmp_path / "empty").mkdir()
    write_photos(tmp_path / "classes", "key", first=500)
    write_photos(tmp_path / "shared", "day", first=600)
    shutil.copy(photos / "cup" / "000.png", tmp_path / "shared" / "day" / "copy.png")
    with pytest.raises(DatasetError) as caught:
        load(photos, 0, negatives=tmp_path / wrong)
    assert fault in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path / wrong) in str(caught.value)


def test_negatives_of_photos_in_sets_are_one_line(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "val")):
        write_photos(tmp_path / "photos" / name, "cup key", first=100 * number)
    negatives = write_photos(tmp_path / "negatives", "day", first=500)
    with pytest.raises(DatasetError, match="put its photos into none/ of each set"):
        load(tmp_path / "photos", 0, negatives=negatives)
