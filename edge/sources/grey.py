"""A small grey copy of an image, made once for all that watch the camera's view."""

from __future__ import annotations

import functools
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.image.preprocess import Picture, read_image

Cells: TypeAlias = NDArray[np.float32]  # (height, width)

SIDE = 80  # columns of cells, about; each is of 2 x 2 samples


class Grey:
    """Samples of an image's green, in cells of 2 x 2: 0.05 ms of 640 x 480 for both properties."""

    def __init__(self, samples: NDArray[np.uint8]) -> None:
        """Args: (height, width) uint8, both even, or a single row or column."""
        self._samples = samples

    @classmethod
    def of(cls, picture: Picture) -> Grey:
        """Take every Nth pixel: 2 * SIDE columns or a few more, or 4 * SIDE rows.

        Raises: ImageError.
        """
        pixels = picture if isinstance(picture, np.ndarray) else read_image(picture, (SIDE, SIDE))
        # A portrait has twice the rows; a strip of 60 x 1200 would have 20 times as many.
        step = max(1, pixels.shape[1] // (2 * SIDE), pixels.shape[0] // (4 * SIDE))
        some = pixels[::step, ::step, 1]
        height, width = some.shape[0] // 2 * 2, some.shape[1] // 2 * 2
        return cls(some[: height or 1, : width or 1])

    @functools.cached_property
    def cells(self) -> Cells:
        """The means of the cells, (height, width) of 0..255."""
        upper_left, upper_right, lower_left, lower_right = self._corners
        mean: Cells = (upper_left + upper_right + (lower_left + lower_right)) * np.float32(0.25)
        return mean

    @functools.cached_property
    def fine(self) -> NDArray[np.float32]:
        """The differences of each cell's samples along its two diagonals, (2, height, width)."""
        upper_left, upper_right, lower_left, lower_right = self._corners
        difference = np.empty((2, *upper_left.shape), np.float32)
        np.subtract(upper_left, lower_right, out=difference[0])
        np.subtract(upper_right, lower_left, out=difference[1])
        return difference

    @functools.cached_property
    def _corners(self) -> tuple[Cells, ...]:
        """The samples of each cell: upper left, upper right, lower left, lower right."""
        samples, by_two = self._samples, slice(None, None, 2)
        rows, columns = (slice(1, None, 2) if side > 1 else by_two for side in samples.shape)
        parts = (by_two, by_two), (by_two, columns), (rows, by_two), (rows, columns)
        return tuple(samples[part].astype(np.float32) for part in parts)
