"""Photos whose label is probably wrong, by a last layer that never saw them.

A network learns its training photos by heart, also those with a wrong label. So the photos are cut
into folds, and each fold is scored by a last layer that was fitted to the others, on features that
no label has touched: those of the frozen backbone. Source: Northcutt et al., Confident Learning,
2021, https://arxiv.org/abs/1911.00068
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.measure.head import PENALTIES, Features, fit_head
from convert.measure.scores import Labels, Scores, log_loss, log_scores

FOLDS = 5
MAX_FEATURES = 256  # principal components: with 300 labels, a fifth of the time


@dataclass(frozen=True)
class Suspect:
    """A photo whose label is probably wrong."""

    index: int  # of the photo
    label: int  # that it has
    likelier: int
    score: float  # of the likelier label
    own_score: float  # of the label that it has


def folds_of(
    labels: Labels, groups: NDArray[np.int64], count: int = FOLDS, seed: int = 0
) -> NDArray[np.int64]:
    """Deal groups into folds, so that each has about as many photos of each label.

    Args:
        labels: (n,).
        groups: (n,) numbers; photos of one group stay in one fold.
        count: of folds; there are fewer where there are fewer groups.
        seed: of the order.

    Returns: (n,) numbers of folds.
    """
    random = np.random.default_rng(seed)
    num_labels = int(labels.max()) + 1
    members = [np.flatnonzero(groups == group) for group in random.permutation(np.unique(groups))]
    members.sort(key=len, reverse=True)  # the large ones first: the small ones even it out
    held = np.zeros((count, num_labels))
    fold = np.empty(len(labels), np.int64)
    for photos in members:
        added = np.bincount(labels[photos], minlength=num_labels)
        # Where most of these labels are missing yet; then where there are fewest photos.
        chosen = min(range(count), key=lambda f: (float(held[f] @ added), held[f].sum()))
        held[chosen] += added
        fold[photos] = chosen
    return np.unique(fold, return_inverse=True)[1]


def out_of_fold(
    features: Features, labels: Labels, groups: NDArray[np.int64], num_labels: int, seed: int = 0
) -> tuple[float, Scores]:
    """Score each photo by a head that was fitted to the other folds, with the best penalty.

    Returns: the penalty of the lowest log loss, the first of PENALTIES that a higher one does not
        improve; and (n, num_labels) scores.
    Raises: ValueError for photos of one group, which cannot be parted.
    """
    fold = folds_of(labels, groups, seed=seed)
    if fold.max() == 0:
        raise ValueError("photos must belong to two or more groups. Received: one")
    components = _components(features)
    best, scores = 0.0, np.empty(0, np.float32)
    for penalty in PENALTIES:
        tried = _scored(components, labels, fold, num_labels, penalty)
        if len(scores) and log_loss(tried, labels) >= log_loss(scores, labels):
            break
        best, scores = penalty, tried
    return best, scores


def _scored(
    features: Features, labels: Labels, fold: NDArray[np.int64], num_labels: int, penalty: float
) -> Scores:
    """Score each photo by a head that was fitted to the other folds: (n, num_labels)."""
    weights = np.ones(len(labels), np.float32)
    scores = np.empty((len(labels), num_labels), np.float32)
    for number in range(fold.max() + 1):
        ours, others = fold == number, fold != number
        head = fit_head(
            features[others], labels[others], weights[others], num_labels, penalty=penalty
        )
        scores[ours] = head.scores(features[ours])
    return scores


def _components(features: Features) -> Features:
    """Turn features to their principal components: (n, at most MAX_FEATURES)."""
    centred = features - features.mean(axis=0)
    if centred.shape[1] <= MAX_FEATURES:
        return np.asarray(centred, np.float32)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, -MAX_FEATURES:], np.float32)


def suspicion(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """How much likelier the best other label is than a photo's own, as a logarithm: (n,)."""
    logs = log_scores(scores)
    rows = np.arange(len(labels))
    own = logs[rows, labels]
    others = logs.copy()
    others[rows, labels] = -np.inf
    return np.asarray(others.max(axis=1) - own, np.float64)


def suspects(scores: Scores, labels: Labels) -> tuple[Suspect, ...]:
    """List the photos for which another label is likelier, the most suspicious first."""
    doubt = suspicion(scores, labels)
    others = scores.copy()
    others[np.arange(len(labels)), labels] = -1
    likelier = others.argmax(axis=1)
    order: Sequence[int] = np.argsort(-doubt, kind="stable").tolist()
    return tuple(
        Suspect(
            index,
            int(labels[index]),
            int(likelier[index]),
            float(scores[index, likelier[index]]),
            float(scores[index, labels[index]]),
        )
        for index in order
        if doubt[index] > 0
    )
