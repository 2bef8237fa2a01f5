"""Batches of drawn noise, for the programs beside this one. Before TensorFlow is imported."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from convert.training import batches
from convert.training.augment import Augmentation


def photos(count: int, side: int = 32) -> np.ndarray:
    """Noise whose first two pixels tell which photo it is."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 1, 0] = np.arange(count) % 256, np.arange(count) // 256
    return pixels


def augmented(
    pixels: np.ndarray, kind: Augmentation, first_step: int = 0, seed: int = 5
) -> tf.data.Dataset:
    count = len(pixels)
    return batches.augmented(
        pixels,
        np.arange(count) % 3,
        np.arange(count) / 2,
        augmentation=kind,
        batch_size=7,
        seed=seed,
        first_step=first_step,
    )


def network(side: int) -> keras.Model:
    """One that is trained on the means of the channels."""
    model = keras.Sequential(
        [
            keras.Input((side, side, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=[])
    return model
