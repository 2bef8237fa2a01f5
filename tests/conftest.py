"""What the tests share: drawn photos, models made of them, and real photos where they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from convert.drawn import draw_photos

ROOT = Path(__file__).resolve().parent.parent
TEST_DATA = (ROOT / os.environ.get("EDGE_TEST_DATA", "../shared")).resolve()


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn photos: cup, fish and key, 30 each."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_photos(folder, per_class=30, size=96, seed=7)
    return folder


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat folder of 12 drawn JPEGs."""
    by_class = tmp_path_factory.mktemp("by-class")
    draw_photos(by_class, per_class=4, size=96, seed=8)
    folder = tmp_path_factory.mktemp("photos")
    for path in sorted(by_class.glob("*/*.jpg")):
        path.rename(folder / f"{path.parent.name}-{path.name}")
    return folder


@pytest.fixture(scope="session")
def converted(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a whole run on three classes, every variant, 4 epochs."""
    return convert(drawn, tmp_path_factory.mktemp("converted"), "--epochs", "4")


@pytest.fixture(scope="session")
def converted_two(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a whole run on two classes: one sigmoid, mirrored for the device."""
    photos = tmp_path_factory.mktemp("two")
    for label in ("cup", "key"):
        (photos / label).symlink_to(drawn / label)
    return convert(photos, tmp_path_factory.mktemp("converted-two"), "--epochs", "4")


@pytest.fixture(scope="session")
def model_path(converted: Path) -> Path:
    """An int8 classifier of three classes."""
    return converted / "model-int8.tflite"


@pytest.fixture(scope="session")
def hotdog_photos() -> Path:
    """The real photos' test set; skips where it is absent."""
    folder = TEST_DATA / "hotdog" / "test"
    if not folder.is_dir():
        pytest.skip(f"no real photos: {folder} is absent (set EDGE_TEST_DATA)")
    return folder


def convert(photos: Path, out: Path, *options: str) -> Path:
    """Run `python -m convert` at 96 x 96 with every variant; return OUT."""
    command = ["-m", "convert", str(photos), "-o", str(out), "--image-size", "96"]
    done = run(*command, "--quantize", "all", "--calibration-photos", "60", *options)
    assert done.returncode == 0, done.stderr
    return out


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments, in the checkout, output captured as text."""
    options = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 600} | options
    return subprocess.run([sys.executable, *arguments], **options)
