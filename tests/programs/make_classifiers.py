"""Write small classifiers in others' shapes: python tests/programs/make_classifiers.py OUT.

OUT/odd gets some that only tests/test_model.py reads.

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
    for name, function in others().items():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        (out / "others").mkdir(exist_ok=True)
        (out / "others" / f"{name}.tflite").write_bytes(converter.convert())
    (out / "others" / "main-and-aux.tflite").write_bytes(converted(main_and_auxiliary()))
    (out / "expected.json").write_text(json.dumps(expected))
    (out / "odd").mkdir()
    for name, network in odd_networks().items():
        (out / "odd" / f"{name}.tflite").write_bytes(converted(network))


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
        "two-linear": (image, [logits, layers.Dense(3, kernel_initializer=random(2))(mean)]),
        "a-map": (image, layers.Softmax()(map_of_logits)),
        "no-number": (image, layers.Lambda(lambda x: tf.math.log(-1 - x * x))(logits)),
        "1000": (image, layers.Softmax()(dense(1000)(mean))),
        "1001": (image, layers.Softmax()(dense(1001)(mean))),
    }
    models = {name: tf.keras.Model(*ends) for name, ends in found.items()}
    return models | {"no-batch": NoBatch(), "channels-first": ChannelsFirst()}


def others() -> dict[str, tf.types.experimental.ConcreteFunction]:
    """What is no image classifier, or one only for those who know it: functions of pixels 0..1."""
    weights = tf.constant(np.random.RandomState(4).normal(0, 1, (3, 12)), tf.float32)

    def values(x: tf.Tensor, count: int) -> tf.Tensor:
        return tf.reduce_mean(x, (1, 2)) @ weights[:, :count]

    def many(x: tf.Tensor, count: int, each: int) -> tf.Tensor:
        return tf.tile(values(x, 1)[:, :, None], (1, count, each))

    def flag(x: tf.Tensor) -> tf.Tensor:
        return tf.nn.sigmoid(values(x, 1))

    def ranked(x: tf.Tensor) -> list[tf.Tensor]:
        return list(tf.math.top_k(tf.nn.softmax(values(x, 8)), 3))

    found = {
        "detector": lambda x: [many(x, 10, 4), many(x, 10, 3), tf.reduce_sum(x, (1, 2, 3))],
        "anchors": lambda x: [many(x, 10, 16), many(x, 10, 1)],
        "one-box-and-count": lambda x: [many(x, 1, 4), flag(x)],
        "yolo": lambda x: many(x, 84, 6),
        "segmentation": lambda x: tf.nn.softmax(x[:, ::2, ::2]),
        "landmarks": lambda x: [values(x, 12), flag(x), flag(x)],
        "regression": lambda x: values(x, 1),
        "angle": lambda x: tf.concat([tf.sin(values(x, 1)), tf.cos(values(x, 1))], 1),
        "tanh": lambda x: tf.tanh(values(x, 2)),
        "embedding": lambda x: tf.math.l2_normalize(values(x, 8), 1),
        "features": lambda x: tf.nn.relu(tf.reduce_mean(x, (1, 2))),
        "box": lambda x: tf.nn.sigmoid(values(x, 4)),
        "argmax": lambda x: tf.argmax(values(x, 3), 1),
        "argmax-sliced": lambda x: tf.cast(tf.argmax(values(x, 3), 1), tf.float32)[:, None],
        "small-values": lambda x: tf.sqrt(values(x, 3) * 0.05 + 0.4),
        "percent": lambda x: 100 * tf.nn.softmax(values(x, 3)),
        "top-k": ranked,
        "features-and-logits": lambda x: [tf.reduce_mean(x, (1, 2)), values(x, 5)],
        "rescales-to-1": lambda x: tf.nn.softmax(values(x / 127.5 - 1, 3)),
        "rescales-from-1": lambda x: tf.nn.softmax(values(x * 2 - 1, 3)),
        "rescales-by-channel": lambda x: tf.nn.softmax(
            values((x - tf.constant([124.0, 116.0, 104.0])) / tf.constant([58.0, 57.0, 57.0]), 3)
        ),
    }
    shapes = dict.fromkeys(found, (1, 12, 12, 3))
    found |= {
        "any-size": lambda x: tf.nn.softmax(values(x, 3)),
        "batch": lambda x: tf.nn.softmax(values(x, 3)),
        "rgba": lambda x: tf.nn.softmax(values(x[..., :3] * x[..., 3:], 3)),
        "whole-numbers": lambda x: tf.nn.softmax(values(tf.cast(x, tf.float32) / 255, 3)),
    }
    shapes |= {"any-size": (1, None, None, 3), "batch": (8, 12, 12, 3), "rgba": (1, 12, 12, 4)}
    shapes["whole-numbers"] = (1, 12, 12, 3)
    dtypes = {"whole-numbers": tf.int32}
    return {
        name: tf.function(
            function, input_signature=[tf.TensorSpec(shapes[name], dtypes.get(name, tf.float32))]
        ).get_concrete_function()
        for name, function in found.items()
    }


def main_and_auxiliary() -> tf.keras.Model:
    image = tf.keras.layers.Input((12, 12, 3), batch_size=1)
    mean = tf.keras.layers.GlobalAveragePooling2D()(image)
    heads = {
        name: tf.keras.layers.Softmax(name=name)(scale * dense(3)(mean))
        for name, scale in (("main", 1.0), ("aux", 2.0))
    }
    return tf.keras.Model(image, heads)


class ChannelsFirst(tf.Module):
    """(1, 3, 14, 12) in, as PyTorch exports have it, (1, 3) out."""

    input_shape = (1, 3, 14, 12)

    def __init__(self) -> None:
        super().__init__()
        weights = np.random.RandomState(6).normal(0, 0.1, (3 * 14 * 12, 3))
        self.weights = tf.constant(weights, tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, 3, 14, 12), tf.float32)])
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.reshape(x, (1, -1)) @ self.weights)


def odd_networks() -> dict[str, tf.keras.Model]:
    layers = tf.keras.layers
    image, other = (layers.Input((8, 8, 3), batch_size=1) for _ in range(2))
    mean = layers.GlobalAveragePooling2D()
    bright = layers.Dense(1, "sigmoid", kernel_initializer="ones")
    softmax = layers.Dense(2, "softmax")
    return {
        "one-sigmoid": tf.keras.Model(image, bright(layers.Rescaling(1 / 255)(mean(image)))),
        "two-inputs": tf.keras.Model([image, other], softmax(mean(image + other))),
        "four-dimensions": tf.keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(image)),
    }


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
    if isinstance(network, NoBatch | ChannelsFirst):
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
    is_first = shape[1:2] == (3,)
    size = shape[:2] if len(shape) == 2 else shape[2:] if is_first else shape[1:3]
    pixels = golden.draw(seed, size).astype(np.float64)
    if is_first:
        pixels = pixels.transpose(2, 0, 1)
    elif shape[3:] != (3,):
        pixels = np.rint(pixels @ (0.299, 0.587, 0.114))
    return (pixels.reshape(shape) / 255).astype(np.float32)


def answers(network: tf.Module) -> list[list[list[float]]]:
    """Of each image, of each output, the values."""
    found = []
    for seed in PICTURES:
        outputs = network(tf.constant(batch(network, seed)))
        outputs = outputs if isinstance(outputs, list) else [outputs]
        found.append([output.numpy().reshape(-1).tolist() for output in outputs])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
