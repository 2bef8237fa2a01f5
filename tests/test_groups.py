"""What belongs together stays together, and no grouping makes a split impossible."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.data.dataset import SETS, Dataset, load
from convert.data.grouping.groups import OTHER_PHOTOS, SAME_SCENE


def scene(seed: int) -> Image.Image:
    """An image that no other seed resembles."""
    random = np.random.default_rng(seed)
    total = np.zeros((96, 128, 3), np.float32)
    for cells in (4, 8, 16, 32):
        rough = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        total += np.asarray(rough.resize((128, 96), Image.Resampling.BICUBIC), np.float32) / cells
    total -= total.mean()
    return Image.fromarray(np.clip(128 + total / total.std() * 50, 0, 255).astype(np.uint8))


def write(path: Path, image: Image.Image, taken: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    image.save(path, quality=90, exif=exif)


def fixed_camera(folder: Path, taken: bool = False, minutes: float = 1.0) -> None:
    """One scene, in which a square of another colour lies for each class."""
    place = np.asarray(scene(0), np.float32)
    for kind, label in enumerate(("cup", "key")):
        for number in range(30):
            random = np.random.default_rng((kind, number))
            frame = place * (0.9 + number / 200) + random.normal(0, 2, place.shape)
            frame[30:50, 40 + number : 60 + number] = (200, 30, 30) if kind else (30, 30, 200)
            at = int(kind * 86_400 + number * 60 * minutes)
            clock = f"{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}"
            time = f"2024:05:{1 + at // 86_400:02} {clock}" if taken else ""
            image = Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8))
            write(folder / label / f"{number:03}.jpg", image, time)


def sets_of(dataset: Dataset) -> dict[Path, str]:
    return {photo.path: name for name in SETS for photo in getattr(dataset, name)}


def test_a_fixed_camera_is_cut_into_sessions(tmp_path: Path) -> None:
    fixed_camera(tmp_path)
    dataset = load(tmp_path, 0)
    counts = dataset.counts()
    assert all(2 <= counts[name][label] <= 8 for name in ("val", "test") for label in counts[name])
    assert dataset.grouping.worth == SAME_SCENE
    assert "the numbers in the names" in dataset.warnings[0]
    sessions = defaultdict(list)
    for path, name in sets_of(dataset).items():
        sessions[path.parent.name].append((path.name, name))
    for own in sessions.values():  # stretches of time, not single frames
        in_order = [name for _, name in sorted(own)]
        changes = sum(a != b for a, b in pairwise(in_order))
        assert changes <= 9


def test_a_class_of_one_session_is_a_warning(tmp_path: Path) -> None:
    fixed_camera(tmp_path, taken=True)
    dataset = load(tmp_path, 0)
    assert "EXIF" in dataset.warnings[0]
    assert [line for line in dataset.warnings if "cup were taken in one session" in line]


def test_the_json_that_edge_watch_writes_gives_the_order(tmp_path: Path) -> None:
    fixed_camera(tmp_path)
    for path in tmp_path.glob("*/*.jpg"):
        at = f"2024-05-31T12:{int(path.stem):02}:00.000+00:00"
        path.with_suffix(".json").write_text(json.dumps({"captured_at": at}))
    assert "JSON beside the photos" in load(tmp_path, 0).warnings[0]


def test_file_times_give_the_order_where_names_have_no_number(tmp_path: Path) -> None:
    fixed_camera(tmp_path)
    for path in sorted(tmp_path.glob("*/*.jpg")):
        name = "".join(chr(ord("a") + int(digit)) for digit in path.stem)
        os.utime(path, (1e9 + 60 * int(path.stem),) * 2)
        path.rename(path.with_name(f"{name}.jpg"))
    assert "file times" in load(tmp_path, 0).warnings[0]


def edited(path: Path, count: int) -> None:
    """Photos of two classes, each with three copies that an augmentation tool made."""
    for kind, label in enumerate("ab"):
        for number in range(count):
            photo = scene(1000 * kind + number)
            copies = {
                "": photo,
                "_rot15": photo.rotate(15, Image.Resampling.BICUBIC),
                "_flip": photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
                "_zoom": photo.crop((12, 10, 120, 90)).resize(photo.size),
            }
            for suffix, copy in copies.items():
                write(path / label / f"img{number:02}{suffix}.jpg", copy)


@pytest.mark.parametrize("by", ["auto", "name"])
def test_augmented_copies_stay_in_one_set(tmp_path: Path, by: str) -> None:
    edited(tmp_path, 12)
    dataset = load(tmp_path, 0, group_by=by)
    places = defaultdict(set)
    for path, name in sets_of(dataset).items():
        places[path.parent.name, path.stem.partition("_")[0]].add(name)
    assert all(len(names) == 1 for names in places.values())
    assert dataset.grouping.worth == OTHER_PHOTOS


def test_copies_with_other_names_stay_in_one_set(tmp_path: Path) -> None:
    edited(tmp_path, 12)
    original = {}
    for number, path in enumerate(sorted(tmp_path.glob("*/*.jpg"))):
        target = path.with_name(f"{number * 7919 % 997:03}x.jpg")
        original[target] = (path.parent.name, path.stem.partition("_")[0])
        path.rename(target)
    places = defaultdict(set)
    for path, name in sets_of(load(tmp_path, 0)).items():
        places[original[path]].add(name)
    apart = sum(len(names) > 1 for names in places.values())
    assert apart <= 0.05 * len(places)


def test_grouping_by_nothing_keeps_only_equal_files_together(tmp_path: Path) -> None:
    edited(tmp_path, 12)
    dataset = load(tmp_path, 0, group_by="none")
    assert len(set(dataset.grouping.numbers.values())) == 96


def test_folders_of_a_class_stay_in_one_set(tmp_path: Path) -> None:
    for kind, label in enumerate("ab"):
        for day in range(6):
            for number in range(5):
                photo = scene(1000 * kind + 100 * day + number)
                write(tmp_path / label / f"day{day}" / f"{number}.jpg", photo)
    places = defaultdict(set)
    for path, name in sets_of(load(tmp_path, 0)).items():
        places[path.parent].add(name)
    assert all(len(names) == 1 for names in places.values())
    assert Counter(str(names) for names in places.values())["{'val'}"] == 2


def test_a_burst_stays_in_one_set(tmp_path: Path) -> None:
    for kind, label in enumerate("ab"):
        for number in range(24):
            minute, second = divmod(number, 4)
            taken = f"2024:05:3{kind} 12:{10 + minute}:0{second}"
            write(tmp_path / label / f"{number:02}.jpg", scene(1000 * kind + number), taken)
    places = defaultdict(set)
    for path, name in sets_of(load(tmp_path, 0)).items():
        places[path.parent.name, int(path.stem) // 4].add(name)
    assert all(len(names) == 1 for names in places.values())
