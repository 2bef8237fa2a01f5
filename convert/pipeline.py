"""The straight line: scan -> split -> cache -> train -> convert -> embed -> evaluate -> report."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from convert.data import dataset as datasets
from convert.data.cache import decode
from convert.data.dataset import Dataset
from convert.data.photo import sha256_of
from convert.errors import ConversionError, DatasetError, TrainingError
from convert.files import write
from convert.job import Run, say
from convert.measure.scores import choose_threshold, fit_temperature, log_scores
from convert.report.page import pictures, report_html
from convert.report.report import Report, card_json, largest_drop, recommend
from convert.report.sheet import sheet
from convert.report.tables import text_table, variant_rows
from convert.steps.preview import variations
from convert.tflite.arm import verify_on_arm
from convert.tflite.variants import Basis, convert_all, finish, for_converter
from convert.training.augment import Augmentation
from convert.training.checkpoint import Checkpoint
from convert.training.recipes import Recipe
from convert.training.train import TrainConfig, history_csv, network_of, scores_of, train

SHEET_ROWS, SHEET_COLUMNS = 4, 8  # of augmented photos in the report


def run(job: Run) -> list[str]:
    """Make OUT of a folder of photos, print the table on stdout; return what is not as wanted.

    Raises: DatasetError, WeightsError, TrainingError; ConversionError where no variant can be made.
    """
    dataset = scan(job)
    return export(job, dataset, fit(job, dataset))


def train_only(job: Run) -> int:
    """Train, and leave the best epoch in OUT/training."""
    checkpoint = fit(job, scan(job))
    best = checkpoint.history[checkpoint.best_epoch - 1]
    write(job.out / "history.csv", history_csv(checkpoint.history).encode())
    print(
        f"epoch {checkpoint.best_epoch} is the best of {len(checkpoint.history)}: "
        f"{best['val_accuracy']:.3f} on val; make files of it with python -m convert export"
    )
    return 0


def export_only(job: Run) -> list[str]:
    """Make the files of what OUT/training holds; the training's options are those it had."""
    checkpoint = Checkpoint.of(job.training)
    job = dataclasses.replace(job, config=config_of(checkpoint.about))
    dataset = scan(job)
    if checkpoint.about["photos"] != dataset.fingerprint:
        fault = "are not those that OUT was trained on"
        raise TrainingError(job.photos, fault, "give the same photos, or train again")
    return export(job, dataset, checkpoint)


def config_of(about: Mapping[str, Any]) -> TrainConfig:
    """The options of a training, as `_about` has kept them."""
    known = {f.name: about[f.name] for f in dataclasses.fields(TrainConfig) if f.name in about}
    recipe = dict(known["recipe"])
    recipe["augmentation"] = Augmentation(**recipe["augmentation"])
    size = tuple(known["image_size"])
    return TrainConfig(**known | {"recipe": Recipe(**recipe), "image_size": size})


def scan(job: Run) -> Dataset:
    """Look at the photos before anything is spent on them."""
    if job.out.resolve().is_relative_to(job.photos.resolve()):
        raise DatasetError(job.out, "lies inside the photos", "give -o a folder outside of them")
    dataset = datasets.load(job.photos, job.config.seed, job.cache)
    counts = {name: sum(per_label.values()) for name, per_label in dataset.counts().items()}
    say(f"{job.photos}: {len(dataset.labels)} classes; photos {json.dumps(counts)}")
    job.out.mkdir(parents=True, exist_ok=True)
    # Not for its pixels: so that an unreadable photo shows before the training, not after.
    decode(dataset.test, job.config.image_size, job.cache, "test")
    return dataset


def fit(job: Run, dataset: Dataset) -> Checkpoint:
    """Train, or go on with a training; its best epoch is kept in OUT/training."""
    drawn = [photo for name in dataset.drawn for photo in getattr(dataset, name)]
    weights = datasets.weigh(dataset.train, job.photos, job.weighed, drawn)
    checkpoint = Checkpoint(job.training, _about(job, dataset, weights), resume=job.resume)
    try:
        train(dataset, job.config, weights, job.cache, checkpoint)
    except KeyboardInterrupt:
        if checkpoint.history:
            say(
                f"stopped; epoch {checkpoint.best_epoch}, the best of {len(checkpoint.history)}, "
                "is kept: give the command again with --resume to go on, or python -m convert "
                "export to make files of it"
            )
        raise
    return checkpoint


def _about(job: Run, dataset: Dataset, weights: NDArray[np.float32]) -> dict[str, Any]:
    """What makes one training equal to another."""
    config = dataclasses.asdict(job.config)
    config["weights"] = Path(job.config.weights).name  # no path in what may be published
    if job.config.teacher:
        config["teacher"] = f"SHA-256 {sha256_of(Path(job.config.teacher))}"
    return {
        "labels": list(dataset.labels),
        "photos": dataset.fingerprint,
        "weigh": hashlib.sha256(weights.tobytes()).hexdigest(),
        **config,
    }


def _config(job: Run, checkpoint: Checkpoint) -> dict[str, Any]:
    """Every option of the training and of its files; labels and photos are told elsewhere."""
    told = {k: v for k, v in checkpoint.about.items() if k not in ("labels", "photos")}
    return told | {"threshold_precision": job.threshold_precision}


def export(job: Run, dataset: Dataset, checkpoint: Checkpoint) -> list[str]:
    """Convert the best epoch, measure every variant, choose on val, and report."""
    model = network_of(job.config, len(dataset.labels))
    checkpoint.restore_best(model)
    val_pixels = decode(dataset.val, job.config.image_size, job.cache, "val")
    keras_val = scores_of(model, val_pixels)
    val_labels = datasets.labels_of(dataset.val)
    temperature = fit_temperature(log_scores(keras_val), val_labels)
    basis = Basis(job, dataset, keras_val, temperature)
    with tempfile.TemporaryDirectory(dir=job.out, prefix=".work-") as folder:
        saved_model, calibration = for_converter(job, dataset, model, temperature, Path(folder))
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
        val_pixels=val_pixels,
        val_names=tuple(f"{dataset.labels[p.label]}/{p.path.name}" for p in dataset.val),
        augmentation_png=_augmentation_sheet(job, dataset),
    )
    _write_report(job, report)
    return [*failures, *_too_much_lost(job, report), *_wrong_on_arm(job, report)]


def _augmentation_sheet(job: Run, dataset: Dataset) -> bytes:
    """Draw a few training photos, each with variations of it: what the network was shown."""
    pixels = decode(dataset.train, job.config.image_size, job.cache, "train")
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
    print(text_table(variant_rows(report.variants)))
    print(report.reason)
    print(f"look at {job.out / 'report.html'}", flush=True)


def _too_much_lost(job: Run, report: Report) -> Sequence[str]:
    if job.max_drop is None:
        return ()
    drop = largest_drop(report.keras_accuracy, [report.chosen])
    if drop <= job.max_drop:
        return ()
    error = ConversionError(
        report.chosen.file,
        f"loses {drop:.1f} points on val against the Keras model (--max-drop {job.max_drop:g})",
        "look at its worst layers in report.html, or ship float32",
    )
    say(str(error))
    return [str(error)]


def _wrong_on_arm(job: Run, report: Report) -> Sequence[str]:
    if not job.verify_arm:
        return ()
    say("try the files on emulated ARM")
    faults = verify_on_arm([job.out / variant.file for variant in report.variants])
    for fault in faults:
        say(fault)
    return faults


def _summary(model: keras.Model) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=90)
    return "\n".join(lines)
