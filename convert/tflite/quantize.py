"""Convert a trained network to .tflite, each variant in its own process.

    python -m convert.tflite.quantize SAVED_MODEL CALIBRATION.npy VARIANT OUTPUT.tflite

One process each: a conversion leaks memory and can abort the process
(https://github.com/tensorflow/tensorflow/issues/122598). They are forks of one that has imported
TensorFlow, which takes 2.7 of the 4 s of a small network's conversion.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.errors import ConversionError
from convert.files import write
from convert.tflite.process import Server, last_words, serve
from edge.image.preprocess import Pixels


@dataclass(frozen=True)
class Quantization:
    """One way of storing and computing a network."""

    weights: str  # "float32", "float16" or "int8"
    activations: str = "float32"
    pixels: str = "float32"  # dtype of the input and of the scores


VARIANTS = {
    "float32": Quantization("float32"),
    "float16": Quantization("float16"),
    "dynamic": Quantization("int8"),
    "int8": Quantization("int8", "int8", "uint8"),
    "int8-float": Quantization("int8", "int8"),
}

SERVER = Server(__name__)


def convert(saved_model: Path, calibration: Path, variant: str, output: Path) -> None:
    """Convert one variant in a process of its own. Raises: ConversionError."""
    arguments = [str(saved_model), str(calibration), variant, str(output)]
    done = SERVER.call(*arguments)
    if done.returncode or not output.exists():
        fault = f"cannot be converted ({last_words(done)})"
        raise ConversionError(variant, fault, f"omit it: --quantize without {variant}")


def to_tflite(saved_model: Path, quantization: Quantization, calibration: Pixels) -> bytes:
    """Convert a SavedModel.

    Args:
        saved_model: its folder.
        quantization: how.
        calibration: (num_photos, h, w, 3) uint8, used where activations are int8.

    Returns: the flatbuffer.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    # tflite-runtime 2.14 on ARM crashes on a dense layer with per-channel weights and 2 or 3
    # outputs, and does not know the operator's version that dynamic quantization then needs.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if quantization.weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization.weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization.activations == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = _representative_dataset(calibration)
        pixels = tf.as_dtype(quantization.pixels)
        converter.inference_input_type = converter.inference_output_type = pixels
    return bytes(converter.convert())


def _representative_dataset(calibration: Pixels) -> Callable[[], Iterator[list[Any]]]:
    def photos() -> Iterator[list[Any]]:
        """Yield the calibration photos, in the form that the converter requires."""
        for index, pixels in enumerate(calibration):
            real = pixels[None].astype(np.float32)
            if index == 0:
                # The whole range of a pixel gives the input scale 1 and zero point 0 (uint8):
                # pixels then go in as they are, in every reader of the file.
                real[0, 0, 0, :2] = 0.0, 255.0
            yield [real]

    return photos


def main(arguments: Sequence[str]) -> int:
    """Convert in this process; the output appears whole or not at all."""
    saved_model, calibration, variant, output = arguments
    try:
        pixels = np.load(calibration, mmap_mode="r")
        write(Path(output), to_tflite(Path(saved_model), VARIANTS[variant], pixels))
    except Exception as error:  # the border: whatever a converter raises becomes one line
        print(_cause(error), file=sys.stderr)
        return 1
    return 0


def _import_tensorflow() -> None:
    # A SavedModel needs no Keras; without its import, a small network takes 5 s instead of 7.
    sys.modules["keras"] = None  # type: ignore[assignment]
    import tensorflow as tf

    assert tf.lite.TFLiteConverter  # imported when it is looked up


def _cause(error: Exception) -> str:
    """Return one line of the converter's error, which ends in the whole graph."""
    text = str(error).strip()
    missing = re.search(r"^(?:Custom|TF Select) ops: (.+)$", text, re.MULTILINE)
    if missing:
        return f"TFLite has no operator {missing[1].strip()}"
    return text.partition("\n")[0] or type(error).__name__


if __name__ == "__main__":
    _import_tensorflow()
    sys.exit(serve(main) if sys.argv[1:] == ["--serve"] else main(sys.argv[1:]))
