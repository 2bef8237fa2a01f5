"""What the tests share: drawn photos, models made of them, and real photos where they are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from convert.data.drawn import draw_photos

ROOT = Path(__file__).resolve().parent.parent
# Where the tests run in the background, a shell has SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
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


# Quick to train: from scratch, and no time spent on measuring which precision is faster.
SMALL = "--network small --image-size 64 --recipe scratch --precision float32".split()
TUTORIAL = "--network tutorial --image-size 96 --recipe scratch --precision float32".split()


@pytest.fixture(scope="session")
def converted(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a whole run on three classes: the small network, every variant, 4 epochs."""
    out = tmp_path_factory.mktemp("converted")
    return convert(drawn, out, *SMALL, "--epochs", "4", "--quantize", "all")


@pytest.fixture(scope="session")
def two_photos(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the drawn classes: cup and key."""
    photos = tmp_path_factory.mktemp("two")
    for label in ("cup", "key"):
        (photos / label).symlink_to(drawn / label)
    return photos


@pytest.fixture(scope="session")
def converted_two(two_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a whole run on two classes: the tutorial's network, one sigmoid, every variant."""
    out = tmp_path_factory.mktemp("converted-two")
    return convert(two_photos, out, *TUTORIAL, "--epochs", "4", "--quantize", "all")


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
    """Run `python -m convert`, which must succeed; return OUT."""
    done = run("-m", "convert", str(photos), "-o", str(out), *options)
    assert done.returncode == 0, done.stderr
    return out


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments, in the checkout, output captured as text."""
    options = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 600} | options
    return subprocess.run([sys.executable, *arguments], **options)


@dataclass(frozen=True)
class Said:
    """What a command ended with, and said."""

    status: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """What it said itself on stderr: no progress bar, no summary, no word of TensorFlow."""
        return [line for line in self.stderr.splitlines() if line.startswith("convert: ")]


_COMMANDS = """
import contextlib, io, json, subprocess, sys
from convert.__main__ import main
said = []
for argv in json.loads(sys.argv[1]):
    if argv[0] == "!":
        done = subprocess.run(argv[1:], capture_output=True, text=True)
        said.append([done.returncode, done.stdout, done.stderr])
        continue
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            status = main(argv)
        except SystemExit as error:
            status = error.code
    said.append([status, stdout.getvalue(), stderr.getvalue()])
open(sys.argv[2], "w").write(json.dumps(said))
"""


def commands(folder: Path, *argvs: list[object], **options: object) -> list[Said]:
    """Run `python -m convert` on each list of arguments, in one process: TensorFlow starts once.

    One that begins with "!" is another command. Only the last may measure files: a TFLite runtime
    then comes into the process, beside which TensorFlow does not train again.
    """
    path = folder / "said.json"
    words = json.dumps([[str(word) for word in argv] for argv in argvs])
    done = run("-c", _COMMANDS, words, str(path), **options)
    assert done.returncode == 0, done.stderr
    return [Said(*said) for said in json.loads(path.read_text())]


@contextmanager
def mounted_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own, such as "1m"; skips where none can be mounted."""
    if os.geteuid():
        pytest.skip("a disk can be mounted by root only")
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
