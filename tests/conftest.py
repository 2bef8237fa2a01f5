"""What the tests share: drawn photos, models made of them, and real photos where they are."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from selection import is_of_convert, needs_tensorflow, starts_processes

from convert.data.drawn import draw_photos

ROOT = Path(__file__).resolve().parent.parent
USER_HOME = Path.home()  # which is not that of the tests
USER_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or USER_HOME / ".cache")
PROGRAMS = ROOT / "tests" / "programs"  # what tests run in processes of their own
# Where the tests run in the background, a shell has SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
TEST_DATA = (ROOT / os.environ.get("EDGE_TEST_DATA", "../shared")).resolve()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what make test-quick leaves out: TensorFlow is not there then."""
    if collection_path.suffix != ".py" or "not tensorflow" not in config.option.markexpr:
        return None
    return needs_tensorflow(collection_path) or is_of_convert(collection_path) or None


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what make test-quick leaves out, and begin with the longest files, beside each other."""
    order = {}
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        slow = needs_tensorflow(item.path)
        if slow or TRAINED.intersection(fixtures):
            item.add_marker("tensorflow")
        if is_of_convert(item.path):
            item.add_marker("convert")
        if starts_processes(item.function, *_fixture_functions(item)):
            item.add_marker("process")
        order[item.path] = (not slow, -item.path.stat().st_size, item.path)
    items.sort(key=lambda item: order[item.path])


def _fixture_functions(item: pytest.Item) -> list[object]:
    """The functions of all fixtures that a test uses, also of those that they use."""
    found = item._fixtureinfo.name2fixturedefs  # pytest has no public name for it
    return [definition.func for several in found.values() for definition in several]


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of this worker's own: what is kept in the user's, or in another's, decides no test.

    But what only saves time is taken from the user's: pip's cache and matplotlib's list of fonts.
    """
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CACHE_DIR", os.environ.get("PIP_CACHE_DIR") or str(USER_CACHE / "pip"))
        patch.setenv(
            "MPLCONFIGDIR", os.environ.get("MPLCONFIGDIR") or str(USER_CACHE / "matplotlib")
        )
        patch.setenv("HOME", str(folder))
        patch.setenv("CONFIGURATION_DIRECTORY", str(folder / "etc"))  # root's tests write there
        for name in ("CACHE", "CONFIG", "DATA", "STATE"):
            patch.delenv(f"XDG_{name}_HOME", raising=False)
        yield folder


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of the whole run: the first worker that asks fills it, the others wait for that."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / f"shared-{name}"
    failed = folder.with_suffix(".failed")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if failed.exists():
            pytest.fail(f"{name}: {failed.read_text()}")
        if not folder.exists():
            folder.mkdir()
            try:
                make(folder)
            except BaseException as error:
                failed.write_text(str(error))
                raise
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn photos: cup, fish and key, 30 each."""
    return once(
        tmp_path_factory,
        "drawn",
        lambda folder: draw_photos(folder, per_class=30, size=96, seed=7),
    )


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
TRAINED = {"converted", "converted_two", "classifiers"}  # fixtures that need TensorFlow


@pytest.fixture(scope="session")
def converted(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a whole run on three classes: the small network, every variant, 4 epochs."""
    options = [*SMALL, "--epochs", "4", "--quantize", "all"]
    return once(tmp_path_factory, "converted", lambda out: convert(drawn, out, *options))


@pytest.fixture(scope="session")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what tests/programs/make_classifiers.py makes."""

    def make(out: Path) -> None:
        done = run(PROGRAMS / "make_classifiers.py", out)
        assert done.returncode == 0, done.stderr

    return once(tmp_path_factory, "classifiers", make)


@pytest.fixture(scope="session")
def two_photos(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the drawn classes: cup and key."""

    def link(photos: Path) -> None:
        for label in ("cup", "key"):
            (photos / label).symlink_to(drawn / label)

    return once(tmp_path_factory, "two", link)


@pytest.fixture(scope="session")
def converted_two(two_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a whole run on two classes: the tutorial's network, one sigmoid, every variant."""
    options = [*TUTORIAL, "--epochs", "4", "--quantize", "all"]
    return once(tmp_path_factory, "converted-two", lambda out: convert(two_photos, out, *options))


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
    """Run `python -m convert`, which must make files, though unfit after few epochs; return OUT."""
    done = run("-m", "convert", str(photos), "-o", str(out), *options)
    assert (out / "card.json").exists(), done.stderr
    verdict = json.loads((out / "card.json").read_text())["verdict"]
    assert done.returncode == (verdict == "do not ship"), done.stderr
    return out


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments, in the checkout, output captured as text."""
    options = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 1800} | options
    return subprocess.run([sys.executable, *map(str, arguments)], **options)


def uncovered(**more: str) -> dict[str, str]:
    """Return the environment of a child without coverage, which imports modules of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return kept | more


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


def commands(folder: Path, *argvs: list[object], **options: object) -> list[Said]:
    """Run `python -m convert` on each list of arguments, in one process: TensorFlow starts once.

    One that begins with "!" is another command, with "@" another program, run in this process too.
    """
    path = folder / "said.json"
    words = json.dumps([[str(word) for word in argv] for argv in argvs])
    done = run(PROGRAMS / "convert_commands.py", words, path, **options)
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
