"""Five folders of different makers, drawn in the layout that each documents or saves."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.data.dataset import load
from convert.data.drawn import draw_photo
from convert.data.overview import understood
from convert.data.reading.archive import unpacked
from convert.data.walk import walk_photos

NAMES = ("cup", "key")
EACH = 12  # photos of a class


def photo(label: str, number: int) -> Image.Image:
    return draw_photo(label, np.random.default_rng((number, *label.encode())), 64)


def encoded(image: Image.Image, format_name: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def photos() -> Iterator[tuple[str, int, bytes]]:
    for label in NAMES:
        for number in range(EACH):
            yield label, number, encoded(photo(label, number))


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def teachable_machine(root: Path) -> Path:
    """Draw "Download samples" of each class, all put into one zip by hand."""
    inner = {label: io.BytesIO() for label in NAMES}
    archives = {label: zipfile.ZipFile(stream, "w") for label, stream in inner.items()}
    for label, number, content in photos():
        archives[label].writestr(f"{number}.jpg", content)
    with zipfile.ZipFile(root / "samples.zip", "w") as whole:
        for label, archive in archives.items():
            archive.close()
            whole.writestr(f"{label}-samples.zip", inner[label].getvalue())
    return root / "samples.zip"


def kaggle(root: Path) -> Path:
    """A competition: train/ and test/ without classes, labels.csv, and a file to hand in."""
    rows = ["id,breed"]
    with zipfile.ZipFile(root / "competition.zip", "w") as whole:
        for label, number, content in photos():
            name = f"{number * 7919 % 997:03}{label[0]}f00d"
            rows.append(f"{name},{label}")
            whole.writestr(f"train/{name}.jpg", content)
        for number in range(3):
            whole.writestr(f"test/{number:03}beef.jpg", encoded(photo("fish", number)))
        whole.writestr("labels.csv", "\n".join(rows))
        whole.writestr("sample_submission.csv", "id,cup,key\n000beef,0.5,0.5\n")
    return root / "competition.zip"


def roboflow(root: Path) -> Path:
    """A multi-label export: a `_classes.csv` in each set, copies under `.rf.HASH`."""
    sets = ("train", "valid", "test")
    rows = {name: ["filename, cup, key"] for name in sets}
    for label, number, _ in photos():
        name = sets[min(2, max(0, number - 6) // 2)]
        image = photo(label, number)
        for turn in range(3 if name == "train" else 1):
            file = f"{label}{number}_jpg.rf.{number * 31 + turn:032x}.jpg"
            put(root / name / file, encoded(image.rotate(90 * turn)))
            rows[name].append(f"{file}, {int(label == 'cup')}, {int(label == 'key')}")
    for name in sets:
        put(root / name / "_classes.csv", "\n".join(rows[name]))
    put(root / "README.roboflow.txt", "objects - v1")
    return root


def label_studio(root: Path) -> Path:
    """A CSV export, and the uploads that it names, in the folder of a project."""
    rows = ["annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at"]
    for index, (label, number, content) in enumerate(photos()):
        file = f"{index:08x}-{label}_{number}.jpg"
        put(root / "upload" / "1" / file, content)
        times = f"2024-05-31T12:00:{index:02}.000Z"
        rows.append(f"{index},1,{label},{times},{index},/data/upload/1/{file},3.1,{times}")
    put(root / "project-1-at-2024-05-31.csv", "\n".join(rows))
    return root


def phones(root: Path) -> Path:
    """Folders that two phones filled: HEIC, upper case, copies, thumbnails, a video beside."""
    heif = pytest.importorskip("pillow_heif", reason="no pillow-heif")
    for label, number, content in photos():
        if number % 2:
            put(root / label / f"IMG_{number:04}.JPG", content)
            continue
        stream = io.BytesIO()
        heif.from_pillow(photo(label, number)).save(stream, quality=90)
        put(root / label / f"IMG_{number:04}.HEIC", stream.getvalue())
    put(root / "cup" / "IMG_0001 (1).JPG", (root / "cup" / "IMG_0001.JPG").read_bytes())
    put(root / "cup" / ".thumbnails" / "1.jpg", encoded(photo("cup", 1).resize((32, 32))))
    put(root / "cup" / "IMG_0002.MOV", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ")
    put(root / "cup" / "Thumbs.db", b"\xd0\xcf\x11\xe0")
    return root


@dataclass(frozen=True)
class Maker:
    """How a maker's folder is drawn, and how it must be understood."""

    draw: Callable[[Path], Path]
    photos: dict[str, int]  # of each class, by set; of train alone if the sets are drawn
    said: str  # in the table that is printed before anything is spent


MAKERS = {
    "Teachable Machine": Maker(teachable_machine, {"train": EACH}, "2 classes      24"),
    "Kaggle": Maker(kaggle, {"train": EACH}, "left out: 3 photos in no class folder: test/000beef"),
    "Roboflow": Maker(roboflow, {"train": 24, "val": 2, "test": 2}, "val (valid)"),
    "Label Studio": Maker(label_studio, {"train": EACH}, "csv: gives the labels of 24 photos"),
    "phones": Maker(phones, {"train": EACH + 1}, "left out: 1 hidden folders: cup/.thumbnails"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_makers_folder_is_understood(name: str, tmp_path: Path) -> None:
    maker = MAKERS[name]
    folder = unpacked(maker.draw(tmp_path), tmp_path / "cache")
    tree = walk_photos(folder)
    told = "\n".join(understood(tree))
    assert maker.said in told
    assert "error" not in told
    found = Counter((file.set, file.label) for file in tree.files)
    assert found == {(s, label): n for s, n in maker.photos.items() for label in NAMES} | (
        {("train", "key"): EACH} if name == "phones" else {}
    )
    dataset = load(folder, 0)
    assert dataset.labels == NAMES
    assert all(sum(of_set.values()) for of_set in dataset.counts().values())
    assert not [left for left in dataset.left_out if "read" in left.reason]
