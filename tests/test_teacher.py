"""A model as a teacher, beside TensorFlow in processes of their own."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAMS, SMALL, Said, commands
from test_convert import draw_colours


@pytest.fixture(scope="module")
def said(
    drawn: Path,
    two_photos: Path,
    converted: Path,
    converted_two: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Said]:
    """What the commands say, in one process."""
    folder = tmp_path_factory.mktemp("taught")
    three, two = (out / "model-int8.tflite" for out in (converted, converted_two))
    (folder / "broken.tflite").write_bytes(three.read_bytes()[:1000])
    shutil.copy(three, folder / "other.tflite")
    with (folder / "other.tflite").open("ab") as file:
        file.write(b" ")  # another file of the same answers
    train = ["train", drawn, "-o", folder / "three", *SMALL, "--epochs", 2, "--teacher"]
    pair = ["train", two_photos, "-o", folder / "two", *SMALL, "--epochs", 2, "--teacher"]
    argvs = {
        "three": [*train, three],
        "two": [*pair, two],
        "again": [*train, three, "--resume"],
        "another": [*train, folder / "other.tflite", "--resume"],
        "classes": [*pair, three],
        "broken": [*train, folder / "broken.tflite"],
        "absent": [*train, folder / "absent.tflite"],
        "named": [
            *("!", sys.executable, "-m", "convert"),  # its output goes to a stream of a process
            *("train", draw_colours(folder / "colours", ("red", "green", "blue"), 20)),
            *("-o", folder / "named", *SMALL, "--image-size", 32, "--batch-size", 8, "--epochs", 6),
            *("--augmentation", "none", "--learning-rate", 0.01, "--teacher", "small"),
        ],
        "targets": ["@", PROGRAMS / "ask_teacher.py", three, folder / "made.npz"],
    }
    outcomes = commands(folder, *argvs.values())
    for name in ("three", "two"):
        shutil.copy(folder / name / "training" / "state.json", folder / f"{name}.json")
    return dict(zip(argvs, outcomes, strict=True)) | {"folder": folder}


def test_targets_are_the_teachers_scores_and_the_labels(said: dict) -> None:
    assert said["targets"].status == 0, said["targets"].stderr
    made = np.load(said["folder"] / "made.npz")
    np.testing.assert_array_equal(made["made_0"], made["pixels"])
    np.testing.assert_array_equal(made["made_2"], made["weights"])
    share = float(made["share"])
    expected = share * made["alone"] + (1 - share) * np.eye(3)[made["labels"]]
    assert len(np.unique(made["alone"], axis=0)) > 1  # it does look at the images
    np.testing.assert_allclose(made["made_1"], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["three", "two"])
def test_a_network_is_trained_with_a_teacher(said: dict, name: str) -> None:
    assert said[name].status == 0, said[name].stderr
    history = (said["folder"] / name / "history.csv").read_text()
    assert len(history.splitlines()) == 3


def test_a_teacher_is_trained_first_where_it_is_given_by_name(said: dict) -> None:
    assert said["named"].status == 0, said["named"].stderr
    teacher = said["folder"] / "named" / "teacher" / "model-float32.tflite"
    about = json.loads((said["folder"] / "named" / "training" / "state.json").read_text())["about"]
    assert about["teacher"] == f"SHA-256 {hashlib.sha256(teacher.read_bytes()).hexdigest()}"


def test_the_teacher_is_known_by_its_content_and_not_by_its_path(
    said: dict, model_path: Path
) -> None:
    assert said["again"].status == 0
    assert said["another"].status == 1
    assert "a different teacher" in said["another"].lines[-1]
    about = json.loads((said["folder"] / "two.json").read_text())["about"]
    assert about["teacher"].startswith("SHA-256 ")
    assert str(model_path.parent) not in json.dumps(about)


def test_a_teacher_of_other_classes_is_refused(said: dict) -> None:
    assert said["classes"].status == 1
    (line,) = (line for line in said["classes"].lines if "classes than" in line)
    assert "cup, fish, key" in line


@pytest.mark.parametrize("name", ["broken", "absent"])
def test_a_teacher_that_cannot_be_used_is_one_line(said: dict, name: str) -> None:
    assert said[name].status == 1
    assert f"{name}.tflite" in said[name].lines[-1]
    assert "Traceback" not in said[name].stderr
