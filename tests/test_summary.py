"""What a batch came to: figures that hold for any model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge.classifier.classify import Category, Result
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
