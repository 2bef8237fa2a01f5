"""Runs that go on from others: --from an earlier training, and --resume of the right one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SMALL, Said, commands

from convert.data.drawn import draw_photo, draw_photos
from convert.data.splits import read_splits

EPOCH = [*SMALL, "--image-size", "32", "--epochs", "1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was said of runs, one after the other, into the same OUT."""
    folder = tmp_path_factory.mktemp("runs")
    photos, more, out = folder / "photos", folder / "more", folder / "out"
    draw_photos(more, per_class=12, size=48, seed=5)
    shutil.copytree(more, photos)
    shutil.rmtree(photos / "key")
    draw_photo("cup", np.random.default_rng(9), 48).save(folder / "new.jpg")
    first = ["train", photos, "-o", out, *EPOCH]
    second = ["train", photos, "-o", out, "--from", out, *EPOCH[-2:], "--label-smoothing", "0.2"]
    wrong = ["train", photos, "-o", folder / "x", "--from", out]
    argvs: dict[str, list[object]] = {
        "first": first,
        "more epochs": second,
        "again": [*second, "--resume"],
        "a class more": ["train", more, "-o", folder / "four", "--from", out, *EPOCH[-2:]],
        "first again": [*first, "--resume"],
        "none fits": [*first, "--resume", "--learning-rate", "0.001"],
        "network": [*wrong, "--network", "tutorial"],
        "no run": ["train", photos, "-o", folder / "x", "--from", folder / "nothing"],
        "weights": [*wrong, "--weights", "none.h5"],
        "a photo more": ["!", "cp", folder / "new.jpg", photos / "cup" / "new.jpg"],
        "export": ["export", photos, "-o", out, "--quantize", "float32"],
        "one variant more": ["export", photos, "-o", out, "--quantize", "dynamic"],
    }
    said = dict(zip(argvs, commands(folder, *argvs.values()), strict=True))
    return said | {"out": out, "folder": folder}


def about(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "training" / "state.json").read_text())["about"]
    return found


def test_a_training_starts_from_the_weights_of_another(runs: dict[str, Any]) -> None:
    out, said = runs["out"], runs["more epochs"]
    assert said.status == 0, said.stderr
    assert f"contained another run, which was moved to {out}/earlier-1" in said.stderr
    before, after = about(out), about(out / "earlier-2")  # they were exchanged later
    assert "start" not in before and len(after["start"]) == 64
    assert (after["network"], after["image_size"]) == (before["network"], before["image_size"])
    assert runs["again"].status == 0, runs["again"].stderr  # its start has been moved aside
    assert "Epoch" not in runs["again"].stderr


def test_a_class_more_keeps_what_the_network_knows(runs: dict[str, Any]) -> None:
    assert runs["a class more"].status == 0, runs["a class more"].stderr
    assert about(runs["folder"] / "four")["labels"] == ["cup", "fish", "key"]


def test_resume_goes_on_with_the_earlier_run_that_has_its_options(runs: dict[str, Any]) -> None:
    out, said = runs["out"], runs["first again"]
    assert said.status == 0, said.stderr
    assert f"continue the run in {out}/earlier-1" in said.stderr
    assert f"contained another run, which was moved to {out}/earlier-2" in said.stderr
    assert said.stdout == runs["first"].stdout  # it had ended


def test_where_no_run_fits_the_option_is_named(runs: dict[str, Any]) -> None:
    said = runs["none fits"]
    assert said.status == 1
    assert "a different learning_rate (0.001, not 0.003); use the same" in said.lines[-1]
    assert f"--from {runs['out']}" in said.lines[-1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("network", "--network: must be that of "),
        ("no run", "nothing/training: holds no training; run python -m convert train first"),
        ("weights", "--weights: cannot be combined with --from "),
    ],
)
def test_what_cannot_be_started_from_is_one_line(
    runs: dict[str, Any], name: str, told: str
) -> None:
    said: Said = runs[name]
    assert said.status in (1, 2)
    assert told in said.lines[-1]
    assert not (runs["folder"] / "x").exists()


def test_export_uses_the_split_of_the_training(runs: dict[str, Any]) -> None:
    said, out = runs["export"], runs["out"]
    assert said.status in (0, 1), said.stderr  # 1: not fit for use, after an epoch
    assert "left out: 1 photos are new since the training: cup/new.jpg" in said.stderr
    assert len(read_splits(out / "splits.csv") or {}) == 24


def test_export_of_one_more_variant_adds_a_row(runs: dict[str, Any]) -> None:
    rows = {
        name: re.findall(r"^\| (?:\*\*)?(float32|dynamic)\b", runs[name].stdout, re.MULTILINE)
        for name in ("export", "one variant more")
    }
    assert rows == {"export": ["float32"], "one variant more": ["float32", "dynamic"]}
    card = json.loads((runs["out"] / "card.json").read_text())
    assert [variant["variant"] for variant in card["variants"]] == ["float32", "dynamic"]
