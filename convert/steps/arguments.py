"""The options of a run as the command line takes them: flags, help texts, limits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import cast

from convert.names import (
    AUGMENTATIONS,
    DEFAULT_NETWORK,
    DEFAULT_OF_KERAS,
    GROUP_BY,
    NETWORK_NAMES,
    RECIPE_NAMES,
    VARIANTS,
)
from convert.options import DEFAULTS, LIMITS, RunOptions
from edge.commands.arguments import Group, count, real, score, seed, whole


def add_photos(parser: argparse.ArgumentParser) -> None:
    """Add PHOTOS, -o and --seed: what every step that needs the data has."""
    parser.add_argument(
        "photos", type=Path, metavar="PHOTOS", help="folder with one folder per class"
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("out"), metavar="OUT", help="(default: out)"
    )
    parser.add_argument(
        "--name",
        type=_name,
        default=DEFAULTS["name"],
        help="name of the model and its files (default: model)",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=DEFAULTS["seed"],
        help="random seed of split, order and weights (default: 0)",
    )
    add_reading(parser)
    parser.add_argument(
        "--pixel-cache-gb",
        type=real(0.0, 1e6),
        default=DEFAULTS["pixel_cache_gb"],
        metavar="GB",
        help="keep decoded photos as pixels up to this many GB in all; above it as JPEG images, a "
        "tenth of that (default: 20)",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how the folder of photos is read and split."""
    parser.add_argument(
        "--group-by",
        choices=GROUP_BY,
        default=DEFAULTS["group_by"],
        help="photos that stay in the same set: auto (near-duplicates, copies by name, folders of "
        "a class, bursts), folder, name or time alone, or none (equal files only) (default: auto)",
    )
    parser.add_argument(
        "--negatives",
        default=DEFAULTS["negatives"],
        metavar="DIR",
        help="folder of photos that show none of the classes: the device reports what looks like "
        "them as unknown; the same as a class folder named none, background or other",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit 1 instead of leaving out photos that cannot be read or lie in two classes",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add what describes a training."""
    _add_network(parser)
    training = parser.add_argument_group("training (defaults: the recipe's)")
    _add_recipe(training)
    _add_lessons(training)


def _add_network(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("network")
    network.add_argument(
        "--network",
        choices=NETWORK_NAMES,
        help=f"(default: {DEFAULT_NETWORK}, whose ImageNet weights come with the package; "
        f"{DEFAULT_OF_KERAS} with --alpha or --weights FILE; small and tutorial are trained from "
        "scratch)",
    )
    network.add_argument(
        "--alpha", type=_positive, metavar="A", help="width multiplier of a backbone (default: 1)"
    )
    network.add_argument(
        "--weights",
        default=DEFAULTS["weights"],
        metavar="imagenet|FILE|none",
        help="initial weights of a backbone: of ImageNet (an installed package, or a download by "
        "Keras), a file, or random (default: imagenet)",
    )
    network.add_argument(
        "--from",
        dest="start_from",
        default="",
        metavar="OUT",
        help="start from the weights of the training in this folder, with its network and image "
        "size: for more epochs, more photos or another class",
    )
    network.add_argument(
        "--image-size",
        type=image_size,
        metavar="N|HxW",
        help="network input size in pixels (default: the network's own)",
    )


def _add_recipe(training: argparse._ArgumentGroup) -> None:
    training.add_argument(
        "--recipe",
        choices=RECIPE_NAMES,
        help="scratch, fine-tune (head first), head (the last layer alone), or tutorial (5 epochs "
        "of 50 steps, RMSprop) "
        "(default: depends on the network)",
    )
    for flag, what in (
        ("--epochs", "number of epochs"),
        ("--steps-per-epoch", "steps per epoch (default: every photo once)"),
        ("--batch-size", "photos per step"),
        ("--patience", "early stopping: epochs without a lower validation loss"),
    ):
        training.add_argument(flag, type=count, metavar="N", help=what)
    training.add_argument(
        "--learning-rate", type=_positive, metavar="RATE", help="maximum learning rate"
    )
    training.add_argument(
        "--fine-tune",
        type=score,
        metavar="SHARE",
        help="share of the backbone's layers to fine-tune, from the top, 0 to 1",
    )
    training.add_argument(
        "--label-smoothing", type=score, metavar="S", help="label smoothing, 0 to 1"
    )
    training.add_argument(
        "--augmentation",
        choices=AUGMENTATIONS,
        help="augmentation; python -m convert preview shows it",
    )
    training.add_argument(
        "--no-mirror",
        action="store_true",
        help="show no mirrored photos, which would teach the wrong label where left and right "
        "matter; classes such as arrows to both sides are also noticed without it",
    )


def _add_lessons(training: argparse._ArgumentGroup) -> None:
    """Add what is learned from besides the photos' labels, and how it is computed."""
    training.add_argument(
        "--weigh",
        type=_weighed,
        action="append",
        default=[],
        metavar="FILE:FACTOR",
        help="weight of the training photos that FILE lists (one path a line, relative to PHOTOS); "
        "1 is the weight of the others",
    )
    training.add_argument(
        "--teacher",
        default="",
        metavar="MODEL|NETWORK",
        help="a .tflite file of the same classes, usually a larger network, whose scores the "
        "network learns as well as the labels (distillation); or the name of a network, which is "
        "trained first, into OUT/teacher",
    )
    training.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="precision of the training (default: auto, the faster one as measured here)",
    )
    training.add_argument(
        "--devices",
        default=DEFAULTS["devices"],
        metavar="auto|cpu|N",
        help="train on the processor, or on N GPUs, each with an equal part of every batch "
        "(default: auto, all GPUs, or the processor where there is none)",
    )
    training.add_argument(
        "--folds",
        type=whole(*LIMITS["folds"]),
        metavar="K",
        default=DEFAULTS["folds"],
        help="cross-validation: measure K trainings, each without a K-th of the photos, and choose "
        "recipe, temperature and thresholds by it (default: 0, none)",
    )
    training.add_argument(
        "--final",
        action="store_true",
        help="train again on the photos of train and val, and make the files of this training "
        "(default: below 30 photos a class)",
    )
    training.add_argument("--resume", action="store_true", help="continue the training in OUT")


def add_variants(group: Group) -> None:
    """Add --quantize and --calibration-photos."""
    group.add_argument(
        "--quantize",
        dest="variants",
        type=_variants,
        default=DEFAULTS["variants"],
        metavar="LIST|all",
        help=f"variants to make, of {', '.join(VARIANTS)} (default: float32,int8)",
    )
    group.add_argument(
        "--calibration-photos",
        type=whole(*LIMITS["calibration_photos"]),
        default=DEFAULTS["calibration_photos"],
        metavar="N",
        help="number of training photos that calibrate int8 (default: 200)",
    )


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add what describes the files that are made of a training."""
    export = parser.add_argument_group("files")
    add_variants(export)
    export.add_argument(
        "--threshold-precision",
        type=score,
        default=DEFAULTS["threshold_precision"],
        metavar="P",
        help="precision that each label's threshold must promise of other photos, with 90 %% "
        "confidence; below it the label is unknown (default: 0.95)",
    )
    export.add_argument(
        "--against",
        default=DEFAULTS["against"],
        metavar="OUT",
        help="compare with the earlier run in this folder, in the report: on the photos that "
        "neither trained on",
    )
    export.add_argument(
        "--require",
        type=score,
        metavar="ACC",
        help="exit 1 if test accuracy is below this, 0 to 1",
    )
    export.add_argument(
        "--max-drop",
        type=_positive,
        metavar="POINTS",
        help="exit 1 if the recommended file loses more accuracy than this on the validation set, "
        "in percentage points, against the Keras model",
    )
    export.add_argument(
        "--verify-arm",
        action="store_true",
        help="test the files on emulated ARM, and exit 1 if they differ (in a checkout, as root)",
    )


def given(parser: argparse.ArgumentParser, args: argparse.Namespace) -> RunOptions:
    """The options whose values differ from their defaults."""
    options = {
        name: value
        for name, value in vars(args).items()
        if name in RunOptions.__annotations__ and value != parser.get_default(name)
    }
    return cast(RunOptions, options)


def _name(text: str) -> str:
    if not text or text.startswith(".") or not text.isprintable() or "/" in text:
        raise argparse.ArgumentTypeError(f"must be a file name, not hidden. Received: {text!r}")
    return text


_positive = real(0.0, 1e6, above=True)


def _weighed(text: str) -> tuple[Path, float]:
    path, colon, factor = text.rpartition(":")
    if not colon or not path:
        raise argparse.ArgumentTypeError(f"must be FILE:FACTOR. Received: {text}")
    return Path(path), _positive(factor)


def image_size(text: str) -> tuple[int, int]:
    """Read one side, or height and width, in pixels."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and 16 <= int(side) <= 4096 for side in sides):
        raise argparse.ArgumentTypeError(
            f"must be like 128 or 96x128, 16 to 4096. Received: {text}"
        )
    return int(sides[0]), int(sides[-1])


def _variants(text: str) -> tuple[str, ...]:
    wanted = VARIANTS if text == "all" else tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in wanted if name not in VARIANTS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"must be one or more of {', '.join(VARIANTS)} (comma-separated), or all. "
            f"Received: {unknown[0]}"
        )
    return wanted
