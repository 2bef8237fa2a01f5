"""Convert the model that crashes tflite-runtime 2.14 on ARM: trap_model.py OUT.tflite.

Its dense layer has two outputs and weights quantized per channel, which is what TensorFlow's
converter makes of one unless told otherwise, as convert.quantize tells it.
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


def main() -> int:
    """Convert it as TensorFlow would by itself."""
    keras.utils.set_random_seed(0)
    image = keras.Input(batch_shape=(1, SIDE, SIDE, 3), name="pixels")
    x = layers.Conv2D(8, 3, 2, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, "softmax", name="scores")(x))
    pixels = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 3))
    signature = [tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32, name="pixels")]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        model.export(folder, verbose=False, input_signature=signature)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([p[None].astype(np.float32)] for p in pixels)
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        Path(sys.argv[1]).write_bytes(converter.convert())
    return 0


if __name__ == "__main__":
    sys.exit(main())
