"""The networks, each with its own input convention as its first layer: all of them eat 0..255.

A network that was trained on [-1, 1] and is fed [0, 1] loses many points without a word; here the
convention belongs to the network, so that there is nothing to choose. tests/test_networks.py holds
each against Keras's own `preprocess_input`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from convert.training.backbones.efficientnet_lite import build_lite
from convert.training.backbones.known import LITE_FAMILY, NETWORKS, Convention
from convert.training.computing.devices import BatchDropout
from edge.image.preprocess import Size

BACKBONE_DROPOUT = 0.2


def build(
    name: str,
    size: Size,
    num_labels: int,
    *,
    alpha: float = 1.0,
    precision: str = "float32",
    for_training: bool = False,
) -> keras.Model:
    """Build a network with random weights.

    One sigmoid for two labels (the probability of the second), else a softmax. The features that
    the last layer reads are the output of the layer before it.

    Args:
        name: a key of NETWORKS.
        size: (height, width) of its input, (n, height, width, 3) pixels 0..255.
        num_labels: at least 2.
        alpha: width of a backbone, one of its `alphas`.
        precision: "float32", or "bfloat16" to compute in it (weights and output stay float32).
        for_training: in the order that is trained faster; values, gradients and weights are the
            same.
    """
    network = NETWORKS[name]
    pixels = keras.Input((*size, 3), name="pixels")
    with _computing_in(precision):
        scaled = _rescaling(network.convention)(pixels)
        if network.is_backbone:
            features = layers.GlobalAveragePooling2D(name="average")(
                backbone(name, size, alpha)(scaled)
            )
            features = BatchDropout(BACKBONE_DROPOUT, name="features")(features)
        elif name == "tutorial" and for_training:
            features = _tutorial_for_training(pixels, *network.convention.scale[:1])
        elif name == "tutorial":
            features = _tutorial(scaled)
        else:
            features = _small(scaled)
    outputs, activation = (1, "sigmoid") if num_labels == 2 else (num_labels, "softmax")
    scores = layers.Dense(outputs, activation=activation, dtype="float32", name="scores")(features)
    return keras.Model(pixels, scores, name=name)


def backbone(name: str, size: Size, alpha: float, **options: Any) -> keras.Model:
    """Build a backbone without its top, by default with random weights."""
    network = NETWORKS[name]
    if network.application == LITE_FAMILY:
        base = build_lite(name, size)
        base.name = "backbone"
        return base
    options = {"include_top": False, "weights": None} | options
    if len(network.alphas) > 1:
        options["alpha"] = alpha
    if network.swish:  # these bring their own rescaling by default
        options["include_preprocessing"] = False
    base = getattr(keras.applications, network.application)(input_shape=(*size, 3), **options)
    base.name = "backbone"
    return base


def backbone_of(model: keras.Model) -> keras.Model | None:
    """The backbone inside a network; None where it is trained from scratch."""
    return next((layer for layer in model.layers if layer.name == "backbone"), None)


def layers_of(model: keras.Model) -> list[layers.Layer]:
    """All layers of a network, and those of its backbone."""
    base = backbone_of(model)
    return [*model.layers, *(base.layers if base is not None else ())]


def _rescaling(convention: Convention) -> layers.Layer:
    scale, offset = convention.scale, convention.offset
    if len(set(scale)) == len(set(offset)) == 1:
        return layers.Rescaling(scale[0], offset[0], name="rescaling")
    return layers.Rescaling(list(scale), list(offset), name="rescaling")


TUTORIAL_FILTERS = (16, 32, 64, 64, 64)


def _tutorial(x: Any) -> Any:
    """The CNN of the "Hotdog, Not Hotdog" tutorial, up to its last layer."""
    for filters in TUTORIAL_FILTERS:
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, activation="relu")(x))
    return layers.Dense(512, activation="relu")(layers.Flatten()(x))


def _tutorial_for_training(pixels: Any, scale: float) -> Any:
    """The same, arranged to train in four fifths of the time; see `_PooledConvolution`."""
    x = pixels
    for filters in TUTORIAL_FILTERS:
        x = _PooledConvolution(filters, scale)(x)
        scale = 1.0
    return layers.Dense(512, activation="relu")(layers.Flatten()(x))


class _PooledConvolution(layers.Conv2D):  # type: ignore[misc]  # Keras has no types
    """A 3 x 3 convolution of `scale` times its input, bias, ReLU, and the maximum of each four.

    Forward, the convolution does bias and ReLU by itself. Backward, both are left to the pooled
    values, a quarter of them, with the same gradients: pooling hands on only the maximum's, and the
    maximum of ReLUs is the ReLU of the maximum. As TensorFlow derives it, the first bias's gradient
    takes as long as the weights'. To scale the pixels is to scale a few weights.
    """

    def __init__(self, filters: int, scale: float) -> None:
        super().__init__(filters, 3)
        self._scale = scale

    def call(self, inputs: Any) -> Any:
        bias = keras.ops.convert_to_tensor(self.bias)
        kernel = self.kernel * self._scale if self._scale != 1 else self.kernel
        summed = tf.nn.bias_add(self.convolution_op(inputs, kernel), tf.stop_gradient(bias))
        return _passing_back(keras.ops.max_pool(_relu_forward(summed), 2), bias)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, height, width, filters = super().compute_output_shape(input_shape)
        return batch, height // 2, width // 2, filters

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _relu_forward(summed: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """ReLU, whose gradient `_passing_back` has seen to."""
    return tf.nn.relu(summed), lambda upstream: upstream


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _passing_back(pooled: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """The pooled values; backward, through their ReLU, and to the bias that was added before."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        through = tf.raw_ops.ReluGrad(gradients=upstream, features=pooled)
        return through, tf.raw_ops.BiasAddGrad(out_backprop=through)

    return tf.identity(pooled), gradient


_SMALL_STAGES = ((32, 1), (48, 1), (64, 1), (96, 0))  # filters and residual blocks, each halved


def _small(x: Any) -> Any:
    """A quarter of a million weights in residual blocks (https://arxiv.org/abs/1512.03385).

    Plain convolutions: a processor trains them three times as fast as depthwise ones. ReLU6 and no
    squeeze-and-excite, so that it loses little when it is quantized.
    """
    x = _convolution(x, 16, stride=2)
    for filters, blocks in _SMALL_STAGES:
        x = _convolution(x, filters, stride=2)
        for _ in range(blocks):
            y = _convolution(_convolution(x, filters), filters, relu=False)
            x = layers.ReLU(6.0)(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return BatchDropout(0.2, name="features")(x)


def _convolution(x: Any, filters: int, *, stride: int = 1, relu: bool = True) -> Any:
    x = layers.Conv2D(filters, 3, stride, "same", use_bias=False)(x)
    # A momentum of 0.99 would take a whole small epoch to learn what the images are like.
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.ReLU(6.0)(x) if relu else x


@contextlib.contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def for_device(model: keras.Model, *, temperature: float = 1.0, alpha: float = 1.0) -> keras.Model:
    """Build the inference graph of a trained network: batch 1, float32, one output per label.

    One sigmoid p becomes [1-p, p] by mirroring its layer: sigmoid(-z) is 1 - sigmoid(z), so that
    both scores leave one layer and are quantized alike. The temperature divides the last layer's
    weights, so that every reader of the file gets the same scores.
    """
    size, outputs = model.input_shape[1:3], model.output_shape[1]
    plain = build(model.name, size, max(outputs, 2), alpha=alpha)
    plain.set_weights(model.get_weights())
    pixels = keras.Input(batch_shape=(1, *size, 3), name="pixels")
    features = keras.Model(plain.input, plain.layers[-2].output)(pixels, training=False)
    kernel, bias = (weights / temperature for weights in plain.layers[-1].get_weights())
    if outputs == 1:
        kernel, bias = np.concatenate([-kernel, kernel], 1), np.concatenate([-bias, bias])
    activation = "sigmoid" if outputs == 1 else "softmax"
    scores = layers.Dense(len(bias), activation=activation, name="all_scores")
    device = keras.Model(pixels, scores(features))
    scores.set_weights([kernel, bias])
    return device


def mapper(model: keras.Model) -> keras.Model | None:
    """Build a network that gives the class activation maps: (n, rows, columns, num_labels).

    The mean over places, and the last layer's bias, is the logit; of a sigmoid, the first label's
    map is that of the second with its sign changed, both halved.

    Returns: None for a network that does not end in average pooling and one dense layer.
    """
    pooling = next((layer for layer in model.layers if layer.name == "average"), None)
    if pooling is None:
        return None
    kernel = model.layers[-1].get_weights()[0]
    if kernel.shape[1] == 1:
        kernel = np.concatenate([-kernel, kernel], axis=1) / 2
    maps = layers.Dense(kernel.shape[1], use_bias=False, dtype="float32", name="maps")
    found = keras.Model(model.input, maps(pooling.input))
    maps.set_weights([kernel])
    return found
