"""The straight line: scan -> split -> cache -> train -> convert -> embed -> evaluate -> report."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convert import dataset as datasets
from convert import networks, quantize
from convert.augment import Augmentation
from convert.cache import decode
from convert.checkpoint import Checkpoint
from convert.dataset import Dataset
from convert.diagnose import worst_layers
from convert.embed import embed
from convert.errors import ConversionError, DatasetError, OutputError, TrainingError
from convert.evaluate import Evaluation, evaluate
from convert.files import write
from convert.inspect_model import inspect
from convert.markdown import report_md, table
from convert.page import pictures, report_html
from convert.preview import variations
from convert.recipes import Recipe
from convert.report import Report, Variant, accuracy_json, card_json, largest_drop, recommend
from convert.scores import (
    Scores,
    choose_threshold,
    compare,
    fit_temperature,
    log_scores,
    tempered,
)
from convert.sheet import sheet
from convert.train import TrainConfig, history_csv, network_of, scores_of, train
from convert.verify import golden_vectors
from edge import __version__
from edge.errors import EdgeError
from edge.metadata import read_metadata
from edge.preprocess import PREPROCESSING_VERSION, Normalization

# Rescaling is in the graph: pixels go in as they are.
PIXELS_AS_THEY_ARE = Normalization(mean=0.0, std=1.0)
DIAGNOSED = 1.0  # points lost to quantization from which the worst layers are looked for
DIAGNOSIS_PHOTOS = 32
SHEET_ROWS, SHEET_COLUMNS = 4, 8  # of augmented photos in the report


@dataclass(frozen=True)
class Run:
    """What a whole run is: a folder of photos, and what to make of it."""

    photos: Path
    out: Path
    name: str
    command: str  # how to say it again; no path in it
    config: TrainConfig
    weighed: tuple[tuple[Path, float], ...] = ()  # lists of training photos that count more
    resume: bool = False
    variants: tuple[str, ...] = ("float32", "int8")
    calibration_photos: int = 200
    threshold_precision: float = 0.98
    max_drop: float | None = None  # points

    @property
    def training(self) -> Path:
        """The folder of the training's checkpoint."""
        return self.out / "training"

    @property
    def cache(self) -> Path:
        """The folder of decoded photos."""
        return self.out / "cache"


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
    known = {field.name: about[field.name] for field in dataclasses.fields(TrainConfig)}
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
    present = datasets.set_folders(job.photos)
    drawn = [p for name in ("val", "test") if name not in present for p in getattr(dataset, name)]
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


def _about(job: Run, dataset: Dataset, weights: np.ndarray) -> dict[str, Any]:
    """What makes one training equal to another."""
    config = dataclasses.asdict(job.config)
    config["weights"] = Path(job.config.weights).name  # no path in what may be published
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
    measured = _Measured(job, dataset, keras_val, temperature)
    with tempfile.TemporaryDirectory(dir=job.out, prefix=".work-") as folder:
        saved_model, calibration = _for_converter(job, dataset, model, temperature, Path(folder))
        drafts, failures = _convert_all(measured, saved_model, calibration, Path(folder))
        if not drafts:
            raise ConversionError(job.name, "no variant could be made", failures[-1])
        chosen, reason = recommend([draft.variant for draft in drafts])
        drafts = [_finish(measured, draft, chosen.name, Path(folder)) for draft in drafts]
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
    return [*failures, *_too_much_lost(job, report)]


@dataclass(frozen=True)
class _Measured:
    """What every variant is made and measured with."""

    job: Run
    dataset: Dataset
    keras_val: Scores
    temperature: float


@dataclass(frozen=True)
class _Draft:
    """A converted file that has been measured on val, but does not say so yet."""

    variant: Variant
    content: bytes  # as it was converted
    facts: dict[str, Any]  # for edge.json


def _for_converter(
    job: Run, dataset: Dataset, model: keras.Model, temperature: float, folder: Path
) -> tuple[Path, Path]:
    """Write the inference graph and the calibration photos for the converting processes."""
    device = networks.for_device(model, temperature=temperature, alpha=job.config.alpha)
    # Keras's own signature would leave the batch open.
    signature = [tf.TensorSpec(device.input_shape, tf.float32, name="pixels")]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            device.export(str(folder / "saved_model"), verbose=False, input_signature=signature)
    except tf.errors.OpError as error:  # its own kind of OSError, with a stack in its message
        full = isinstance(error, tf.errors.ResourceExhaustedError)
        fault = f"cannot be written ({'No space left on device' if full else error.message})"
        raise OutputError(job.out, fault, "free some space, or give another -o") from error
    chosen = datasets.calibration_photos(dataset.train, job.calibration_photos, job.config.seed)
    pixels = decode(dataset.train, job.config.image_size, job.cache, "train")
    np.save(folder / "calibration.npy", pixels[chosen])
    lines = [
        f"{dataset.train[i].sha256}  {dataset.train[i].path.relative_to(job.photos)}\n"
        for i in chosen
    ]
    write(job.out / "calibration.txt", "".join(lines).encode("utf-8", "surrogateescape"))
    return folder / "saved_model", folder / "calibration.npy"


def _convert_all(
    measured: _Measured, saved_model: Path, calibration: Path, folder: Path
) -> tuple[list[_Draft], list[str]]:
    """Convert and measure each variant; one that fails is told, and the rest goes on."""
    drafts, failures = [], []
    for name in measured.job.variants:
        say(f"convert {name}")
        try:
            quantize.convert(saved_model, calibration, name, folder / name)
            drafts.append(_draft(measured, name, folder / name))
        except EdgeError as error:
            failures.append(str(error))
            say(str(error))
    return drafts, failures


def _draft(measured: _Measured, name: str, converted: Path) -> _Draft:
    """Check a converted file, try it on each runtime, and measure it on val."""
    job, dataset, content = measured.job, measured.dataset, converted.read_bytes()
    inspect(content, name)
    facts: dict[str, Any] = {
        "format": 1,
        "edge_classify": __version__,
        "network": job.config.network,
        "variant": name,
        "labels": list(dataset.labels),
        "preprocessing": {
            "version": PREPROCESSING_VERSION,
            "resize": "squash",
            "filter": "antialias",
        },
        "data": {"fingerprint": dataset.fingerprint, "photos": dataset.counts()},
        "operators": [list(o) for o in read_metadata(content, name).operators],
        "temperature": round(measured.temperature, 4),  # folded into the last layer already
    }
    path = _embedded(measured, converted.with_suffix(".tflite"), content, facts)
    golden = golden_vectors(path)
    for fault in golden.faults:
        say(f"{name}: {fault}")
    # Where one crashes it would take this process along, and the device's.
    crash = next((fault for fault in golden.faults if " crashes (" in fault), None)
    if crash or not golden.runtimes:
        raise ConversionError(name, crash or "runs on no installed runtime", "leave it out")
    val = evaluate(path, dataset.val, f"{name} on val")
    threshold = choose_threshold(val.scores, val.labels, job.threshold_precision)
    facts |= {
        "golden": golden.as_dict(),
        "runtimes": list(golden.runtimes),
        "threshold": threshold.value,  # rounded, it would refuse the photo that it comes from
    }
    # The files are compared with what Keras gives once the temperature is in it.
    reference = tempered(measured.keras_val, measured.temperature)
    variant = Variant(
        name=name,
        file=f"{job.name}-{name}.tflite",
        size_bytes=len(content),
        sha256="",
        val=val,
        test=None,
        runtimes=golden.runtimes,
        comparison=compare(reference, val.scores, val.labels),
    )
    return _Draft(variant, content, facts)


def _finish(measured: _Measured, draft: _Draft, chosen: str, folder: Path) -> _Draft:
    """Measure what was chosen on test, look into what lost much, and put the file into OUT."""
    job, dataset, variant = measured.job, measured.dataset, draft.variant
    accuracies = {"val": accuracy_json(variant.val.accuracy)}
    test: Evaluation | None = None
    if variant.name in (chosen, "float32"):  # float32 beside it, to see what quantization costs
        path = folder / f"{variant.name}.tflite"
        test = evaluate(path, dataset.test, f"{variant.name} on test")
        accuracies["test"] = accuracy_json(test.accuracy)
    facts = draft.facts | {"accuracy": accuracies}
    path = _embedded(measured, job.out / variant.file, draft.content, facts)
    content = path.read_bytes()
    finished = dataclasses.replace(
        variant,
        test=test,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        worst_layers=_diagnosed(measured, variant, folder),
    )
    return dataclasses.replace(draft, variant=finished, facts=facts)


def _diagnosed(measured: _Measured, variant: Variant, folder: Path) -> tuple[str, ...]:
    """Name the layers that quantization hurt most, where it cost more than a point."""
    labels = datasets.labels_of(measured.dataset.val)
    right = int((measured.keras_val.argmax(1) == labels).sum())
    lost = 100 * (right - variant.val.accuracy.correct) / len(labels)
    reference = folder / "float32"
    if lost <= DIAGNOSED or variant.name == "float32" or not reference.exists():
        return ()
    pixels = np.load(folder / "calibration.npy", mmap_mode="r")[:DIAGNOSIS_PHOTOS]
    try:
        return worst_layers(reference, folder / variant.name, pixels)
    except EdgeError as error:  # the model is no worse for it
        say(str(error))
        return ()


def _embedded(measured: _Measured, path: Path, content: bytes, facts: dict[str, Any]) -> Path:
    """Write a model file that says these facts of itself."""
    described = embed(
        content,
        name=measured.job.name,
        labels=measured.dataset.labels,
        normalization=PIXELS_AS_THEY_ARE,
        edge=facts,
    )
    write(path, described)
    return path


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
    write(job.out / "report.md", report_md(report, drawn).encode())
    write(job.out / "report.html", report_html(report, drawn))
    print(table(report.variants))
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


def _summary(model: keras.Model) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=90)
    return "\n".join(lines)


def say(message: str) -> None:
    """Say one line on stderr."""
    print(f"convert: {message}", file=sys.stderr, flush=True)
