"""A finished model as a teacher: its scores of the very image that a network learns from.

A network that is too small to fit hard labels learns more from a larger model's scores, which show
how sure one can be of an image once it is cropped, dark and blurred: knowledge distillation,
https://arxiv.org/abs/1503.02531, with teacher and student shown the same augmented image,
https://arxiv.org/abs/2106.05237.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import tensorflow as tf

from convert.errors import TrainingError
from convert.measure.scores import Labels, Scores
from convert.training.batches import THREADS, Tensors
from edge.classifier.model import Model
from edge.image.preprocess import Pixels

SHARE = 0.8  # of the target; the rest is the label's


class Teacher:
    """A .tflite file of the same classes, of any size; for the threads that feed a network."""

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        """Open the file.

        Raises: ModelError, RuntimeMissingError; TrainingError for other classes.
        """
        self._idle: SimpleQueue[Model] = SimpleQueue()
        for _ in range(THREADS):
            model = Model(path, num_threads=1)
            if model.labels != tuple(labels):
                fault = f"has other classes than the photos: {', '.join(model.labels[:5])}"
                raise TrainingError(path, fault, "use a model of the same classes, as a teacher")
            self._idle.put(model)

    def scores(self, pixels: Pixels) -> Scores:
        """Score (n, h, w, 3) uint8 pixels: (n, num_labels) float32."""
        model = self._idle.get()
        try:
            return np.stack([model.scores(picture) for picture in pixels])
        finally:
            self._idle.put(model)

    def teach(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Take batches of `batches.augmented`, and give targets in place of labels.

        Yields: pixels and weights as they are; (n, num_labels) float32 targets, which add to 1.
        """

        def targets(pixels: Pixels, labels: Labels) -> Scores:
            scores = self.scores(pixels)
            certain = np.eye(scores.shape[1], dtype=np.float32)[labels]
            return np.asarray(SHARE * scores + (1 - SHARE) * certain, np.float32)

        def taught(pixels: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> Tensors:
            made = tf.numpy_function(targets, [pixels, labels], tf.float32)
            made.set_shape((pixels.shape[0], None))
            return pixels, made, weights

        return batches.map(taught, THREADS, deterministic=True).prefetch(1)
