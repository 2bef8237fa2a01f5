"""The training of a run: its recipe suits the photos, and few photos are cross-validated."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from convert.data import dataset as datasets
from convert.data.cache import DecodedPhotos
from convert.data.dataset import Dataset
from convert.data.mirrored import COLOURS, SIZES, mirror_images, named_after
from convert.data.photo import sha256_of
from convert.errors import DatasetError, TrainingError, interruptible
from convert.files import earlier_runs, move_aside, put_back, write
from convert.job import Run, say, without_mirror
from convert.measure.label_errors import FOLDS
from convert.measure.scores import accuracy, log_loss
from convert.options import pasted_command
from convert.training import folds
from convert.training.backbones.known import NETWORKS
from convert.training.checkpoint import Checkpoint
from convert.training.folds import CrossValidation, FoldPhotos, cross_validate
from convert.training.recipes import HEAD, RECIPES, TUTORIAL
from convert.training.scene import is_fixed_camera
from convert.training.start import find_start
from convert.training.teacher import Teacher
from convert.training.train import scores_of
from convert.training.train import train as train_network
from edge import child

FEW, VERY_FEW = 50, 30  # photos a class, below which cross-validation is offered, and is done
# Options of a run that its teacher does not have.
NOT_A_TEACHERS = frozenset(
    "network alpha weights image_size teacher start_from resume name variants against weigh folds "
    "final recipe".split()
)
FOLDS_FILE, FINAL = "cross-validation.json", "final"


def suited(job: Run, photos: DecodedPhotos) -> Run:
    """Make the recipe suit the photos: the number of epochs, and what may be augmented."""
    recipe, labels = job.config.recipe, datasets.labels_of(photos.dataset.train)
    is_free = not job.given.get("augmentation") and job.given.get("recipe") != TUTORIAL
    if is_free and is_fixed_camera(photos.train, labels):
        say("frames of one scene: what lies in it is moved about in the training")
        recipe = recipe.for_fixed_camera()
    recipe = recipe.for_photos(len(labels))
    config = dataclasses.replace(job.config, recipe=recipe)
    return _augmentation_checked(dataclasses.replace(job, config=config), photos)


def _augmentation_checked(job: Run, photos: DecodedPhotos) -> Run:
    """Change no photo in a way that gives it another class's label."""
    job = _mirroring_checked(job, photos)
    augmentation = job.config.recipe.augmentation
    for words, what, less in (
        (COLOURS, "colour", augmentation.with_true_colours()),
        (SIZES, "size", augmentation.with_true_sizes()),
    ):
        pairs = named_after(words, photos.dataset.labels)
        if pairs and less != augmentation:
            names = ", ".join(" and ".join(pair) for pair in pairs[:5])
            say(f"warning: {names} may differ in {what}: the training does not change it")
            recipe = dataclasses.replace(job.config.recipe, augmentation=less)
            job = dataclasses.replace(job, config=dataclasses.replace(job.config, recipe=recipe))
            augmentation = less
    return job


def _mirroring_checked(job: Run, photos: DecodedPhotos) -> Run:
    """Exclude mirrored photos of a training in which they would have another class's label."""
    recipe = job.config.recipe
    if not recipe.augmentation.horizontal_flip:
        return job
    labels = datasets.labels_of(photos.dataset.train)
    pairs = mirror_images(photos.dataset.labels, photos.train, labels)
    if not pairs:
        return job
    names = ", ".join(" and ".join(pair) for pair in pairs[:5])
    say(f"warning: {names} are mirror images of each other: the training does not mirror photos")
    config = dataclasses.replace(job.config, recipe=without_mirror(recipe))
    return dataclasses.replace(job, config=config)


def with_teacher(job: Run) -> Run:
    """Train the teacher that was given by the name of its network, in a process of its own.

    Its options are the run's, but for NOT_A_TEACHERS. Raises: TrainingError.
    """
    name = job.config.teacher
    if name not in NETWORKS:
        return job
    out = job.out / "teacher"
    model = out / "model-float32.tflite"
    if not (job.resume and model.exists()):
        say(f"train the teacher first: {name}, into {out}")
        given: Any = {k: v for k, v in job.given.items() if k not in NOT_A_TEACHERS}
        given |= {"network": name, "variants": ("float32",)}
        words = shlex.split(pasted_command("", job.photos, out, given))[1:]
        done = subprocess.run(child.python(*words), env=child.environment(), stdout=sys.stderr)
        if done.returncode:
            fault = f"the teacher {name} was not trained, or is not fit for use"
            raise TrainingError(out, fault, "use another --teacher, or omit it")
    config = dataclasses.replace(job.config, teacher=str(model))
    return dataclasses.replace(job, config=config)


def fit(job: Run, photos: DecodedPhotos) -> tuple[Run, Checkpoint]:
    """Train, or continue a training; its weights are kept in OUT/training.

    Returns: the run, whose recipe may have been chosen by the photos; and the training.
    """
    dataset = photos.dataset
    drawn = [photo.path for name in dataset.drawn for photo in getattr(dataset, name)]
    train = [photo.path for photo in dataset.train]
    weights = datasets.weigh(train, job.photos, job.weighed, drawn)
    if job.config.teacher:  # one that cannot be used shows before the earlier run is moved aside
        Teacher(Path(job.config.teacher), dataset.labels)
    job, validated = _cross_validated(_as_resumed(job), photos, weights)
    about = _about(job, dataset, weights)
    earlier = _put_back(job, about) if job.resume else move_aside(job.out)
    if earlier:
        say(f"{job.out} contained another run, which was moved to {earlier}")
    if validated:
        write(job.out / FOLDS_FILE, validated.content(_of_photos(job, dataset)))
    checkpoint, model = _train(job, photos, weights, about)
    may_lose = is_few(dataset, VERY_FEW) or job.config.recipe.augmentation.still
    may_choose = job.chooses_recipe and not validated and may_lose
    if may_choose and _is_head_better(photos, checkpoint, model):
        job = _with_recipe(job, HEAD)
        about = _about(job, dataset, weights)
        checkpoint, _ = _train(dataclasses.replace(job, resume=False), photos, weights, about)
    if _is_final(job, dataset):
        _train_on_all(job, photos, weights, about)
    return job, checkpoint


def _train(
    job: Run, photos: DecodedPhotos, weights: NDArray[np.float32], about: dict[str, Any]
) -> tuple[Checkpoint, keras.Model]:
    checkpoint = Checkpoint(job.training, about, resume=job.resume)
    with interruptible(lambda: _kept_of_training(job, checkpoint)):
        return checkpoint, train_network(photos, job.config, weights, checkpoint)


def _train_on_all(
    job: Run, photos: DecodedPhotos, weights: NDArray[np.float32], about: dict[str, Any]
) -> None:
    """Train once more, with the photos of val, into OUT/training/final."""
    say(
        "train again on train and val, for the files; ignore the validation figures of this "
        "training: it knows these photos"
    )
    final = Checkpoint(job.training / FINAL, about | {FINAL: True}, resume=job.resume)
    num_train, num_val = len(photos.dataset.train), len(photos.dataset.val)
    every = np.arange(num_train + num_val)
    both = np.concatenate([weights, np.ones(num_val, np.float32)])
    with interruptible(lambda: f"continue: {job.command_resume}"):
        train_network(FoldPhotos.of(photos, every, every[num_train:]), job.config, both, final)


def _with_recipe(job: Run, name: str) -> Run:
    """Change the recipe, but not what suits the photos: how they may be augmented."""
    before, recipe = job.config.recipe.augmentation, RECIPES[name]
    recipe = recipe.for_fixed_camera() if before.still else recipe
    recipe = dataclasses.replace(recipe, augmentation=before)
    return dataclasses.replace(job, config=dataclasses.replace(job.config, recipe=recipe))


def _as_resumed(job: Run) -> Run:
    """Continue with the last layer alone where that was chosen for the training in OUT."""
    about = (Checkpoint.about_of(job.training) or {}) if job.resume else {}
    is_head = about.get("recipe", {}).get("head_only", False)
    return _with_recipe(job, HEAD) if is_head and job.chooses_recipe else job


def _is_head_better(photos: DecodedPhotos, checkpoint: Checkpoint, model: keras.Model) -> bool:
    """Whether the last layer alone is likelier on val than the fine-tuned network is.

    The training's own validation loss would be unfair: it is that of smoothed labels.
    """
    if checkpoint.head_scores is None:
        return False
    labels = datasets.labels_of(photos.dataset.val)
    alone = log_loss(checkpoint.head_scores, labels)
    whole = log_loss(scores_of(model, photos.val), labels)
    better = alone < whole
    say(
        f"mean log loss on val: {folds.HEAD} {alone:.3f}, fine-tuned {whole:.3f}: "
        + ("the last layer alone is used (--recipe head)" if better else "the latter is used")
    )
    return better


def final_training(job: Run) -> Checkpoint | None:
    """Open the training on train and val, of which the files are made; None: there is none."""
    folder = job.training / FINAL
    return Checkpoint.of(folder) if Checkpoint.about_of(folder) else None


def cross_validation_of(
    job: Run, photos: DecodedPhotos, checkpoint: Checkpoint | None = None
) -> CrossValidation | None:
    """Read the cross-validation of the training in OUT; None: there was none.

    Where the last layer alone ships, that of the training itself is enough.
    """
    known = (*photos.dataset.train, *photos.dataset.val)
    labels = datasets.labels_of(known)
    found = CrossValidation.read(job.out / FOLDS_FILE, _of_photos(job, photos.dataset), labels)
    if found and way_of(job) in found.by:
        return found
    own = checkpoint.out_of_fold if checkpoint and job.config.recipe.head_only else {}
    if not all(photo.sha256 in own for photo in known):
        return None
    scores = np.array([own[photo.sha256] for photo in known], np.float32)
    return CrossValidation(FOLDS, labels, {folds.HEAD: scores})


def way_of(job: Run) -> str:
    """What of a cross-validation is like the training that ships."""
    return folds.HEAD if job.config.recipe.head_only else folds.WHOLE


def _cross_validated(
    job: Run, photos: DecodedPhotos, weights: NDArray[np.float32]
) -> tuple[Run, CrossValidation | None]:
    """Cross-validate on request, and choose the recipe by it."""
    dataset, config = photos.dataset, job.config
    if not job.folds:
        if is_few(dataset, FEW) and not job.final:
            say("photos are few: --folds 5 measures all of them, --final trains on val as well")
        return job, None
    found = cross_validation_of(job, photos) if job.resume else None
    if found is None:
        with interruptible(lambda: f"no fold is complete; start again: {job.command_again}"):
            found = cross_validate(photos, config, weights, job.folds, say)
    if found is None:
        fault = "cannot be cross-validated: all photos are in one group"
        raise DatasetError(job.photos, fault, "omit --folds, or use --group-by none")
    labels = datasets.labels_of((*dataset.train, *dataset.val))
    for way, scores in found.by.items():
        say(f"cross-validation of {way}: accuracy {accuracy(scores, labels)}")
    if job.chooses_recipe and found.best == folds.HEAD:
        say(f"{folds.HEAD} is better by log loss, and is used (--recipe head)")
        job = _with_recipe(job, HEAD)
    return job, found


def is_few(dataset: Dataset, count: int) -> bool:
    """Whether there are fewer photos than that of a class, on average over the classes."""
    total = len(dataset.train) + len(dataset.val) + len(dataset.test) * bool(dataset.drawn)
    return total < count * len(dataset.labels)


def _is_final(job: Run, dataset: Dataset) -> bool:
    return job.final or (is_few(dataset, VERY_FEW) and job.chooses_recipe)


def _of_photos(job: Run, dataset: Dataset) -> dict[str, Any]:
    """What makes one cross-validation equal to another: a recipe chosen by it is none of this."""
    config = job.config
    facts = {name: getattr(config, name) for name in ("network", "image_size", "alpha", "seed")}
    return {"photos": dataset.fingerprint, **facts}


def _kept_of_training(job: Run, checkpoint: Checkpoint) -> str:
    if not checkpoint.history:
        return f"no epoch is complete; decoded photos are kept; start again: {job.command_again}"
    return (
        f"epoch {checkpoint.kept_epoch} of {len(checkpoint.history)} is kept; make "
        f"files of it: {job.command_export} ; or continue: {job.command_resume}"
    )


def _put_back(job: Run, about: dict[str, Any]) -> Path | None:
    """Let --resume find an earlier run that has its options and photos, where OUT's is another.

    Returns: where OUT's is then; None where nothing was moved.
    """
    about = Checkpoint.as_kept(about)
    if Checkpoint.about_of(job.training) == about:
        return None
    for earlier in earlier_runs(job.out):
        if Checkpoint.about_of(earlier / job.training.name) == about:
            say(f"continue the run in {earlier}, which has the same options and photos")
            return put_back(earlier)
    return None


def _about(job: Run, dataset: Dataset, weights: NDArray[np.float32]) -> dict[str, Any]:
    """What makes one training equal to another."""
    config = dataclasses.asdict(job.config)
    config["weights"] = Path(job.config.weights).name  # no path in what may be published
    if job.config.teacher:
        config["teacher"] = f"SHA-256 {sha256_of(Path(job.config.teacher))}"
    start = config.pop("start")
    if start:
        config["start"] = find_start(Path(start)).sha256
    return {
        "labels": list(dataset.labels),
        "photos": dataset.fingerprint,
        "weigh": hashlib.sha256(weights.tobytes()).hexdigest(),
        "group_by": job.group_by,
        **config,
    }
