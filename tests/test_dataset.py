"""The folder of photos: what is scanned, how it is split, and the cache of decoded photos."""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert import dataset as datasets
from convert.dataset import Dataset, Photo, calibration_photos, decode, load, shuffled_batches
from convert.errors import DatasetError
from edge.preprocess import InputSpec, Normalization, preprocess

SIZE = (64, 80)


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
    """The one line with which the folder is refused."""
    with pytest.raises(DatasetError) as caught:
        load(folder, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def photos_of(*paths: Path) -> list[Photo]:
    return [Photo(path, 0, datasets._sha256(path)) for path in paths]


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


def test_a_photo_that_is_not_there_any_more_is_refused(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "a" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert str(tmp_path / "a" / "gone.jpg") in error_of(tmp_path)


# --- the cache


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """JPEGs of the kinds that cameras, scanners and print shops make."""
    folder = tmp_path_factory.mktemp("kinds")
    rough = np.random.default_rng(5).integers(0, 256, (12, 16, 3), np.uint8)
    picture = Image.fromarray(rough).resize((200, 150), Image.Resampling.BICUBIC)
    paths = []

    def save(image: Image.Image, name: str, **options: object) -> None:
        paths.append(folder / f"{name}.jpg")
        image.save(paths[-1], quality=90, **options)

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(picture, f"exif{orientation}", exif=exif)
    save(picture.convert("L"), "grey")
    save(picture.convert("CMYK"), "cmyk")
    save(picture.resize((4000, 3000)), "12-megapixel")
    return paths


@pytest.mark.parametrize(
    ("dtype", "normalization"), [("float32", Normalization()), ("uint8", None)]
)
def test_the_cache_holds_what_the_device_computes_byte_for_byte(
    kinds: list[Path], tmp_path: Path, dtype: str, normalization: Normalization | None
) -> None:
    spec = InputSpec(0, (1, *SIZE, 3), np.dtype(dtype), normalization=normalization)
    cached = decode(photos_of(*kinds), SIZE, tmp_path, "train")
    assert cached.shape == (len(kinds), *SIZE, 3)
    for path, pixels in zip(kinds, cached, strict=True):
        on_device = preprocess(path, spec)
        assert pixels[None].astype(dtype).tobytes() == on_device.tobytes(), path.name


def test_an_unreadable_photo_is_named_and_leaves_no_file(kinds: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(kinds[0].read_bytes()[:700])
    with pytest.raises(DatasetError) as caught:
        decode(photos_of(kinds[0], broken), SIZE, tmp_path / "cache", "train")
    assert str(broken) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_interrupted_decode_leaves_no_file(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    write_photo(photo, 0)

    class Interrupting(list):  # as Ctrl-C would, in the middle
        def __getitem__(self, index: int) -> Photo:
            if index == 1:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    with pytest.raises(KeyboardInterrupt):
        decode(Interrupting(photos_of(photo, photo, photo)), SIZE, tmp_path / "cache", "train")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_second_decode_reuses_the_cache(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", 0)
    photos = photos_of(tmp_path / "a.png")
    first = decode(photos, SIZE, tmp_path / "cache", "train").copy()
    (tmp_path / "a.png").unlink()  # so that it cannot be decoded again
    assert np.array_equal(decode(photos, SIZE, tmp_path / "cache", "train"), first)


def test_other_photos_or_another_size_are_decoded_anew(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", 0)
    write_photo(tmp_path / "b.png", 1)
    a, b = photos_of(tmp_path / "a.png", tmp_path / "b.png")
    first = decode([a], SIZE, tmp_path / "cache", "train").copy()
    assert not np.array_equal(decode([b], SIZE, tmp_path / "cache", "train"), first)
    assert decode([a], (32, 32), tmp_path / "cache", "train").shape == (1, 32, 32, 3)


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


@pytest.mark.parametrize("batch_size", [3, 10, 25])
def test_each_epoch_visits_every_photo_once(batch_size: int) -> None:
    batches = shuffled_batches(10, batch_size, 0)
    visited = np.concatenate([next(batches) for _ in range(20)])
    epochs = visited[: len(visited) // 10 * 10].reshape(-1, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) > 1
    again = shuffled_batches(10, batch_size, 0)
    assert np.array_equal(visited, np.concatenate([next(again) for _ in range(20)]))


def test_a_folder_of_sets_without_train_is_no_folder_of_classes(tmp_path: Path) -> None:
    make_sets(tmp_path, "test")
    write_photos(tmp_path / "training", first=1000)
    assert "has test but no train" in error_of(tmp_path)


def test_the_same_photo_in_two_sets_is_refused(tmp_path: Path) -> None:
    make_sets(tmp_path, "train", "test")
    shutil.copy(tmp_path / "train" / "a" / "000.png", tmp_path / "test" / "a" / "copy.png")
    assert "is the same photo as one in train, class a" in error_of(tmp_path)


def test_the_same_photo_in_two_classes_is_refused(tmp_path: Path) -> None:
    write_photos(tmp_path)
    shutil.copy(tmp_path / "a" / "000.png", tmp_path / "b" / "copy.png")
    assert "is the same photo as one in train, class a" in error_of(tmp_path)
