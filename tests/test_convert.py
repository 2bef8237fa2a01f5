"""`python -m convert` as a user meets it: what OUT holds, and what is said when it fails."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAMS, ROOT, SMALL, Said, commands, run
from PIL import Image

from convert.data.dataset import Dataset, load
from convert.errors import ConversionError
from convert.report.verdict import CARE, NO, SHIP
from convert.steps.command_line import STEPS
from convert.tflite.quantize import VARIANTS
from convert.tflite.quantize import convert as quantize
from edge.classifier.metadata import read_metadata
from edge.image.preprocess import read_image

# What the device has; TensorFlow is not among it.
DEVICE_PACKAGES = ("numpy", "numpy.libs", "PIL", "pillow.libs")
PICTURES = (
    "augmentation.png confusion.png evidence.png history.png predictions.png reliability.png "
    "roc.png variants.png"
).split()
QUICK = [*SMALL, "--image-size", "32"]


def card_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "card.json").read_text())


def edge_json(path: Path) -> dict[str, Any]:
    return read_metadata(path.read_bytes(), path).edge


@pytest.fixture(params=["converted", "converted_two"])
def out(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def dataset(out: Path, converted: Path, drawn: Path, two_photos: Path) -> tuple[Path, Dataset]:
    """The photos that OUT was made of, and their sets."""
    photos = drawn if out == converted else two_photos
    return photos, load(photos, 0)


def test_out_holds_every_variant_and_what_is_said_of_them(out: Path) -> None:
    # Where there are mistakes, and where the network ends in pooling and a dense layer.
    names = {path.name for path in out.iterdir()} - {"mistakes.png", "evidence.png"}
    models = {f"model-{variant}.tflite" for variant in VARIANTS}
    told = {
        "report.html",
        "card.json",
        "history.csv",
        "calibration.txt",
        "splits.csv",
        "predictions.csv",
    }
    assert names == models | told | {*PICTURES, "training", "cache"} - {"evidence.png"}


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_can_be_looked_at(converted: Path, name: str) -> None:
    picture = read_image(converted / name)
    assert min(picture.shape[:2]) > 200
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10  # lines, not a blank sheet


def test_no_half_written_file_is_left(out: Path) -> None:
    hidden = {p.name for p in out.rglob("*") if p.name.startswith(".")}
    assert hidden <= {".lock"}  # the cache's, which keeps a second process out
    assert [p.name for p in out.rglob("*") if "partial" in p.name] == []


def test_the_card_says_what_the_files_are(out: Path) -> None:
    variants = card_of(out)["variants"]
    assert [variant["variant"] for variant in variants] == list(VARIANTS)
    for variant in variants:
        content = (out / variant["file"]).read_bytes()
        assert variant["size_bytes"] == len(content)
        assert variant["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_accuracies_are_of_all_held_out_photos(out: Path) -> None:
    card = card_of(out)
    for variant in card["variants"]:
        measured_on_test = variant["file"] in ("model-float32.tflite", card["chosen"])
        for name in ("val", "test") if measured_on_test else ("val",):
            measured = variant[f"{name}_accuracy"]
            assert measured["total"] == sum(card["data"]["photos"][name].values())
            assert measured["accuracy"] == round(measured["correct"] / measured["total"], 4)
            low, high = measured["interval_95"]
            assert low <= measured["accuracy"] <= high


def test_the_report_names_every_variant_and_the_recommended_file(out: Path) -> None:
    report, card = (out / "report.html").read_text(), card_of(out)
    assert all(f">{variant}</th>" in report for variant in VARIANTS)
    assert card["chosen"] in report and card["verdict"] in (SHIP, CARE, NO)
    assert card["data"]["fingerprint"] in report


def test_neither_card_nor_report_holds_a_path(out: Path, drawn: Path) -> None:
    told = ("card.json", "report.html", "history.csv", "calibration.txt")
    text = "".join((out / name).read_text() for name in told)
    assert str(out) not in text
    assert str(drawn) not in text


def test_the_history_has_a_row_for_each_epoch(out: Path) -> None:
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [float(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= rows[0].keys()


def test_test_is_measured_for_what_was_chosen_and_its_reference_alone(out: Path) -> None:
    card = card_of(out)
    chosen = {"model-float32.tflite", card["chosen"]}
    measured = {v["file"] for v in card["variants"] if v.get("test_accuracy")}
    assert measured == chosen
    for variant in card["variants"]:
        said = edge_json(out / variant["file"])["accuracy"]
        assert set(said) == ({"val", "test"} if variant["file"] in chosen else {"val"})
        assert said["val"] == variant["val_accuracy"]
        assert said.get("test") == variant.get("test_accuracy")


def test_a_file_says_what_it_is(out: Path) -> None:
    card = card_of(out)
    for variant in card["variants"]:
        said = edge_json(out / variant["file"])
        assert said["schema"] == 1
        assert said["network"] == card["config"]["network"]
        assert said["variant"] == variant["variant"]
        assert said["labels"] == card["labels"]
        assert said["data"]["fingerprint"] == card["data"]["fingerprint"]
        assert said["temperature"] == pytest.approx(card["temperature"], abs=1e-4)
        assert set(said["runtimes"]) <= set(card["runtimes"])
        assert len(said["golden"]["scores"][0]) == len(card["labels"])
        assert 0 <= said["threshold"] <= 1
    chosen = edge_json(out / card["chosen"])
    assert chosen["threshold"] == card["threshold"]["value"]


def test_calibration_is_of_training_photos_alone(out: Path, dataset: tuple[Path, Dataset]) -> None:
    photos, sets = dataset
    rows = [line.split("  ", 1) for line in (out / "calibration.txt").read_text().splitlines()]
    for sha256, name in rows:
        assert hashlib.sha256((photos / name).read_bytes()).hexdigest() == sha256
    train, held = ({p.sha256 for p in of} for of in (sets.train, sets.val + sets.test))
    assert {sha256 for sha256, _ in rows} == train  # fewer than are asked for: all
    assert not train & held


def test_the_split_comes_from_the_seed(drawn: Path, converted: Path) -> None:
    fingerprints = [load(drawn, seed).fingerprint for seed in (0, 1)]
    assert fingerprints[0] == card_of(converted)["data"]["fingerprint"] != fingerprints[1]


# --- odd data, all the way


def draw_colours(folder: Path, labels: Sequence[str], count: int) -> Path:
    """Photos of a colour for each label, rough enough that no two look alike."""
    random = np.random.default_rng(0)
    for index, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        angle = 2 * np.pi * index / len(labels) + np.arange(3) * 2 * np.pi / 3
        for number in range(count):
            rough = random.integers(0, 120, (8, 8, 3))
            pixels = (np.clip(rough + 70 * (1 + np.cos(angle)), 0, 255)).astype(np.uint8)
            picture = Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC)
            picture.save(folder / label / f"{number}.png")
    return folder


ODD_LABELS = ("salt, pepper", 'so-called "food"', "two\nlines")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Labels that break tables; then a network that int8 spoils; then 40 classes."""
    folder = tmp_path_factory.mktemp("odd")
    out, forty = folder / "out", folder / "forty"
    photos = draw_colours(folder / "photos", ODD_LABELS, 20)
    many = draw_colours(folder / "many", [f"class-{n:02}" for n in range(40)], 5)
    few = ["--batch-size", 8, "--epochs", 6, "--augmentation", "none", "--learning-rate", 0.01]
    export = ["export", photos, "-o", out, "--quantize"]
    as_jpegs = ["--pixel-cache-gb", 0]
    spoil = ["@", PROGRAMS / "spoil_int8.py", out / "training"]
    lines = {
        "train": ["train", photos, "-o", out, *QUICK, *few],
        "whole": [*export, "float32", "--name", 'odd, "name"'],
        "whole card": ["!", "cat", out / "card.json"],
        "spoil": [*spoil, 300],
        "spoiled": [*export, "int8", "--max-drop", 1, "--name", "spoiled"],
        "spoiled card": ["!", "cat", out / "card.json"],
        "spoil more": [*spoil, 1e5],
        "crashing": [*export, "float32,int8", "--name", "crashing"],
        "crashing card": ["!", "cat", out / "card.json"],
        "train forty": ["train", many, "-o", forty, *QUICK, "--epochs", 1, *as_jpegs],
        "forty": [
            *("export", many, "-o", forty, "--quantize", "float32", "--calibration-photos", 100),
            *as_jpegs,
        ],
    }
    found: dict[str, Any] = {"out": out, "photos": photos, "many": many}
    found |= zip(lines, commands(folder, *lines.values()), strict=True)
    for name in ("train", "spoil", "spoil more"):
        assert found[name].status == 0, found[name].stderr
    for name in ("whole", "spoiled", "crashing"):
        found[f"{name} card"] = json.loads(found[f"{name} card"].stdout)
    assert [*(forty / "cache").glob("jpeg-*.data")], "of a large data set"
    found["accuracy"] = found["whole card"]["keras_val_accuracy"]["accuracy"]
    return found


def test_odd_labels_come_back_from_the_device(odd: dict[str, Any]) -> None:
    assert odd["whole"].status == 0, odd["whole"].stderr
    assert odd["spoiled card"]["labels"] == sorted(ODD_LABELS)
    model = odd["out"] / 'odd, "name"-float32.tflite'
    pictures = [str(odd["photos"] / label / "0.png") for label in sorted(ODD_LABELS)]
    done = run("-m", "edge", "classify", "-m", str(model), "-t", "0", "--format", "json", *pictures)
    assert done.returncode == 0, done.stderr
    for row, label in zip(json.loads(done.stdout), sorted(ODD_LABELS), strict=True):
        assert {category["label"] for category in row["categories"]} <= set(ODD_LABELS)
        assert row["label"] == label


def test_too_large_a_drop_exits_with_1_and_the_files_are_there(odd: dict[str, Any]) -> None:
    assert odd["accuracy"] >= 0.8  # else there is nothing to lose
    said: Said = odd["spoiled"]
    assert said.status == 1
    (line,) = [line for line in said.lines if "--max-drop" in line]
    assert line.startswith("convert: spoiled-int8.tflite: loses ")
    assert "points on the validation set against the Keras model (--max-drop 1); look" in line
    assert (odd["out"] / "spoiled-int8.tflite").exists()
    assert "| int8" in said.stdout


def test_a_file_on_which_a_runtime_crashes_is_left_out_and_the_rest_goes_on(
    odd: dict[str, Any],
) -> None:
    said: Said = odd["crashing"]
    assert said.status == 1
    assert [v["variant"] for v in odd["crashing card"]["variants"]] == ["float32"]
    (line,) = [line for line in said.lines if "; omit it: --quantize without " in line]
    assert line.startswith("convert: int8: ")
    assert " crashes (SIG" in line


def test_a_model_that_learned_nothing_exits_with_1_and_is_not_recommended(
    odd: dict[str, Any],
) -> None:
    said: Said = odd["forty"]
    assert said.status == 1
    (line,) = [line for line in said.lines if "is not fit for use" in line]
    assert "no better than guessing" in line and "add photos" in line
    card = card_of(odd["out"].parent / "forty")
    assert card["recommended"] is None and card["chosen"] == "model-float32.tflite"
    assert card["recommendation"].startswith("do not ship: ")


def test_many_classes_are_calibrated_evenly(odd: dict[str, Any]) -> None:
    said: Said = odd["forty"]
    assert said.status == 1  # after one epoch
    out = odd["out"].parent / "forty"
    assert len(card_of(out)["labels"]) == 40
    names = [line.split("  ")[1] for line in (out / "calibration.txt").read_text().splitlines()]
    per_class = Counter(name.split("/")[0] for name in names)
    assert len(per_class) == 40
    assert set(per_class.values()) == {3}
    train = {str(p.path.relative_to(odd["many"])) for p in load(odd["many"], 0).train}
    assert set(names) <= train


# --- in a notebook


def test_each_step_returns_values_and_tensorflow_says_nothing_of_itself(
    drawn: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run(Path(__file__).parent / "user_training.py", drawn, out)
    assert done.returncode == 0, done.stderr
    checked, trained, exported, evaluated, refused = done.stdout.splitlines()
    photos = sum(1 for _ in drawn.glob("*/*.jpg"))
    assert checked.startswith(f"{photos} photos; True")
    assert trained.startswith(f"{out / 'training'} [0.")
    assert exported.startswith("float32 ")
    assert exported.endswith(" mine-float32.tflite")
    with (out / "splits.csv").open() as splits:
        held_out = sum(row["set"] == "test" for row in csv.DictReader(splits))
    assert evaluated.endswith(f" {held_out}") and 0 < held_out < photos
    assert refused.endswith("Received: resnet; use one of these")
    assert not re.search("cuInit|oneDNN|absl|cuda", done.stderr)
    assert card_of(out)["command"] == (
        "python -m convert export PHOTOS --quantize float32 --name mine"
    )


# --- failures


def without_tensorflow(folder: Path) -> list[str]:
    """Arguments for this Python with the device's packages alone: no site-packages."""
    for name in DEVICE_PACKAGES:
        for place in importlib.util.find_spec("numpy").submodule_search_locations:
            package = Path(place).parent / name
            if package.is_dir():
                (folder / name).symlink_to(package)
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}];"
        "from convert.__main__ import main; sys.exit(main())"
    )
    return ["-I", "-S", "-c", code]


def test_without_tensorflow_one_line_says_what_to_install(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    python = without_tensorflow(tmp_path / "packages")
    done = run(*python, str(drawn), "-o", str(tmp_path / "out"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'edge-classify[convert]'" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("step", ["", *STEPS])
def test_without_tensorflow_the_help_is_there_or_says_what_to_install(
    tmp_path: Path, step: str
) -> None:
    done = run(*without_tensorflow(tmp_path), *([step] if step else []), "--help")
    if step in ("", "train", "export"):
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("usage: ")
    else:  # these are made with what is not installed, and say so
        assert "Traceback" not in done.stderr
        assert "usage: " in done.stdout or "pip install 'edge-classify[convert]'" in done.stderr


@pytest.fixture(scope="module")
def refused(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is said of folders that cannot be used, all in one process."""
    folder = tmp_path_factory.mktemp("refused")
    for label in ("cup", "key"):
        (folder / "photos" / "train").mkdir(parents=True, exist_ok=True)
        (folder / "photos" / "train" / label).symlink_to(drawn / label)
        (folder / "photos" / "test" / label).mkdir(parents=True)
        another = (drawn / label / "0000.jpg").read_bytes() + b"\0"  # else it is a copy of train's
        (folder / "photos" / "test" / label / "0.jpg").write_bytes(another)
    (folder / "photos" / "test" / "cup" / "broken.jpg").write_text("no photo")
    (folder / "file").write_text("mine")
    lines = {
        "no folder": [folder / "nowhere", "-o", folder / "a"],
        "broken photo": [folder / "photos", "-o", folder / "b", *QUICK, "--strict"],
        "inside": [drawn, "-o", drawn / "out", *QUICK],
        "file": [drawn, "-o", folder / "file", *QUICK],
        "no training": ["export", drawn, "-o", folder / "c"],
    }
    return {"folder": folder, **dict(zip(lines, commands(folder, *lines.values()), strict=True))}


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("no folder", "nowhere: no such folder; use a folder with one folder per class"),
        ("broken photo", "test/cup/broken.jpg"),
        ("inside", "is inside the photos folder; use a folder outside of it for -o"),
        ("file", "file"),
        ("no training", "c/training: holds no training; run python -m convert train first"),
    ],
)
def test_what_cannot_be_used_exits_with_1_and_one_line(
    refused: dict[str, Any], case: str, told: str
) -> None:
    said: Said = refused[case]
    assert said.status == 1
    assert said.stdout == ""
    assert told in said.lines[-1]
    assert "Traceback" not in said.stderr
    assert "Epoch 1" not in said.stderr


def test_nothing_is_made_of_what_cannot_be_used(refused: dict[str, Any], drawn: Path) -> None:
    folder: Path = refused["folder"]
    assert not (folder / "a").exists()
    assert {path.name for path in (folder / "b").iterdir()} <= {"cache", ".lock"}
    assert not (drawn / "out").exists()
    assert (folder / "file").read_text() == "mine"


def test_a_variant_that_cannot_be_converted_is_a_conversion_error(tmp_path: Path) -> None:
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(b"broken")
    calibration = tmp_path / "calibration.npy"
    np.save(calibration, np.zeros((1, 96, 96, 3), np.uint8))
    with pytest.raises(ConversionError) as caught:
        quantize(tmp_path / "saved_model", calibration, "int8", tmp_path / "int8")
    assert str(caught.value).startswith("int8: cannot be converted (")
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"saved_model", "calibration.npy"}
