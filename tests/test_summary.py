"""What a batch came to: figures that hold for any model."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import run
from PIL import Image

from edge.classifier.classify import Category, Result
from edge.commands.results.spans import Bursts
from edge.commands.results.summary import Summary


def result(source: str, index: int, labels: list[str], score: float = 0.9) -> Result:
    return Result(
        source=source,
        label=labels[index],
        score=score,
        categories=(Category(index, labels[index], score),),
        preprocess_ms=1.0,
        invoke_ms=1.0,
        model="m.tflite",
        runtime="none",
        captured_at=datetime.now(UTC),
        scores=np.zeros(len(labels), np.float32),
    )


def test_many_labels_give_the_most_common_mistakes_instead_of_a_matrix() -> None:
    labels = [f"label {number}" for number in range(30)]
    summary = Summary(labels)
    for truth, said in [*((n, n) for n in range(30)), (3, 4), (3, 4), (1, 2)]:
        summary.result(result(f"photos/{labels[truth]}/x.jpg", said, labels))
    lines = list(summary.lines())
    assert lines[-3:] == [
        "most common mistakes:",
        "  label 3 taken for label 4  2",
        "  label 1 taken for label 2  1",
    ]
    assert summary.as_dict()["accuracy"]["correct"] == 30


def test_other_folders_and_stdin_are_not_judged() -> None:
    summary = Summary(["cup", "key"])
    for source in ("-", "photos/cups/a.jpg", "/a.jpg", "cup/deep/a.jpg"):
        summary.result(result(source, 0, ["cup", "key"]))
    summary.result(replace(result("x.jpg", 0, ["cup", "key"]), label="unknown"))
    summary.failure()
    assert "accuracy" not in summary.as_dict()
    assert (summary.classified, summary.failed, summary.unknown) == (5, 1, 1)
    assert list(summary.lines())[1:] == ["  cup      4", "  unknown  1", "  failed   1"]


def test_the_folder_is_found_from_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").mkdir()
    monkeypatch.chdir(tmp_path / "key")
    summary = Summary(["cup", "key"])
    summary.result(result("a.jpg", 1, ["cup", "key"]))
    assert summary.as_dict()["accuracy"]["correct"] == 1


def taken(path: Path, at: str) -> str:
    """An image that a camera took at a time; of none where it is empty."""
    exif = Image.Exif()
    if at:
        exif.get_ifd(0x8769)[0x9003] = f"2026:05:01 {at}"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return str(path)


LABELS = ["fox", "hare", "none"]
SHOTS = [  # folder and name, time, scores
    ("a/1.jpg", "06:00:00", (0.5, 0.1, 0.4)),
    ("a/2.jpg", "06:00:02", (0.1, 0.0, 0.9)),  # it turned away
    ("a/3.jpg", "06:00:50", (0.9, 0.1, 0.0)),
    ("a/4.jpg", "06:01:51", (0.2, 0.4, 0.4)),  # 61 s later
    ("b/1.jpg", "06:01:52", (0.0, 1.0, 0.0)),  # another camera's card
    ("b/2.jpg", "", (0.0, 1.0, 0.0)),
    ("b/3.jpg", "", (0.0, 1.0, 0.0)),
]


def bursts_of(folder: Path, bursts: Bursts) -> list[dict[str, object]]:
    for name, at, scores in SHOTS:
        shot = result(taken(folder / name, at), int(np.argmax(scores)), LABELS)
        bursts.add(replace(shot, scores=np.array(scores, np.float32)))
    return bursts.as_dicts()


def test_the_images_of_a_burst_vote_by_the_mean_of_their_scores(tmp_path: Path) -> None:
    found = bursts_of(tmp_path, Bursts(LABELS, np.full(3, 0.45), None))
    assert [(each["images"], each["label"], each["mean_score"]) for each in found] == [
        (3, "fox", 0.5),  # not "none", although two of three scores of an image say so
        (1, "unknown", 0.4),
        *[(1, "hare", 1.0)] * 3,
    ]
    assert (found[0]["first"], found[0]["last"]) == (f"{tmp_path}/a/1.jpg", f"{tmp_path}/a/3.jpg")
    assert (found[0]["from"], found[0]["to"]) == ("2026-05-01T06:00:00", "2026-05-01T06:00:50")
    assert found[3]["from"] == ""


def test_a_label_that_is_not_allowed_gets_no_vote(tmp_path: Path) -> None:
    allowed = np.array([False, True, True])
    found = bursts_of(tmp_path, Bursts(LABELS, np.zeros(3), allowed))
    assert [each["label"] for each in found] == ["none", "hare", "hare", "hare", "hare"]


def test_bursts_are_written_as_csv_and_json(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    taken(folder / "1.jpg", "06:00:00")
    for name in ("b.csv", "b.json"):
        done = run("-m", "edge", "classify", "--bursts", tmp_path / name, folder)
        assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader((tmp_path / "b.csv").read_text().splitlines())
    (record,) = json.loads((tmp_path / "b.json").read_text())
    assert record.pop("schema") == 1
    assert row == {name: str(value) for name, value in record.items()}
    assert row["images"] == "1" and row["from"] == "2026-05-01T06:00:00"
    done = run("-m", "edge", "classify", "--bursts", "b.txt", folder)
    assert done.returncode == 2
    assert "--bursts: must be a .csv or .json file. Received: b.txt" in done.stderr
