"""The files that options name, checked in one place before anything is spent on photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convert.data.dataset import weigh
from convert.data.walk import PhotoTree
from convert.errors import TrainingError
from convert.names import NETWORK_NAMES
from convert.report.against import Earlier
from convert.training.backbones.weights_file import AUTO, IMAGENET, NONE, check_file
from edge.classifier.metadata import read_metadata
from edge.classifier.model import read_model


def check_given_files(given: Mapping[str, Any], tree: PhotoTree, labels: Sequence[str]) -> None:
    """Check what --weights, --weigh, --teacher and --against name.

    A training reads --from by itself, before the photos.

    Raises: WeightsError, DatasetError, ModelError, TrainingError, OutputError.
    """
    weights = given.get("weights", AUTO)
    if weights not in (AUTO, IMAGENET, NONE):
        check_file(Path(weights))
    lists = [(Path(path), factor) for path, factor in given.get("weigh", ())]
    weigh([file.path for file in tree.files if file.set == "train"], tree.path, lists)
    teacher = given.get("teacher", "")
    if teacher and teacher not in NETWORK_NAMES:
        _check_teacher(Path(teacher), labels)
    if given.get("against"):
        Earlier.read(Path(given["against"]))


def _check_teacher(path: Path, labels: Sequence[str]) -> None:
    known = read_metadata(read_model(path), path).labels
    if known and known != tuple(labels):
        fault = f"has other classes than the photos: {', '.join(known[:5])}"
        raise TrainingError(path, fault, "use a model of the same classes, as a teacher")
