"""Convert small networks, well and badly: python tests/programs/make_converted.py OUT.

In a process of its own, for TensorFlow and a TFLite runtime do not go together; all in one, for
TensorFlow takes seconds to start. OUT/calibration.npy holds the images.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from convert.data.drawn import SHAPES, draw_photo
from convert.tflite.quantize import VARIANTS, to_tflite
from edge.classifier import golden

SIDE = 48


def main(out: Path) -> None:
    keras.utils.set_random_seed(5)
    pixels = pictures()
    np.save(out / "calibration.npy", pixels)
    for name, activation, outputs in (("two", "sigmoid", 2), ("ten", "softmax", 10)):
        model = residual(activation, outputs, pixels)
        export(model, out / name)
        np.save(out / f"{name}-golden.npy", scores(model, golden_inputs()))
        for variant, quantization in VARIANTS.items():
            content = to_tflite(out / name, quantization, pixels)
            (out / f"{name}-{variant}.tflite").write_bytes(content)
    export(outlier(pixels), out / "outlier")
    for variant in ("float32", "int8"):
        content = to_tflite(out / "outlier", VARIANTS[variant], pixels)
        (out / f"outlier-{variant}.tflite").write_bytes(content)
    for name, layer in LAYERS.items():
        save(layer, out / name)
    for name, converted in badly_converted(out, pixels):
        (out / f"{name}.tflite").write_bytes(converted)


def pictures() -> np.ndarray:
    """Draw 24 photos, and the golden inputs behind them: (28, SIDE, SIDE, 3) uint8.

    Calibrated without the golden ones, which are like no photo, int8 would saturate on them.
    """
    random = np.random.default_rng(1)
    photos = [np.asarray(draw_photo(label, random, SIDE)) for label in sorted(SHAPES) * 8]
    return np.stack([*photos, *golden_inputs()])


def golden_inputs() -> np.ndarray:
    return np.stack([golden.draw(seed, (SIDE, SIDE)) for seed in range(golden.NUM_GOLDEN)])


def residual(activation: str, outputs: int, pixels: np.ndarray) -> keras.Model:
    """A MobileNetV2 in small: depthwise, batch normalization, ReLU6, a residual, one dense layer.

    Dynamic quantization leaves weights below 1024 alone; the larger ones here are above.
    """
    image = keras.Input(batch_shape=(1, SIDE, SIDE, 3), name="pixels")
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = normalized(layers.Conv2D(16, 3, 2, "same", use_bias=False, name="stem")(x))
    before = x
    x = normalized(layers.Conv2D(96, 1, use_bias=False, name="expand")(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = normalized(x)
    x = layers.Conv2D(16, 1, use_bias=False, name="project")(x)
    x = layers.Add(name="add")([before, layers.BatchNormalization()(x)])
    x = normalized(layers.Conv2D(512, 1, use_bias=False, name="last")(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    model = keras.Model(image, layers.Dense(outputs, activation=activation, name="scores")(x))
    gather_statistics(model, pixels)
    return model


def normalized(x: object) -> object:
    return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.5)(x))


def gather_statistics(model: keras.Model, pixels: np.ndarray) -> None:
    """Fill the batch normalizations as a training would."""
    for _ in range(10):
        for picture in pixels[:8]:
            model(picture[None].astype(np.float32), training=True)


def outlier(pixels: np.ndarray) -> keras.Model:
    """A chain of convolutions in which one, "wild", has a channel 1000 times the others'.

    Activations have one scale for all channels: the quiet ones are rounded away.
    """
    image = keras.Input(batch_shape=(1, SIDE, SIDE, 3), name="pixels")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(8, 3, 2, activation="relu", name="calm_1")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="calm_2")(x)
    x = layers.Conv2D(8, 3, name="wild")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="after")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, "sigmoid", name="scores")(x))
    kernel, bias = model.get_layer("wild").get_weights()
    kernel[..., 0] *= 1000
    model.get_layer("wild").set_weights([kernel, bias])
    after, bias = model.get_layer("after").get_weights()
    after[:, :, 0] /= 1000  # what comes after hears all channels alike
    model.get_layer("after").set_weights([after, bias])
    return model


def scores(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    real = pixels.astype(np.float32)
    return np.concatenate([np.asarray(model(p[None], training=False)) for p in real])


def export(model: keras.Model, folder: Path) -> None:
    signature = [tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32, name="pixels")]
    model.export(str(folder), verbose=False, input_signature=signature)


def save(layer: Callable[[tf.Tensor], tf.Tensor], folder: Path) -> None:
    """Save a network whose only layer of interest is the given one."""
    kernel = tf.constant(np.random.default_rng(2).normal(0, 0.1, (3, 3, 3, 4)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32)])
    def network(pixels: tf.Tensor) -> tf.Tensor:
        features = layer(tf.nn.conv2d(pixels / 255, kernel, 2, "SAME"))
        return tf.nn.softmax(tf.reduce_mean(features, [1, 2]))

    signature = network.get_concrete_function()
    tf.saved_model.save(tf.Module(), str(folder), signatures=signature)


LAYERS = {
    "random": lambda x: x * tf.random.normal([1, 1, 1, 4], seed=1),
    "dropout": lambda x: tf.nn.dropout(x, 0.5, seed=1),  # as in a network exported for training
    "sine": tf.math.sin,  # int8 has no kernel for it
    "igamma": lambda x: tf.math.igamma(2.0, tf.abs(x)),  # TFLite has none at all
}


def badly_converted(out: Path, pixels: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of files that TensorFlow converts without complaint."""
    for name in ("random", "dropout"):
        yield name, to_tflite(out / name, VARIANTS["float32"], pixels)
    yield "sine", calibrated(converter(out / "sine"), pixels)
    yield "custom", allowing_custom(converter(out / "igamma"))
    yield "uncalibrated", optimized(converter(out / "two"))
    yield "per-channel", calibrated(converter(out / "two"), pixels)


def converter(saved_model: Path) -> tf.lite.TFLiteConverter:
    """TensorFlow's own, that has not learned what convert.tflite.quantize has."""
    return tf.lite.TFLiteConverter.from_saved_model(str(saved_model))


def optimized(made: tf.lite.TFLiteConverter) -> bytes:
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    return made.convert()


def calibrated(made: tf.lite.TFLiteConverter, pixels: np.ndarray) -> bytes:
    made.representative_dataset = lambda: ([p[None].astype(np.float32)] for p in pixels)
    made.inference_input_type = made.inference_output_type = tf.uint8
    return optimized(made)


def allowing_custom(made: tf.lite.TFLiteConverter) -> bytes:
    made.allow_custom_ops = True
    return made.convert()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
