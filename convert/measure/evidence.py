"""Where in a photo the evidence for its label lies.

Every network here that ends in average pooling and one dense layer has an exact class activation
map: the mean of the map, and the bias, is the logit. Source: Zhou et al., Learning Deep Features
for Discriminative Localization, 2016, https://arxiv.org/abs/1512.04150
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.measure.scores import Labels

Maps = NDArray[np.float32]  # (n, rows, columns, num_labels), of what each place adds to each logit


def evidence(maps: Maps, labels: Labels) -> NDArray[np.float32]:
    """What speaks for one label against the others: (n, rows, columns), of which all sum to 1.

    Args:
        maps: of n photos.
        labels: (n,) whose evidence is wanted.
    """
    against = maps - maps.mean(axis=3, keepdims=True)
    chosen = against[np.arange(len(labels)), :, :, labels]
    positive = np.maximum(chosen - np.median(chosen, axis=(1, 2), keepdims=True), 0)
    total = positive.sum(axis=(1, 2), keepdims=True)
    even = np.full_like(positive, 1 / positive[0].size) if len(positive) else positive
    return np.asarray(np.divide(positive, total, out=even, where=total > 0), np.float32)
