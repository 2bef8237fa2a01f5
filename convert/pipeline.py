"""The straight line: scan -> split -> cache -> train -> convert -> embed -> evaluate -> report."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import dataset as datasets
from convert import networks, quantize, report
from convert.dataset import Dataset
from convert.embed import embed
from convert.errors import ConversionError, DatasetError
from convert.evaluate import evaluate
from convert.plots import history_png
from convert.train import TrainConfig, Trained, history_csv, train
from convert.verify import golden_vectors
from edge import __version__
from edge.errors import EdgeError
from edge.metadata import read_metadata
from edge.preprocess import PREPROCESSING_VERSION, Normalization

# Rescaling is in the graph: pixels go in as they are.
PIXELS_AS_THEY_ARE = Normalization(mean=0.0, std=1.0)


@dataclass(frozen=True)
class Run:
    """What a whole run is: a folder of photos, and what to make of it."""

    photos: Path
    out: Path
    name: str
    command: str  # how to say it again; no path in it
    variants: tuple[str, ...]
    calibration_photos: int
    config: TrainConfig


def run(job: Run) -> list[str]:
    """Make OUT of a folder of photos, print the table on stdout; return the variants that failed.

    Raises: DatasetError; ConversionError where no variant at all can be converted.
    """
    if job.out.resolve().is_relative_to(job.photos.resolve()):
        raise DatasetError(job.out, "lies inside the photos", "give -o a folder outside of them")
    dataset = datasets.load(job.photos, job.config.seed)
    say(f"{job.photos}: {', '.join(dataset.labels)}; photos {json.dumps(dataset.counts())}")
    job.out.mkdir(parents=True, exist_ok=True)
    # Not for its pixels: so that an unreadable photo shows before the training, not after.
    datasets.decode(dataset.test, job.config.image_size, job.out / "cache", "test")
    trained = train(dataset, job.config, job.out / "cache")
    write(job.out / "history.csv", history_csv(trained.history).encode())
    write(job.out / "history.png", history_png(trained.history))
    with tempfile.TemporaryDirectory(dir=job.out, prefix=".work-") as folder:
        saved_model, calibration = _export(trained, dataset, job, Path(folder))
        variants, failures = [], []
        for name in job.variants:
            say(f"convert {name}")
            try:
                quantize.convert(saved_model, calibration, name, Path(folder) / name)
                variants.append(_finish(Path(folder) / name, name, dataset, job))
            except EdgeError as error:
                failures.append(str(error))
                say(str(error))
    if not variants:
        raise ConversionError(job.name, "no variant could be made", failures[-1])
    config = dataclasses.asdict(job.config)
    card = report.card_json(job.name, job.command, dataset, config, variants)
    write(job.out / "card.json", (json.dumps(card, indent=2) + "\n").encode())
    write(job.out / "report.md", report.report_md(card, variants, failures).encode())
    print(report.table(variants))
    print(f"{card['recommendation']}", flush=True)
    return failures


def _export(trained: Trained, dataset: Dataset, job: Run, folder: Path) -> tuple[Path, Path]:
    """Write the inference graph and the calibration photos for the converting processes."""
    device = networks.for_device(trained.model, len(dataset.labels))
    with contextlib.redirect_stdout(sys.stderr):
        device.export(str(folder / "saved_model"), verbose=False)
    chosen = datasets.calibration_photos(dataset.train, job.calibration_photos, job.config.seed)
    np.save(folder / "calibration.npy", trained.train_pixels[chosen])
    return folder / "saved_model", folder / "calibration.npy"


def _finish(converted: Path, name: str, dataset: Dataset, job: Run) -> report.Variant:
    """Embed what the file must say of itself, and measure it; it appears in OUT when all is in."""
    content = converted.read_bytes()
    facts: dict[str, Any] = {
        "format": 1,
        "edge_classify": __version__,
        "network": "tutorial",
        "variant": name,
        "labels": list(dataset.labels),
        "preprocessing": {
            "version": PREPROCESSING_VERSION,
            "resize": "squash",
            "filter": "antialias",
        },
        "threshold": None,
        "data": {"fingerprint": dataset.fingerprint, "photos": dataset.counts()},
        "operators": [list(o) for o in read_metadata(content, name).operators],
    }

    def with_facts(more: dict[str, Any]) -> bytes:
        return embed(
            content,
            name=job.name,
            labels=dataset.labels,
            normalization=PIXELS_AS_THEY_ARE,
            edge=facts | more,
        )

    draft = converted.with_suffix(".tflite")
    draft.write_bytes(with_facts({}))
    vectors = golden_vectors(draft)
    for fault in vectors.faults:
        say(f"{name}: {fault}")
    if not vectors.runtimes:
        raise ConversionError(name, "runs on no installed runtime", "leave it out")
    val = evaluate(draft, dataset.val, f"{name} on val")
    test = evaluate(draft, dataset.test, f"{name} on test")
    measured = {"val": report.accuracy(val), "test": report.accuracy(test)}
    final = with_facts(
        {
            "golden": vectors.as_dict(),
            "runtimes": list(vectors.runtimes),
            "accuracy": measured,
        }
    )
    file = f"{job.name}-{name}.tflite"
    write(job.out / file, final)
    sha256 = hashlib.sha256(final).hexdigest()
    return report.Variant(name, file, len(final), sha256, val, test, vectors.runtimes)


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def say(message: str) -> None:
    """Say one line on stderr."""
    print(f"convert: {message}", file=sys.stderr, flush=True)
