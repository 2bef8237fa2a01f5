"""`python -m convert evaluate`: what the card says of a file is what anybody measures again."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import run

from convert.data.dataset import load
from convert.data.drawn import draw_photos
from convert.data.reading.set_names import SETS
from convert.errors import DatasetError
from convert.steps.evaluate import evaluate


@pytest.fixture(scope="module")
def held_out(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ and test/, as `converted` has drawn its sets from the photos."""
    folder = tmp_path_factory.mktemp("held-out")
    dataset = load(drawn, 0)
    for name in ("train", "test"):
        for photo in getattr(dataset, name):
            place = folder / name / photo.path.parent.name
            place.mkdir(parents=True, exist_ok=True)
            (place / photo.path.name).symlink_to(photo.path)
    return folder


def test_the_accuracy_is_the_cards(held_out: Path, converted: Path) -> None:
    card = json.loads((converted / "card.json").read_text())
    variants = [v for v in card["variants"] if v.get("test_accuracy")]
    models = [converted / variant["file"] for variant in variants]
    done = run("-m", "convert", "evaluate", str(held_out / "test"), *map(str, models))
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(.+): accuracy ([\d.]+) .* on (\d+) photos$", done.stdout, re.MULTILINE)
    assert found == [
        (
            str(model),
            f"{variant['test_accuracy']['accuracy']:.3f}",
            str(variant["test_accuracy"]["total"]),
        )
        for model, variant in zip(models, variants, strict=True)
    ]
    at_threshold = card["threshold"]["test"]
    chosen = done.stdout.split(f"{converted / card['chosen']}: ")[1]
    assert f"coverage {100 * at_threshold['coverage']:.1f} %" in chosen
    assert f"precision {100 * at_threshold['precision']:.1f} %" in chosen
    for label, share in at_threshold["false_positives"].items():
        assert f"false positives, {label}: {100 * share:.1f} % of" in chosen


def test_the_confusion_counts_every_photo(held_out: Path, model_path: Path) -> None:
    done = run("-m", "convert", "evaluate", str(held_out), str(model_path))
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()[-3:]
    assert [row.split()[0] for row in rows] == ["cup", "fish", "key"]
    assert sum(int(count) for row in rows for count in row.split()[1:]) == 15  # test, not train


def test_another_set_is_measured_if_asked_for(held_out: Path, model_path: Path) -> None:
    done = run("-m", "convert", "evaluate", str(held_out), str(model_path), "--set", "train")
    assert done.returncode == 1
    assert "was trained on these photos (63 of 63)" in done.stderr
    line = [str(held_out), str(model_path), "--set", "train", "--anyway"]
    assert "on 63 photos" in run("-m", "convert", "evaluate", *line).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("{photos} {model} --set val", "has no val; use another --set"),
        ("{photos}/nowhere {model}", "no such folder; use a folder with one folder per class"),
        ("{photos} {photos}/none.tflite", "none.tflite: "),
        (
            "{photos} {other}",
            "fish is not a label of the model (cup, key); use photos of its labels",
        ),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    held_out: Path, model_path: Path, converted_two: Path, words: str, told: str
) -> None:
    other = converted_two / "model-int8.tflite"
    line = words.format(photos=held_out, model=model_path, other=other).split()
    done = run("-m", "convert", "evaluate", *line)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr


def test_a_whole_folder_is_measured_on_the_models_test_photos(
    drawn: Path, model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = load(drawn, 0)
    assert evaluate(drawn, model_path).accuracy.total == len(dataset.test)
    assert "those of test by splits.csv" in capsys.readouterr().err
    assert evaluate(drawn, model_path, split="val").accuracy.total == len(dataset.val)
    with pytest.raises(DatasetError, match="was trained on these photos"):
        evaluate(drawn, model_path, split="train")
    assert evaluate(drawn, model_path, anyway=True).accuracy.total == 90


def test_photos_that_were_never_seen_are_all_measured(tmp_path: Path, model_path: Path) -> None:
    draw_photos(tmp_path, per_class=3, size=96, seed=99)
    assert evaluate(tmp_path, model_path).accuracy.total == 9
    assert evaluate(tmp_path / "cup", model_path).accuracy.total == 3


def test_without_splits_no_set_is_known(tmp_path: Path, drawn: Path, model_path: Path) -> None:
    alone = tmp_path / "model.tflite"
    shutil.copy(model_path, alone)
    assert evaluate(drawn, alone).accuracy.total == 90
    with pytest.raises(DatasetError, match=r"no splits\.csv beside"):
        evaluate(drawn, alone, split="test")


def test_splits_and_predictions_name_every_photo(drawn: Path, converted: Path) -> None:
    dataset = load(drawn, 0)
    rows = list(csv.DictReader((converted / "splits.csv").read_text().splitlines()))
    assert [(row["set"], row["sha256"]) for row in rows] == [
        (name, photo.sha256) for name in SETS for photo in getattr(dataset, name)
    ]
    assert all((drawn / row["path"]).is_file() for row in rows)
    assert all(bool(row["prediction"]) is (row["set"] != "train") for row in rows)
    assert all(row["group"] for row in rows)
    held_out = list(csv.DictReader((converted / "predictions.csv").read_text().splitlines()))
    assert len(held_out) == len(dataset.val) + len(dataset.test)
    for row in held_out:
        assert row["right"] == ("yes" if row["label"] == row["prediction"] else "no")
        assert float(row[row["prediction"]]) == float(row["score"])
    right = [row["right"] for row in held_out if row["set"] == "test"].count("yes")
    card = json.loads((converted / "card.json").read_text())
    (chosen,) = [v for v in card["variants"] if v["file"] == card["chosen"]]
    assert right == chosen["test_accuracy"]["correct"]
