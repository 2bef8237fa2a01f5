"""A Keras model or SavedModel made elsewhere becomes a graph that takes pixels 0..255."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from convert.errors import ConversionError
from convert.measure.scores import Scores
from edge.errors import one_line
from edge.image.framing import Size
from edge.image.preprocess import Normalization, Pixels

SIDE = 224  # of an input that has no size of its own
SLACK = 0.01  # by which scores may leave [0, 1], and their sum 1
AS_THEY_ARE = Normalization()
# Layers that a network rescales pixels by itself with.
RESCALING = ("Rescaling", "Normalization", "TFOpLambda", "TrueDivide", "Subtract", "Multiply")


class Network:
    """A network that takes pixels: (1, h, w, 3) float32, 0..255.

    Attributes: `size`, (height, width) of its input; `summary`, text; `is_keras`.
    """

    def __init__(
        self, path: Path, size: Size | None = None, rule: Normalization | None = None
    ) -> None:
        """Load it.

        Args:
            path: a .keras or .h5 file, or a SavedModel's folder.
            size: (height, width) of an input that has none of its own.
            rule: what it wants done to pixels; None: it rescales them itself.

        Raises: ConversionError.
        """
        self.is_keras = path.is_file()
        with contextlib.redirect_stdout(sys.stderr):
            self._call, shape, self.summary = _keras(path) if self.is_keras else _saved(path)
        if rule is None and not (self.is_keras and _rescales(self.summary)):
            remedy = "use --normalize '[0,255]' if it rescales pixels itself, '[-1,1]', '[0,1]' "
            remedy += "or imagenet"
            raise ConversionError(path, "has no known normalization of pixels", remedy)
        self._rule = rule or AS_THEY_ARE
        self.size = _size(path, shape, size)
        self._ends_in: str = ""

    def scores(self, photos: Iterable[Pixels]) -> Scores:
        """Compute the scores of photos (h, w, 3) uint8: (n, num_labels) in [0, 1].

        If its values are not probabilities, a softmax or a sigmoid makes them such; also in what is
        saved after that.
        """
        rows = [self._call(self._scaled(tf.cast(each[None], tf.float32))) for each in photos]
        values = np.concatenate([np.asarray(row).reshape(1, -1) for row in rows])
        alone = values.shape[1] == 1
        outside = values.min() < -SLACK or values.max() > 1 + SLACK
        uneven = not alone and bool((np.abs(values.sum(axis=1) - 1) > SLACK).any())
        if outside:
            self._ends_in = "sigmoid" if alone else "softmax"
        elif uneven:
            fault = "outputs values that do not add up to 1: several labels may hold at once"
            raise ConversionError("the network", fault, "use one that ends in a softmax")
        values = self._ended(tf.constant(values)).numpy()
        return np.concatenate([1 - values, values], axis=1) if alone else values

    def save(self, folder: Path) -> None:
        """Save it as a SavedModel of pixels."""

        def of_pixels(pixels: Any) -> Any:
            values = self._call(self._scaled(pixels))
            return self._ended(tf.reshape(values, (1, -1)))

        spec = tf.TensorSpec((1, *self.size, 3), tf.float32, name="pixels")
        with contextlib.redirect_stdout(sys.stderr):
            function = tf.function(of_pixels, input_signature=[spec]).get_concrete_function()
            # As constants: a converter reads variables only where it knows who holds them.
            frozen = convert_variables_to_constants_v2(function)
            tf.saved_model.save(tf.Module(), str(folder), signatures=frozen)

    def _scaled(self, pixels: Any) -> Any:
        if self._rule == AS_THEY_ARE:
            return pixels
        mean, std = (np.asarray(numbers, np.float32) for numbers in self._rule)
        return pixels * (1 / std) + (-mean / std)

    def _ended(self, values: Any) -> Any:
        if not self._ends_in:
            return values
        return tf.nn.softmax(values) if self._ends_in == "softmax" else tf.nn.sigmoid(values)


def _keras(path: Path) -> tuple[Any, tuple[int | None, ...], str]:
    """Load a Keras file: what calls it, its input's shape, and its summary."""
    import keras

    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # it raises what it likes for a file that it cannot read
        fault = f"is not a Keras model that can be loaded ({one_line(str(error))[:200]})"
        raise ConversionError(
            path, fault, "save it again with model.save('model.keras')"
        ) from error
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        fault = f"has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ConversionError(path, fault, "use one with an image and the scores alone")
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=90)
    # The model itself is tracked, so that its variables are saved.
    return model, tuple(model.inputs[0].shape), "\n".join(lines)


def _saved(path: Path) -> tuple[Any, tuple[int | None, ...], str]:
    """Load a SavedModel: what calls it, its input's shape, and no summary."""
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
    except (OSError, KeyError, ValueError, AttributeError, tf.errors.OpError) as error:
        fault = f"is not a SavedModel with a signature ({one_line(str(error))[:200]})"
        raise ConversionError(path, fault, "save it again with model.export(FOLDER)") from error
    inputs = list(signature.structured_input_signature[1].items())
    outputs = list(signature.structured_outputs)
    if len(inputs) != 1 or len(outputs) != 1:
        fault = f"has {len(inputs)} inputs and {len(outputs)} outputs"
        raise ConversionError(path, fault, "use one with an image and the scores alone")
    ((name, spec),) = inputs
    return _Signature(loaded, signature, name, outputs[0]), tuple(spec.shape), ""


class _Signature(tf.Module):  # type: ignore[misc]  # has no types
    def __init__(self, loaded: Any, signature: Any, name: str, output: str) -> None:
        super().__init__()
        self._loaded = loaded  # which holds the variables
        self._signature, self._names = signature, (name, output)

    def __call__(self, pixels: Any) -> Any:
        name, output = self._names
        return self._signature(**{name: pixels})[output]


def _rescales(summary: str) -> bool:
    """Whether one of the first layers of a Keras model rescales pixels, by its summary."""
    layers = [line for line in summary.split("\n") if "(" in line and ")" in line][:6]
    return any(f"({kind})" in line for line in layers for kind in RESCALING)


def _size(path: Path, shape: tuple[int | None, ...], given: Size | None) -> Size:
    """The size of an input. Raises: ConversionError if it is not an RGB image."""
    if len(shape) != 4 or shape[3] not in (3, None):
        fault = f"does not take RGB images: {shape}"
        raise ConversionError(path, fault, "use one with an input of (batch, height, width, 3)")
    own = (shape[1], shape[2])
    height, width = (
        side or wanted for side, wanted in zip(own, given or (SIDE, SIDE), strict=True)
    )
    if given and (height, width) != given:
        fault = f"its input has a fixed size, {height} x {width}"
        raise ConversionError(path, fault, "omit --input-size")
    return height, width
