"""python -m convert quantize: a Keras model of one's own becomes measured .tflite files."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convert.data.dataset import Dataset, calibration_photos
from convert.errors import ConversionError
from convert.files import claimed, move_aside, write
from convert.measure.scores import Scores
from convert.report.page import pictures, report_html
from convert.report.report import Report, card_json, reason_for, recommend
from convert.report.tables import caution_words, text_table, variant_rows
from convert.steps.arguments import add_variants
from convert.steps.wrap import FRAMINGS, OTHERS, add_measuring_arguments
from convert.tflite import elsewhere
from convert.tflite import quantize as converter
from convert.tflite.elsewhere import Draft, LazyPixels, MeasuredDraft
from convert.tflite.inspect import inspect
from convert.training.noise import import_tensorflow
from edge.classifier.labels import given_labels
from edge.commands import complain
from edge.commands.arguments import add_fact_arguments
from edge.errors import EdgeError
from edge.image.preprocess import Framing, Normalization

if TYPE_CHECKING:
    from convert.tflite.network import Network

NAME = "convert quantize"
ONNX = {suffix: OTHERS[suffix] for suffix in (".onnx", ".pt", ".pth")}
DESCRIPTION = "Convert a Keras model or SavedModel of your own to .tflite files, and measure them."
EXAMPLES = """\
PHOTOS holds one folder per class, or train/, val/ and test/ with those; missing sets are split from
train. The int8 ranges are set by photos of train, temperature, threshold and the recommended file
are chosen on val, and that file is measured once on test. Photos that the model was trained on make
the figures too optimistic: give val/ and test/ that it has not seen.

Labels are the folders' names in alphabetical order, as Keras has them, unless --labels gives
others. OUT gets a .tflite file per variant, report.html and card.json.

examples:
  python -m convert quantize model.keras --photos photos/ -o out
  python -m convert quantize saved_model/ --normalize '[-1,1]' --photos photos/ -o out
"""


@dataclass(frozen=True)
class Job:
    """What is to be made of a network."""

    model: Path
    dataset: Dataset
    framing: Framing
    normalization: Normalization | None
    variants: Sequence[str]
    calibration_photos: int
    precision: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of quantize, and its help text."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="a .keras or .h5 file, or a SavedModel's folder"
    )
    add_fact_arguments(parser, output=False)
    add_measuring_arguments(parser, required=True)
    add_variants(parser)
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT", help="the folder to write"
    )


def main(args: argparse.Namespace) -> int:
    """Convert, measure and report; the step's entry."""
    if way := ONNX.get(args.model.suffix.lower()):
        raise ConversionError(args.model, "is not a Keras model", way)
    if args.model.suffix.lower() == ".tflite":
        remedy = f"python -m convert wrap {args.model.name} --photos PHOTOS -o OUT"
        raise ConversionError(args.model, "is converted already", f"use {remedy}")
    if not args.model.exists():
        raise ConversionError(args.model, "no such file or folder", "check the path")
    import_tensorflow()
    with claimed(args.out):
        report = quantize(args)
    print(text_table(variant_rows(report.variants)))
    print(report.sentence)
    for note in caution_words(report):
        print(note)
    print(f"look at {args.out / 'report.html'}", flush=True)
    return 0


def quantize(args: argparse.Namespace) -> Report:
    """Make the files of a network in OUT. Raises: EdgeError."""
    from convert.tflite.network import Network

    labels = given_labels(args.labels) if args.labels else folders(args.photos)
    job = Job(
        model=args.model,
        dataset=elsewhere.labelled_photos(args.photos, labels),
        framing=Framing(FRAMINGS[args.framing or "stretch"]),
        normalization=args.normalize and Normalization(*args.normalize),
        variants=args.variants,
        calibration_photos=args.calibration_photos,
        precision=args.threshold_precision,
    )
    network = Network(args.model, args.input_size, job.normalization)
    val = LazyPixels(job.dataset.val, network.size, job.framing)
    reference = network.scores(val)
    if reference.shape[1] != len(labels):
        fault = f"outputs {reference.shape[1]} scores for {len(labels)} labels"
        raise ConversionError(args.model, fault, "pass its labels: --labels FILE")
    with tempfile.TemporaryDirectory(dir=args.out, prefix=".work-") as folder:
        made, failures = _converted(job, network, reference, Path(folder))
    return _shipped(job, network, reference, made, failures, args.out)


def folders(photos: Path) -> tuple[str, ...]:
    """Return the names of the classes' folders, in order."""
    from convert.data.reading.labels import labels_of_tree
    from convert.data.walk import walk_photos

    return labels_of_tree(walk_photos(photos))


def _converted(
    job: Job, network: Network, reference: Scores, folder: Path
) -> tuple[list[MeasuredDraft], list[str]]:
    """Convert and measure each variant on val; a line for each that cannot be made."""
    network.save(folder / "saved_model")
    train = job.dataset.train
    chosen = calibration_photos(train, job.calibration_photos, elsewhere.SEED)
    seen = LazyPixels([train[index] for index in chosen], network.size, job.framing)
    np.save(folder / "calibration.npy", np.stack(list(seen)))
    made, failures = [], []
    for name in job.variants:
        complain(NAME, f"convert {name}")
        try:
            file = folder / name
            converter.convert(folder / "saved_model", folder / "calibration.npy", name, file)
            draft = _draft(job, name, file.read_bytes())
            draft = elsewhere.tempered_draft(draft, reference, job.dataset.val)
            made.append(elsewhere.measured(draft, job.dataset.val, job.precision))
        except EdgeError as error:
            failures.append(str(error))
            complain(NAME, str(error))
    if not made:
        raise ConversionError(job.model, "no variant could be made", failures[-1])
    return made, failures


def _draft(job: Job, name: str, content: bytes) -> Draft:
    inspect(content, name)
    return Draft(
        name=job.model.stem,
        variant=name,
        content=content,
        labels=job.dataset.labels,
        normalization=Normalization(),
        framing=job.framing,
        facts={
            "variant": name,
            "data": {"fingerprint": job.dataset.fingerprint, "photos": job.dataset.counts()},
        },
    )


def _shipped(
    job: Job,
    network: Network,
    reference: Scores,
    made: list[MeasuredDraft],
    failures: list[str],
    out: Path,
) -> Report:
    """Choose on val, measure that on test, and write it all."""
    files = {found.draft.variant: f"model-{found.draft.variant}.tflite" for found in made}
    rows = [elsewhere.variant_of(each, files[each.draft.variant], reference) for each in made]
    best = recommend(rows)
    made = [
        elsewhere.finished(each, job.dataset.test)
        if each.draft.variant in (best.name, "float32")
        else each
        for each in made
    ]
    rows = [elsewhere.variant_of(each, files[each.draft.variant], reference) for each in made]
    chosen = next(each for each in made if each.draft.variant == best.name)
    kind = "Keras model" if network.is_keras else "SavedModel"
    report = elsewhere.report_of(
        chosen,
        rows,
        job.dataset,
        job.dataset.val,
        reference,
        command="python -m convert quantize MODEL --photos PHOTOS -o OUT",
        reason=reason_for(next(row for row in rows if row.name == best.name), rows),
        size=network.size,
        failures=failures,
        original=f"the {kind}",
        summary=network.summary,
    )
    move_aside(out)
    for each in made:
        write(out / files[each.draft.variant], each.draft.embedded())
    drawn = pictures(report)
    write(out / "card.json", (json.dumps(card_json(report), indent=2) + "\n").encode())
    write(out / "report.html", report_html(report, drawn))
    return report
