"""Training: what is kept is the best, whatever happens in between.

One process trains small networks and says what came of it; the rest are commands as a user gives
them, on one OUT that is interrupted, killed and continued.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAMS, ROOT, SMALL, Said, commands, mounted_disk, run


@pytest.fixture(scope="module")
def results(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script found: facts under "said", else arrays."""
    folder = tmp_path_factory.mktemp("train")
    done = run(PROGRAMS / "train_networks.py", str(drawn), str(folder))
    assert done.returncode == 0, done.stderr
    found = dict(np.load(folder / "results.npz"))
    return found | {"said": json.loads(str(found["said"]))}


def smoothed_loss(results: dict[str, Any], name: str, smoothing: float) -> float:
    """Cross-entropy of what the returned network answers, with smoothed labels."""
    scores, labels = results[f"{name}-scores"].astype(np.float64), results[f"{name}-labels"]
    count = scores.shape[1]
    wanted = np.eye(count)[labels] * (1 - smoothing) + smoothing / count
    return float(-(wanted * np.log(scores)).sum(1).mean())


@pytest.mark.parametrize("name", ["best", "two"])
def test_the_weights_are_those_of_the_lowest_validation_loss(
    results: dict[str, Any], name: str
) -> None:
    said = results["said"][name]
    losses = [row["val_loss"] for row in said["history"]]
    assert len(set(losses)) > 1
    assert losses[said["best"] - 1] == min(losses)
    assert smoothed_loss(results, name, 0.2) == pytest.approx(min(losses), abs=1e-4)


def test_smoothing_doubts_every_label(results: dict[str, Any]) -> None:
    said = results["said"]["smoothed"]
    # 0.3 of a label is spread over all: 0.8 and 0.1 of three, 0.85 and 0.15 of two.
    assert said["softmax"] == pytest.approx(-(0.8 * np.log(0.8) + 0.2 * np.log(0.1)), rel=1e-4)
    assert said["sigmoid"] == pytest.approx(-(0.85 * np.log(0.8) + 0.15 * np.log(0.2)), rel=1e-4)


def test_the_averaged_weights_are_what_is_validated_and_kept(results: dict[str, Any]) -> None:
    # The last epoch's own weights, which training goes on with, are others.
    assert np.abs(results["best"] - results["best-last"]).max() > 1e-4


def test_the_history_counts_epochs_and_is_written_as_csv(results: dict[str, Any]) -> None:
    history = results["said"]["best"]["history"]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    rows = list(csv.DictReader(io.StringIO(results["said"]["csv"])))
    assert [{k: float(v) for k, v in row.items()} for row in rows] == history
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} < rows[0].keys()


def test_only_the_best_and_the_last_epoch_are_kept(results: dict[str, Any]) -> None:
    said = results["said"]["best"]
    best, last = (f"{name}.weights.h5" for name in (f"best-{said['best']:04}", "last-0004"))
    assert said["files"] == [best, last, "state.json"]


def test_patience_stops_the_training(results: dict[str, Any]) -> None:
    said = results["said"]["patience"]
    assert len(said["history"]) == said["best"] + 2 < 30


def test_the_rate_falls_to_nothing_unless_the_recipe_keeps_it(results: dict[str, Any]) -> None:
    said = results["said"]
    assert said["unweighted"]["rate"] == pytest.approx(0.0, abs=1e-8)
    assert said["tutorial"]["rate"] == pytest.approx(1e-3)


def test_an_epoch_is_every_photo_once_or_as_many_steps_as_asked_for(
    results: dict[str, Any],
) -> None:
    said = results["said"]
    assert said["best"]["steps"] == said["best"]["best"] * 4  # 63 photos, 16 a step
    assert said["unweighted"]["steps"] == 3  # 46 photos
    assert said["tutorial"]["steps"] == 2


def test_class_weights_let_every_class_count_the_same(results: dict[str, Any]) -> None:
    weights, counts = np.array(results["said"]["class weights"]), np.array([4, 21, 21])
    assert weights * counts == pytest.approx(np.full(3, 46 / 3))
    by_class, by_photo, plain = (
        results["said"][name]["history"][0]["loss"]
        for name in ("by class", "by photo", "unweighted")
    )
    assert by_class == pytest.approx(by_photo, rel=1e-4)
    assert by_class != pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_lower_half_is_frozen_and_statistics_change_if_wanted(
    results: dict[str, Any], batch_norm: bool
) -> None:
    layers = results["said"][f"layers {batch_norm}"]
    half = round(len(layers) / 2)
    assert not [layer["name"] for layer in layers[:half] if any(layer["changed"])]
    upper = [layer for layer in layers[half:] if layer["changed"]]
    normalizing = [layer for layer in upper if layer["normalizes"]]
    assert len(normalizing) > 5
    assert all(all(la["changed"]) == batch_norm == any(la["changed"]) for la in normalizing)
    assert all(all(la["changed"]) for la in upper if not la["normalizes"])


def test_statistics_follow_within_the_few_steps_of_a_training(results: dict[str, Any]) -> None:
    # Keras's 0.99 or 0.999 would keep those of ImageNet.
    momenta = {la["momentum"] for la in results["said"]["layers True"] if la["normalizes"]}
    assert momenta == {0.9}


def test_the_number_of_epochs_suits_the_photos(results: dict[str, Any]) -> None:
    said = results["said"]
    assert said["lengths"]["3200"] == 20  # as the recipe wants
    least, most = said["steps of it"]
    for count, epochs in said["lengths"].items():
        steps = epochs * int(count) / 32
        assert steps >= least or epochs > 20
        assert steps <= most or epochs == 1
    assert said["lengths"]["32"] == least
    assert 1 < said["lengths"]["32000"] < 20


def test_the_last_epoch_is_kept_where_the_recipe_wants_it(results: dict[str, Any]) -> None:
    said = results["said"]["last"]
    losses = [row["val_loss"] for row in said["history"]]
    assert said["best"] == len(losses) == losses.index(min(losses)) + 3 < 30


def test_the_head_alone_is_trained_first(results: dict[str, Any]) -> None:
    said = results["said"]
    assert said["head moved"] > 0.005
    assert "convert: the last layer alone: " in said["fine-tune False"]["stderr"]
    assert "the last layer alone" not in said["best"]["stderr"]


def test_how_long_it_will_take_is_printed_once(results: dict[str, Any]) -> None:
    line, *words = results["said"]["duration"]
    assert line.startswith("convert: the training will take about 1 s (3 epochs of 20 steps, 0 ms")
    assert line.count("\n") == 1
    assert words == ["1 s", "47 s", "12 min", "3.5 h"]


def test_the_summary_is_shown(results: dict[str, Any]) -> None:
    assert "Total params" in results["said"]["best"]["stderr"]


def test_the_precision_is_measured_unless_one_is_wanted(results: dict[str, Any]) -> None:
    wanted, chosen, told = results["said"]["precision"]
    assert wanted == "float32"
    assert told.startswith(f"convert: computing in {chosen}: a photo takes ")
    assert told.count("\n") == 1


def test_resume_wants_an_equal_training(results: dict[str, Any]) -> None:
    said = results["said"]["resume"]
    assert said["equal"] == 4
    assert said["nothing"] == said["anew"] == 0
    told = "was trained with a different name; use the same options and photos, or fine"
    assert told in said["other"]
    assert said["damaged"].endswith("holds a damaged training; omit --resume to train again")
    assert said["cut"].endswith(".weights.h5: is damaged; omit --resume to train again")
    assert said["of nothing"].endswith("holds no training; run python -m convert train first")


def test_a_training_that_diverges_ends_at_once_and_keeps_nothing(results: dict[str, Any]) -> None:
    assert results["said"]["diverged"] == (
        "the training: diverged: the loss of epoch 1 is not finite; use a lower --learning-rate, "
        "or --precision float32"
    )
    assert results["said"]["left by it"] == []


# --- as commands


TRAIN = [*SMALL, "--epochs", "4"]  # as the fixture `converted` is trained: never cut


def epochs_kept(out: Path) -> int:
    state = out / "training" / "state.json"
    return len(json.loads(state.read_text())["history"]) if state.exists() else 0


def stopped(photos: Path, out: Path, how: int, epochs: int, *options: str) -> Said:
    """Train until so many epochs are kept, then send a signal, as a terminal does."""
    command = [sys.executable, "-m", "convert", "train", str(photos), "-o", str(out), *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 300
    while epochs_kept(out) < epochs and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, how)
    stdout, stderr = process.communicate(timeout=300)
    return Said(process.returncode, stdout, stderr)


@pytest.fixture(scope="module")
def cut(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One training, interrupted, killed, and continued to its end; what was said and made."""
    folder = tmp_path_factory.mktemp("cut")
    out = folder / "out"
    said: dict[str, Any] = {
        "out": out,
        "interrupted": stopped(drawn, out, signal.SIGINT, 1, *TRAIN),
    }
    said["kept"] = [epochs_kept(out)]
    line = [drawn, "-o", out]
    (said["export"],) = commands(folder, ["export", *line, "--quantize", "float32"])
    said["made"] = sorted(path.name for path in out.iterdir())
    said["killed"] = stopped(drawn, out, signal.SIGKILL, 3, *TRAIN, "--resume")
    said["kept"].append(epochs_kept(out))
    train = ["train", *line, *TRAIN, "--resume"]
    others = [[*train, "--label-smoothing", 0.2], [*train, "--seed", 1]]
    *said["others"], said["rest"], said["done"], said["last"] = commands(
        folder, *others, train, train, ["export", *line, "--quantize", "float32"]
    )
    return said


def made_files(said: Said) -> bool:
    """Whether files were made; after a few epochs they may not be fit for use."""
    return said.status == ("is not fit for use" in said.stderr)


def test_ctrl_c_keeps_the_best_so_far_and_says_how_to_go_on(
    cut: dict[str, Any], drawn: Path
) -> None:
    said = cut["interrupted"]
    assert said.status == 130
    assert said.lines[-1].startswith("convert: stopped; epoch ")
    commands = said.lines[-1].partition("make files of it: ")[2].split(" ; or continue: ")
    export, train = (shlex.split(command) for command in commands)
    line = ["python", "-m", "convert", str(drawn), "-o", str(cut["out"])]
    assert sorted(export) == sorted([*line, "export"])
    assert sorted(train) == sorted([*line, "train", *TRAIN, "--resume"])
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


def test_files_are_made_of_what_an_interrupted_training_left(cut: dict[str, Any]) -> None:
    assert made_files(cut["export"]), cut["export"].stderr
    assert {"model-float32.tflite", "report.html", "card.json"} <= set(cut["made"])


def test_a_killed_training_goes_on_to_the_same_end(cut: dict[str, Any], converted: Path) -> None:
    assert cut["killed"].status == -signal.SIGKILL
    assert 1 <= cut["kept"][0] <= cut["kept"][1] < 4
    assert cut["rest"].status == 0, cut["rest"].stderr
    rows, expected = (
        list(csv.DictReader((out / "history.csv").read_text().splitlines()))
        for out in (cut["out"], converted)
    )
    for row, uncut in zip(rows, expected, strict=True):
        assert {k: float(v) for k, v in row.items()} == pytest.approx(
            {k: float(v) for k, v in uncut.items()}, rel=1e-3
        )


def test_train_and_export_equal_the_whole_line(cut: dict[str, Any], converted: Path) -> None:
    assert made_files(cut["last"]), cut["last"].stderr
    cards = [json.loads((out / "card.json").read_text()) for out in (cut["out"], converted)]
    for name in ("labels", "data", "config", "keras_val_accuracy"):
        assert cards[0][name] == cards[1][name], name
    (ours,), (theirs, *_) = (card["variants"] for card in cards)
    assert ours["val_accuracy"] == theirs["val_accuracy"]
    assert ours["test_accuracy"] == theirs["test_accuracy"]
    assert cards[0]["temperature"] == pytest.approx(cards[1]["temperature"], rel=0.02)


def test_a_training_that_is_done_has_nothing_to_resume(cut: dict[str, Any]) -> None:
    assert cut["done"].status == 0
    assert "Epoch" not in cut["done"].stderr
    assert cut["done"].stdout == cut["rest"].stdout
    assert cut["rest"].stdout.startswith("kept epoch ")
    assert cut["rest"].stdout.count("\n") == 1


def test_resume_with_other_options_or_photos_is_one_line(cut: dict[str, Any]) -> None:
    for said, differing in zip(
        cut["others"], ("label_smoothing (0.2, not ", "photos, seed (1, not 0)"), strict=True
    ):
        assert said.status == 1
        assert "Traceback" not in said.stderr
        (line,) = [line for line in said.lines if "was trained with a different" in line]
        assert f"a different {differing}" in line
        assert "; use the same options and photos, or fine-tune from its weights" in line


# --- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 9 MB: an epoch of the small network is kept in 8, the next finds no room."""
    with mounted_disk(tmp_path, "9m") as disk:
        yield disk


def test_a_full_disk_is_one_line_and_what_is_whole_is_gone_on_with(
    drawn: Path, small_disk: Path, tmp_path: Path
) -> None:
    out = small_disk / "out"
    line = [drawn, "-o", out]
    train = ["train", *line, *SMALL, "--image-size", "32", "--epochs", "3"]
    export = ["export", *line, "--quantize", "float32"]
    larger, smaller = (
        ["!", "mount", "-o", f"remount,size={size}", small_disk] for size in ("40m", "9m")
    )
    found = ["!", "find", out, "-type", "f", "-printf", "%P\\n"]
    full, left, _, rest, _, no_room, unchanged, _, made, _ = commands(
        tmp_path, train, found, larger, [*train, "--resume"], smaller, export, found, larger,
        export, found,
    )  # fmt: skip
    assert_one_line(full, "weights.h5: cannot be written (No space left on device); free some")
    kept = {path for path in left.stdout.split() if path.startswith("training/")}
    assert kept >= {"training/state.json", "training/last-0001.weights.h5"}
    assert not [path for path in left.stdout.split() if "partial" in path]
    assert rest.status == 0, rest.stderr
    assert "Epoch 1/3" not in rest.stderr
    assert_one_line(no_room, "(No space left on device); free some space")
    assert not [path for path in unchanged.stdout.split() if ".tflite" in path or ".work" in path]
    assert made_files(made), made.stderr
    assert (out / "model-float32.tflite").exists()


def assert_one_line(said: Said, expected: str) -> None:
    assert said.status == 1
    assert said.stdout == ""
    assert expected in said.stderr.splitlines()[-1]
    assert "Traceback" not in said.stderr
