"""The straight line: scan -> split -> cache -> train -> convert -> embed -> evaluate -> report."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
from numpy.typing import NDArray

from convert.arguments import ExportOptions, RunOptions, TrainOptions
from convert.data import dataset as datasets
from convert.data.cache import DecodedPhotos
from convert.data.dataset import Dataset
from convert.data.mirrored import COLOURS, SIZES, mirror_images, named_after
from convert.data.overview import told
from convert.data.photo import sha256_of
from convert.data.splits import FILE as SPLITS
from convert.data.splits import Prediction, read_splits, write_predictions, write_splits
from convert.errors import ConversionError, TrainingError, interruptible
from convert.files import earlier_runs, move_aside, put_back, write
from convert.job import Run, export_run, say, training_run, without_mirror
from convert.measure.evaluate import Evaluation
from convert.measure.evidence import evidence
from convert.measure.scores import answers, choose_threshold, fit_temperature, log_scores
from convert.names import VARIANTS
from convert.report.page import pictures, report_html
from convert.report.report import Report, card_json, recommend
from convert.report.sheet import sheet
from convert.report.suspects import FILE as SUSPECTS
from convert.report.suspects import find_suspects
from convert.tflite.variants import Basis, convert_all, finish, for_converter
from convert.training.augment import variations
from convert.training.checkpoint import Checkpoint
from convert.training.start import find_start, started_from
from convert.training.teacher import Teacher
from convert.training.train import history_csv, maps_of, network_of, scores_of
from convert.training.train import train as train_network
from convert.training.weights import find_weights

SHEET_ROWS, SHEET_COLUMNS = 4, 8  # of augmented photos in the report


def train(folder: Path, out: Path, options: TrainOptions) -> Checkpoint:
    """Train, and leave the weights in OUT/training; see `convert.train`. OUT is claimed."""
    job = _with_weights(training_run(folder, out, "train", cast(RunOptions, options)))
    photos = _scan(job)
    checkpoint = _fit(_suited(job, photos), photos)
    write(job.out / "history.csv", history_csv(checkpoint.history).encode())
    write_splits(job.out, job.photos, photos.dataset, {})
    return checkpoint


def export(folder: Path, out: Path, options: ExportOptions) -> Report:
    """Make the files of what OUT/training holds; see `convert.export`. OUT is claimed."""
    job, checkpoint = export_run(folder, out, cast(RunOptions, options))
    photos = _scan(job, read_splits(job.out / SPLITS))
    if checkpoint.about["photos"] != photos.dataset.fingerprint:
        fault = "are not those that OUT was trained on"
        raise TrainingError(job.photos, fault, "use the same photos, or train again")
    return _export(_with_earlier_variants(job, photos.dataset), photos, checkpoint)


def run(folder: Path, out: Path, options: RunOptions) -> Report:
    """Train, then make the files; see `convert.run`. OUT is claimed."""
    job = _with_weights(training_run(folder, out, "", options))
    photos = _scan(job)
    job = _suited(job, photos)
    return _export(job, photos, _fit(job, photos))


def _suited(job: Run, photos: DecodedPhotos) -> Run:
    """Make the recipe suit the photos: the number of epochs, and what may be augmented."""
    recipe = job.config.recipe.for_photos(len(photos.dataset.train))
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
    say(f"warning: {names} are each other's mirror image: no photo is mirrored in the training")
    config = dataclasses.replace(job.config, recipe=without_mirror(recipe))
    return dataclasses.replace(job, config=config)


def _with_weights(job: Run) -> Run:
    """Find the first weights, so that unusable ones show before the photos are decoded."""
    config = job.config
    if not config.start:
        find_weights(config.network, config.alpha, config.weights)
        return job
    start = Path(config.start)
    if job.resume:
        start = started_from(start, job.training)
    find_start(start)
    return dataclasses.replace(job, config=dataclasses.replace(config, start=str(start)))


def _with_earlier_variants(job: Run, dataset: Dataset) -> Run:
    """Add the variants that the report in OUT has of this training: one more adds a row."""
    try:
        card = json.loads((job.out / "card.json").read_bytes())
        if (card["name"], card["data"]["fingerprint"]) != (job.name, dataset.fingerprint):
            return job
        before = [variant["variant"] for variant in card["variants"]]
    except (OSError, ValueError, KeyError, TypeError):
        return job
    wanted = [name for name in VARIANTS if name in before or name in job.variants]
    return dataclasses.replace(job, variants=tuple(wanted))


def _scan(job: Run, as_before: Mapping[str, str] | None = None) -> DecodedPhotos:
    """Look at the photos before anything is spent on them.

    Args:
        job: the run.
        as_before: the sets of an earlier run, by SHA-256; None: the photos are split.
    """
    with interruptible(lambda: f"decoded photos are kept; start again: {job.command_again}"):
        return _scanned(job, as_before)


def _scanned(job: Run, as_before: Mapping[str, str] | None) -> DecodedPhotos:
    dataset = datasets.load(
        job.photos,
        job.config.seed,
        job.cache,
        group_by=job.group_by,
        strict=job.strict,
        as_before=as_before,
    )
    counts = {name: sum(per_label.values()) for name, per_label in dataset.counts().items()}
    say(f"{job.photos}: {len(dataset.labels)} classes; photos {json.dumps(counts)}")
    for line in told(dataset):
        say(line)
    photos = DecodedPhotos(dataset, job.config.image_size, job.cache, job.pixel_cache_gb)
    if photos.are_jpegs:
        gb = f"{photos.pixels_gb:.1f} GB as pixels"
        say(f"decoded photos: {gb}, above --pixel-cache-gb; they are kept as JPEG images")
    _ = photos.test  # decoded now: an unreadable one shows before the training, not after
    return photos


def _fit(job: Run, photos: DecodedPhotos) -> Checkpoint:
    """Train, or go on with a training; its weights are kept in OUT/training."""
    dataset = photos.dataset
    drawn = [photo for name in dataset.drawn for photo in getattr(dataset, name)]
    weights = datasets.weigh(dataset.train, job.photos, job.weighed, drawn)
    about = _about(job, dataset, weights)
    if job.config.teacher:  # one that cannot be used shows before the earlier run is moved aside
        Teacher(Path(job.config.teacher), dataset.labels)
    earlier = _put_back(job, about) if job.resume else move_aside(job.out)
    if earlier:
        say(f"{job.out} held another run, which is kept in {earlier}")
    checkpoint = Checkpoint(job.training, about, resume=job.resume)
    with interruptible(lambda: _kept_of_training(job, checkpoint)):
        train_network(photos, job.config, weights, checkpoint)
    return checkpoint


def _kept_of_training(job: Run, checkpoint: Checkpoint) -> str:
    if not checkpoint.history:
        return f"no epoch is done; decoded photos are kept; start again: {job.command_again}"
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
            say(f"go on with the run in {earlier}, which has the same options and photos")
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


def _config(job: Run, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the options of the training and of its files; labels and photos are elsewhere."""
    told = {k: v for k, v in checkpoint.about.items() if k not in ("labels", "photos")}
    return told | {"threshold_precision": job.threshold_precision}


def _export(job: Run, photos: DecodedPhotos, checkpoint: Checkpoint) -> Report:
    """Make the files; the training is kept whatever ends this."""
    with interruptible(lambda: f"the training is kept; make files of it: {job.command_export}"):
        return _exported(job, photos, checkpoint)


def _exported(job: Run, photos: DecodedPhotos, checkpoint: Checkpoint) -> Report:
    """Convert the kept weights, measure every variant, choose on val, and report."""
    dataset = photos.dataset
    model = network_of(job.config, len(dataset.labels))
    checkpoint.restore_best(model)
    keras_val = scores_of(model, photos.val)
    val_labels = datasets.labels_of(dataset.val)
    temperature = fit_temperature(log_scores(keras_val), val_labels)
    basis = Basis(job, photos, keras_val, temperature)
    with tempfile.TemporaryDirectory(dir=job.out, prefix=".work-") as folder:
        saved_model, calibration = for_converter(basis, model, Path(folder))
        drafts, failures = convert_all(basis, saved_model, calibration, Path(folder))
        if not drafts:
            raise ConversionError(job.name, "no variant could be made", failures[-1])
        chosen, reason = recommend([draft.variant for draft in drafts])
        drafts = [finish(basis, draft, chosen.name, Path(folder)) for draft in drafts]
    variants = tuple(draft.variant for draft in drafts)
    chosen = next(variant for variant in variants if variant.name == chosen.name)
    report = Report(
        name=job.name,
        command=job.command,
        labels=dataset.labels,
        counts=dataset.counts(),
        fingerprint=dataset.fingerprint,
        config=_config(job, checkpoint),
        history=tuple(checkpoint.history),
        summary=_summary(model),
        keras_val=keras_val,
        temperature=temperature,
        variants=variants,
        failures=tuple(failures),
        chosen=chosen,
        reason=reason,
        threshold=choose_threshold(chosen.val.scores, val_labels, job.threshold_precision),
        val_pixels=photos.val,
        val_names=tuple(os.path.relpath(photo.path, job.photos) for photo in dataset.val),
        augmentation_png=_augmentation_sheet(job, photos),
        worth=dataset.grouping.worth if dataset.drawn else "the folders of val and test",
        left_out=tuple(map(str, dataset.left_out)),
        **_evidence(model, photos, chosen.val),
        suspects=find_suspects(photos, job.photos, checkpoint.out_of_fold),
    )
    _write_report(job, report)
    if report.suspects:
        write(job.out / SUSPECTS, report.suspects.csv)
    _write_lists(job, dataset, report)
    return report


def _evidence(model: keras.Model, photos: DecodedPhotos, val: Evaluation) -> dict[str, Any]:
    """Find where in the validation photos the evidence lies; nothing if the network has no maps."""
    maps = maps_of(model, photos.val)
    if maps is None:
        return {}
    return {"heat": evidence(maps, answers(val.scores))}


def _write_lists(job: Run, dataset: Dataset, report: Report) -> None:
    """Write the set of each photo, and the chosen file's predictions for val and test."""
    predictions = {
        photo.sha256: Prediction(tuple(scores))
        for name, found in report.sets.items()
        for photo, scores in zip(getattr(dataset, name), found.scores.tolist(), strict=True)
    }
    write_splits(job.out, job.photos, dataset, predictions)
    write_predictions(job.out, job.photos, dataset, predictions)


def _augmentation_sheet(job: Run, photos: DecodedPhotos) -> bytes:
    """Draw a few training photos, each with variations of it: what the network was shown."""
    dataset, pixels = photos.dataset, photos.train
    shown = np.random.default_rng(job.config.seed).permutation(len(pixels))[:SHEET_ROWS]
    tiles = []
    for index in sorted(shown):
        drawn = variations(
            pixels[index], job.config.recipe.augmentation, SHEET_COLUMNS - 1, job.config.seed
        )
        label = dataset.labels[dataset.train[index].label]
        tiles += [(np.asarray(pixels[index]), label), *((picture, "") for picture in drawn)]
    return sheet(tiles, columns=SHEET_COLUMNS)


def _write_report(job: Run, report: Report) -> None:
    drawn = pictures(report)
    for name, png in drawn.items():
        write(job.out / name, png)
    write(job.out / "history.csv", history_csv(report.history).encode())
    write(job.out / "card.json", (json.dumps(card_json(report), indent=2) + "\n").encode())
    write(job.out / "report.html", report_html(report, drawn))


def _summary(model: keras.Model) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=90)
    return "\n".join(lines)
