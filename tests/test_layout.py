"""Folders as people have them: which are sets, which are classes, what is left out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from convert.data.reading.set_names import set_of
from convert.data.walk import PhotoTree, walk_photos

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)  # enough to be known by


def lay_out(root: Path, *names: str) -> PhotoTree:
    """Make files, and walk."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    return walk_photos(root)


def counts(tree: PhotoTree) -> dict[str, int]:
    return dict(Counter(f"{file.set}/{file.label}" for file in tree.files))


def notes(tree: PhotoTree, kind: str) -> list[str]:
    return [note.subject for note in tree.notes if note.kind == kind]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(
            (name, "train")
            for name in ("train", "Training", "training_set", "TRAIN-data", "seg_train")
        ),
        *(
            (name, "val")
            for name in ("valid", "Validation", "val_set", "dev", "Eval", "validation set")
        ),
        *((name, "test") for name in ("Testing", "test_set", "testset", "x_test", "test images")),
        *((name, "") for name in ("cat", "bullet train", "trains", "latest", "images", "")),
    ],
)
def test_the_usual_names_of_sets(name: str, expected: str) -> None:
    assert set_of(name) == expected


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Training", "Validation", "Testing"),
        ("train", "valid", "test"),
        ("dogs_train", "dogs_dev", "dogs_test"),
        ("training_set", "val", "eval"),
    ],
)
def test_sets_by_the_names_people_use(tmp_path: Path, train: str, val: str, test: str) -> None:
    tree = lay_out(tmp_path, *(f"{s}/{c}/{s}.png" for s in (train, val, test) for c in "ab"))
    assert counts(tree) == {f"{s}/{c}": 1 for s in ("train", "val", "test") for c in "ab"}
    assert tree.split
    renamed = {name for name in (train, val, test) if name not in ("train", "val", "test")}
    assert set(notes(tree, "set-name")) == renamed


def test_two_folders_of_one_set_are_an_error(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, *(f"{s}/{c}/1.png" for s in ("train", "Training") for c in "ab"))
    assert len(notes(tree, "two-sets")) == 1


def test_a_folder_of_photos_is_a_class_whatever_it_is_called(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, "bus/1.png", "train/1.png", "test/1.png")
    assert counts(tree) == {"train/bus": 1, "train/train": 1, "train/test": 1}
    assert not tree.split


def test_sets_without_class_folders_are_an_error(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, "train/1.png", "test/1.png")
    assert notes(tree, "no-classes") == [tmp_path.name]


def test_a_train_that_may_be_a_set_or_a_class_is_an_error(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, "bus/1.png", "car/1.png", "train/monday/1.png", "train/friday/1.png")
    assert notes(tree, "ambiguous") == ["train"]


def test_what_lies_beside_the_sets_is_left_out_and_counted(tmp_path: Path) -> None:
    names = [f"{s}/{c}/1.png" for s in ("train", "Test") for c in "ab"]
    tree = lay_out(tmp_path, *names, "c/1.png", "c/2.png", "loose.png", "train/loose.png")
    assert counts(tree) == {"train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1}
    assert (tree.unknown, tree.unknown_photos) == (("c",), 2)
    assert set(tree.strays) == {"loose.png", "train/loose.png"}


def test_sets_inside_of_the_classes(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, *(f"{c}/{s}/1.png" for s in ("Train", "valid") for c in "ab"))
    assert counts(tree) == {f"{s}/{c}": 1 for s in ("train", "val") for c in "ab"}


def test_sets_in_the_names_of_the_classes(tmp_path: Path) -> None:
    tree = lay_out(
        tmp_path, *(f"{c}_{s}/1.png" for s in ("train", "test") for c in ("cats", "dogs"))
    )
    assert counts(tree) == {f"{s}/{c}": 1 for s in ("train", "test") for c in ("cats", "dogs")}


def test_an_archives_single_folder_is_looked_into(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, "flower_photos/a/1.png", "flower_photos/b/1.png")
    assert counts(tree) == {"train/a": 1, "train/b": 1}
    assert notes(tree, "wrapper") == ["flower_photos"]


def test_a_set_inside_of_the_same_set(tmp_path: Path) -> None:
    names = [f"seg_{s}/seg_{s}/{c}/1.png" for s in ("train", "test") for c in "ab"]
    assert counts(lay_out(tmp_path, *names)) == {
        f"{s}/{c}": 1 for s in ("train", "test") for c in "ab"
    }


def test_folders_of_the_same_names_in_all_classes_are_a_warning(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, *(f"{c}/day{d}/1.png" for c in "ab" for d in range(3)))
    assert counts(tree) == {"train/a": 3, "train/b": 3}
    assert {file.folder for file in tree.files} == {"day0", "day1", "day2"}
    assert notes(tree, "like-sets") == ["a, b"]


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information", "#recycle"],
)
def test_folders_of_the_system_are_ignored(tmp_path: Path, name: str) -> None:
    tree = lay_out(tmp_path, "a/1.png", "b/1.png", f"{name}/1.png", f"a/{name}/1.png/thumb.png")
    assert counts(tree) == {"train/a": 1, "train/b": 1}
    assert set(tree.system) == {name, f"a/{name}"}
    assert not [note for note in tree.notes if note.level == "error"]


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, "a/1", "a/2.jfif", "a/3.PNG", "a/4.txt", "b/1.png")
    (tmp_path / "a" / "notes.md").write_text("no image")
    (tmp_path / "a" / "film").write_bytes(bytes(4) + b"ftypisom" + bytes(8))
    (tmp_path / "a" / "damaged.jpg").write_bytes(b"no image")
    tree = walk_photos(tmp_path)
    assert counts(tree) == {"train/a": 5, "train/b": 1}
    assert set(tree.others) == {"a/notes.md", "a/film"}


def test_a_pipe_without_suffix_is_not_opened(tmp_path: Path) -> None:
    lay_out(tmp_path, "a/1.png", "b/1.png")
    os.mkfifo(tmp_path / "a" / "pipe")
    assert walk_photos(tmp_path).others == ("a/pipe",)


@pytest.mark.parametrize(
    ("names", "label", "spelled"),
    [
        (("Cat", "cat"), "Cat", "upper and lower case"),
        (("caf\u00e9", "cafe\u0301"), "caf\u00e9", "accents"),
        (("bird", "bird "), "bird", "blanks"),
    ],
)
def test_names_that_mean_the_same_are_one_class(
    tmp_path: Path, names: tuple[str, str], label: str, spelled: str
) -> None:
    tree = lay_out(
        tmp_path, f"{names[0]}/1.png", f"{names[0]}/2.png", f"{names[1]}/3.png", "z/1.png"
    )
    assert tree.labels == {"train": (label, "z")}
    (note,) = tree.notes
    assert (note.level, note.kind) == ("warning", "same-name")
    assert spelled in note.fault
    sets = lay_out(tmp_path / "sets", *(f"train/{n}/1.png" for n in (names[0], "z")))
    sets = lay_out(tmp_path / "sets", *(f"test/{n}/1.png" for n in (names[1], "z")))
    assert sets.labels["train"] == sets.labels["test"]


def test_a_class_whose_name_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    lay_out(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a").rename(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcll"))
    assert len(notes(walk_photos(tmp_path), "not-utf8")) == 1


@pytest.mark.parametrize("name", ["unknown", "Unknown", "unknown "])
def test_a_class_called_unknown_is_an_error(tmp_path: Path, name: str) -> None:
    assert notes(lay_out(tmp_path, f"{name}/1.png", "b/1.png"), "reserved") == [name]
