"""Convert what TensorFlow's converter makes of a dense layer by itself: trap_model.py FOLDER.

per-channel.tflite is quantized with calibration: the dense layer's weights are int8 per channel,
and with two or three outputs they crash tflite-runtime 2.14 on ARM. version-12.tflite is quantized
without: its FULLY_CONNECTED is of a version that tflite-runtime 2.14 does not have.
convert.tflite.quantize tells TensorFlow otherwise, and convert.tflite.inspect refuses both.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SIDE = 32
LABELS = 3


def network() -> keras.Model:
    """A network whose dense layer is large enough to be quantized without calibration, too."""
    keras.utils.set_random_seed(0)
    image = keras.Input(batch_shape=(1, SIDE, SIDE, 3), name="pixels")
    x = layers.Conv2D(8, 3, 2, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    return keras.Model(image, layers.Dense(LABELS, "softmax", name="scores")(x))


def converter(saved_model: str) -> tf.lite.TFLiteConverter:
    """TensorFlow's own, told only to quantize."""
    made = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    return made


def main() -> int:
    """Convert both."""
    out = Path(sys.argv[1])
    pixels = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 3))
    signature = [tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32, name="pixels")]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        network().export(folder, verbose=False, input_signature=signature)
        (out / "version-12.tflite").write_bytes(converter(folder).convert())
        calibrated = converter(folder)
        calibrated.representative_dataset = lambda: ([p[None].astype(np.float32)] for p in pixels)
        calibrated.inference_input_type = calibrated.inference_output_type = tf.uint8
        (out / "per-channel.tflite").write_bytes(calibrated.convert())
    return 0


if __name__ == "__main__":
    sys.exit(main())
