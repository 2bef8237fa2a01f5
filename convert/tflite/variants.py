"""The variants of a trained network: convert, inspect, measure with edge, add metadata."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convert.data import dataset as datasets
from convert.data.cache import DecodedPhotos
from convert.data.dataset import Dataset
from convert.data.reading.set_names import unknown_labels
from convert.errors import ConversionError, OutputError
from convert.files import write
from convert.job import Run, say
from convert.measure.evaluate import Evaluation, evaluate
from convert.measure.scores import Labels, Scores, compare, tempered
from convert.measure.thresholds import Thresholds, choose_thresholds
from convert.report.report import Variant, accuracy_json
from convert.tflite import quantize
from convert.tflite.diagnose import worst_layers
from convert.tflite.embed import embed
from convert.tflite.inspect import inspect
from convert.tflite.verify import golden_vectors
from convert.training import networks
from edge import __version__
from edge.classifier.metadata import read_metadata
from edge.errors import EdgeError
from edge.image.preprocess import PREPROCESSING_VERSION, Normalization
from edge.names import EDGE_JSON_SCHEMA

# Rescaling is in the graph: pixels go in as they are.
PIXELS_AS_THEY_ARE = Normalization(mean=0.0, std=1.0)
DIAGNOSED = 1.0  # points lost to quantization from which the worst layers are looked for
DIAGNOSIS_PHOTOS = 32


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Scores of the photos of train and val, at the temperature, each without its fold."""

    scores: Scores
    labels: Labels


@dataclass(frozen=True)
class Basis:
    """What every variant is made and measured with."""

    job: Run
    photos: DecodedPhotos
    keras_val: Scores
    temperature: float
    out_of_fold: OutOfFold | None = None  # to choose thresholds on; None: each file's val

    @property
    def dataset(self) -> Dataset:
        """The labels, and the photos of each set."""
        return self.photos.dataset


@dataclass(frozen=True)
class Draft:
    """A converted file that was measured on the validation set; its metadata is still missing."""

    variant: Variant
    content: bytes  # as it was converted
    facts: dict[str, Any]  # for edge.json


def for_converter(basis: Basis, model: keras.Model, folder: Path) -> tuple[Path, Path]:
    """Write the inference graph and the calibration photos for the converting processes."""
    job, train = basis.job, basis.dataset.train
    quantize.SERVER.start()  # its imports take as long as what follows
    device = networks.for_device(model, temperature=basis.temperature, alpha=job.config.alpha)
    # Keras's own signature would leave the batch open.
    signature = [tf.TensorSpec(device.input_shape, tf.float32, name="pixels")]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            device.export(str(folder / "saved_model"), verbose=False, input_signature=signature)
    except tf.errors.OpError as error:  # its own kind of OSError, with a stack in its message
        full = isinstance(error, tf.errors.ResourceExhaustedError)
        fault = f"cannot be written ({'No space left on device' if full else error.message})"
        raise OutputError(job.out, fault, "free some space, or use another -o") from error
    chosen = datasets.calibration_photos(train, job.calibration_photos, job.config.seed)
    np.save(folder / "calibration.npy", basis.photos.train[chosen])
    lines = [f"{train[i].sha256}  {os.path.relpath(train[i].path, job.photos)}\n" for i in chosen]
    write(job.out / "calibration.txt", "".join(lines).encode("utf-8", "surrogateescape"))
    return folder / "saved_model", folder / "calibration.npy"


def convert_all(
    basis: Basis, saved_model: Path, calibration: Path, folder: Path
) -> tuple[list[Draft], list[str]]:
    """Convert and measure each variant; one that fails is reported, and the rest continues."""
    drafts, failures = [], []
    for name in basis.job.variants:
        say(f"convert {name}")
        try:
            quantize.convert(saved_model, calibration, name, folder / name)
            drafts.append(_draft(basis, name, folder / name))
        except EdgeError as error:
            failures.append(str(error))
            say(str(error))
    quantize.SERVER.close()
    return drafts, failures


def _draft(basis: Basis, name: str, converted: Path) -> Draft:
    """Check a converted file, try it on each runtime, and measure it on val."""
    job, dataset, content = basis.job, basis.dataset, converted.read_bytes()
    inspect(content, name)
    facts: dict[str, Any] = {
        "schema": EDGE_JSON_SCHEMA,
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
        "trained_on": ["train"],
        "operators": [list(o) for o in read_metadata(content, name).operators],
        "temperature": round(basis.temperature, 4),  # folded into the last layer already
    }
    path = _embedded(basis, converted.with_suffix(".tflite"), content, facts)
    facts |= _golden(path, name)
    val = evaluate(path, dataset.val, f"{name} on val", groups=dataset.groups_of(dataset.val))
    facts |= thresholds_of(basis, val).facts(dataset.labels)
    # The files are compared with what Keras gives once the temperature is in it.
    reference = tempered(basis.keras_val, basis.temperature)
    variant = Variant(
        name=name,
        file=f"{job.name}-{name}.tflite",
        size_bytes=len(content),
        sha256="",
        val=val,
        test=None,
        runtimes=tuple(facts["runtimes"]),
        comparison=compare(reference, val.scores, val.labels),
    )
    return Draft(variant, content, facts)


def _golden(path: Path, name: str) -> dict[str, Any]:
    """Return a file's golden vectors, and the runtimes on which they hold. Raises: EdgeError."""
    golden, remedy = golden_vectors(path), f"omit it: --quantize without {name}"
    for fault in golden.faults:
        say(f"{name}: {fault}")
    if golden.crashes:  # it would take this process along, and the device's
        raise ConversionError(name, golden.crashes[0], remedy)
    if not golden.runtimes:
        raise ConversionError(name, "does not run on any installed runtime", remedy)
    return {"golden": golden.as_dict(), "runtimes": list(golden.runtimes)}


def finalized(basis: Basis, drafts: list[Draft], model: keras.Model, folder: Path) -> list[Draft]:
    """Put the network that was trained on train and val in place of the one that was measured."""
    saved_model, calibration = for_converter(basis, model, folder)
    made = []
    for draft in drafts:
        name = draft.variant.name
        say(f"convert {name}, trained on train and val")
        quantize.convert(saved_model, calibration, name, folder / name)
        content = (folder / name).read_bytes()
        inspect(content, name)
        facts = draft.facts | {"trained_on": ["train", "val"]}
        path = _embedded(basis, folder / f"{name}.tflite", content, facts)
        facts |= _golden(path, name)
        runtimes = tuple(facts["runtimes"])
        variant = dataclasses.replace(draft.variant, size_bytes=len(content), runtimes=runtimes)
        made.append(Draft(variant, content, facts))
    quantize.SERVER.close()
    return made


def thresholds_of(basis: Basis, val: Evaluation) -> Thresholds:
    """Choose the confidence threshold of each label by a file's scores of the validation photos."""
    unknown = unknown_labels(basis.dataset.labels)
    if found := basis.out_of_fold:
        photos = "the photos of train and val, each scored by a network that never saw it"
        precision = basis.job.threshold_precision
        return choose_thresholds(found.scores, found.labels, precision, unknown, photos)
    return choose_thresholds(val.scores, val.labels, basis.job.threshold_precision, unknown)


def finish(basis: Basis, draft: Draft, chosen: str, folder: Path) -> Draft:
    """Measure what was chosen on test, look into what lost much, and put the file into OUT."""
    job, dataset, variant = basis.job, basis.dataset, draft.variant
    accuracies = {"val": accuracy_json(variant.val.accuracy)}
    test: Evaluation | None = None
    if variant.name in (chosen, "float32"):  # float32 beside it, to see what quantization costs
        path = folder / f"{variant.name}.tflite"
        groups = dataset.groups_of(dataset.test)
        test = evaluate(path, dataset.test, f"{variant.name} on test", groups=groups)
        accuracies["test"] = accuracy_json(test.accuracy)
    facts = draft.facts | {"accuracy": accuracies}
    path = _embedded(basis, job.out / variant.file, draft.content, facts)
    content = path.read_bytes()
    finished = dataclasses.replace(
        variant,
        test=test,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        worst_layers=_diagnosed(basis, variant, folder),
    )
    return dataclasses.replace(draft, variant=finished, facts=facts)


def _diagnosed(basis: Basis, variant: Variant, folder: Path) -> tuple[str, ...]:
    """Name the layers that quantization hurt most, where it cost more than a point."""
    labels = datasets.labels_of(basis.dataset.val)
    right = int((basis.keras_val.argmax(1) == labels).sum())
    lost = 100 * (right - variant.val.accuracy.correct) / len(labels)
    reference = folder / "float32"
    if lost <= DIAGNOSED or variant.name == "float32" or not reference.exists():
        return ()
    pixels = np.load(folder / "calibration.npy", mmap_mode="r")[:DIAGNOSIS_PHOTOS]
    try:
        return worst_layers(reference, folder / variant.name, pixels)
    except EdgeError as error:  # the model is as good without it
        say(str(error))
        return ()


def _embedded(basis: Basis, path: Path, content: bytes, facts: dict[str, Any]) -> Path:
    """Write a model file with these facts in its metadata."""
    described = embed(
        content,
        name=basis.job.name,
        labels=basis.dataset.labels,
        normalization=PIXELS_AS_THEY_ARE,
        edge=facts,
    )
    write(path, described)
    return path
