"""Which photos are worth a look: those whose local features share the most words.

A bag of words (Sivic and Zisserman 2003, https://doi.org/10.1109/ICCV.2003.1238663): words are
drawn from the photos' own features, each feature counts for its two nearest, rare words weigh more.
All pairs are compared, in tiles: time grows with the square of the photos, memory does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.data.grouping.features import BITS, Features
from convert.data.parallel import each

Array = NDArray[Any]

VOTING = 150  # features that vote for candidates: the strongest; a count fits into 8 bits
NUM_WORDS = 1024
CANDIDATES = 8  # of each photo, verified; with 5, a tenth of strong crops are missed
# Two photos, the lower index first, and whether to mirror the one.
PAIR = np.dtype([("one", "i4"), ("other", "i4"), ("mirrored", "?")])
ROWS, COLUMNS = 2048, 1024  # of a tile
COUNTED = 64  # photos whose words are counted at once


def candidates(photos: Sequence[Features], order: Sequence[str]) -> Array:
    """Choose pairs that are worth a look, the photos with the most similar words: (m,) PAIR.

    Args: the features; a key of each photo, so that its place among the others does not matter.
    """
    words = _vocabulary(photos, order)
    if not len(words) or len(photos) < 2:
        return np.zeros(0, PAIR)
    if len(photos) <= 2 * CANDIDATES:
        every = itertools.combinations(range(len(photos)), 2)
        return np.array([(*pair, flag) for pair in every for flag in (False, True)], PAIR)
    straight = _bags(photos, words, mirrored=False)
    mirrored = _bags(photos, words, mirrored=True)
    rarity = _rarity(straight)
    rows = range(0, len(photos), ROWS)
    found = [_nearest(straight, mirrored, rarity, start) for start in rows]
    different: Array = np.unique(np.concatenate(found))
    return different


def _vocabulary(photos: Sequence[Features], order: Sequence[str]) -> Array:
    """Draw words from the photos' own features: (at most NUM_WORDS, BITS / 8) uint8."""
    by_key = sorted(range(len(photos)), key=lambda i: order[i])
    random = np.random.default_rng(0)
    drawn = random.permutation(len(by_key))[: 4 * NUM_WORDS]
    bits = np.concatenate(
        [np.zeros((0, BITS // 8), np.uint8), *(photos[by_key[i]].bits[:VOTING] for i in drawn)]
    )
    words: Array = bits[random.permutation(len(bits))[:NUM_WORDS]]
    return words


def _bags(photos: Sequence[Features], words: Array, *, mirrored: bool) -> Array:
    """Count each photo's words, (num_photos, num_words) uint8; a feature has its two nearest."""
    counts = np.zeros((len(photos), len(words)), np.uint8)

    def count(start: int) -> None:
        block = [
            (photo.mirrored_bits if mirrored else photo.bits)[:VOTING]
            for photo in photos[start : start + COUNTED]
        ]
        features = np.concatenate(block)
        if len(features):
            _, nearest = cv2.batchDistance(
                features, words, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=min(2, len(words))
            )
            rows = np.repeat(np.arange(len(block)), [len(of_photo) for of_photo in block])
            places = (rows[:, None] * len(words) + nearest).ravel()
            counted = np.bincount(places, minlength=len(block) * len(words))
            counts[start : start + len(block)] = counted.reshape(len(block), -1)

    for _ in each(count, range(0, len(photos), COUNTED), "compare photos", bar=False):
        pass
    return counts


def _rarity(counts: Array) -> Array:
    """Weights of words, (num_words,) float32: the logarithm of how rare photos with them are."""
    having = np.zeros(counts.shape[1], np.int64)
    for start in range(0, len(counts), ROWS):
        having += np.count_nonzero(counts[start : start + ROWS], axis=0)
    rarity: Array = np.log(len(counts) / np.maximum(1, having)).astype(np.float32)
    return rarity


def _weighted(counts: Array, rarity: Array) -> Array:
    """Weigh words by their rarity and bring each photo's to length 1: (n, num_words) float32."""
    weighed = np.sqrt(counts.astype(np.float32)) * rarity
    unit: Array = weighed / np.maximum(1e-9, np.linalg.norm(weighed, axis=1, keepdims=True))
    return unit


def _nearest(straight: Array, mirrored: Array, rarity: Array, start: int) -> Array:
    """The CANDIDATES most similar photos of each of ROWS photos, (n,) PAIR."""
    upright_rows = _weighted(straight[start : start + ROWS], rarity)
    mirrored_rows = _weighted(mirrored[start : start + ROWS], rarity)
    best = _Best(len(upright_rows))
    for first in range(0, len(straight), COLUMNS):
        columns = _weighted(straight[first : first + COLUMNS], rarity).T
        upright, turned = upright_rows @ columns, mirrored_rows @ columns
        flags = turned > upright
        likeness = np.maximum(upright, turned, out=upright)
        own = np.arange(max(start, first), min(start + len(likeness), first + columns.shape[1]))
        likeness[own - start, own - first] = -1.0
        best.add(likeness, flags, first)
    ours, others = np.arange(start, start + len(upright_rows))[:, None], best.others
    pairs = np.empty(others.shape, PAIR)
    pairs["one"], pairs["other"] = np.minimum(ours, others), np.maximum(ours, others)
    pairs["mirrored"] = best.flags
    return pairs.ravel()


class _Best:
    """The most similar photos so far of each of some photos, (rows, CANDIDATES)."""

    def __init__(self, rows: int) -> None:
        self.likeness = np.full((rows, CANDIDATES), -2.0, np.float32)
        self.others = np.zeros((rows, CANDIDATES), np.int32)
        self.flags = np.zeros((rows, CANDIDATES), np.bool_)

    def add(self, likeness: Array, flags: Array, first: int) -> None:
        """Compare with photos from `first` on, (rows, columns); most rows gain nothing."""
        least = self.likeness.min(axis=1)
        rows = np.flatnonzero(likeness.max(axis=1) > least)
        numbers = np.arange(first, first + likeness.shape[1], dtype=np.int32)
        all_likeness = np.hstack([self.likeness[rows], likeness[rows]])
        chosen = np.argpartition(-all_likeness, CANDIDATES - 1, axis=1)[:, :CANDIDATES]
        others = np.hstack([self.others[rows], np.broadcast_to(numbers, (len(rows), len(numbers)))])
        all_flags = np.hstack([self.flags[rows], flags[rows]])
        self.likeness[rows] = np.take_along_axis(all_likeness, chosen, axis=1)
        self.others[rows] = np.take_along_axis(others, chosen, axis=1)
        self.flags[rows] = np.take_along_axis(all_flags, chosen, axis=1)
