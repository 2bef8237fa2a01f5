"""The line from a folder of photos to files that explain themselves: train, export, or both."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Unpack

from convert.errors import (
    ConversionError,
    DatasetError,
    TrainingError,
    interruptible,
    not_installed,
)
from convert.files import claimed
from convert.options import ExportOptions, RunOptions, TrainOptions, of_export, pasted_command
from convert.steps import arguments
from convert.tflite.arm import check_tools, verify_on_arm
from convert.training.noise import import_tensorflow
from edge.commands import complain

if TYPE_CHECKING:
    from convert.job import Run
    from convert.report.report import Report

FilePath = str | os.PathLike[str]


@dataclass(frozen=True)
class Training:
    """A training that has ended."""

    folder: Path  # keeps the weights of `kept_epoch`
    history: tuple[Mapping[str, Any], ...]  # of each epoch: accuracy, loss, val_accuracy, val_loss
    kept_epoch: int  # the last, or that with the lowest validation loss; the first is 1

    @property
    def val_accuracy(self) -> float:
        """Accuracy on the validation set after that epoch, 0 to 1."""
        return float(self.history[self.kept_epoch - 1]["val_accuracy"])


def train(photos: FilePath, out: FilePath = "out", **given: Unpack[TrainOptions]) -> Training:
    """Train a network on a folder of photos, and keep its weights in OUT/training.

    Args:
        photos: a folder with one folder per class, or with train/ (val/, test/) that hold those.
        out: the folder to write; `export` makes files of what it holds.

    Keyword Args:
        name: of the model and its files (default: model).
        seed: of the split, the order and the first weights, 0 to 2^32 - 1 (default: 0).
        group_by: what a split keeps in one set: auto (default), folder, name, time or none.
        strict: stop at photos that cannot be read or lie in two classes, instead of leaving them
            out.
        pixel_cache_gb: keep decoded photos as pixels up to this size in all, and as JPEG images
            above it (default: 20).
        negatives: a folder of photos that show none of the classes, which are reported as unknown;
            the same as a class folder named none, background or other.
        network: efficientnet_lite0 (default; mobilenet_v2 with `alpha` or a weights file),
            efficientnet_lite1, efficientnet_lite2, mobilenet_v2, mobilenet, mobilenet_v3_small,
            efficientnet_v2_b0, vgg16, small or tutorial.
        alpha: width of a backbone (default: 1).
        weights: of a backbone: "imagenet" (default), a file, or "none".
        start_from: the `out` of an earlier training, from whose weights this one starts, with its
            network and image size: for more epochs, more photos or another class.
        image_size: side, or (height, width), of what the network sees, in pixels (default: the
            network's own).
        recipe: scratch, fine-tune or tutorial (default: depends on the network). The next eight
            default to the recipe's values.
        epochs: number of epochs.
        steps_per_epoch: steps per epoch (default: every photo once).
        batch_size: photos per step.
        patience: early stopping, in epochs without a lower validation loss.
        learning_rate: the highest of the training.
        fine_tune: share of the backbone's layers, from the top, that is trained, 0 to 1.
        label_smoothing: 0 to 1.
        augmentation: camera, scratch, tutorial or none.
        folds: trainings of a cross-validation, which chooses the recipe; 0 (default): none.
        final: train once more, on train and val, and make the files of this training.
        no_mirror: show no mirrored photos, where left and right matter.
        weigh: (file, factor) pairs: the training photos that a file lists, one path a line,
            relative to `photos`, count by the factor.
        teacher: a .tflite file of the same classes, from whose scores the network learns as well;
            or the name of a network, which is trained first, into OUT/teacher.
        precision: to compute in while training: auto (default: the faster here), float32, bfloat16.
        devices: to train on: auto (default: all GPUs, or the processor where there is none), cpu,
            or a number of GPUs. Each has an equal part of every batch.
        resume: continue the training in OUT.

    Returns:
        The history of the training, and which epoch was kept.

    Raises:
        EdgeError: such as DatasetError, WeightsError, TrainingError, OutputError.
    """
    with _understood("train", Path(photos), Path(out), given) as job:
        checkpoint = _pipeline().train(job)
    return Training(Path(out) / "training", tuple(checkpoint.history), checkpoint.kept_epoch)


def export(photos: FilePath, out: FilePath = "out", **given: Unpack[ExportOptions]) -> Report:
    """Make .tflite files of the training that OUT holds, measure and report them.

    Args:
        photos: the folder that it was trained on.
        out: the folder that `train` wrote.

    Keyword Args:
        name: of the model and its files (default: model).
        strict: as in `train`.
        pixel_cache_gb: as in `train`.
        negatives: as in `train`.
        variants: of float32, float16, dynamic, int8 and int8-float (default: float32 and int8).
        calibration_photos: training photos that set the ranges of int8, 100 or more (default: 200).
        against: the `out` of an earlier run, which the report compares this one with.
        threshold_precision: each label's threshold, below which it is unknown, is chosen so that it
            promises this precision of other photos, with 90 % confidence, 0 to 1 (default: 0.95).

    Returns:
        What was measured. `chosen` is the variant to ship, `reason` is why, `variants` are
        all, `failures` those that could not be made.

    Raises:
        EdgeError: such as DatasetError, TrainingError, ConversionError, OutputError.
    """
    with _understood("export", Path(photos), Path(out), given) as job:
        report: Report = _pipeline().export(job)
    return report


def run(photos: FilePath, out: FilePath = "out", **given: Unpack[RunOptions]) -> Report:
    """Train, then make files of it, measure and report them: what `python -m convert` does.

    Args:
        photos: as for `train`.
        out: as for `train`.
        given: any option of `train` and of `export`.

    Returns:
        As `export`.

    Raises:
        EdgeError: as `train` and `export`.
    """
    with _understood("", Path(photos), Path(out), given) as job:
        report: Report = _pipeline().run(job)
    return report


@contextlib.contextmanager
def _understood(step: str, photos: Path, out: Path, given: Any) -> Iterator[Run]:
    """Check the options, claim OUT, and report how the photos are understood.

    All of it before TensorFlow is imported, which takes seconds.

    Yields: the run; its folder of photos is another where they are a zip archive.

    Raises: ConfigurationError, ConversionError, DatasetError, WeightsError, TrainingError,
        OutputError: what can be known by now.
    """
    if not importlib.util.find_spec("tensorflow"):
        raise not_installed("tensorflow")
    if out.resolve().is_relative_to(photos.resolve()):
        raise DatasetError(out, "is inside the photos folder", "use a folder outside of it for -o")
    # Not before: --help, and the line above, are there without what is installed with TensorFlow.
    from convert.data.overview import understood
    from convert.data.reading.archive import unpacked
    from convert.data.reading.labels import labels_of_tree
    from convert.data.reading.negatives import with_negatives
    from convert.data.walk import walk_photos
    from convert.job import export_run, training_run
    from convert.steps.given_files import check_given_files

    exports = step == "export"
    job = export_run(photos, out, given) if exports else training_run(photos, out, step, given)
    with claimed(out), interruptible(lambda: "nothing was started; run the command again"):
        folder = unpacked(photos, out / "cache")
        tree = walk_photos(folder)
        if given.get("negatives"):
            tree = with_negatives(tree, Path(given["negatives"]))
        for line in understood(tree):
            complain("convert", line)
        check_given_files(given, tree, labels_of_tree(tree))
        yield dataclasses.replace(job, photos=folder)


def _pipeline() -> ModuleType:
    import_tensorflow()
    from convert import pipeline

    return pipeline


def add_arguments(parser: argparse.ArgumentParser, step: str) -> None:
    """Add the options of "train", of "export", or of both."""
    arguments.add_photos(parser)
    if step != "export":
        arguments.add_training(parser)
    if step != "train":
        arguments.add_export(parser)


def main(parser: argparse.ArgumentParser, args: argparse.Namespace, step: str) -> int:
    """Do the step, and print what came of it; return 1 where something is not as wanted."""
    given: Any = arguments.given(parser, args)
    if step == "train":
        training = train(args.photos, args.out, **given)
        command = pasted_command("export", args.photos, args.out, of_export(given))
        print(
            f"kept epoch {training.kept_epoch} of {len(training.history)}: "
            f"{training.val_accuracy:.3f} on the validation set; to make files of it: {command}"
        )
        return 0
    if args.verify_arm:
        check_tools()
    report = (export if step else run)(args.photos, args.out, **given)
    from convert.report.tables import caution_words, text_table, variant_rows

    print(text_table(variant_rows(report.variants)))
    print(report.sentence)
    for note in caution_words(report):
        print(note)
    print(f"look at {args.out / 'report.html'}", flush=True)
    faults = [
        *_unfit(report),
        *_too_much_lost(report, args.max_drop),
        *_too_inaccurate(report, args.require),
        *_wrong_on_arm(report, args),
    ]
    for fault in faults:
        complain("convert", fault)
    return 1 if faults or report.failures else 0


def _unfit(report: Report) -> list[str]:
    """Name what a model that must not ship lacks, and what to try; nothing of any other."""
    from convert.report.verdict import NO

    verdict = report.verdict
    if verdict.level != NO:
        return []
    fault = f"is not fit for use: {'; '.join(verdict.reasons)}"
    return [str(TrainingError(report.chosen.file, fault, verdict.remedy))]


def _too_much_lost(report: Report, max_drop: float | None) -> list[str]:
    from convert.report.report import largest_drop

    drop = largest_drop(report.keras_accuracy, [report.chosen])
    if max_drop is None or drop <= max_drop:
        return []
    error = ConversionError(
        report.chosen.file,
        f"loses {drop:.1f} points on the validation set against the Keras model "
        f"(--max-drop {max_drop:g})",
        "look at its worst layers in report.html, or ship float32",
    )
    return [str(error)]


def _too_inaccurate(report: Report, required: float | None) -> list[str]:
    found = (report.chosen.test or report.chosen.val).accuracy
    if required is None or found.value >= required:
        return []
    error = ConversionError(
        report.chosen.file,
        f"is right on {found} of the held-out photos, below --require {required:g}",
        "add photos, or look at the mistakes in report.html",
    )
    return [str(error)]


def _wrong_on_arm(report: Report, args: argparse.Namespace) -> list[str]:
    if not args.verify_arm:
        return []
    complain("convert", "testing the files on emulated ARM")
    return verify_on_arm([args.out / variant.file for variant in report.variants])
