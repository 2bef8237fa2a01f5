"""Train a network on a data set, and keep the weights of its best epoch."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from convert import augment, networks
from convert.dataset import Dataset, class_weights, decode, labels_of, shuffled_batches
from edge.preprocess import Pixels, Size


@dataclass(frozen=True)
class TrainConfig:
    """What a training run is."""

    image_size: Size = (300, 300)  # the tutorial's
    batch_size: int = 32
    epochs: int = 30
    steps_per_epoch: int | None = None  # None: every photo once
    learning_rate: float = 1e-3  # at the start; it falls to 0 along a cosine
    seed: int = 0
    precision: str = "float32"
    augmentation: augment.Augmentation = field(default_factory=augment.Augmentation)


@dataclass(frozen=True)
class Trained:
    """A trained network with its history: a dict of metrics for each epoch."""

    model: keras.Model
    history: tuple[dict[str, float], ...]
    train_pixels: Pixels  # (num_photos, h, w, 3) uint8, for calibration


def train(dataset: Dataset, config: TrainConfig, cache: Path) -> Trained:
    """Decode, augment, train; the weights of the epoch with the lowest validation loss are kept."""
    keras.utils.set_random_seed(config.seed)
    num_labels = len(dataset.labels)
    train_pixels = decode(dataset.train, config.image_size, cache, "train")
    val_pixels = decode(dataset.val, config.image_size, cache, "val")
    model = networks.tutorial(config.image_size, num_labels, precision=config.precision)
    steps = config.steps_per_epoch or -(-len(dataset.train) // config.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps * config.epochs)
    loss = "binary_crossentropy" if num_labels == 2 else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.RMSprop(rate), loss, metrics=["accuracy"])
    best = keras.callbacks.EarlyStopping(
        "val_loss", patience=config.epochs, restore_best_weights=True
    )
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the result
        model.summary()
        history = model.fit(
            _augmented(train_pixels, labels_of(dataset.train), config),
            steps_per_epoch=steps,
            epochs=config.epochs,
            validation_data=_plain(val_pixels, labels_of(dataset.val), config.batch_size),
            class_weight=class_weights(dataset.train, num_labels),
            callbacks=[best],
            shuffle=False,  # shuffled already
            verbose="auto" if sys.stderr.isatty() else 2,
        ).history
    epochs = tuple(
        {"epoch": epoch + 1, **{name: values[epoch] for name, values in history.items()}}
        for epoch in range(len(history["loss"]))
    )
    return Trained(model, epochs, train_pixels)


def history_csv(history: tuple[dict[str, float], ...]) -> str:
    """Write the history as CSV: a row for each epoch."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return stream.getvalue()


def _augmented(pixels: Pixels, labels: np.ndarray, config: TrainConfig) -> tf.data.Dataset:
    """Yield augmented batches without end: (n, h, w, 3) uint8 and (n,) labels."""

    def batches():  # tf.data's own protocol
        random = np.random.default_rng(config.seed)
        for indices in shuffled_batches(len(pixels), config.batch_size, config.seed):
            moves = augment.transforms(config.augmentation, len(indices), config.image_size, random)
            yield pixels[np.sort(indices)], moves, labels[np.sort(indices)]

    signature = (
        tf.TensorSpec((None, *config.image_size, 3), tf.uint8),
        tf.TensorSpec((None, 8), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    )
    return (
        tf.data.Dataset.from_generator(batches, output_signature=signature)
        .map(lambda x, moves, y: (augment.apply(x, moves), y), num_parallel_calls=2)
        .prefetch(4)
    )


def _plain(pixels: Pixels, labels: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """Yield (n, h, w, 3) uint8 and (n,) labels once, in order."""

    def batches():  # tf.data's own protocol
        for start in range(0, len(pixels), batch_size):
            yield pixels[start : start + batch_size], labels[start : start + batch_size]

    signature = (
        tf.TensorSpec((None, *pixels.shape[1:]), tf.uint8),
        tf.TensorSpec((None,), tf.int64),
    )
    count = -(-len(pixels) // batch_size)  # known, or Keras warns that the data ran out
    return (
        tf.data.Dataset.from_generator(batches, output_signature=signature)
        .apply(tf.data.experimental.assert_cardinality(count))
        .prefetch(2)
    )
