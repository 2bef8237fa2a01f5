"""Files that options name: one that cannot be used is named before any photo is decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run
from test_dataset import write_photos

from convert.data.walk import walk_photos
from convert.steps.given_files import check_given_files
from edge.errors import EdgeError

HOTDOG = ROOT / "models" / "hotdog-scratch.tflite"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos of two classes, and files that are not what an option wants beside them."""
    write_photos(tmp_path / "photos", count=2)
    (tmp_path / "list.txt").write_text("a/000.png\n")
    (tmp_path / "wrong.txt").write_text("a/000.png\na/999.png\n")
    (tmp_path / "text.h5").write_text("not HDF5")
    (tmp_path / "text.tflite").write_text("not a model at all")
    return tmp_path / "photos"


def check(photos: Path, labels: tuple[str, ...] = ("a", "b"), **given: Any) -> None:
    check_given_files(given, walk_photos(photos), labels)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"weigh": [("nofile", 3.0)]}, "nofile: cannot be read"),
        ({"weigh": [("list.txt", 2.0), ("wrong.txt", 3.0)]}, "wrong.txt:2: a/999.png is not"),
        ({"weights": "nofile.h5"}, "nofile.h5: no such weights file"),
        ({"weights": "text.h5"}, "text.h5: is damaged, or not an HDF5 file"),
        ({"weights": "list.txt"}, "list.txt: is not a Keras weights file"),
        ({"teacher": "nofile.tflite"}, "nofile.tflite: no such model file"),
        ({"teacher": "text.tflite"}, "text.tflite: is not a TFLite model"),
        ({"teacher": str(HOTDOG)}, "has other classes than the photos: hotdog, nothotdog"),
        ({"against": "photos"}, "photos: holds no report"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    photos: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], fault: str
) -> None:
    monkeypatch.chdir(photos.parent)
    with pytest.raises(EdgeError) as caught:
        check(Path("photos"), **given)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_can_be_used_pass(photos: Path) -> None:
    check(photos)
    check(photos, weigh=[(photos.parent / "list.txt", 2.0)], teacher="small", weights="imagenet")
    check(photos, ("hotdog", "nothotdog"), teacher=str(HOTDOG))


def test_nothing_is_decoded_before(photos: Path, tmp_path: Path) -> None:
    done = run("-m", "convert", photos, "-o", tmp_path / "out", "--weigh", "nofile:3")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("convert: nofile: cannot be read (No such file")
    assert "decode" not in done.stderr and "compare" not in done.stderr
    assert not (tmp_path / "out").exists()
