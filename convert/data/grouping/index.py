"""An index of bits: what is alike lies side by side once it is sorted by some of its bits.

Sorted several times, each time by other bits, near neighbours meet where far ones seldom do (a
forest of prefix trees: Bawa et al. 2005, https://doi.org/10.1145/1060745.1060840). Rare bits need
few that agree, common ones more, so that time grows with the entries, not with their pairs.

Candidates for copies are photos of which several local features met.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.data.grouping.features import BITS, Features, Shelf
from convert.data.parallel import each

Array = NDArray[Any]

VOTING = 100  # features of a photo, and as many of its mirror image: the strongest
ORDERS = 8  # in which they are sorted
KEY_BYTES = 8  # of a feature, in the order that is drawn
NEAR_BITS = 8  # that may differ between the keys of two features that vote
MIN_VOTES = 4  # for a pair of photos that is worth a look
CANDIDATES = 8  # of each photo, at most
# Two photos, the lower index first, whether to mirror the one, and how many better candidates both
# of them have at least.
PAIR = np.dtype([("one", "i4"), ("other", "i4"), ("mirrored", "?"), ("rank", "i4")])
ENTRIES = 1 << 22  # features that are sorted at once: 20,000 photos
READ = 256  # photos whose features are read at once
PHOTOS = 1 << 13  # whose votes are counted at once, as the lower of a pair
ONES = np.unpackbits(np.arange(1 << 16, dtype="<u2").view("u1").reshape(-1, 2), axis=1).sum(
    1, dtype=np.uint8
)


def differing(ours: Array, theirs: Array) -> Array:
    """How many bits differ: (n, bytes), an even number of uint8, twice -> (n,) int64."""
    counts: Array = ONES[(ours ^ theirs).view("<u2")].sum(axis=1, dtype=np.int64)
    return counts


def candidates(photos: Sequence[Features], groups: Array, folder: Path | None = None) -> Array:
    """Choose pairs that are worth a look: (m,) PAIR, no two photos of one group.

    Args: the features, in an order that has nothing to do with the images; (num_photos,) groups
        that are known; where temporary files lie, None: where the system has them.
    """
    votes = _Votes(len(photos), folder)

    def vote(job: tuple[Array, int, int]) -> None:
        votes.add(_met(*_sorted(photos, *job), groups))

    for _ in each(vote, [*_jobs(photos)], "compare photos", bar=False):
        pass
    return _best(len(photos), *votes.counted())


def _jobs(photos: Sequence[Features]) -> Iterator[tuple[Array, int, int]]:
    """What is sorted at once: bytes of features, in an order, and the range of keys."""
    random = np.random.default_rng(0)
    parts = 1 + 2 * VOTING * len(photos) // ENTRIES
    for _ in range(ORDERS):
        places = random.permutation(BITS // 8)[:KEY_BYTES]
        sample = np.sort(_keys(photos[:READ], places)[0])
        inner = sample[len(sample) * np.arange(1, parts) // parts].tolist()
        for least, end in pairwise([0, *inner, 1 << 64]):
            yield places, least, end


def _keys(photos: Sequence[Features], places: Array) -> tuple[Array, Array]:
    """The keys of some photos' features, (n,) uint64, and their owners: 2 · photo + mirrored."""
    views = [view[:VOTING] for photo in photos for view in (photo.bits, photo.mirrored_bits)]
    bits = np.concatenate([np.zeros((0, BITS // 8), np.uint8), *views])
    keys = np.ascontiguousarray(bits[:, places]).view(">u8").ravel().astype(np.uint64)
    return keys, np.repeat(np.arange(len(views), dtype=np.int32), [len(view) for view in views])


def _sorted(photos: Sequence[Features], places: Array, least: int, end: int) -> tuple[Array, Array]:
    """Sort the features whose keys lie in a range; return keys and owners."""
    kept = [(np.zeros(0, np.uint64), np.zeros(0, np.int32))]
    for start in range(0, len(photos), READ):
        keys, owners = _keys(photos[start : start + READ], places)
        inside = (keys >= np.uint64(least)) & (keys <= np.uint64(end - 1))
        kept.append((keys[inside], owners[inside] + np.int32(2 * start)))
    keys, owners = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    by_bits = np.argsort(keys, kind="stable")
    return keys[by_bits], owners[by_bits]


def _met(keys: Array, owners: Array, groups: Array) -> Array:
    """Pairs of photos of which two features lie side by side: (n,) int64, see _Votes."""
    first, second = owners[:-1], owners[1:]
    apart = (groups[first >> 1] != groups[second >> 1]) & (first & second & 1 == 0)
    met = np.flatnonzero(apart)
    near = differing(*(keys[side].view(np.uint8).reshape(-1, 8) for side in (met, met + 1)))
    met = met[near <= NEAR_BITS]
    first, second = first[met].astype(np.int64), second[met].astype(np.int64)
    low, high = np.minimum(first, second) >> 1, np.maximum(first, second) >> 1
    pairs: Array = low << 33 | high << 1 | (first | second) & 1
    return pairs


class _Votes:
    """Pairs of photos, once for each vote, as one number: lower << 33 | higher << 1 | mirrored.

    Those of many photos lie in temporary files.
    """

    def __init__(self, num_photos: int, folder: Path | None) -> None:
        self._shelf = Shelf(folder)
        self._parts: list[list[Array]] = [[] for _ in range(0, num_photos, PHOTOS)]

    def add(self, pairs: Array) -> None:
        """Vote; threads may do it side by side."""
        part_of = (pairs >> 33) // PHOTOS
        for number, part in enumerate(self._parts):
            part.append(self._shelf.hold(pairs[part_of == number].view(np.uint8)).view(np.int64))

    def counted(self) -> tuple[Array, Array]:
        """The pairs with enough votes, and how many."""
        found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        for part in self._parts:
            pairs, votes = np.unique(np.concatenate(part), return_counts=True)
            enough = votes >= MIN_VOTES
            found.append((pairs[enough], votes[enough]))
        pairs, votes = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return pairs, votes


def _best(num_photos: int, pairs: Array, votes: Array) -> Array:
    """The CANDIDATES of each photo with the most votes: (n,) PAIR."""
    by_votes = np.argsort(-votes, kind="stable")
    pairs = pairs[by_votes]
    best = np.empty(len(pairs), PAIR)
    best["one"], best["other"], best["mirrored"] = (
        pairs >> 33,
        pairs >> 1 & (1 << 32) - 1,
        pairs & 1,
    )
    ends = np.stack([best["one"], best["other"]], axis=1).ravel()  # most votes first
    by_photo = np.argsort(ends, kind="stable")
    starts = np.searchsorted(ends[by_photo], np.arange(num_photos))
    ranks = np.empty(len(ends), np.int64)
    ranks[by_photo] = np.arange(len(ends)) - starts[ends[by_photo]]
    best["rank"] = ranks.reshape(-1, 2).min(axis=1)
    return best[best["rank"] < CANDIDATES]
