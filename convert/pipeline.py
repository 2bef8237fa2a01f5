"""The straight line: scan -> split -> cache -> train -> convert -> embed -> evaluate -> report."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convert.data import dataset as datasets
from convert.data.cache import DecodedPhotos
from convert.data.dataset import Dataset
from convert.data.overview import told
from convert.data.splits import FILE as SPLITS
from convert.data.splits import Prediction, read_splits, write_predictions, write_splits
from convert.errors import ConversionError, TrainingError, interruptible
from convert.files import write
from convert.fit import cross_validation_of, final_training, fit, suited, way_of, with_teacher
from convert.job import Run, say
from convert.measure.evaluate import Evaluation
from convert.measure.evidence import evidence
from convert.measure.scores import (
    Labels,
    Scores,
    accuracy,
    answers,
    fit_temperature,
    log_scores,
    tempered,
)
from convert.names import VARIANTS
from convert.report.against import Against, Earlier, compare
from convert.report.page import pictures, report_html
from convert.report.report import CrossValidated, Report, card_json, reason_for, recommend
from convert.report.sheet import sheet
from convert.report.suspects import FILE as SUSPECTS
from convert.report.suspects import find_suspects
from convert.tflite.variants import (
    Basis,
    OutOfFold,
    convert_all,
    finalized,
    finish,
    for_converter,
    thresholds_of,
)
from convert.training.backbones.weights import find_weights
from convert.training.batches import Views
from convert.training.checkpoint import Checkpoint
from convert.training.computing.devices import choose_devices
from convert.training.folds import CrossValidation
from convert.training.start import find_start, started_from
from convert.training.train import grouped, history_csv, maps_of, network_of, scores_of

SHEET_ROWS, SHEET_COLUMNS = 4, 8  # of augmented photos in the report


def train(job: Run) -> Checkpoint:
    """Train, and leave the weights in OUT/training; see `convert.train`. OUT is claimed."""
    job = with_teacher(_with_weights(_with_devices(job)))
    photos = _scan(job)
    _, checkpoint = fit(suited(job, photos), photos)
    write(job.out / "history.csv", history_csv(checkpoint.history).encode())
    write_splits(job.out, job.photos, photos.dataset, {})
    return checkpoint


def export(job: Run) -> Report:
    """Make the files of what OUT/training holds; see `convert.export`. OUT is claimed."""
    checkpoint = Checkpoint.of(job.training)
    earlier = Earlier.read(job.against) if job.against else None
    photos = _scan(job, read_splits(job.out / SPLITS))
    if checkpoint.about["photos"] != photos.dataset.fingerprint:
        fault = "are not those that OUT was trained on"
        raise TrainingError(job.photos, fault, "use the same photos, or train again")
    job = _with_earlier_variants(job, photos.dataset)
    return _export(job, photos, checkpoint, earlier)


def run(job: Run) -> Report:
    """Train, then make the files; see `convert.run`. OUT is claimed."""
    job = _with_weights(_with_devices(job))
    earlier = Earlier.read(job.against) if job.against else None  # before it is moved aside
    job = with_teacher(job)
    photos = _scan(job)
    job, checkpoint = fit(suited(job, photos), photos)
    return _export(job, photos, checkpoint, earlier)


def _with_devices(job: Run) -> Run:
    """Find the devices to train on, so that a missing one shows before the photos are decoded."""
    devices = choose_devices(job.devices, job.config.recipe.batch_size)
    return dataclasses.replace(job, config=dataclasses.replace(job.config, devices=devices))


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
        negatives=job.negatives,
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


def _config(job: Run, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the options of the training and of its files; labels and photos are elsewhere."""
    told = {k: v for k, v in checkpoint.about.items() if k not in ("labels", "photos")}
    return told | {"threshold_precision": job.threshold_precision}


def _export(
    job: Run, photos: DecodedPhotos, checkpoint: Checkpoint, earlier: Earlier | None
) -> Report:
    """Make the files; the training is kept whatever ends this."""
    with interruptible(lambda: f"the training is kept; make files of it: {job.command_export}"):
        report = _exported(job, photos, checkpoint)
        if earlier:
            report = dataclasses.replace(report, against=_against(earlier, report, photos.dataset))
        _write_report(job, report)
        _write_lists(job, photos.dataset, report)
        return report


def _exported(job: Run, photos: DecodedPhotos, checkpoint: Checkpoint) -> Report:
    """Convert the kept weights, measure every variant, choose on val, and report."""
    dataset = photos.dataset
    model = network_of(job.config, len(dataset.labels))
    checkpoint.restore_best(model)
    keras_val = scores_of(model, photos.val)
    val_labels = datasets.labels_of(dataset.val)
    validated = cross_validation_of(job, photos, checkpoint)
    basis = Basis(job, photos, keras_val, *_choosing(job, keras_val, val_labels, validated))
    with tempfile.TemporaryDirectory(dir=job.out, prefix=".work-") as folder:
        saved_model, calibration = for_converter(basis, model, Path(folder))
        drafts, failures = convert_all(basis, saved_model, calibration, Path(folder))
        if not drafts:
            raise ConversionError(job.name, "no variant could be made", failures[-1])
        chosen = recommend([draft.variant for draft in drafts])
        work = Path(folder)
        if final := final_training(job):
            work = work / "final"
            work.mkdir()
            final.restore_best(model)
            drafts = finalized(basis, drafts, model, work)
            checkpoint.restore_best(model)
        drafts = [finish(basis, draft, chosen.name, work) for draft in drafts]
    variants = tuple(draft.variant for draft in drafts)
    chosen = next(variant for variant in variants if variant.name == chosen.name)
    return Report(
        name=job.name,
        command=job.command,
        labels=dataset.labels,
        counts=dataset.counts(),
        fingerprint=dataset.fingerprint,
        config=_config(job, checkpoint),
        history=tuple(checkpoint.history),
        summary=_summary(model),
        keras_val=keras_val,
        temperature=basis.temperature,
        variants=variants,
        failures=tuple(failures),
        chosen=chosen,
        reason=reason_for(chosen, variants),
        thresholds=thresholds_of(basis, chosen.val),
        val_pixels=photos.val,
        val_names=tuple(os.path.relpath(photo.path, job.photos) for photo in dataset.val),
        augmentation_png=_augmentation_sheet(job, photos),
        worth=dataset.grouping.worth if dataset.drawn else "the folders of val and test",
        left_out=tuple(map(str, dataset.left_out)),
        **_evidence(model, photos, chosen.val),
        suspects=find_suspects(photos, job.photos, checkpoint.out_of_fold),
        validated=_validated(job, photos, validated),
        is_final=bool(final),
    )


def _against(earlier: Earlier, report: Report, dataset: Dataset) -> Against:
    """Compare with an earlier run on the photos of val and test."""
    given = {
        photo.sha256: (report.labels[photo.label], report.labels[top])
        for name, found in report.sets.items()
        for photo, top in zip(getattr(dataset, name), answers(found.scores).tolist(), strict=True)
    }
    return compare(earlier, card_json(report), given)


def _choosing(
    job: Run, keras_val: Scores, val_labels: Labels, validated: CrossValidation | None
) -> tuple[float, OutOfFold | None]:
    """Fit the temperature; and return what thresholds are chosen on, None for each file's val."""
    if validated is None:
        return fit_temperature(log_scores(keras_val), val_labels), None
    scores, labels = validated.by[way_of(job)], validated.labels
    temperature = fit_temperature(log_scores(scores), labels)
    return temperature, OutOfFold(tempered(scores, temperature), labels)


def _validated(
    job: Run, photos: DecodedPhotos, found: CrossValidation | None
) -> CrossValidated | None:
    """Sum up the cross-validation for the report."""
    if found is None:
        return None
    groups = grouped(photos.dataset) if photos.dataset.grouping.numbers else None
    ways = {way: accuracy(scores, found.labels, groups) for way, scores in found.by.items()}
    return CrossValidated(found.folds, way_of(job), ways)


def _evidence(model: keras.Model, photos: DecodedPhotos, val: Evaluation) -> dict[str, Any]:
    """Find where in the validation photos the evidence lies; nothing if the network has no maps."""
    maps = maps_of(model, photos.val)
    if maps is None:
        return {}
    return {"heat": evidence(maps, answers(val.scores))}


def _write_lists(job: Run, dataset: Dataset, report: Report) -> None:
    """Write the set of each photo, the chosen file's predictions, and suspected label errors."""
    if report.suspects:
        write(job.out / SUSPECTS, report.suspects.csv)
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
    labels, recipe = datasets.labels_of(dataset.train), job.config.recipe
    views = Views(pixels, labels, recipe.augmentation, SHEET_COLUMNS - 1, job.config.seed)
    tiles = []
    for index in sorted(shown):
        drawn = [views[index + len(pixels) * number] for number in range(views.number)]
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
