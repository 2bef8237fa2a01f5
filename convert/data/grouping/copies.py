"""Find edited copies of photos by local features: rotated, mirrored, cropped, sheared, shifted.

Each photo gets ORB features (Rublee et al. 2011, https://doi.org/10.1109/ICCV.2011.6126544) of the
photo and of its mirror image. Features vote for a few candidates by the words they share (a bag of
words, Sivic and Zisserman 2003). A candidate counts as a copy if one affine transform maps enough
features of the one onto the other, and the pixels agree where the two then overlap. A transform
that is about right is refined by the pixels (Evangelidis and Psarakis 2008,
https://doi.org/10.1109/TPAMI.2008.113).

The limits were chosen on flowers and hot dogs; benchmarks/near_duplicates.py prints recall, false
joins and cost.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.data.parallel import each
from edge.image.decode import Pixels

Array = NDArray[Any]

SIDE = 160  # longer side of what features are detected in, in pixels
MAX_ENLARGED = 2.5  # times; what is smaller has no detail to compare
MAX_FEATURES = 150  # of a photo
VOTING = 150  # features that vote for candidates: the strongest
NUM_WORDS = 1024
CANDIDATES = 8  # of each photo, verified; with 5, a tenth of strong crops are missed
MIN_INLIERS = 8  # features that one transform maps
REPROJECTION_PX = 4.0
MAX_BIT_DISTANCE = 70  # of 256 bits, between features that match
MIN_SCALE, MAX_SCALE = 0.5, 2.0  # of the transform, in any direction
MIN_OVERLAP = 0.35  # of the smaller photo
MIN_ROUGH_CORRELATION = 0.6  # of the pixels in the overlap, for the transform to be refined
MIN_CORRELATION = 0.75  # of these pixels, for a copy
# Two dandelions, or two photos of one cup, agree in their shape alone: a copy does all over.
CELL = 8  # pixels, a side of the cells that are compared by themselves
MIN_CELL_CORRELATION = 0.3  # of the detail in a cell
# Share of the cells that agree in detail, and the correlation of the cells' brightness, which light
# that was cut off at white lowers. A refined transform must fit nearly everywhere: it was fitted.
Limits = tuple[float, float]
MOST: Limits = (0.75, 0.96)
NEARLY_ALL: Limits = (0.9, 0.93)
REFINEMENT = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)  # steps, least gain
DETAIL_SIGMA = 2.5  # pixels of the blur that is subtracted
BLOCK = 512  # photos compared with all others at once
BITS = 256
QUIET = 10_000  # pairs are compared in a moment up to here


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Features:
    """The local features of a photo, the strongest first, and of its mirror image."""

    grey: Array  # (h, w) uint8, at most SIDE / 2
    points: Array  # (n, 2) float32: x, y, in pixels of SIDE
    bits: Array  # (n, 32) uint8
    mirrored_points: Array  # (m, 2) float32, in the mirror image
    mirrored_bits: Array  # (m, 32) uint8


def features_of(pixels: Pixels) -> Features:
    """Compute the features of (h, w, 3) uint8 RGB pixels, best of twice SIDE or less."""
    grey = _scaled(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), SIDE)
    mirrored = np.ascontiguousarray(grey[:, ::-1])
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return Features(half, *_detect(grey), *_detect(mirrored))


def _scaled(grey: Array, side: int) -> Array:
    """Resize to a longer side, and keep the aspect; what is very small stays smaller."""
    scale = min(side / max(grey.shape), MAX_ENLARGED)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def copies(photos: Sequence[Features], order: Sequence[str]) -> list[tuple[int, int]]:
    """Find pairs of photos that are copies of each other, as (lower, higher) indices.

    Args:
        photos: their features.
        order: a key of each photo, such as its SHA-256, so that the result does not depend on the
            order of the photos.
    """
    pairs = _candidates(photos, order)

    def verify(pair: _Pair) -> bool:
        return _is_copy(photos[pair.one], photos[pair.other], mirrored=pair.mirrored)

    found = each(verify, pairs, "compare photos", bar=len(pairs) > QUIET)
    return [(pair.one, pair.other) for pair, same in zip(pairs, found, strict=True) if same]


@dataclass(frozen=True, order=True)
class _Pair:
    """Two photos that are worth a look, and whether to mirror the one."""

    one: int
    other: int
    mirrored: bool


def _detect(grey: Array) -> tuple[Array, Array]:
    """Detect features: (n, 2) points and (n, 32) bits, the strongest first."""
    if min(grey.shape) < 32:  # the smallest patch does not fit
        return np.zeros((0, 2), np.float32), np.zeros((0, BITS // 8), np.uint8)
    orb = cv2.ORB.create(
        nfeatures=MAX_FEATURES,
        scaleFactor=1.2,
        nlevels=8,
        edgeThreshold=10,
        patchSize=22,
        fastThreshold=4,
    )
    keys, bits = orb.detectAndCompute(grey, None)  # type: ignore[call-overload]
    if bits is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, BITS // 8), np.uint8)
    strongest = sorted(range(len(keys)), key=lambda i: -keys[i].response)[:MAX_FEATURES]
    return np.array([keys[i].pt for i in strongest], np.float32), bits[strongest]


def _candidates(photos: Sequence[Features], order: Sequence[str]) -> list[_Pair]:
    """Choose pairs that are worth a look: the photos with the most similar words."""
    words = _vocabulary(photos, order)
    if not len(words) or len(photos) < 2:
        return []
    if len(photos) <= 2 * CANDIDATES:
        every = itertools.combinations(range(len(photos)), 2)
        return [_Pair(*pair, mirrored) for pair in every for mirrored in (False, True)]
    straight = _bags([photo.bits for photo in photos], words)
    mirrored = _bags([photo.mirrored_bits for photo in photos], words)
    rarity = np.log(len(photos) / np.maximum(1, (straight > 0).sum(axis=0))).astype(np.float32)
    straight, mirrored = _weighted(straight, rarity), _weighted(mirrored, rarity)
    pairs: set[_Pair] = set()
    for start in range(0, len(photos), BLOCK):
        block = slice(start, start + BLOCK)
        upright, turned = straight[block] @ straight.T, mirrored[block] @ straight.T
        likeness = np.maximum(upright, turned)
        rows = np.arange(len(likeness))
        likeness[rows, start + rows] = -1.0
        best = np.argpartition(-likeness, CANDIDATES, axis=1)[:, :CANDIDATES]
        flags = (turned > upright)[rows[:, None], best]
        for row, others, of_row in zip(rows.tolist(), best.tolist(), flags.tolist(), strict=True):
            pairs |= {
                _Pair(min(start + row, other), max(start + row, other), flag)
                for other, flag in zip(others, of_row, strict=True)
            }
    return sorted(pairs)


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


def _bags(bits: Sequence[Array], words: Array) -> Array:
    """Count each photo's words, (num_photos, num_words) float32; a feature has its two nearest."""

    def count(start: int) -> Array:
        block = [of_photo[:VOTING] for of_photo in bits[start : start + 64]]
        counts = np.zeros((len(block), len(words)), np.float32)
        features = np.concatenate(block)
        if len(features):
            _, nearest = cv2.batchDistance(
                features, words, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=min(2, len(words))
            )
            rows = np.repeat(np.arange(len(block)), [len(of_photo) for of_photo in block])
            np.add.at(counts, (rows[:, None], np.asarray(nearest, np.intp)), 1.0)
        return counts

    counted = each(count, range(0, len(bits), 64), "compare photos", bar=False)
    return np.concatenate(list(counted))


def _weighted(counts: Array, rarity: Array) -> Array:
    """Weigh words by their rarity and bring each photo's to length 1."""
    weighed = np.sqrt(counts) * rarity
    unit: Array = weighed / np.maximum(1e-9, np.linalg.norm(weighed, axis=1, keepdims=True))
    return unit


def _is_copy(one: Features, other: Features, *, mirrored: bool) -> bool:
    """Whether a transform makes one photo, or its mirror image, of the other."""
    points, bits = (one.mirrored_points, one.mirrored_bits) if mirrored else (one.points, one.bits)
    matrix = _transform(points, bits, other)
    if matrix is None:
        return False
    return _agree(one.grey[:, ::-1] if mirrored else one.grey, other.grey, matrix)


def _transform(points: Array, bits: Array, other: Features) -> Array | None:
    """Find the affine transform, (2, 3), that maps enough features onto those of the other."""
    if min(len(points), len(other.points)) < MIN_INLIERS:
        return None
    matches = [m for m in _matcher().match(bits, other.bits) if m.distance <= MAX_BIT_DISTANCE]
    if len(matches) < MIN_INLIERS:
        return None
    source = points[[match.queryIdx for match in matches]]
    target = other.points[[match.trainIdx for match in matches]]
    matrix, inliers = cv2.estimateAffine2D(
        source, target, ransacReprojThreshold=REPROJECTION_PX, maxIters=300
    )
    if matrix is None or int(inliers.sum()) < MIN_INLIERS:
        return None
    scales = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return matrix if scales.min() >= MIN_SCALE and scales.max() <= MAX_SCALE else None


@functools.cache
def _matcher() -> cv2.BFMatcher:
    return cv2.BFMatcher.create(cv2.NORM_HAMMING, crossCheck=True)


def _agree(one: Array, other: Array, matrix: Array) -> bool:
    """Whether the pixels of one photo, transformed, are the other's."""
    one = np.ascontiguousarray(one)
    matrix = matrix * (1, 1, 0.5)  # the shift is in pixels
    warped, inside = _warped(one, matrix, other)
    if inside.sum() < MIN_OVERLAP * min(one.size, other.size):
        return False
    if _correlation(warped[inside], other[inside]) < MIN_ROUGH_CORRELATION:
        return False
    if _cells_agree(warped, other, inside, MOST, NEARLY_ALL):
        return True
    refined = _refined(one, other, matrix)
    if refined is None:
        return False
    warped, inside = _warped(one, refined, other)
    return _cells_agree(warped, other, inside, NEARLY_ALL)


def _warped(one: Array, matrix: Array, other: Array) -> tuple[Array, Array]:
    """Transform one photo; return also which pixels of the other it covers."""
    size = (other.shape[1], other.shape[0])
    inside = cv2.warpAffine(np.full(one.shape, 255, np.uint8), matrix, size) == 255
    return cv2.warpAffine(one, matrix, size, flags=cv2.INTER_AREA), inside


def _refined(one: Array, other: Array, matrix: Array) -> Array | None:
    """Improve a transform by the pixels; None where that fails."""
    back = cv2.invertAffineTransform(matrix).astype(np.float32)
    try:
        cv2.findTransformECC(  # type: ignore[call-overload]
            other, one, back, cv2.MOTION_AFFINE, REFINEMENT, None, 3
        )
    except cv2.error:  # it does not converge
        return None
    forth: Array = cv2.invertAffineTransform(back)
    return forth


def _cells_agree(one: Array, other: Array, inside: Array, *limits: Limits) -> bool:
    """Whether two photos agree in the cells of their overlap, by one of the limits."""
    whole = _cells(inside).all(axis=1)
    if not whole.any() or _correlation(one[inside], other[inside]) < MIN_CORRELATION:
        return False
    ours, theirs = (_cells(_detail(grey))[whole] for grey in (one, other))
    ours -= ours.mean(axis=1, keepdims=True)
    theirs -= theirs.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    agree = float(((ours * theirs).sum(axis=1) > MIN_CELL_CORRELATION * lengths).mean())
    alike = _correlation(*(_cells(grey)[whole].mean(axis=1) for grey in (one, other)))
    return any(agree >= cells and alike >= means for cells, means in limits)


def _cells(image: Array) -> Array:
    """Cut an image into cells, (num_cells, CELL * CELL); what is left at two sides is cut off."""
    down, across = (side // CELL for side in image.shape)
    cut = image[: down * CELL, : across * CELL].reshape(down, CELL, across, CELL)
    return cut.swapaxes(1, 2).reshape(down * across, CELL * CELL)


def _correlation(one: Array, other: Array) -> float:
    """Pearson's correlation of two (n,) arrays; 0 where one is constant."""
    ours, theirs = one.astype(np.float32), other.astype(np.float32)
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    lengths = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float(ours @ theirs) / lengths if lengths else 0.0


def _detail(grey: Array) -> Array:
    """What a blur takes away, float32."""
    single = grey.astype(np.float32)
    return single - cv2.GaussianBlur(single, (0, 0), DETAIL_SIGMA)
