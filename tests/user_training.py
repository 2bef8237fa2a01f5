"""What a user's notebook does: check, train, export, evaluate, with values all the way.

Usage: python tests/user_training.py PHOTOS OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import convert
from edge import EdgeError


def main(photos: str, out: Path) -> None:
    found = convert.check(photos, image_size=32)
    problems = [f"{finding.subject}: {finding.fault}" for finding in found.findings]
    print(sum(found.counts["train"].values()), "photos;", found.passed, *problems)
    training = convert.train(
        photos, out, network="small", image_size=32, epochs=2, precision="float32", seed=3
    )
    history: list[float] = [row["val_accuracy"] for row in training.history]
    print(training.folder, history, training.kept_epoch, training.val_accuracy)
    report: convert.Report = convert.export(photos, out, variants=["float32"], name="mine")
    for variant in report.variants:
        print(variant.name, variant.size_bytes, variant.val.accuracy, variant.file)
    evaluation = convert.evaluate(photos, out / report.chosen.file)
    accuracy: float = evaluation.accuracy.value
    print(accuracy, evaluation.at_threshold.coverage, int(evaluation.confusion.sum()))
    try:
        convert.train(photos, out, network="resnet")
    except EdgeError as error:
        print(error)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
