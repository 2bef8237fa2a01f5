"""Find photos that are next to the same: scaled, compressed, mirrored, slightly cropped, a burst.

Each photo gets a perceptual hash of 255 bits (the signs of its lowest cosine frequencies) and a
coarse map of its colours. Two photos look alike when nearly all bits agree, or most of them do
and the colours do as well. The limits were chosen on 6,200 real photos, 19 million pairs: the 9
groups that are found are each of one scene, by eye. On those photos the limits were also judged, so
that others may do worse: of drawn icons, 1 to 9 of 400,000 pairs match falsely.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.data.parallel import each
from convert.data.photo import Photo
from convert.files import write
from edge.errors import ImageError
from edge.image.preprocess import PREPROCESSING_VERSION, Pixels, resized

SIDE = 32  # what is looked at, in pixels
FREQUENCIES = 16  # in both directions, the mean left out
SAME_BITS = 51  # at most this many of 255 bits differ, whatever the colours
ALIKE_BITS = 76  # or this many, where the colours differ by at most
ALIKE_COLOURS = 10.0  # of 255, on average
FAINT = 14.0  # a frequency below this is noise: three times what rounding pixels makes
COLOURS = SIDE // 4  # side of the map of colours
BLOCK = 512  # photos compared with all others at once

LOOK = np.dtype(
    [
        ("bits", "u1", (FREQUENCIES * FREQUENCIES // 8,)),
        ("colours", "i1", (COLOURS, COLOURS, 2)),
        ("plain", "?"),  # has no shape of its own
    ]
)
Look = NDArray[np.void]  # of LOOK
KNOWN = np.dtype([("sha256", "V32"), ("look", LOOK)])
UNREADABLE = np.zeros((), LOOK)
UNREADABLE["plain"] = True


def groups(photos: Sequence[Photo], cache: Path | None = None) -> NDArray[np.int64]:
    """Number the photos so that look-alikes have the same number: (num_photos,) int64.

    A photo that cannot be read looks like its exact copies only. Neither order nor names matter.

    Args:
        photos: of any sets and classes.
        cache: a folder that keeps what was computed, by content; None: nothing is kept.
    """
    path = cache and cache / f"lookalikes-v{PREPROCESSING_VERSION}.npy"
    known = _load(path) if path else {}
    new = list({photo.sha256: photo for photo in photos if photo.sha256 not in known}.values())
    for photo, look in zip(new, each(_look_at, new, "find look-alikes"), strict=True):
        known[photo.sha256] = look
    if path and new:
        _save(path, {sha256: seen for sha256, seen in known.items() if seen is not UNREADABLE})
    hashes = [photo.sha256 for photo in photos]
    return group(hashes, np.array([known[sha256] for sha256 in hashes], LOOK))


def look(pixels: Pixels) -> Look:
    """See what is compared of a picture: () LOOK.

    Args:
        pixels: (SIDE, SIDE, 3) uint8, the whole picture, whatever its aspect.
    """
    seen = np.zeros((), LOOK)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)  # (SIDE, SIDE)
    lowest = (COSINES @ grey @ COSINES.T).ravel()  # (FREQUENCIES * FREQUENCIES,)
    seen["bits"] = np.packbits(lowest > 0)
    seen["plain"] = np.mean(np.abs(lowest[1:]) > FAINT) < 0.5
    means = pixels.reshape(COLOURS, 4, COLOURS, 4, 3).mean((1, 3), dtype=np.float32)
    light = means @ np.array([0.299, 0.587, 0.114], np.float32)
    seen["colours"] = np.rint((means[..., [2, 0]] - light[..., None]) / 2)  # blue, red; -128..127
    return seen


def group(sha256: Sequence[str], looks: Look) -> NDArray[np.int64]:
    """Group photos by their looks, (n,) LOOK, and their content: (n,) int64."""
    _, numbers = np.unique(np.array(sha256, "U64"), return_inverse=True)
    shaped = np.flatnonzero(~looks["plain"])  # what has no shape would all look alike
    signs = _signs(looks["bits"][shaped])
    mirrored = signs * MIRROR
    colours = looks["colours"][shaped].astype(np.float32)
    for start in range(0, len(shaped), BLOCK):
        block = signs[start : start + BLOCK]
        agree = np.maximum(block @ signs.T, block @ mirrored.T)  # 255 - 2 * differing bits
        near = np.triu(agree >= 255 - 2 * ALIKE_BITS, start + 1)
        for row in np.flatnonzero(near.any(axis=1)):
            index = start + row
            others = np.flatnonzero(near[row])
            others = others[numbers[shaped[others]] != numbers[shaped[index]]]
            same = agree[row, others] >= 255 - 2 * SAME_BITS
            same |= _colour_distance(colours[index], colours[others]) <= ALIKE_COLOURS
            joined = numbers[shaped[[index, *others[same]]]]
            if len(joined) > 1:
                numbers[np.isin(numbers, joined)] = joined.min()
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def _look_at(photo: Photo) -> Look:
    try:
        return look(resized(photo.path, (SIDE, SIDE)))
    except ImageError:
        return UNREADABLE  # whoever decodes it for training names it


def _cosines() -> NDArray[np.float32]:
    """The lowest frequencies of the discrete cosine transform (II): (FREQUENCIES, SIDE)."""
    centres = np.arange(SIDE) + 0.5
    return np.cos(np.pi / SIDE * np.arange(FREQUENCIES)[:, None] * centres).astype(np.float32)


COSINES = _cosines()
# Mirroring left to right turns the odd horizontal frequencies over: (255,) of 1 and -1.
MIRROR = np.tile(np.array([1, -1], np.float32), FREQUENCIES * FREQUENCIES // 2)[1:]


def _signs(bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 32) uint8 -> (n, 255) float32 of 1 and -1: their products count what agrees."""
    signs: NDArray[np.float32] = np.unpackbits(bits, axis=1)[:, 1:].astype(np.float32) * 2 - 1
    return signs


def _colour_distance(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean difference, 0..255, of one map of colours and (n, ...) others, mirrored or not."""
    straight, mirrored = (
        2 * np.abs(others - turned).mean((1, 2, 3)) for turned in (one, one[:, ::-1])
    )
    distance: NDArray[np.float32] = np.minimum(straight, mirrored)
    return distance


def _load(path: Path) -> dict[str, Look]:
    """What an earlier run kept; nothing where it cannot be read."""
    try:
        kept = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return {}
    if not isinstance(kept, np.ndarray) or kept.dtype != KNOWN or kept.ndim != 1:
        return {}
    return {row["sha256"].tobytes().hex(): row["look"] for row in kept}


def _save(path: Path, known: dict[str, Look]) -> None:
    rows = np.zeros(len(known), KNOWN)
    for row, (sha256, seen) in zip(rows, known.items(), strict=True):
        row["sha256"], row["look"] = bytes.fromhex(sha256), seen
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    np.save(stream, rows)
    write(path, stream.getvalue())
