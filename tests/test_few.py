"""Few photos: cross-validation, the last layer alone, a last training on train and val."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SMALL, Said, commands
from test_dataset import write_photos

from convert.data.dataset import load
from convert.fit import is_few
from convert.training.folds import HEAD, WHOLE, CrossValidation
from edge.classifier.model import Model

FILE = "model-float32.tflite"
AGAIN = "--recipe head --precision float32".split()
BACKBONE = (
    "--network mobilenet_v2 --alpha 0.35 --weights none --image-size 32 --precision float32"
).split()


def test_the_way_with_the_lower_loss_is_best_and_the_simpler_of_equals() -> None:
    labels = np.array([0, 1])
    sure, unsure = (np.array([[p, 1 - p], [1 - p, p]], np.float32) for p in (0.9, 0.6))
    assert CrossValidation(2, labels, {WHOLE: sure, HEAD: unsure}).best == WHOLE
    assert CrossValidation(2, labels, {WHOLE: unsure, HEAD: sure}).best == HEAD
    assert CrossValidation(2, labels, {WHOLE: sure, HEAD: sure.copy()}).best == HEAD
    assert CrossValidation(2, labels, {WHOLE: sure}).best == WHOLE


def test_a_cross_validation_is_read_again_for_the_same_photos_alone(tmp_path: Path) -> None:
    labels, path = np.array([0, 1]), tmp_path / "folds.json"
    scores = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    path.write_bytes(CrossValidation(2, labels, {WHOLE: scores}).content({"size": (8, 8)}))
    found = CrossValidation.read(path, {"size": (8, 8)}, labels)
    assert found and found.folds == 2
    assert found.by[WHOLE] == pytest.approx(scores)
    assert CrossValidation.read(path, {"size": (9, 9)}, labels) is None
    path.write_text("[")
    assert CrossValidation.read(path, {"size": (8, 8)}, labels) is None


def test_few_is_by_class(tmp_path: Path) -> None:
    dataset = load(write_photos(tmp_path, "a b", 20), 0)
    assert is_few(dataset, 21) and not is_few(dataset, 20)


@pytest.fixture(scope="module")
def made(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A network with --folds and --final, and a last layer alone."""
    folder = tmp_path_factory.mktemp("few")
    small = [drawn, "-o", folder / "small"]
    head = [drawn, "-o", folder / "head"]
    export = ["--quantize", "float32"]
    lines = {
        "small": ["train", *small, *SMALL, "--epochs", 1, "--folds", 2, "--final"],
        "head": ["train", *head, *BACKBONE, "--recipe", "head"],
        "one fold": ["train", *small, *SMALL, "--folds", 1],
        "export small": ["export", *small, *export],
        "export head": ["export", *head, *export],
        "measure small": ["evaluate", drawn, folder / "small" / FILE, "--set", "val"],
        "head again": ["train", drawn, "-o", folder / "again", "--from", folder / "head", *AGAIN],
    }
    said = dict(zip(lines, commands(folder, *lines.values()), strict=True))
    return {"folder": folder, **said}


def test_whole_trainings_are_cross_validated_and_the_file_is_of_all_photos(
    made: dict[str, Any],
) -> None:
    said: Said = made["small"]
    assert said.status == 0, said.stderr
    assert "cross-validation: 2 trainings" in said.stderr
    assert "fold 1 of 2 is done; about " in said.stderr
    assert "retracing" not in said.stderr  # of 3 networks in one process
    card = json.loads((made["folder"] / "small" / "card.json").read_text())
    counts = card["data"]["photos"]
    known = sum(sum(counts[name].values()) for name in ("train", "val"))
    validated = card["cross_validation"]
    assert (validated["folds"], validated["ships"]) == (2, WHOLE)
    assert validated["accuracy"][WHOLE]["total"] == known
    assert card["trained_on"] == ["train", "val"]
    assert card["threshold"]["chosen_on"].startswith("the photos of train and val")
    with Model(made["folder"] / "small" / "model-float32.tflite") as model:
        assert model.metadata.edge["trained_on"] == ["train", "val"]
        assert model.verify()
    assert "Validation figures are of an earlier training" in made["export small"].stdout
    assert made["measure small"].status == 1
    assert "was trained on these photos (" in made["measure small"].lines[-1]


def test_the_last_layer_alone_is_measured_out_of_fold(made: dict[str, Any]) -> None:
    assert made["head"].status == 0, made["head"].stderr
    assert "features of augmented views of train" in made["head"].stderr
    card = json.loads((made["folder"] / "head" / "card.json").read_text())
    assert card["config"]["recipe"]["head_only"] is True
    assert card["cross_validation"]["ships"] == HEAD
    assert card["trained_on"] == ["train"]
    assert "the last layer alone is right on " in made["export head"].stdout


def test_the_last_layer_is_fitted_again_where_a_training_starts_from_one(
    made: dict[str, Any],
) -> None:
    assert made["head again"].status == 0, made["head again"].stderr
    assert "the last layer alone: " in made["head again"].stderr


def test_one_fold_is_one_line(made: dict[str, Any]) -> None:
    said: Said = made["one fold"]
    assert said.status != 0
    assert said.lines[-1] == "convert: --folds: must be 0, or 2 or more. Received: 1; use 5"
