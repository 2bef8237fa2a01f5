"""Train a network on a data set, and keep the weights of its best or last epoch."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.data.dataset import Dataset, labels_of
from convert.data.photo import PixelRows
from convert.measure.evidence import Maps
from convert.measure.head import PENALTY, Features, fit_head
from convert.measure.label_errors import out_of_fold
from convert.measure.scores import Labels, Scores, accuracy, log_loss
from convert.training import networks
from convert.training.augment import Augmentation
from convert.training.backbones.weights import load_weights
from convert.training.batches import Tensors, Views, augmented, plain
from convert.training.callbacks.duration import Duration
from convert.training.callbacks.interrupt import between_batches
from convert.training.checkpoint import Checkpoint
from convert.training.computing.devices import Scope, synchronize, together
from convert.training.computing.precision import chosen_precision
from convert.training.optimizer import compile_model
from convert.training.recipes import LAST, Recipe, TrainConfig
from convert.training.start import find_start
from convert.training.teacher import Teacher

MAX_VIEWS = 1000  # augmented views to fit the last layer to: they take as long as 10 steps

TrainSet = tuple[PixelRows, Labels, NDArray[np.float32]]  # with each photo's weight


class TrainPhotos(Protocol):
    """Decoded photos, split into train and val: (n, h, w, 3) uint8 of each."""

    @property
    def dataset(self) -> Dataset:
        """Whose photos they are."""

    @property
    def train(self) -> PixelRows:
        """Those of the training set."""

    @property
    def val(self) -> PixelRows:
        """Those of the validation set."""


def train(
    photos: TrainPhotos,
    config: TrainConfig,
    weights: NDArray[np.float32],
    checkpoint: Checkpoint,
) -> keras.Model:
    """Augment, train, and keep the weights of one epoch, by the recipe.

    Args:
        photos: at the network's size; those of test are not touched.
        config: what to train, and how.
        weights: (num_train_photos,) how much each photo counts, before class weights.
        checkpoint: where each epoch and the history are kept, and where to go on.

    Returns: the network, with the weights of that epoch.

    Raises: DatasetError, WeightsError, TrainingError, ModelError. KeyboardInterrupt passes through,
        after the best weights so far are kept.
    """
    keras.utils.set_random_seed(config.seed)
    dataset = photos.dataset
    teacher = Teacher(Path(config.teacher), dataset.labels) if config.teacher else None
    labels, val_labels = labels_of(dataset.train), labels_of(dataset.val)
    if config.recipe.class_weights:
        weights = weights * class_weights(labels, len(dataset.labels))[labels]
    train_set: TrainSet = photos.train, labels, weights
    steps = config.recipe.steps_of_epoch(len(labels))
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the result
        on_each_device = together(config.devices)
        model, has_head = _network(config, dataset.labels, on_each_device)
        model.summary()
        new = not checkpoint.epochs_done and (config.recipe.head_only or not has_head)
        if new and config.recipe.head_first and networks.backbone_of(model) is not None:
            _train_head(model, photos, train_set, config, checkpoint)
        if config.recipe.head_only:
            return _ended_with_head(model, photos, checkpoint)
        with on_each_device():
            compile_model(model, config.recipe, steps)
            checkpoint.restore(model)
        first_step = checkpoint.epochs_done * steps
        train_batches = _batches(train_set, config, first_step, teacher)
        val_batches = plain(photos.val, val_labels, config.recipe.batch_size)
        _fit(model, train_batches, val_batches, steps, config.recipe, checkpoint)
    return model


def _batches(
    train_set: TrainSet,
    config: TrainConfig,
    first_step: int,
    teacher: Teacher | None,
) -> tf.data.Dataset:
    batches = augmented(
        *train_set,
        augmentation=config.recipe.augmentation,
        batch_size=config.recipe.batch_size,
        seed=config.seed,
        first_step=first_step,
    )
    return teacher.teach(batches) if teacher else batches


def class_weights(labels: Labels, num_labels: int) -> NDArray[np.float32]:
    """Weights (num_labels,) that let every class count the same: mean 1 over the photos."""
    counts = np.bincount(labels, minlength=num_labels)
    # A fold may lack all photos of a class.
    return (len(labels) / (num_labels * np.maximum(counts, 1))).astype(np.float32)


def _network(
    config: TrainConfig, labels: tuple[str, ...], on_each_device: Scope
) -> tuple[keras.Model, bool]:
    """Build the network, its first weights loaded, its lower layers frozen.

    Returns: it, and whether its last layer is trained already.
    """
    precision = chosen_precision(config.precision, lambda p: _built(config, len(labels), p))
    with on_each_device():
        model = _built(config, len(labels), precision)
    if len(config.devices) > 1:
        synchronize(networks.layers_of(model))
    if config.start:
        return model, find_start(Path(config.start)).load_into(model, labels)
    load_weights(model, config.network, alpha=config.alpha, source=config.weights)
    return model, False


def network_of(config: TrainConfig, num_labels: int) -> keras.Model:
    """Build the network of a training, float32, to load trained weights into."""
    return _built(config, num_labels, "float32")


def _built(config: TrainConfig, num_labels: int, precision: str) -> keras.Model:
    model = networks.build(
        config.network,
        config.image_size,
        num_labels,
        alpha=config.alpha,
        precision=precision,
        for_training=True,
    )
    base = networks.backbone_of(model)
    if base is not None:
        frozen = round((1 - config.recipe.fine_tune) * len(base.layers))
        for index, layer in enumerate(base.layers):
            normalizes = isinstance(layer, keras.layers.BatchNormalization)
            if index < frozen or (normalizes and not config.recipe.batch_norm):
                layer.trainable = False  # its statistics stay those of ImageNet, too
    return model


def _fit(
    model: keras.Model,
    train_batches: tf.data.Dataset,
    val_batches: tf.data.Dataset,
    steps: int,
    recipe: Recipe,
    checkpoint: Checkpoint,
) -> None:
    """Train from where the checkpoint stands, and leave the kept weights in the model."""
    outputs = model.output_shape[1]

    def as_the_loss_wants(pixels: tf.Tensor, labels: tf.Tensor, *weights: tf.Tensor) -> Tensors:
        return (pixels, _columns(labels, outputs), *weights)

    callbacks: list[keras.callbacks.Callback] = [checkpoint.callback(recipe)]
    callbacks.append(Duration(steps, recipe.epochs - checkpoint.epochs_done))
    if recipe.average:
        callbacks.append(keras.callbacks.SwapEMAWeights())  # validate with the averaged weights
    try:
        with between_batches() as interrupt:
            model.fit(
                train_batches.map(as_the_loss_wants),
                steps_per_epoch=steps,
                initial_epoch=min(checkpoint.epochs_done, recipe.epochs),
                epochs=recipe.epochs,
                validation_data=val_batches.map(as_the_loss_wants),
                callbacks=[*callbacks, interrupt],
                shuffle=False,  # shuffled already
                verbose="auto" if sys.stderr.isatty() else 2,
            )
    finally:
        checkpoint.restore_best(model)


def _columns(labels: tf.Tensor, outputs: int) -> tf.Tensor:
    """(n,) labels as (n, 1) for a sigmoid, or (n, outputs), one of them 1, for a softmax.

    A teacher's targets are (n, num_labels) already.
    """
    if labels.shape.rank == 2:
        return labels[:, 1:] if outputs == 1 else labels
    return labels[:, None] if outputs == 1 else tf.one_hot(labels, outputs)


def _train_head(
    model: keras.Model,
    photos: TrainPhotos,
    train_set: TrainSet,
    config: TrainConfig,
    checkpoint: Checkpoint,
) -> None:
    """Train the last layer alone, on features computed once: a start that fine-tuning can trust.

    With a head of random weights, the first steps would spoil what the backbone knows. A few photos
    are joined by augmented views of them. The checkpoint gets the scores of val, and those of each
    photo by a last layer that was fitted to others, which choose the penalty.
    """
    body = keras.Model(model.input, model.layers[-2].output)
    features = [_features(body, train_set[0], "train"), _features(body, photos.val, "val")]
    outputs = model.output_shape[1]
    fitted = _with_views(body, features[0], train_set, config)
    every = np.concatenate(features)
    penalty, checkpoint.out_of_fold = _out_of_fold(photos.dataset, every, config.seed)
    head = fit_head(*fitted, max(outputs, 2), penalty=penalty)
    model.layers[-1].set_weights(
        [head.kernel, head.bias]
        if outputs > 1
        else [head.kernel[:, 1:] - head.kernel[:, :1], head.bias[1:] - head.bias[:1]]
    )
    checkpoint.head_scores = head.scores(features[1])
    found = accuracy(checkpoint.head_scores, labels_of(photos.dataset.val))
    line = f"convert: the last layer alone: {found} on the validation set"
    print(line, file=sys.stderr, flush=True)


def _with_views(
    body: keras.Model, features: Features, train_set: TrainSet, config: TrainConfig
) -> tuple[Features, Labels, NDArray[np.float32]]:
    """Add features, labels and weights of augmented views, where photos are few."""
    pixels, labels, weights = train_set
    number = min(config.recipe.head_views, MAX_VIEWS // len(labels))
    if number and config.recipe.augmentation != Augmentation.none():
        views = Views(pixels, labels, config.recipe.augmentation, number, config.seed)
        features = np.concatenate([features, _features(body, views, "augmented views of train")])
        labels, weights = np.tile(labels, number + 1), np.tile(weights, number + 1)
    return features, labels, weights


def _ended_with_head(
    model: keras.Model, photos: TrainPhotos, checkpoint: Checkpoint
) -> keras.Model:
    """Keep a network of which the last layer alone was trained, as a training of one epoch."""
    if checkpoint.epochs_done:
        checkpoint.restore_best(model)
        return model
    figures: dict[str, float] = {}
    for prefix, pixels, of_set in (
        ("", photos.train, photos.dataset.train),
        ("val_", photos.val, photos.dataset.val),
    ):
        scores, labels = scores_of(model, pixels), labels_of(of_set)
        loss = log_loss(scores, labels)
        figures |= {
            f"{prefix}accuracy": accuracy(scores, labels).value,
            f"{prefix}loss": float(loss),
        }
    checkpoint.keep_best(model, figures["val_loss"], LAST)
    checkpoint.keep(model, figures)
    return model


def grouped(dataset: Dataset) -> NDArray[np.int64]:
    """(n,) the groups of near-duplicates of the photos of train and val."""
    numbers = dataset.grouping.numbers
    known = (*dataset.train, *dataset.val)
    return np.array([numbers.get(p.sha256, -1 - i) for i, p in enumerate(known)], np.int64)


def _out_of_fold(
    dataset: Dataset, features: Features, seed: int
) -> tuple[float, dict[str, list[float]]]:
    """Choose the last layer's penalty by the photos of train and val, each without its own fold.

    Returns: it, and the scores by SHA-256; of photos that are all alike, the default and none.
    """
    known, groups = (*dataset.train, *dataset.val), grouped(dataset)
    if len(np.unique(groups)) < 2:
        return PENALTY, {}
    labels, number = labels_of(known), len(dataset.labels)
    penalty, scores = out_of_fold(features, labels, groups, number, seed)
    rows = [[round(score, 5) for score in row] for row in scores.tolist()]
    return penalty, {photo.sha256: row for photo, row in zip(known, rows, strict=True)}


def _features(body: keras.Model, pixels: PixelRows, name: str) -> NDArray[np.float32]:
    """Compute (n, num_features) float32 of (n, h, w, 3) pixels."""
    print(f"convert: features of {name}", file=sys.stderr, flush=True)
    return _predicted(body, pixels, "auto" if sys.stderr.isatty() else 0)


def _predicted(
    model: keras.Model, pixels: PixelRows, verbose: str | int = 0
) -> NDArray[np.float32]:
    nothing = np.zeros(len(pixels), np.int64)
    batches = plain(pixels, nothing, 32).map(lambda x, _: x)
    with between_batches() as interrupt:
        found = model.predict(batches, verbose=verbose, callbacks=[interrupt])
    return np.asarray(found, np.float32)


def scores_of(model: keras.Model, pixels: PixelRows) -> Scores:
    """Score (n, h, w, 3) pixels with the Keras model: (n, num_labels) float32."""
    scores = _predicted(model, pixels)
    return np.concatenate([1 - scores, scores], 1) if scores.shape[1] == 1 else scores


def maps_of(model: keras.Model, pixels: PixelRows) -> Maps | None:
    """Compute the class activation maps of (n, h, w, 3) pixels; None if the network has none."""
    found = networks.mapper(model)
    return None if found is None else _predicted(found, pixels)


def history_csv(history: Sequence[Mapping[str, Any]]) -> str:
    """Write the history as CSV: a row for each epoch."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return stream.getvalue()
