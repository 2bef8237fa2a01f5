"""Write small classifiers in others' shapes: python tests/programs/make_classifiers.py OUT.

In a process of its own, for TensorFlow and a TFLite runtime do not go together. None says anything
of itself. A float input wants pixels 0..1; OUT/expected.json holds, by a model's name, the values
that TensorFlow computes for the golden vectors 0 and 1: of each output, a list.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from edge.classifier import golden

PICTURES = (0, 1)  # golden vectors


def main(out: Path) -> None:
    tf.keras.utils.set_random_seed(1)
    expected = {}
    for name, network in networks().items():
        (out / f"{name}.tflite").write_bytes(converted(network))
        expected[name] = answers(network)
    for name, dtype in (("logits", tf.int8), ("softmax", tf.uint8), ("grey", tf.int8)):
        network = networks()[name]
        quantized = f"{name}-{dtype.name}"
        (out / f"{quantized}.tflite").write_bytes(converted(network, dtype))
        expected[quantized] = answers(network)
    (out / "expected.json").write_text(json.dumps(expected))


def networks() -> dict[str, tf.Module]:
    tf.keras.utils.set_random_seed(1)
    layers = tf.keras.layers
    image, grey = (layers.Input((12, 12, channels), batch_size=1) for channels in (3, 1))
    flat = layers.Input((28, 28), batch_size=1)
    mean = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    logits = dense(3)(mean)
    whole = layers.Conv2D(3, 12, kernel_initializer=random(2))(image)  # (1, 1, 1, 3)
    one = dense(1)(mean)
    p = tf.keras.activations.sigmoid(one)
    map_of_logits = layers.Conv2D(3, 3, kernel_initializer=random(2))(image)
    average = layers.Lambda(lambda x: tf.reduce_mean(x, (1, 2)))(map_of_logits)
    found = {
        "softmax": (image, layers.Softmax()(logits)),
        "logits": (image, logits),
        "one-logit": (image, one),
        "one-sigmoid": (image, p),
        "several-sigmoids": (image, tf.keras.activations.sigmoid(logits)),
        "log-softmax": (image, layers.Lambda(tf.nn.log_softmax)(logits)),
        "mirrored": (image, layers.Concatenate()([layers.Lambda(lambda x: 1 - x)(p), p])),
        "average-of-logits": (image, average),
        "four-axes": (image, layers.Softmax()(whole)),
        "four-axes-logits": (image, whole),
        "grey": (grey, layers.Softmax()(dense(3)(layers.Flatten()(grey)))),
        "no-channel": (flat, layers.Softmax()(dense(3)(layers.Flatten()(flat)))),
        "two-outputs": (image, [layers.Dense(5)(mean), layers.Softmax()(logits)]),
        "two-alike": (image, [logits, layers.Softmax()(logits)]),
        "two-linear": (image, [logits, dense(3)(mean)]),
        "a-map": (image, layers.Softmax()(map_of_logits)),
        "no-number": (image, layers.Lambda(lambda x: tf.math.log(-1 - x * x))(logits)),
        "1000": (image, layers.Softmax()(dense(1000)(mean))),
        "1001": (image, layers.Softmax()(dense(1001)(mean))),
    }
    return {name: tf.keras.Model(*ends) for name, ends in found.items()} | {"no-batch": NoBatch()}


class NoBatch(tf.Module):
    """(28, 28) in, (3,) out."""

    input_shape = (28, 28)

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.constant(np.random.RandomState(3).normal(0, 0.1, (784, 3)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((28, 28), tf.float32)])
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.reshape(tf.reshape(x, (1, 784)) @ self.weights, (3,)))


def random(scale: float) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.VarianceScaling(scale, seed=5)


def dense(units: int) -> tf.keras.layers.Layer:
    return tf.keras.layers.Dense(units, kernel_initializer=random(9))


def converted(network: tf.Module, dtype: tf.DType | None = None) -> bytes:
    if isinstance(network, NoBatch):
        function = network.__call__.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    else:
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if dtype:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([batch(network, seed)] for seed in range(20))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = dtype
    return converter.convert()


def batch(network: tf.Module, seed: int) -> np.ndarray:
    """A golden vector as the network wants it: pixels 0..1, grey by ITU-R 601 where it must be."""
    shape = network.input_shape
    size = shape[:2] if len(shape) == 2 else shape[1:3]
    pixels = golden.draw(seed, size).astype(np.float64)
    if shape[3:] != (3,):
        pixels = np.rint(pixels @ (0.299, 0.587, 0.114))
    return (pixels.reshape(shape) / 255).astype(np.float32)


def answers(network: tf.Module) -> list[list[list[float]]]:
    """Of each picture, of each output, the values."""
    found = []
    for seed in PICTURES:
        outputs = network(tf.constant(batch(network, seed)))
        outputs = outputs if isinstance(outputs, list) else [outputs]
        found.append([output.numpy().reshape(-1).tolist() for output in outputs])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
