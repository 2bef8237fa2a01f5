"""The augmentation: rotation, shifts, shear and zoom as ONE affine transform, then flips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from edge.preprocess import Size


@dataclass(frozen=True)
class Augmentation:
    """How far each picture may be moved; the kinds are the tutorial's."""

    rotation: float = 15.0  # degrees, either way
    shift: float = 0.1  # of the height and width, either way
    shear: float = 0.1  # radians, either way
    zoom: float = 0.15  # either way, each axis by itself
    horizontal_flip: bool = True
    vertical_flip: bool = False


def transforms(
    augmentation: Augmentation, count: int, size: Size, random: np.random.Generator
) -> np.ndarray:
    """Draw `count` transforms, (count, 8) float32, each from an output's pixel to an input's.

    Source: https://www.tensorflow.org/api_docs/python/tf/raw_ops/ImageProjectiveTransformV3
    """
    height, width = size

    def around(centre: float, spread: float) -> np.ndarray:
        return random.uniform(centre - spread, centre + spread, count)

    angle = np.deg2rad(around(0, augmentation.rotation))
    shear = around(0, augmentation.shear)
    zoom_x, zoom_y = around(1, augmentation.zoom), around(1, augmentation.zoom)
    if augmentation.horizontal_flip:
        zoom_x *= random.choice([-1.0, 1.0], count)
    if augmentation.vertical_flip:
        zoom_y *= random.choice([-1.0, 1.0], count)
    # rotation x shear x zoom, about the centre
    a, b = np.cos(angle) * zoom_x, -np.sin(angle + shear) * zoom_y
    c, d = np.sin(angle) * zoom_x, np.cos(angle + shear) * zoom_y
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    shift_x = middle_x - a * middle_x - b * middle_y + around(0, augmentation.shift * width)
    shift_y = middle_y - c * middle_x - d * middle_y + around(0, augmentation.shift * height)
    zeros = np.zeros(count)
    return np.stack([a, b, shift_x, c, d, shift_y, zeros, zeros], 1).astype(np.float32)


def apply(images: tf.Tensor, transform: tf.Tensor) -> tf.Tensor:
    """Transform (n, h, w, 3) uint8 images by (n, 8), one interpolation; edges are repeated."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transform,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
