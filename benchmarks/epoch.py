"""How long an epoch takes, against the tutorial's own way and against computing alone.

Of the same photos, in one run, one round after the other, an epoch each of:

- the tutorial's own way: ImageDataGenerator.flow_from_directory, and fit;
- ours, in float32 and in bfloat16: convert.training.batches over the decoded photos, the tutorial's
  augmentation; the same from photos that are kept as JPEG images, as a large data set's are;
- computing alone, in both: one batch that stays in memory, the least that any input can cost.

Every round trains for two epochs, of which the second counts. ImageDataGenerator needs scipy.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported

from convert.data.photo import Photo, PixelRows, sha256_of
from convert.errors import ConversionError, DatasetError
from edge.commands import complain, run
from edge.commands.arguments import count
from edge.errors import SourceError
from edge.image.preprocess import Size
from edge.sources.photos import files

if TYPE_CHECKING:
    import keras

NAME = "epoch"
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Job:
    """What is measured."""

    photos: Path
    number: int  # of photos
    rounds: int
    network: str
    size: Size
    batch_size: int

    @property
    def steps(self) -> int:
        """Steps of an epoch: every photo once, whole batches only, so that all ways do as much."""
        return self.number // self.batch_size


@dataclass(frozen=True)
class Way:
    """One way to train, and how long each of its epochs took."""

    name: str
    precision: str
    train: Callable[[], float]  # returns the seconds of an epoch
    seconds: list[float]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/epoch.py`."""
    args = _parser().parse_args(argv)
    job = Job(
        args.photos, args.photos_used, args.rounds, args.network, (args.size,) * 2, args.batch_size
    )
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmarks/epoch.py", *words])
    return run(lambda: _measure(job, command), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/epoch.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of classes")
    for flag, destination, default, what in (
        ("--photos", "photos_used", 640, "photos of an epoch, the same number of each class"),
        ("--rounds", "rounds", 3, "epochs that count, of each way"),
        ("--size", "size", 300, "side of the network's input, in pixels"),
        ("--batch-size", "batch_size", 32, "photos of a step"),
    ):
        parser.add_argument(
            flag,
            dest=destination,
            type=count,
            default=default,
            metavar="N",
            help=f"{what} (default: {default})",
        )
    parser.add_argument(
        "--network", default="tutorial", metavar="NAME", help="one of convert's (default: tutorial)"
    )
    return parser


def _measure(job: Job, command: str) -> int:
    if not importlib.util.find_spec("scipy"):
        raise ConversionError("scipy", "is not installed", "pip install scipy")
    with tempfile.TemporaryDirectory() as folder:
        photos = chosen(job, Path(folder) / "photos")
        ways = _ways(job, photos, Path(folder))
        for number in range(1, 1 + job.rounds):
            for way in ways:
                way.seconds.append(way.train())
                complain(
                    NAME, f"round {number}: {way.name}, {way.precision}: {way.seconds[-1]:.2f} s"
                )
    print(_table(ways, job))
    print(f"\n{processor()}\n{command}")
    return 0


def chosen(job: Job, folder: Path) -> list[Photo]:
    """Link the photos of each class into a folder of their own, which both ways then read."""
    root = job.photos / "train" if (job.photos / "train").is_dir() else job.photos
    try:
        labels = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
        found = {label: list(files(root / label, recursive=True)) for label in labels}
    except (SourceError, OSError) as error:
        raise DatasetError(root, f"cannot be used ({error})", "give a folder of classes") from error
    each = -(-job.number // max(1, len(labels)))
    photos = []
    for index, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for number, path in enumerate(found[label][:each]):
            link = folder / label / f"{number:05}{path.suffix}"
            link.symlink_to(path.resolve())
            photos.append(Photo(link, index, sha256_of(link)))
    if len(labels) < 2 or not 0 < job.steps * job.batch_size <= len(photos):
        fault = f"has {len(photos)} photos of {len(labels)} classes for {job.steps} whole batches"
        raise DatasetError(root, fault, "give a folder of two or more classes, or other --photos")
    return photos


def _ways(job: Job, photos: list[Photo], folder: Path) -> list[Way]:
    import numpy as np
    import tensorflow as tf

    from convert.data.cache import decode
    from convert.training import batches
    from convert.training.augment import Augmentation

    num_labels = len({photo.label for photo in photos})
    caches = {
        name: decode(photos, job.size, folder / "cache", "train", as_jpegs=as_jpegs)
        for name, as_jpegs in (("ours", False), ("ours, from JPEG images", True))
    }
    labels = np.array([photo.label for photo in photos], np.int64)

    def ours(pixels: PixelRows) -> tf.data.Dataset:
        """Our batches, with the tutorial's augmentation."""
        return batches.augmented(
            pixels,
            labels,
            np.ones(len(labels), np.float32),
            augmentation=Augmentation.tutorial(),
            batch_size=job.batch_size,
            seed=0,
        ).map(lambda x, y, w: (x, y[:, None], w))  # as the loss of one sigmoid wants them

    fixed = next(iter(ours(caches["ours"])))
    sources = {
        **{name: ours(pixels) for name, pixels in caches.items()},
        "computing alone": tf.data.Dataset.from_tensors(fixed).repeat(),
    }
    own, generator = _tutorials(job, folder / "photos", num_labels)
    ways = [Way("the tutorial's own", "float32", epoch_of(own, generator, job.steps), [])]
    for name, source in sources.items():
        for precision in PRECISIONS:
            model = built(job, num_labels, precision)
            ways.append(Way(name, precision, epoch_of(model, source, job.steps), []))
    return ways


def _tutorials(job: Job, folder: Path, num_labels: int) -> tuple[keras.Model, Any]:
    """Build the tutorial's model and its generator: pixels are divided by 255 on the way in."""
    import keras
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    rescaled = job.network == "tutorial"  # the others have their convention in them
    augmentation = ImageDataGenerator(
        rescale=1 / 255 if rescaled else None,
        rotation_range=15,
        width_shift_range=0.1,
        height_shift_range=0.1,
        shear_range=6,
        zoom_range=0.15,
        horizontal_flip=True,
    )
    with contextlib.redirect_stdout(sys.stderr):  # it counts the photos
        generator = augmentation.flow_from_directory(
            str(folder),
            target_size=job.size,
            batch_size=job.batch_size,
            class_mode="binary" if num_labels == 2 else "sparse",
        )
    if not rescaled:
        return built(job, num_labels, "float32"), generator
    model = keras.Sequential([keras.Input((*job.size, 3))])
    for filters in (16, 32, 64, 64, 64):
        model.add(keras.layers.Conv2D(filters, 3, activation="relu"))
        model.add(keras.layers.MaxPooling2D(2))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(512, activation="relu"))
    model.add(_scores(num_labels))
    _compile(model)
    return model, generator


def _scores(num_labels: int) -> keras.layers.Layer:
    import keras

    if num_labels == 2:
        return keras.layers.Dense(1, activation="sigmoid")
    return keras.layers.Dense(num_labels, activation="softmax")


def built(job: Job, num_labels: int, precision: str) -> keras.Model:
    """Build a network of convert, compiled as the tutorial's is."""
    from convert.training import networks
    from convert.training.backbones.known import NETWORKS

    if job.network not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise ConversionError(job.network, "is no network of convert", f"give one of {known}")
    model = networks.build(
        job.network, job.size, num_labels, precision=precision, for_training=True
    )
    _compile(model)
    return model


def _compile(model: keras.Model) -> None:
    """As the tutorial does: RMSprop at its own rate."""
    one_output = model.output_shape[1] == 1
    loss = "binary_crossentropy" if one_output else "sparse_categorical_crossentropy"
    model.compile("rmsprop", loss, metrics=["accuracy"])


def epoch_of(model: keras.Model, source: Any, steps: int) -> Callable[[], float]:
    """Return what trains for two epochs, and returns how long the second took.

    The first traces the graph, and fills what is made ahead.
    """
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            self.seconds = time.perf_counter() - self.started

    def train() -> float:
        clock = Clock()
        model.fit(
            source, steps_per_epoch=steps, epochs=2, callbacks=[clock], shuffle=False, verbose=0
        )
        return clock.seconds  # of the last

    return train


def _table(ways: Sequence[Way], job: Job) -> str:
    """Medians and ratios, a row for each way, as Markdown."""
    median = {(way.name, way.precision): statistics.median(way.seconds) for way in ways}
    own = median["the tutorial's own", "float32"]
    photos = job.steps * job.batch_size
    lines = [
        f"{job.network}, {job.size[0]} x {job.size[1]}, {photos} photos an epoch, "
        f"median of {job.rounds} epochs",
        "",
        "| way | precision | epoch, s | ms a photo | times as fast as the tutorial's own "
        "| of computing alone |",
        "|---|---|---|---|---|---|",
    ]
    for (name, precision), seconds in median.items():
        alone = median["computing alone", precision]
        lines.append(
            f"| {name} | {precision} | {seconds:.2f} | {seconds / photos * 1000:.2f} "
            f"| {own / seconds:.2f} | {seconds / alone:.2f} |"
        )
    return "\n".join(lines)


def processor() -> str:
    """Name the processor, its cores, and whether it multiplies matrices (AMX) in bfloat16."""
    facts = Path("/proc/cpuinfo")
    text = facts.read_text() if facts.exists() else ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    name = names[0] if names else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    amx = "with AMX" if "amx_bf16" in text else "without AMX"
    return f"{name}, {cores} cores, {amx}"


if __name__ == "__main__":
    sys.exit(main())
