"""`python -m convert` as a user meets it: what OUT holds, and what is said when it fails."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run

from convert.__main__ import main
from convert.dataset import load
from convert.errors import ConversionError
from convert.quantize import VARIANTS
from convert.quantize import convert as quantize
from edge.metadata import read_metadata
from edge.preprocess import read_image

# What the device has; TensorFlow is not among it.
DEVICE_PACKAGES = ("numpy", "numpy.libs", "PIL", "pillow.libs", "flatbuffers")


def card_of(out: Path) -> dict:
    return json.loads((out / "card.json").read_text())


@pytest.fixture(params=["converted", "converted_two"])
def out(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_out_holds_every_variant_and_what_is_said_of_them(out: Path) -> None:
    names = {path.name for path in out.iterdir()} - {"mistakes.png"}  # where there is none
    models = {f"model-{variant}.tflite" for variant in VARIANTS}
    texts = set("report.html report.md card.json history.csv calibration.txt".split())
    drawn = "history confusion roc reliability predictions variants augmentation".split()
    assert names == models | texts | {f"{name}.png" for name in drawn} | {"training", "cache"}


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
        for name in ("val", "test"):
            measured = variant[f"{name}_accuracy"]
            if measured is None:
                continue
            assert measured["total"] == sum(card["data"]["photos"][name].values())
            assert measured["accuracy"] == round(measured["correct"] / measured["total"], 4)
            low, high = measured["interval_95"]
            assert low <= measured["accuracy"] <= high


def test_only_what_was_chosen_is_measured_on_test(out: Path) -> None:
    card = card_of(out)
    measured = {v["variant"] for v in card["variants"] if v["test_accuracy"]}
    (chosen,) = (v["variant"] for v in card["variants"] if v["file"] == card["recommended"])
    assert measured == {chosen, "float32"}  # float32 beside it: what quantization costs


def test_a_file_says_what_the_card_says(out: Path) -> None:
    card = card_of(out)
    for variant in card["variants"]:
        content = (out / variant["file"]).read_bytes()
        edge = read_metadata(content, variant["file"]).edge
        assert edge["accuracy"]["val"] == variant["val_accuracy"]
        assert edge["accuracy"].get("test") == variant["test_accuracy"]
        assert edge["temperature"] == card["temperature"]
        assert 0.0 <= edge["threshold"] <= 1.0
        assert len(edge["golden"]["scores"]) == 4


def test_calibration_photos_are_training_photos_of_every_class(
    converted: Path, drawn: Path
) -> None:
    lines = (converted / "calibration.txt").read_text().splitlines()
    hashes = {line.split("  ", 1)[0] for line in lines}
    dataset = load(drawn, 0)
    assert hashes <= {photo.sha256 for photo in dataset.train}
    assert not hashes & {photo.sha256 for photo in (*dataset.val, *dataset.test)}
    assert {line.split("  ", 1)[1].split("/")[0] for line in lines} == set(dataset.labels)


def test_the_report_names_every_variant_and_the_recommended_file(out: Path) -> None:
    report, card = (out / "report.md").read_text(), card_of(out)
    assert all(f"| {variant} " in report for variant in VARIANTS)
    assert f"ship {card['recommended']}" in report
    assert card["data"]["fingerprint"] in report


def test_neither_card_nor_report_holds_a_path(out: Path, drawn: Path) -> None:
    text = (out / "card.json").read_text() + (out / "report.md").read_text()
    assert str(out) not in text
    assert str(drawn) not in text


def test_the_history_has_a_row_for_each_epoch(out: Path) -> None:
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [float(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= rows[0].keys()


def test_the_same_seed_gives_the_same_split_in_another_process(
    converted: Path, drawn: Path
) -> None:
    code = (
        "import pathlib, sys; from convert.dataset import load;"
        "print(load(pathlib.Path(sys.argv[1]), int(sys.argv[2])).fingerprint)"
    )
    same, other = (run("-c", code, str(drawn), seed).stdout.strip() for seed in ("0", "1"))
    assert same == card_of(converted)["data"]["fingerprint"]
    assert same != other


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


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "photos --image-size 0",
        "photos --network resnet",
        "photos --calibration-photos 99",
        "photos --weigh list.txt",
        "photos --fine-tune 2",
        "check",
        "evaluate photos",
        "export photos --epochs 3",
        "photos --image-size x",
        "photos --quantize int4",
        "photos --epochs 0",
        "photos --learning-rate 0",
        "photos --precision float16",
        "photos --seed -1",
        "photos --name ../model",
        "photos more",
    ],
)
def test_wrong_usage_exits_with_2(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(wrong.split())
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_a_bad_folder_exits_with_1_and_one_line(tmp_path: Path) -> None:
    done = run("-m", "convert", str(tmp_path / "nowhere"), "-o", str(tmp_path / "out"))
    said = [line for line in done.stderr.splitlines() if line.startswith("convert: ")]
    assert done.returncode == 1
    assert len(said) == 1
    assert str(tmp_path / "nowhere") in said[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unreadable_test_photo_is_named_before_the_training(drawn: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for label in ("cup", "key"):
        (photos / "train").mkdir(parents=True, exist_ok=True)
        (photos / "train" / label).symlink_to(drawn / label)
        (photos / "test" / label).mkdir(parents=True)
        another = (drawn / label / "0000.jpg").read_bytes() + b"\0"  # else it is a copy of train's
        (photos / "test" / label / "0.jpg").write_bytes(another)
    broken = photos / "test" / "cup" / "broken.jpg"
    broken.write_text("no photo")
    done = run("-m", "convert", str(photos), "-o", str(out), "--image-size", "96")
    assert done.returncode == 1
    assert str(broken) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(out.glob("cache/test-*.npy")) == list(out.glob("*.tflite")) == []
    assert not (out / "training").exists()


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


def test_out_may_not_lie_inside_the_photos(drawn: Path) -> None:
    done = run("-m", "convert", str(drawn), "-o", str(drawn / "out"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "lies inside the photos; give -o a folder outside of them"
    )
    assert not (drawn / "out").exists()


def test_out_that_is_a_file_is_one_line(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    done = run("-m", "convert", str(drawn), "-o", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out").read_text() == "mine"


def test_the_curves_are_a_picture(out: Path) -> None:
    curves = read_image(out / "history.png")
    assert curves.shape[1] > curves.shape[0] > 300
    assert len(np.unique(curves.reshape(-1, 3), axis=0)) > 10  # lines, not a blank sheet
    assert "(history.png)" in (out / "report.md").read_text()


# --- steps, resume, refusals

QUICK = "--network small --image-size 64 --recipe scratch --precision float32".split()


@pytest.fixture(scope="module")
def trained(two_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of `convert train`, cut by a kill after two epochs of three and gone on with."""
    out = tmp_path_factory.mktemp("trained")
    command = ["-m", "convert", "train", str(two_photos), "-o", str(out), *QUICK, "--epochs", "3"]
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.DEVNULL) as cut:
        state = out / "training" / "state.json"
        while not state.exists() or len(json.loads(state.read_text())["history"]) < 2:
            assert cut.poll() is None
            time.sleep(0.05)
        cut.kill()
    done = run(*command, "--resume")
    assert done.returncode == 0, done.stderr
    return out


def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(
    trained: Path, two_photos: Path, tmp_path: Path
) -> None:
    command = ["-m", "convert", "train", str(two_photos), "-o", str(tmp_path), *QUICK]
    done = run(*command, "--epochs", "3")
    assert done.returncode == 0, done.stderr
    cut, whole = (
        list(csv.DictReader((out / "history.csv").read_text().splitlines()))
        for out in (trained, tmp_path)
    )
    assert len(cut) == len(whole) == 3
    for ours, theirs in zip(cut, whole, strict=True):
        assert float(ours["val_loss"]) == pytest.approx(float(theirs["val_loss"]), abs=0.02)


def test_export_makes_the_files_of_a_training(trained: Path, two_photos: Path) -> None:
    done = run("-m", "convert", "export", str(two_photos), "-o", str(trained), "--quantize", "int8")
    assert done.returncode == 0, done.stderr
    card = card_of(trained)
    assert card["recommended"] == "model-int8.tflite"
    assert card["config"]["network"] == "small"
    assert (trained / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_evaluate_says_what_the_card_says(converted_two: Path, two_photos: Path) -> None:
    card = card_of(converted_two)
    recommended = converted_two / card["recommended"]
    done = run("-m", "convert", "evaluate", str(two_photos), str(recommended))
    assert done.returncode == 0, done.stderr
    assert f"{recommended}: accuracy " in done.stdout
    assert "on 60 photos" in done.stdout


@pytest.mark.parametrize("changed", ["--epochs 4", "--seed 1", "--label-smoothing 0.3"])
def test_another_training_is_not_gone_on_with(
    trained: Path, two_photos: Path, changed: str
) -> None:
    command = ["-m", "convert", "train", str(two_photos), "-o", str(trained), *QUICK]
    done = run(*command, "--epochs", "3", *changed.split(), "--resume")
    assert done.returncode == 1
    assert "leave --resume out" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--network tutorial --image-size 90", "is too small for tutorial"),
        ("--alpha 0.3", "give 0.35, 0.5, 0.75, 1, 1.3, 1.4"),
        ("--weights nowhere.h5", "no such weights file"),
        ("--network small --weights nowhere.h5", "trained from scratch"),
    ],
)
def test_what_a_network_cannot_be_is_one_line(
    two_photos: Path, tmp_path: Path, options: str, said: str
) -> None:
    done = run("-m", "convert", str(two_photos), "-o", str(tmp_path / "out"), *options.split())
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_losing_more_than_max_drop_is_exit_1_and_nothing_is_lost(
    trained: Path, two_photos: Path
) -> None:
    command = ["-m", "convert", "export", str(two_photos), "-o", str(trained)]
    done = run(*command, "--quantize", "int8", "--max-drop", "0.000001", "--name", "dropped")
    card = card_of(trained)
    lost = card["keras_val_accuracy"]["correct"] - card["variants"][0]["val_accuracy"]["correct"]
    assert done.returncode == int(lost > 0)
    assert (trained / "dropped-int8.tflite").exists()


def test_strange_labels_travel_from_folder_to_answer(drawn: Path, tmp_path: Path) -> None:
    labels = {"cup": "a, b", "fish": 'the "c"', "key": "d\ne"}
    photos = tmp_path / "photos"
    photos.mkdir()
    for folder, label in labels.items():
        (photos / label).symlink_to(drawn / folder)
    out = tmp_path / "out"
    done = run(
        "-m", "convert", str(photos), "-o", str(out), *QUICK, "--epochs", "1", "--quantize", "int8"
    )
    assert done.returncode == 0, done.stderr
    answer = run(
        *("-m", "edge", "classify", "-m", str(out / "model-int8.tflite"), "-k", "3"),
        *("--format", "json", "-t", "0", str(drawn / "cup" / "0000.jpg")),
    )
    (result,) = json.loads(answer.stdout)
    assert {category["label"] for category in result["categories"]} == set(labels.values())


@pytest.mark.parametrize("step", ["", "check", "preview", "train", "export", "evaluate"])
def test_every_step_has_a_help(step: str) -> None:
    done = run("-m", "convert", *([step] if step else []), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m convert")
