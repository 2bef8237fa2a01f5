"""The networks. Rescaling is the first layer of each, so that all of them eat pixels 0..255."""

from __future__ import annotations

import keras
from keras import layers

from edge.preprocess import Size

NETWORKS = ("tutorial",)


def tutorial(size: Size, num_labels: int, *, precision: str = "float32") -> keras.Model:
    """Build the CNN of the "Hotdog, Not Hotdog" tutorial.

    One sigmoid for two labels (the probability of the second), else a softmax.

    Args:
        size: (height, width), at least 95 each: five poolings leave nothing of less.
        num_labels: at least 2.
        precision: "float32", or "bfloat16" to compute in it (weights and output stay float32).
    """
    policy = keras.DTypePolicy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    outputs, activation = (1, "sigmoid") if num_labels == 2 else (num_labels, "softmax")
    model = keras.Sequential(name="tutorial")
    model.add(keras.Input((*size, 3), name="pixels"))
    model.add(layers.Rescaling(1 / 255, dtype=policy))
    for filters in (16, 32, 64, 64, 64):
        model.add(layers.Conv2D(filters, 3, activation="relu", dtype=policy))
        model.add(layers.MaxPooling2D(2, dtype=policy))
    model.add(layers.Flatten(dtype=policy))
    model.add(layers.Dense(512, activation="relu", dtype=policy))
    model.add(layers.Dense(outputs, activation=activation, dtype="float32", name="scores"))
    return model


def for_device(model: keras.Model, num_labels: int) -> keras.Model:
    """Build the inference graph: batch 1, float32, one output per label.

    One sigmoid p becomes [1-p, p] by mirroring its layer: sigmoid(-z) is 1 - sigmoid(z), so that
    both scores leave one layer and are quantized alike.
    """
    trained = tutorial(model.input_shape[1:3], num_labels)
    trained.set_weights(model.get_weights())
    pixels = keras.Input(batch_shape=(1, *model.input_shape[1:]), name="pixels")
    features = pixels
    for layer in trained.layers[:-1]:
        features = layer(features)
    head = trained.layers[-1]
    if num_labels != 2:
        return keras.Model(pixels, head(features))
    kernel, bias = (keras.ops.convert_to_numpy(weights) for weights in head.get_weights())
    mirrored = layers.Dense(2, activation="sigmoid", name="both_scores")
    device = keras.Model(pixels, mirrored(features))
    mirrored.set_weights(
        [keras.ops.concatenate([-kernel, kernel], 1), keras.ops.concatenate([-bias, bias], 0)]
    )
    return device
