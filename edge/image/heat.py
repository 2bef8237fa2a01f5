"""Find which parts of an image speak for a score, and colour the image by it.

The image is hidden piece by piece, and the score watched: what lowers it when it is hidden speaks
for it. That needs nothing of a model but its scores, and an invocation for each piece. Source:
Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2013,
https://arxiv.org/abs/1311.2901
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.image.decode import Pixels
from edge.image.shared import image_of

CELLS = 8  # along each side
SPAN = 2  # cells that are hidden at once, along each side: smaller pieces hide too little
NUM_SCORES = (CELLS - SPAN + 1) ** 2 + 1  # for an image
LEAST_SCORE = 1e-4  # an int8 score of 0 has no logarithm
SHARE = 0.7  # of red, where the evidence is greatest
SIDE = 448  # of the short side of the image that is shown, in pixels, at least


def occlusion(score: Callable[[Pixels], float], pixels: Pixels) -> NDArray[np.float32]:
    """Find which parts of an image speak for a score.

    Args:
        score: gives the score, 0 to 1, of an image of the size of `pixels`.
        pixels: (h, w, 3) uint8 RGB, or grey (h, w), as the model sees it.

    Returns: (CELLS, CELLS) float32, by how much the logarithm of the score falls where the image is
        hidden; below 0 where it rises.
    """

    def log_score(image: Pixels) -> float:
        return float(np.log(max(float(score(image)), LEAST_SCORE)))

    whole = log_score(pixels)
    colour = np.asarray(pixels.mean(axis=(0, 1)).round(), np.uint8)
    rows, columns = (np.linspace(0, side, CELLS + 1).astype(int) for side in pixels.shape[:2])
    found, times = np.zeros((CELLS, CELLS)), np.zeros((CELLS, CELLS))
    for row in range(CELLS - SPAN + 1):
        for column in range(CELLS - SPAN + 1):
            hidden = pixels.copy()
            left, right = columns[column], columns[column + SPAN]
            hidden[rows[row] : rows[row + SPAN], left:right] = colour
            place = slice(row, row + SPAN), slice(column, column + SPAN)
            found[place] += whole - log_score(hidden)
            times[place] += 1
    return np.asarray(found / times, np.float32)


def heated(pixels: Pixels, heat: NDArray[np.float32], least_side: int = 1) -> Pixels:
    """Lay evidence over an image: red where it is greatest.

    Args:
        pixels: (h, w, 3) uint8 RGB, or grey (h, w).
        heat: (rows, columns) over the whole image; what is below 0 is left as it is.
        least_side: enlarge the image so that its short side has at least that many pixels.

    Returns: (height, width, 3) uint8 RGB.
    """
    image = image_of(pixels).convert("RGB")
    scale = max(1.0, least_side / min(image.size))
    size = round(image.width * scale), round(image.height * scale)
    enlarged = np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)
    positive = np.maximum(heat, 0).astype(np.float32)
    strength = Image.fromarray(positive / (positive.max() or 1))
    share = np.asarray(strength.resize(size, Image.Resampling.BICUBIC))[:, :, None]
    share = SHARE * np.clip(share, 0, 1)
    grey = (enlarged + enlarged.mean(axis=2, keepdims=True)) / 2  # so that red stands out
    return np.asarray(np.rint(grey * (1 - share) + np.array([255.0, 0, 0]) * share), np.uint8)
