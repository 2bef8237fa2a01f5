"""The folder of photos: what is scanned, how it is split, what is rejected."""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.data import dataset as datasets
from convert.data.dataset import Dataset, Photo, calibration_photos, load, weigh
from convert.data.walk import PhotoTree, walk_photos
from convert.errors import DatasetError


def write_photo(path: Path, seed: int) -> None:
    """A small PNG, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def write_photos(folder: Path, labels: str = "b a", count: int = 20, first: int = 0) -> Path:
    """A folder per label, `count` photos each, all different."""
    seeds = itertools.count(first)
    for label in labels.split():
        for number in range(count):
            write_photo(folder / label / f"{number:03}.png", next(seeds))
    return folder


def contents(photos: tuple[Photo, ...]) -> Counter[str]:
    return Counter(photo.sha256 for photo in photos)


def error_of(folder: Path) -> str:
    """The one line with which the folder is rejected."""
    with pytest.raises(DatasetError) as caught:
        load(folder, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- scan and split


def test_labels_are_the_folder_names_sorted(tmp_path: Path) -> None:
    dataset = load(write_photos(tmp_path, "pear apple fig"), 0)
    assert dataset.labels == ("apple", "fig", "pear")
    assert all(dataset.labels[photo.label] == photo.path.parent.name for photo in dataset.train)


def test_hidden_folders_and_files_are_ignored(tmp_path: Path) -> None:
    write_photos(tmp_path, "a b .git")
    write_photo(tmp_path / "a" / ".thumbnails" / "x.png", 999)
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    dataset = load(tmp_path, 0)
    assert dataset.labels == ("a", "b")
    assert sum(sum(labels.values()) for labels in dataset.counts().values()) == 40


def test_the_split_holds_out_the_same_share_of_every_class(tmp_path: Path) -> None:
    write_photos(tmp_path, "a", 40)
    write_photos(tmp_path, "b", 80, first=1000)
    counts = load(tmp_path, 0).counts()
    for name in ("val", "test"):
        assert abs(counts[name]["a"] - 0.15 * 40) <= 1
        assert abs(counts[name]["b"] - 0.15 * 80) <= 2
    assert sum(counts[name]["a"] for name in datasets.SETS) == 40


def test_the_split_follows_the_seed(tmp_path: Path) -> None:
    write_photos(tmp_path)
    assert load(tmp_path, 3) == load(tmp_path, 3)
    assert load(tmp_path, 3).fingerprint == load(tmp_path, 3).fingerprint
    assert contents(load(tmp_path, 3).val) != contents(load(tmp_path, 4).val)


def test_neither_names_nor_their_order_move_a_photo(tmp_path: Path) -> None:
    before = load(write_photos(tmp_path / "before"), 0)
    shuffled = random.Random(1)
    for label in ("a", "b"):
        paths = sorted((tmp_path / "before" / label).iterdir())
        shuffled.shuffle(paths)
        for number, path in enumerate(paths):
            target = tmp_path / "after" / label / f"deep{number % 2}" / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    after = load(tmp_path / "after", 0)
    for name in datasets.SETS:
        assert contents(getattr(before, name)) == contents(getattr(after, name))
    assert before.fingerprint == after.fingerprint


def test_equal_files_are_on_one_side(tmp_path: Path) -> None:
    write_photos(tmp_path, count=20)
    for path in sorted(tmp_path.glob("*/*.png")):
        shutil.copy(path, path.with_name(f"again-{path.name}"))
    dataset = load(tmp_path, 0)
    sides = [set(contents(getattr(dataset, name))) for name in datasets.SETS]
    assert all(not one & other for one, other in itertools.combinations(sides, 2))
    assert all(n == 2 for name in datasets.SETS for n in contents(getattr(dataset, name)).values())


def make_sets(folder: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        write_photos(folder / name, first=1000 * index)
    return folder


def sources(dataset: Dataset, name: str) -> set[str]:
    """The set folders that a set's photos lie in."""
    return {photo.path.parent.parent.name for photo in getattr(dataset, name)}


def test_sets_that_have_folders_are_kept(tmp_path: Path) -> None:
    dataset = load(make_sets(tmp_path, "train", "val", "test"), 0)
    assert all(sources(dataset, name) == {name} for name in datasets.SETS)
    assert all(len(getattr(dataset, name)) == 40 for name in datasets.SETS)


def test_val_is_drawn_from_train_where_it_has_no_folder(tmp_path: Path) -> None:
    dataset = load(make_sets(tmp_path, "train", "test"), 0)
    assert sources(dataset, "val") == sources(dataset, "train") == {"train"}
    assert sources(dataset, "test") == {"test"}
    assert dataset.counts()["val"] == {"a": 3, "b": 3}
    assert len(dataset.train) == 34
    assert len(dataset.test) == 40


def test_class_folders_that_differ_between_the_sets_are_refused(tmp_path: Path) -> None:
    make_sets(tmp_path, "train", "test")
    (tmp_path / "test" / "b").rename(tmp_path / "test" / "c")
    assert str(tmp_path / "test") in error_of(tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in error_of(write_photos(tmp_path, "a"))


def test_an_empty_class_is_refused(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "c").mkdir()
    assert str(tmp_path / "c") in error_of(tmp_path)


def test_classes_without_images_are_refused(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "notes.txt").write_text("no photo")
    assert str(tmp_path / "a") in error_of(tmp_path)


def test_a_class_too_small_to_split_is_refused(tmp_path: Path) -> None:
    write_photos(tmp_path, "a")
    write_photos(tmp_path, "tiny", 2, first=500)
    assert "tiny" in error_of(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in error_of(tmp_path / "nowhere")


def test_a_link_to_nowhere_is_left_out(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "a" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (left_out,) = load(tmp_path, 0).left_out
    assert str(left_out).startswith("1 photos cannot be read: a/gone.jpg ")


def test_a_photo_that_is_removed_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path)

    def walk_then_lose_one(path: Path) -> PhotoTree:
        tree = walk_photos(path)
        tree.files[0].path.unlink()
        return tree

    monkeypatch.setattr(datasets, "walk_photos", walk_then_lose_one)
    (left_out,) = load(tmp_path, 0).left_out
    assert str(left_out).startswith("1 photos cannot be read: a/000.png ")


# --- what training and calibration draw


def test_calibration_takes_the_same_share_of_every_class_by_seed() -> None:
    photos = [Photo(Path("x"), label, "") for label in (0, 1, 2) for _ in range(50)]
    chosen = calibration_photos(photos, 30, 1)
    assert Counter(photos[index].label for index in chosen) == {0: 10, 1: 10, 2: 10}
    assert len(set(chosen)) == 30
    assert chosen == calibration_photos(photos, 30, 1) != calibration_photos(photos, 30, 2)


def test_calibration_takes_all_where_there_are_fewer() -> None:
    photos = [Photo(Path("x"), label, "") for label in (0, 1) for _ in range(5)]
    assert calibration_photos(photos, 200, 0) == list(range(10))


def test_a_folder_of_sets_without_train_is_no_folder_of_classes(tmp_path: Path) -> None:
    make_sets(tmp_path, "test")
    write_photos(tmp_path / "learning", first=1000)
    assert "has test but no train" in error_of(tmp_path)


def test_a_copy_in_train_of_a_photo_of_test_is_left_out(tmp_path: Path) -> None:
    make_sets(tmp_path, "train", "test")
    shutil.copy(tmp_path / "train" / "a" / "000.png", tmp_path / "test" / "a" / "copy.png")
    dataset = load(tmp_path, 0)
    (left_out,) = dataset.left_out
    assert left_out.names == ("train/a/000.png",)
    assert "copy.png" in {photo.path.name for photo in dataset.test}
    with pytest.raises(DatasetError, match="is the same photo as one in test, class a"):
        load(tmp_path, 0, strict=True)


def test_a_photo_in_two_classes_is_left_out_of_both(tmp_path: Path) -> None:
    write_photos(tmp_path)
    shutil.copy(tmp_path / "a" / "000.png", tmp_path / "b" / "copy.png")
    dataset = load(tmp_path, 0)
    assert {name for left in dataset.left_out for name in left.names} == {"a/000.png", "b/copy.png"}
    assert sum(map(sum, (of_set.values() for of_set in dataset.counts().values()))) == 39
    with pytest.raises(DatasetError, match="is the same photo as one in train, class b"):
        load(tmp_path, 0, strict=True)


# --- near-duplicates


def scaled_copy(path: Path, target: Path) -> None:
    with Image.open(path) as image:
        image.resize((60, 50), Image.Resampling.BICUBIC).save(target)


def test_look_alikes_are_on_one_side(tmp_path: Path) -> None:
    write_photos(tmp_path, count=20)
    for path in sorted(tmp_path.glob("*/*.png")):
        scaled_copy(path, path.with_name(f"{path.stem}-again.png"))
    for seed in range(3):
        dataset = load(tmp_path, seed)
        stems = [
            {(p.label, p.path.stem.split("-")[0]) for p in getattr(dataset, name)}
            for name in datasets.SETS
        ]
        assert all(not one & other for one, other in itertools.combinations(stems, 2))
        assert dataset.counts()["val"] == dataset.counts()["test"] == {"a": 6, "b": 6}


def test_look_alikes_of_two_classes_are_on_one_side(tmp_path: Path) -> None:
    write_photos(tmp_path, count=20)
    for path in sorted((tmp_path / "a").glob("*.png")):
        scaled_copy(path, tmp_path / "b" / f"{path.stem}-of-a.png")
    dataset = load(tmp_path, 0)
    for name in datasets.SETS:
        paths = [photo.path for photo in getattr(dataset, name)]
        of_a = {path.stem for path in paths if path.parent.name == "a"}
        assert of_a == {path.stem.removesuffix("-of-a") for path in paths if "-of-a" in path.stem}


def test_look_alikes_across_sets_are_a_warning(tmp_path: Path) -> None:
    make_sets(tmp_path, "train", "test")
    for number in (1, 2):
        scaled_copy(
            tmp_path / "train" / "a" / f"00{number}.png", tmp_path / "test" / "a" / f"x{number}.png"
        )
    dataset = load(tmp_path, 0)
    assert dataset.counts()["test"] == {"a": 22, "b": 20}
    (line,) = dataset.warnings
    assert line.startswith("2 photos of test look like one of train")
    assert f"python -m convert check {tmp_path}" in line


def test_sets_without_look_alikes_are_no_warning(tmp_path: Path) -> None:
    assert load(make_sets(tmp_path, "train", "val", "test"), 0).warnings == ()


def test_an_unreadable_photo_is_left_out_and_named(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "a" / "bad.jpg").write_bytes(b"bad")
    dataset = load(tmp_path, 0)
    assert sum(of_set["a"] for of_set in dataset.counts().values()) == 20
    (left_out,) = dataset.left_out
    assert str(left_out) == ("1 photos cannot be read: a/bad.jpg is not an image of a known format")
    with pytest.raises(DatasetError, match="1 of 41 photos cannot be read"):
        load(tmp_path, 0, strict=True)


def test_many_unreadable_photos_are_an_error(tmp_path: Path) -> None:
    write_photos(tmp_path)
    for number in range(3):
        (tmp_path / "a" / f"bad{number}.jpg").write_bytes(b"bad%d" % number)
    assert "3 of 43 photos cannot be read: a/bad0.jpg" in error_of(tmp_path)


def test_a_class_whose_photos_all_look_alike_is_refused(tmp_path: Path) -> None:
    write_photos(tmp_path)
    for path in list((tmp_path / "b").iterdir())[1:]:
        shutil.copy(tmp_path / "b" / "000.png", path)
    assert "class b has too few different photos to split (20)" in error_of(tmp_path)


def test_the_looks_are_kept_in_a_cache(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    first = load(tmp_path / "photos", 0, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir())
    assert load(tmp_path / "photos", 0, tmp_path / "cache") == first == load(tmp_path / "photos", 0)


# --- labels


@pytest.mark.parametrize("label", ["a, b", 'say "x"', "two\nlines", "ünï", "-x"])
def test_a_label_may_be_anything(tmp_path: Path, label: str) -> None:
    write_photos(tmp_path, "z")
    write_photos(tmp_path / "later", "y", first=500)
    (tmp_path / "later" / "y").rename(tmp_path / label)
    (tmp_path / "later").rmdir()
    assert label in load(tmp_path, 0).labels
    for path in list((tmp_path / label).iterdir())[2:]:
        path.unlink()
    assert "too few" in error_of(tmp_path)


def test_a_thousand_classes(tmp_path: Path) -> None:
    seeds = itertools.count()
    for number in range(1000):
        for name in ("x", "y", "z"):
            write_photo(tmp_path / f"{number}" / f"{name}.png", next(seeds))
    counts = load(tmp_path, 0).counts()
    assert all(set(counts[name].values()) == {1} for name in datasets.SETS)
    for number in range(500):
        write_photo(tmp_path / "test" / f"{number}" / "x.png", next(seeds))
    (tmp_path / "train").mkdir()
    for number in range(1000):
        (tmp_path / f"{number}").rename(tmp_path / "train" / f"{number}")
    message = error_of(tmp_path)
    assert "lacks '500', '501', '502', '503', '504' and 495 more" in message


# --- weights


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Sets of photos, and lists beside them."""
    make_sets(tmp_path / "photos", "train", "val", "test")
    (tmp_path / "phone.txt").write_text("train/a/001.png\ntrain/b/002.png\r\n\n")
    return tmp_path


def weights_of(folder: Path, *lists: tuple[str, float]) -> dict[str, float]:
    """The weights other than 1, by the photos' names."""
    photos = load(folder / "photos", 0).train
    paths = [photo.path for photo in photos]
    weights = weigh(paths, folder / "photos", [(folder / name, f) for name, f in lists])
    assert weights.dtype == np.float32
    assert weights.shape == (len(photos),)
    pairs = zip(photos, weights.tolist(), strict=True)
    return {f"{p.path.parent.name}/{p.path.name}": weight for p, weight in pairs if weight != 1}


def test_listed_photos_are_weighed(listed: Path) -> None:
    assert weights_of(listed) == {}
    assert weights_of(listed, ("phone.txt", 3)) == {"a/001.png": 3.0, "b/002.png": 3.0}


def test_a_list_may_begin_with_a_byte_order_mark(listed: Path) -> None:
    (listed / "phone.txt").write_text("train/a/001.png\n", encoding="utf-8-sig")
    assert weights_of(listed, ("phone.txt", 3)) == {"a/001.png": 3.0}


def test_factors_of_two_lists_multiply(listed: Path) -> None:
    (listed / "more.txt").write_text("train/a/001.png\ntrain/a/001.png\n./train/a/003.png")
    expected = {"a/001.png": 1.5, "b/002.png": 3.0, "a/003.png": 0.5}
    assert weights_of(listed, ("phone.txt", 3), ("more.txt", 0.5)) == expected


@pytest.mark.parametrize("line", ["train/a/999.png", "val/a/001.png", "001.png", "two\twords"])
def test_a_line_that_names_no_photo_of_train_is_refused(listed: Path, line: str) -> None:
    (listed / "phone.txt").write_text(f"train/a/001.png\n{line}\n")
    with pytest.raises(DatasetError) as caught:
        weights_of(listed, ("phone.txt", 3))
    assert str(caught.value).startswith(f"{listed / 'phone.txt'}:2: ")
    assert "\n" not in str(caught.value)


def test_a_list_may_name_photos_that_were_drawn_for_val(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    dataset = load(tmp_path / "photos", 0)
    (tmp_path / "all.txt").write_text("\n".join(f"a/{n:03}.png" for n in range(20)))
    lists = [(tmp_path / "all.txt", 2.0)]
    train = [photo.path for photo in dataset.train]
    drawn = [photo.path for photo in (*dataset.val, *dataset.test)]
    weights = weigh(train, tmp_path / "photos", lists, drawn)
    assert weights.tolist() == [2.0 if photo.label == 0 else 1.0 for photo in dataset.train]
    with pytest.raises(DatasetError, match="is not a training photo"):
        weigh(train, tmp_path / "photos", lists)


def test_a_missing_list_is_refused(listed: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        weights_of(listed, ("nowhere.txt", 2))


def test_the_real_list_of_phone_photos_fits(hotdog_photos: Path) -> None:
    root = hotdog_photos.parent
    photos = sorted((root / "train").glob("*/*.jpg"))
    weights = weigh(photos, root, [(root / "phone.txt", 2.0)])
    assert (weights == 2).sum() == len((root / "phone.txt").read_text().split())
