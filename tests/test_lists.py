"""Photos in no class folder, and the CSV files that give their labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from convert.data.walk import PhotoTree, walk_photos
from convert.errors import DatasetError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def lay_out(root: Path, files: list[str], **lists: str) -> PhotoTree:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    for name, text in lists.items():
        (root / name.replace("__", "/")).with_suffix(".csv").write_text(text)
    return walk_photos(root)


def counts(tree: PhotoTree) -> dict[str, int]:
    return dict(Counter(f"{file.set}/{file.label}" for file in tree.files))


@pytest.mark.parametrize(
    "text",
    [
        "filename,label\n1.png,cat\n2.png,dog\n3.png,cat\n",
        "\ufefffilename;label\r\n1.png;cat\r\n2.png;dog\r\n3.png;cat\r\n",
        "label\tfile\ncat\t1.png\ndog\t./2.png\ncat\t3.png\n",
        "id,breed\n1,cat\n2,dog\n3,cat\n",
        "image,choice\n/data/upload/7/0123abcd-1.png,cat\n2.png,dog\n"
        "/data/local-files/?d=photos/3.png,cat\n",
        "filename,label\n1.png,cat\n1.png,cat\n2.png,dog\n3.png,cat\n",
    ],
)
def test_lists_as_tools_write_them(tmp_path: Path, text: str) -> None:
    tree = lay_out(tmp_path, ["1.png", "2.png", "3.png"], labels=text)
    assert counts(tree) == {"train/cat": 2, "train/dog": 1}
    assert not tree.strays
    assert not tree.split


def test_a_list_may_give_the_sets(tmp_path: Path) -> None:
    text = "filename,label,split\nimages/1.png,cat,Training\nimages/2.png,dog,train\n"
    text += "images/3.png,cat,valid\nimages/4.png,dog,valid\n"
    tree = lay_out(tmp_path, [f"images/{n}.png" for n in range(1, 5)], labels=text)
    assert counts(tree) == {f"{s}/{c}": 1 for s in ("train", "val") for c in ("cat", "dog")}
    assert tree.split


def test_roboflows_lists_lie_in_the_sets(tmp_path: Path) -> None:
    text = "filename, cat, dog\n1.png, 1, 0\n2.png, 0, 1\n3.png, 1, 1\n"
    files = [f"{s}/{n}.png" for s in ("train", "valid") for n in (1, 2, 3)]
    tree = lay_out(tmp_path, files, train___classes=text, valid___classes=text)
    assert counts(tree) == {f"{s}/{c}": 1 for s in ("train", "val") for c in ("cat", "dog")}
    assert set(tree.strays) == {"train/3.png", "valid/3.png"}  # of two classes: of none
    assert tree.others == ()  # not the lists either


def test_rows_without_a_photo_and_with_two_labels_are_told(tmp_path: Path) -> None:
    text = "filename,label\n1.png,cat\n2.png,dog\n9.png,cat\n3.png,cat\n3.png,dog\n"
    tree = lay_out(tmp_path, ["1.png", "2.png", "3.png"], labels=text)
    assert counts(tree) == {"train/cat": 1, "train/dog": 1}
    faults = [note.fault for note in tree.notes if note.kind == "list-rows"]
    assert faults == [
        "1 rows name photos that do not exist: 9.png",
        "1 photos have two labels and are skipped: 3.png",
    ]


def test_a_list_of_other_photos_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="names none of the photos beside it"):
        lay_out(tmp_path, ["1.png"], labels="filename,label\nx.png,cat\n")


def test_a_csv_file_that_is_no_list_and_one_beside_classes_are_no_list(tmp_path: Path) -> None:
    assert not lay_out(tmp_path / "a", ["1.png"], notes="a,b\n1,2\n").files
    text = "filename,label\n1.png,dog\n"
    tree = lay_out(tmp_path / "b", ["cat/1.png", "dog/2.png"], labels=text)
    assert counts(tree) == {"train/cat": 1, "train/dog": 1}
