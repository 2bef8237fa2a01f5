"""What a whole run is, made of the options that were given; and how it speaks.

The options are checked here, before TensorFlow is imported.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from convert.errors import TrainingError
from convert.files import about_training
from convert.names import DEFAULT_NETWORK, DEFAULT_OF_KERAS, DEVICES, GROUP_BY, VARIANTS
from convert.options import (
    DEFAULTS,
    LIMITS,
    RunOptions,
    command_of,
    of_export,
    pasted_command,
)
from convert.training.augment import Augmentation
from convert.training.backbones.known import NETWORKS
from convert.training.backbones.weights_file import AUTO, IMAGENET, NONE
from convert.training.recipes import (
    FINE_TUNE,
    PLAIN_RATE,
    RECIPES,
    Recipe,
    TrainConfig,
    recipe_for,
)
from edge.errors import ConfigurationError, checked

OF_RECIPE = {field.name for field in dataclasses.fields(Recipe)} - {"augmentation"}


@dataclass(frozen=True)
class Run:
    """What a whole run is: a folder of photos, and what to make of it."""

    photos: Path
    out: Path
    name: str
    step: str  # "train", "export", or "" for both
    given: RunOptions
    config: TrainConfig
    weighed: tuple[tuple[Path, float], ...]  # lists of training photos that count more
    group_by: str  # of convert.names.GROUP_BY
    negatives: Path | None  # a folder of photos of none of the classes
    folds: int  # of a cross-validation of whole trainings; 0: there is none
    devices: str  # to train on: of convert.names.DEVICES, or a number of GPUs
    final: bool  # train on train and val for the files
    against: Path | None  # the OUT of an earlier run to compare with
    strict: bool  # stop at photos that would be left out
    pixel_cache_gb: float  # of decoded photos; above, they are kept as JPEG images
    resume: bool
    variants: tuple[str, ...]
    calibration_photos: int
    threshold_precision: float

    @property
    def chooses_recipe(self) -> bool:
        """Whether a cross-validation may choose the recipe: fine-tuning, and none was given."""
        is_backbone = NETWORKS[self.config.network].is_backbone
        free = not self.given.get("recipe") and not self.given.get("epochs")
        return is_backbone and self.config.recipe.head_first and free and not self.config.start

    @property
    def command(self) -> str:
        """The command to repeat it, without paths."""
        return command_of(self.step, self.given)

    @property
    def command_again(self) -> str:
        """The command as it can be pasted."""
        return pasted_command(self.step, self.photos, self.out, self.given)

    @property
    def command_resume(self) -> str:
        """The command that continues its training."""
        given = cast(RunOptions, {**self.given, "resume": True})
        return pasted_command(self.step, self.photos, self.out, given)

    @property
    def command_export(self) -> str:
        """The command that makes files of its training."""
        return pasted_command("export", self.photos, self.out, of_export(self.given))

    @property
    def training(self) -> Path:
        """The folder of the training's checkpoint."""
        return self.out / "training"

    @property
    def cache(self) -> Path:
        """The folder of decoded photos."""
        return self.out / "cache"


def training_run(photos: Path, out: Path, step: str, given: RunOptions) -> Run:
    """Make a run that trains, of the options. Raises: ConfigurationError, TrainingError."""
    options = _complete(given)
    if options.get("folds") == 1:
        raise ConfigurationError("--folds", "must be 0, or 2 or more. Received: 1", "use 5")
    if options["start_from"]:
        options |= _like_start(given)
    return _run(photos, out, step, given, options, _config(options))


def _like_start(given: RunOptions) -> dict[str, Any]:
    """Network and size of the training that another starts from.

    Raises: TrainingError, ConfigurationError.
    """
    out = Path(given["start_from"])
    about = about_training(out / "training")
    for name in ("network", "alpha"):
        wanted = given.get(name)
        if wanted not in (None, about[name]):
            fault = f"must be that of {out}, {about[name]}. Received: {wanted}"
            raise ConfigurationError(f"--{name}", fault, "remove the option")
    if "weights" in given:
        fault = f"cannot be combined with --from {out}"
        raise ConfigurationError("--weights", fault, "remove one of the two options")
    same = {name: about[name] for name in ("network", "alpha")}
    size = given.get("image_size") or tuple(about["image_size"])
    return same | {"image_size": size, "weights": NONE}


def export_run(photos: Path, out: Path, given: RunOptions) -> Run:
    """Make a run of what OUT/training holds; the training's options are those it had.

    Raises: TrainingError, ConfigurationError.
    """
    about = about_training(out / "training")
    options = _complete(given) | {"group_by": about.get("group_by", "auto")}
    return _run(photos, out, "export", given, options, _config_of(about))


def _run(
    photos: Path,
    out: Path,
    step: str,
    given: RunOptions,
    options: dict[str, Any],
    config: TrainConfig,
) -> Run:
    return Run(
        photos=photos,
        out=out,
        step=step,
        given=given,
        config=config,
        weighed=tuple((Path(path), factor) for path, factor in options["weigh"]),
        variants=tuple(options["variants"]),
        against=Path(options["against"]) if options["against"] else None,
        devices=str(options["devices"]),
        negatives=Path(options["negatives"]) if options["negatives"] else None,
        **{
            name: options[name]
            for name in (
                "name group_by folds final strict pixel_cache_gb resume calibration_photos "
                "threshold_precision"
            ).split()
        },
    )


def _complete(given: RunOptions) -> dict[str, Any]:
    """The options with the defaults of what was not given, each within its limits."""
    options: dict[str, Any] = {"network": _default_network(given), **DEFAULTS, **given}
    for name, value in options.items():
        if name in LIMITS and value is not None:
            checked(name, value, *LIMITS[name])
    _refuse_unknown("group_by", [options["group_by"]], GROUP_BY)
    _check_devices(str(options["devices"]))
    _refuse_unknown("network", [options["network"]], NETWORKS)
    _refuse_unknown("variants", options["variants"], VARIANTS)
    return options


def _default_network(given: RunOptions) -> str:
    """The network where none is named: one that can have the width or the weights file given."""
    weights = str(given.get("weights", AUTO))
    has_file = weights not in (AUTO, IMAGENET, NONE)
    return DEFAULT_OF_KERAS if has_file or given.get("alpha") else DEFAULT_NETWORK


def _check_devices(wanted: str) -> None:
    if wanted not in DEVICES and not (wanted.isdecimal() and int(wanted) > 0):
        fault = f"must be {' or '.join(DEVICES)}, or a number of GPUs. Received: {wanted}"
        raise ConfigurationError("--devices", fault, "use auto")


def _refuse_unknown(option: str, values: Collection[str], known: Collection[str]) -> None:
    for value in values:
        if value not in known:
            fault = f"must be one or more of {', '.join(known)}. Received: {value}"
            raise ConfigurationError(option, fault, "use one of these")


def _config(options: Mapping[str, Any]) -> TrainConfig:
    name = options["network"]
    network, weights = NETWORKS[name], str(options["weights"])
    if weights == AUTO:
        weights = IMAGENET if network.is_backbone else NONE
    start = str(options["start_from"])
    recipe_name = options.get("recipe") or recipe_for(name, IMAGENET if start else weights)
    _refuse_unknown("recipe", [recipe_name], RECIPES)
    changed = {k: v for k, v in options.items() if k in OF_RECIPE and v is not None}
    if not network.normalizes and recipe_name == FINE_TUNE:
        changed = {"learning_rate": PLAIN_RATE} | changed
    if "epochs" in changed:  # exactly that number
        changed["steps"] = None
    if augmentation := options.get("augmentation"):
        changed["augmentation"] = getattr(Augmentation, augmentation)()
    recipe = dataclasses.replace(RECIPES[recipe_name], **changed)
    if options["no_mirror"]:
        recipe = without_mirror(recipe)
    size = options.get("image_size") or network.size
    config = TrainConfig(
        network=name,
        image_size=(size, size) if isinstance(size, int) else size,
        recipe=recipe,
        alpha=options.get("alpha") or 1.0,
        weights=weights,
        precision=options["precision"],
        teacher=str(options["teacher"]),
        start=start,
        seed=options["seed"],
    )
    _refuse_impossible(config)
    return config


def without_mirror(recipe: Recipe) -> Recipe:
    """The recipe without mirrored photos."""
    changed = dataclasses.replace(recipe.augmentation, horizontal_flip=False)
    return dataclasses.replace(recipe, augmentation=changed)


def _refuse_impossible(config: TrainConfig) -> None:
    """Reject what the network cannot be. Raises: ConfigurationError."""
    name, network = config.network, NETWORKS[config.network]
    least = min(config.image_size)
    if least < network.smallest:
        remedy = f"use --image-size {network.smallest} or more"
        raise ConfigurationError(f"--image-size {least}", f"is too small for {name}", remedy)
    if config.alpha not in network.alphas:
        known = ", ".join(f"{value:g}" for value in sorted(network.alphas))
        fault = f"{name} has no width {config.alpha:g}"
        raise ConfigurationError(f"--alpha {config.alpha:g}", fault, f"choose from {known}")
    if not network.is_backbone and config.weights != "none":
        fault = f"{name} is trained from scratch"
        raise ConfigurationError(f"--weights {config.weights}", fault, "remove the option")
    if not network.is_backbone and config.recipe.head_only:
        fault = f"{name} has no trained weights below its last layer"
        raise ConfigurationError("--recipe head", fault, "use another --network or --recipe")


def _config_of(about: Mapping[str, Any]) -> TrainConfig:
    """The options of a training, as the pipeline has kept them."""
    known = {f.name: about[f.name] for f in dataclasses.fields(TrainConfig) if f.name in about}
    recipe = dict(known["recipe"])
    recipe["augmentation"] = Augmentation(**recipe["augmentation"])
    if unknown := recipe.keys() - {field.name for field in dataclasses.fields(Recipe)}:
        names = ", ".join(sorted(unknown))
        fault = f"was trained by another version of edge-convert (unknown options: {names})"
        raise TrainingError("OUT/training", fault, "train again")
    size = tuple(known["image_size"])
    return TrainConfig(**known | {"recipe": Recipe(**recipe), "image_size": size})


def say(message: str) -> None:
    """Print one line to stderr."""
    print(f"convert: {message}", file=sys.stderr, flush=True)
