"""A model as a teacher, beside TensorFlow in processes of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, Said, commands, run

SCRIPT = """
import os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
from pathlib import Path
import numpy as np
import tensorflow as tf
from convert.training import teacher
from edge.classifier.model import Model

path = Path(sys.argv[1])
pixels = np.random.default_rng(0).integers(0, 256, (12, 48, 40, 3)).astype(np.uint8)
labels, weights = np.arange(12) % 3, np.arange(12, dtype=np.float32)
batches = tf.data.Dataset.from_tensor_slices((pixels, labels, weights)).batch(4)
taught = teacher.Teacher(path, ("cup", "fish", "key")).teach(batches)
made = [np.concatenate(part) for part in zip(*taught.as_numpy_iterator())]
with Model(path) as model:
    alone = np.stack([model.scores(picture) for picture in pixels])
np.savez(sys.argv[2], pixels=pixels, labels=labels, weights=weights, alone=alone,
         share=teacher.SHARE, **{f"made_{n}": part for n, part in enumerate(made)})
"""


def test_targets_are_the_teachers_scores_and_the_labels(model_path: Path, tmp_path: Path) -> None:
    done = run("-c", SCRIPT, str(model_path), str(tmp_path / "made.npz"))
    assert done.returncode == 0, done.stderr
    made = np.load(tmp_path / "made.npz")
    np.testing.assert_array_equal(made["made_0"], made["pixels"])
    np.testing.assert_array_equal(made["made_2"], made["weights"])
    share = float(made["share"])
    expected = share * made["alone"] + (1 - share) * np.eye(3)[made["labels"]]
    assert len(np.unique(made["alone"], axis=0)) > 1  # it does look at the pictures
    np.testing.assert_allclose(made["made_1"], expected, atol=1e-6)


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
    }
    outcomes = commands(folder, *argvs.values())
    for name in ("three", "two"):
        shutil.copy(folder / name / "training" / "state.json", folder / f"{name}.json")
    return dict(zip(argvs, outcomes, strict=True)) | {"folder": folder}


@pytest.mark.parametrize("name", ["three", "two"])
def test_a_network_is_trained_with_a_teacher(said: dict, name: str) -> None:
    assert said[name].status == 0, said[name].stderr
    history = (said["folder"] / name / "history.csv").read_text()
    assert len(history.splitlines()) == 3


def test_the_teacher_is_known_by_its_content_and_not_by_its_path(
    said: dict, model_path: Path
) -> None:
    assert said["again"].status == 0
    assert said["another"].status == 1
    assert "another teacher" in said["another"].lines[-1]
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
