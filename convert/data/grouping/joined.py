"""Join groups by pairs of their members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Array = NDArray[Any]


def connected(numbers: Array, pairs: Array | Sequence[tuple[int, int]]) -> Array:
    """Join groups, (n,) int, by pairs of members; the result is numbered from 0."""
    size = int(numbers.max(initial=-1)) + 1
    ends = numbers[np.asarray(pairs, np.int64).reshape(-1, 2)].T
    graph = coo_array((np.ones(len(ends[0]), np.bool_), tuple(ends)), (size, size))
    joined = connected_components(graph, directed=False)[1]
    renumbered: Array = np.unique(joined[numbers], return_inverse=True)[1].astype(np.int64)
    return renumbered
