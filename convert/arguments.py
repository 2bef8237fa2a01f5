"""The options that the steps of `python -m convert` share, and what they make."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from convert.names import AUGMENTATIONS, DEFAULT_NETWORK, NETWORK_NAMES, RECIPE_NAMES, VARIANTS
from edge.commands.arguments import MOST_COUNT, count, real, score, seed, whole

LEAST_CALIBRATION_PHOTOS = 100  # fewer give poor ranges


def add_photos(parser: argparse.ArgumentParser) -> None:
    """Add PHOTOS, -o and --seed: what every step that needs the data has."""
    parser.add_argument(
        "photos", type=Path, metavar="PHOTOS", help="folder with one folder per class"
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("out"), metavar="OUT", help="(default: out)"
    )
    parser.add_argument(
        "--name", type=_name, default="model", help="of the model and its files (default: model)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="of split, order, weights (default: 0)"
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
        default=DEFAULT_NETWORK,
        help=f"(default: {DEFAULT_NETWORK}; small and tutorial are trained from scratch)",
    )
    network.add_argument(
        "--alpha", type=_positive, metavar="A", help="width of a backbone (default: 1)"
    )
    network.add_argument(
        "--weights",
        default="auto",
        metavar="imagenet|FILE|none",
        help="of a backbone: Keras's download, a file, or random (default: imagenet)",
    )
    network.add_argument(
        "--image-size",
        type=_image_size,
        metavar="N|HxW",
        help="what the network sees, in pixels (default: the network's own)",
    )


def _add_recipe(training: argparse._ArgumentGroup) -> None:
    training.add_argument(
        "--recipe",
        choices=RECIPE_NAMES,
        help="scratch, fine-tune (head first), or tutorial (5 epochs of 50 steps, RMSprop); "
        "(default: what suits the network)",
    )
    for flag, what in (
        ("--epochs", "rounds of training"),
        ("--steps-per-epoch", "steps a round, instead of every photo once"),
        ("--batch-size", "photos a step"),
        ("--head-epochs", "rounds of the head alone"),
        ("--patience", "stop after so many rounds without a better validation loss"),
    ):
        training.add_argument(flag, type=count, metavar="N", help=what)
    training.add_argument(
        "--learning-rate", type=_positive, metavar="RATE", help="the highest of the training"
    )
    training.add_argument(
        "--fine-tune", type=score, metavar="SHARE", help="of the backbone's layers, from the top"
    )
    training.add_argument(
        "--label-smoothing", type=score, metavar="S", help="how much a label is doubted, 0 to 1"
    )
    training.add_argument(
        "--augmentation", choices=AUGMENTATIONS, help="python -m convert preview shows it"
    )


def _add_lessons(training: argparse._ArgumentGroup) -> None:
    """Add what is learned from besides the photos' labels, and how it is computed."""
    training.add_argument(
        "--weigh",
        type=_weighed,
        action="append",
        default=[],
        metavar="FILE:FACTOR",
        help="let the training photos that a file lists count more (one path a line, relative to "
        "PHOTOS)",
    )
    training.add_argument(
        "--teacher",
        default="",
        metavar="MODEL",
        help="a .tflite file of the same classes, best a larger one's, from whose scores a small "
        "network learns more than from the labels alone",
    )
    training.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="to compute in while training (default: auto, the faster one, as measured here)",
    )
    training.add_argument(
        "--resume", action="store_true", help="go on with the training that OUT holds"
    )


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add what describes the files that are made of a training."""
    export = parser.add_argument_group("files")
    export.add_argument(
        "--quantize",
        type=_variants,
        default=("float32", "int8"),
        metavar="LIST|all",
        help=f"variants to make, of {', '.join(VARIANTS)} (default: float32,int8)",
    )
    export.add_argument(
        "--calibration-photos",
        type=whole(LEAST_CALIBRATION_PHOTOS, MOST_COUNT),
        default=200,
        metavar="N",
        help="training photos that set the ranges of int8 (default: 200)",
    )
    export.add_argument(
        "--threshold-precision",
        type=score,
        default=0.98,
        metavar="P",
        help="below the threshold that reaches it on val for every label, the answer is unknown "
        "(default: 0.98)",
    )
    export.add_argument(
        "--max-drop",
        type=_positive,
        metavar="POINTS",
        help="exit 1 where the file to ship loses more on val against the Keras model",
    )
    export.add_argument(
        "--verify-arm",
        action="store_true",
        help="try the files on emulated ARM, and exit 1 where they answer otherwise than here "
        "(in a checkout, as root; says what it needs)",
    )


def run_of(args: argparse.Namespace) -> Any:
    """Make the Run of the arguments; imports TensorFlow. Raises: WeightsError."""
    from convert.job import Run

    export: dict[str, Any] = {
        "variants": getattr(args, "quantize", ()),
        "calibration_photos": getattr(args, "calibration_photos", 0),
        "threshold_precision": getattr(args, "threshold_precision", 0.0),
        "max_drop": getattr(args, "max_drop", None),
        "verify_arm": getattr(args, "verify_arm", False),
    }
    config: Any = _config(args) if "network" in args else None  # export: that of OUT's training
    return Run(
        photos=args.photos,
        out=args.out,
        name=args.name,
        command=args.command,
        config=config,
        weighed=tuple(getattr(args, "weigh", ())),
        resume=getattr(args, "resume", True),
        **export,
    )


def _config(args: argparse.Namespace) -> Any:
    import dataclasses

    from convert.training.augment import Augmentation
    from convert.training.networks import NETWORKS
    from convert.training.recipes import RECIPES, recipe_for
    from convert.training.train import TrainConfig

    network = NETWORKS[args.network]
    weights = args.weights
    if weights == "auto":
        weights = "imagenet" if network.is_backbone else "none"
    recipe = RECIPES[args.recipe or recipe_for(args.network, weights)]
    changed = {
        name: getattr(args, name)
        for name in (
            "epochs steps_per_epoch batch_size head_epochs patience learning_rate fine_tune "
            "label_smoothing"
        ).split()
        if getattr(args, name) is not None
    }
    if args.augmentation:
        changed["augmentation"] = getattr(Augmentation, args.augmentation)()
    size = args.image_size or (network.size, network.size)
    _check(args.network, size, args.alpha, weights)
    return TrainConfig(
        network=args.network,
        image_size=size,
        recipe=dataclasses.replace(recipe, **changed),
        alpha=args.alpha or 1.0,
        weights=weights,
        precision=args.precision,
        teacher=args.teacher,
        seed=args.seed,
    )


def _check(name: str, size: tuple[int, int], alpha: float | None, weights: str) -> None:
    """Refuse what the network cannot be. Raises: WeightsError."""
    from convert.errors import WeightsError
    from convert.training.networks import NETWORKS

    network = NETWORKS[name]
    if min(size) < network.smallest:
        remedy = f"give --image-size {network.smallest} or more"
        raise WeightsError(f"--image-size {min(size)}", f"is too small for {name}", remedy)
    if alpha is not None and alpha not in network.alphas:
        known = ", ".join(f"{value:g}" for value in sorted(network.alphas))
        raise WeightsError(f"--alpha {alpha:g}", f"{name} does not exist so wide", f"give {known}")
    if not network.is_backbone and weights != "none":
        raise WeightsError(
            f"--weights {weights}", f"{name} is trained from scratch", "leave it out"
        )


# What changes no file.
UNTOLD = ("photos", "out", "resume", "command", "verify_arm")


def command_of(parser: argparse.ArgumentParser, args: argparse.Namespace, words: str) -> str:
    """The command as it can be given again: every option that is not the default, no path."""
    shown = [words]
    for name, value in vars(args).items():
        if name in UNTOLD or value == parser.get_default(name):
            continue
        flag = f"--{name.replace('_', '-')}"
        shown += [f"{flag} {shlex.quote(text)}" for text in _texts(name, value)]
    return " ".join(shown)


def _texts(name: str, value: Any) -> list[str]:
    if name == "image_size":
        height, width = value
        return [f"{height}" if height == width else f"{height}x{width}"]
    if name == "quantize":
        return [",".join(value)]
    if name == "weigh":
        return [f"{path.name}:{factor:g}" for path, factor in value]
    if name in ("weights", "teacher"):
        return [Path(value).name]
    return [str(value)]


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


def _image_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and 0 < int(side) <= 4096 for side in sides):
        raise argparse.ArgumentTypeError(f"must be like 128 or 96x128. Received: {text}")
    return int(sides[0]), int(sides[-1])


def _variants(text: str) -> tuple[str, ...]:
    wanted = VARIANTS if text == "all" else tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in wanted if name not in VARIANTS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"must be of {', '.join(VARIANTS)}. Received: {unknown[0]}"
        )
    return wanted
