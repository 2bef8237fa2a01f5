"""Golden vectors: drawn inputs whose scores are in the model file, to verify it on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.image.preprocess import Pixels, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUM_GOLDEN = 4


def draw(seed: int, size: Size) -> Pixels:
    """Draw golden input number `seed`: (*size, 3) uint8 of coloured blocks at three scales.

    Only integer arithmetic and numpy's frozen legacy generator, byte for byte the same anywhere.
    """
    random = np.random.RandomState(seed)
    layers = [_blocks(random, cells, size) for cells in (3, 8, 31)]
    drawn: Pixels = ((2 * layers[0] + layers[1] + layers[2]) // 4).astype(np.uint8)
    return drawn


def _blocks(random: np.random.RandomState, cells: int, size: Size) -> NDArray[np.uint16]:
    colours = np.frombuffer(random.bytes(cells * cells * 3), np.uint8).reshape(cells, cells, 3)
    rows, columns = (np.arange(length) * cells // length for length in size)
    layer: NDArray[np.uint16] = colours[rows][:, columns].astype(np.uint16)  # (*size, 3)
    return layer
