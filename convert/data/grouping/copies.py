"""Find edited copies of photos by local features: rotated, mirrored, cropped, sheared, shifted.

Each photo gets features of itself and of its mirror image, which vote for a few candidates
(convert.data.grouping.index). A candidate counts as a copy if one affine transform maps enough
features of the one onto the other, and the pixels agree where the two then overlap. A transform
that is about right is refined by the pixels (Evangelidis and Psarakis 2008,
https://doi.org/10.1109/TPAMI.2008.113).

The limits were chosen on flowers and hot dogs; benchmarks/near_duplicates.py prints recall, false
joins and cost.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.data.grouping.features import Features
from convert.data.grouping.index import CANDIDATES
from convert.data.grouping.joined import connected
from convert.data.parallel import each

Array = NDArray[Any]

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
QUIET = 10_000  # pairs are compared in a moment up to here


def copies(photos: Sequence[Features], pairs: Array, groups: Array) -> list[tuple[int, int]]:
    """Find which pairs of photos are copies, as (one, other) indices.

    The best candidates of all photos come first. What they join is not compared again, so that a
    group of many copies takes about one comparison for each.

    Args:
        photos: their features.
        pairs: (m,) PAIR, the candidates.
        groups: (num_photos,) numbers, equal for those that are known to belong together: they are
            not compared.
    """
    found: list[tuple[int, int]] = []
    for rank in range(CANDIDATES):
        ranked = pairs[pairs["rank"] == rank]
        ranked = ranked[groups[ranked["one"]] != groups[ranked["other"]]]
        verify = functools.partial(_verified, photos, ranked)
        verified = each(verify, range(len(ranked)), "compare photos", bar=len(ranked) > QUIET)
        same = ranked[np.fromiter(verified, np.bool_, len(ranked))]
        found += zip(same["one"].tolist(), same["other"].tolist(), strict=True)
        groups = connected(groups, found)
    return found


def _verified(photos: Sequence[Features], pairs: Array, row: int) -> bool:
    pair = pairs[row]
    return _is_copy(photos[pair["one"]], photos[pair["other"]], mirrored=bool(pair["mirrored"]))


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
