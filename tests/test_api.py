"""What the packages export, and what a program of a user's may rely on."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run, uncovered

import edge
from edge import Frame, ImageError, Model, classify, photos, read_image
from edge.image.preprocess import resize

PHOTO = Path(__file__).parent / "data" / "hotdog.jpg"
PROGRAM = Path(__file__).parent / "user_program.py"
TRAINING = Path(__file__).parent / "user_training.py"
EXPORTS = {
    "edge": "Category ConfigurationError EdgeError Frame Framing ImageError Model ModelError "
    "Normalization Result RuntimeMissingError SourceError __version__ ahead classify photos "
    "read_image",
    "convert": "Accuracy ConversionError DatasetError Finding ModelEvaluation OutputError "
    "PhotoCheck Report Training TrainingError Variant WeightsError check evaluate export run train",
}


@pytest.mark.parametrize("package", EXPORTS)
def test_a_package_exports_these_names_and_no_others(package: str) -> None:
    code = (
        f"import {package} as p; print(*sorted(p.__all__)); print(*sorted(dir(p)));"
        "print(*(n for n in p.__all__ if getattr(p, n).__doc__ is None));"
        "import sys; print(*(n for n in ('tensorflow', 'keras') if n in sys.modules))"
    )
    done = run("-c", code)
    assert done.stderr == ""
    exported, shown, undocumented, heavy = done.stdout.split("\n")[:4]
    assert exported == shown == EXPORTS[package]
    assert undocumented == heavy == ""


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'edge' has no attribute 'Modell'"):
        edge.Modell  # noqa: B018


@pytest.mark.parametrize("package", EXPORTS)
def test_importing_a_package_loads_nothing_else(package: str) -> None:
    code = f"import sys, {package}; print(*(n for n in ('numpy', 'PIL', 'typing', 'edge.errors') "
    done = run("-c", code + "if n in sys.modules))", env=uncovered())
    assert done.stdout.split() == []


def test_all_that_stands_for_an_image_gives_the_same() -> None:
    content = PHOTO.read_bytes()
    pixels = read_image(PHOTO)
    with Model() as model:
        scores = model.scores(PHOTO)
        for picture in (str(PHOTO), content, bytearray(content)):
            assert np.array_equal(read_image(picture), pixels)
            assert np.array_equal(model.scores(picture), scores)
            frame = Frame("mine", picture, next(photos([PHOTO])).captured_at, 0)
            assert np.array_equal(classify(model, frame).scores, scores)


@pytest.mark.parametrize("picture", ["absent.jpg", bytearray(), bytearray(b"no image"), ""])
def test_what_is_no_image_is_an_image_error(picture: object) -> None:
    with pytest.raises(ImageError):
        read_image(picture)  # type: ignore[arg-type]


def test_what_stands_for_no_image_is_a_type_error() -> None:
    for thing in (3, None, object()):
        with pytest.raises(TypeError), Model() as model:
            model.scores(thing)  # type: ignore[arg-type]


def test_threads_that_share_a_model_get_the_scores_of_their_own_image() -> None:
    with Model(num_threads=1) as model:
        # Of the input's size: then it is the model alone that takes time.
        image = resize(read_image(PHOTO), model.input.size)
        images = [image, 255 - image] * 2
        expected = [model.scores(image) for image in images]
        assert abs(expected[0] - expected[1]).max() > 0.05
        begin = threading.Barrier(len(images))

        def classify_one(number: int) -> int:
            """How many scores belong to another thread's image."""
            begin.wait()
            return sum(
                not np.array_equal(model.scores(images[number]), expected[number])
                for _ in range(60)
            )

        with ThreadPoolExecutor(len(images)) as pool:
            assert list(pool.map(classify_one, range(len(images)))) == [0] * len(images)


FAULTS = """
from edge import Model, classify, photos

Model(threads=2)
classify(Model(), "photo.jpg")
model: str = Model()
for frame in photos(["a"]):
    frame.sauce
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which the wheel lies, beside what this one has."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
    subprocess.run(venv, check=True)
    (site,) = folder.glob("venv/lib/python*/site-packages")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    others = {str(Path(np.__file__).parent.parent), sysconfig.get_path("purelib")}
    (site / "others.pth").write_text("\n".join(sorted(others)) + "\n")
    return folder / "venv" / "bin" / "python"


def test_mypy_knows_the_types_of_an_installed_wheel(installed: Path, tmp_path: Path) -> None:
    def check(program: str) -> list[str]:
        """What mypy says of a user's program, by line."""
        path = tmp_path / "program.py"
        path.write_text(program)
        words = ["-m", "mypy", "--strict", "--python-executable", str(installed), str(path)]
        done = run(*words, "--cache-dir", str(tmp_path / "cache"), cwd=tmp_path)
        return [line for line in done.stdout.splitlines() if "error:" in line]

    assert check(PROGRAM.read_text()) == check(TRAINING.read_text()) == []
    lines = [int(line.split(":")[1]) for line in check(FAULTS)]
    assert lines == [4, 5, 6, 8]
