"""The options of a run: names, types and defaults, and the command that repeats the run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from edge.commands.arguments import MOST_COUNT

FilePath = str | os.PathLike[str]


class TrainOptions(TypedDict, total=False):
    """What a training may be given; `convert.train` describes each."""

    name: str
    seed: int
    group_by: str
    strict: bool
    pixel_cache_gb: float
    negatives: FilePath
    network: str
    alpha: float | None
    weights: FilePath
    start_from: FilePath
    image_size: int | tuple[int, int] | None
    recipe: str | None
    epochs: int | None
    steps_per_epoch: int | None
    batch_size: int | None
    patience: int | None
    learning_rate: float | None
    fine_tune: float | None
    label_smoothing: float | None
    augmentation: str | None
    no_mirror: bool
    weigh: Sequence[tuple[FilePath, float]]
    teacher: FilePath
    precision: str
    devices: str | int
    folds: int
    final: bool
    resume: bool


class ExportOptions(TypedDict, total=False):
    """What the making of files may be given; `convert.export` describes each."""

    name: str
    strict: bool
    pixel_cache_gb: float
    negatives: FilePath
    variants: Sequence[str]
    calibration_photos: int
    threshold_precision: float
    against: FilePath


class RunOptions(TrainOptions, ExportOptions, total=False):
    """What a whole run may be given."""


DEFAULTS: RunOptions = {
    "name": "model",
    "seed": 0,
    "group_by": "auto",
    "strict": False,
    "pixel_cache_gb": 20.0,
    "negatives": "",
    "weights": "auto",
    "start_from": "",
    "no_mirror": False,
    "weigh": (),
    "teacher": "",
    "precision": "auto",
    "devices": "auto",
    "folds": 0,
    "final": False,
    "resume": False,
    "variants": ("float32", "int8"),
    "calibration_photos": 200,
    "threshold_precision": 0.95,
    "against": "",
}
LIMITS: dict[str, tuple[int, int]] = {  # of whole numbers
    "seed": (0, 2**32 - 1),
    **dict.fromkeys(("epochs", "steps_per_epoch", "batch_size"), (1, MOST_COUNT)),
    "patience": (1, MOST_COUNT),
    "folds": (0, 20),
    "calibration_photos": (100, MOST_COUNT),  # fewer give poor ranges
}
FLAGS = {"variants": "quantize", "start_from": "from"}  # where an option's name is not its flag


def command_of(step: str, options: RunOptions) -> str:
    """The command as it can be published: the options in their order, no path."""
    lasting: Any = {k: v for k, v in options.items() if k not in ("resume", "strict")}
    words = [*([step] if step else []), "PHOTOS", *_words(lasting, lambda path: Path(path).name)]
    return " ".join(["python -m convert", *words])


def pasted_command(step: str, photos: Path, out: Path, options: RunOptions) -> str:
    """The command to paste into this terminal: paths in full, all of it quoted."""
    folders = [shlex.quote(str(photos)), "-o", shlex.quote(str(out))]
    words = [*([step] if step else []), *folders, *_words(options, str)]
    return " ".join(["python -m convert", *words])


def of_export(options: RunOptions) -> RunOptions:
    """The options that the files are made with."""
    kept = {k: v for k, v in options.items() if k in ExportOptions.__annotations__}
    return cast(RunOptions, kept)


def _words(options: RunOptions, shown: Callable[[FilePath], str]) -> list[str]:
    words = []
    for name, value in options.items():
        flag = f"--{FLAGS.get(name, name).replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value is not False:
            words += [f"{flag} {shlex.quote(text)}" for text in _texts(name, value, shown)]
    return words


def _texts(name: str, value: Any, shown: Callable[[FilePath], str]) -> list[str]:
    if name == "image_size":
        height, width = (value, value) if isinstance(value, int) else value
        return [f"{height}" if height == width else f"{height}x{width}"]
    if name == "variants":
        return [",".join(value)]
    if name == "weigh":
        return [f"{shown(path)}:{factor:g}" for path, factor in value]
    if name in ("weights", "teacher", "start_from", "negatives", "against"):
        return [shown(value)]
    return [str(value)]
