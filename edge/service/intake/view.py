"""Whether a camera shows what it usually shows: its view in tiles, each against its own past.

A tile is judged by what is usual for it, so that leaves, shadows and people, who change some tiles,
are not a fault of the camera; that changes most tiles, and stays. Light changes a tile's mean, its
slopes (a lamp is nearer to one side) and its scale: patterns are compared without them. Detail is
compared with what the pattern's scale leaves of it, and only where the light is as usual: a lens
out of focus makes no part of the view brighter or darker.

The sensor's noise is new in each frame, and the scene is not. So no frame is squared: each is
multiplied by the frames before it, smoothed, and the mean of the product has nothing of the noise,
however much there is of it at dusk and in the darker parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.sources.grey import Cells, Grey

TILE = 10  # cells on a side of a tile
SHORT_S = 1.0  # what is shorter is smoothed away: noise, rain
USUAL_S = 240.0  # after which what stays is usual: light, shadows
DAYLIGHT_S = 900.0  # after which brightness is the day's, and not a parked car's
NOISE_S = 10.0  # after which what changes everywhere is noise
GAP_S = 600.0  # after a longer one, light and shadows are others
LEARN_S, LEARN_LOOKS = 20.0, 10  # before it judges
MIN_TILES = 6  # that must have a pattern
MIN_VARIANCE = 9.0  # of a pattern, in grey levels squared

# Chosen on days of benchmarks/days.py that judge nothing any more: docs/proofs.md.
FLAT = 0.12  # of the usual variance
STRANGE = 0.5  # of the usual correlation
LIT = 1.4  # times as bright as usual beside the other tiles, from which its light is another
DOUBT = 2.0  # standard errors of the detail that noise may have hidden
GLARE = 230.0  # grey levels from which a tile is too bright to judge
BLACK, DIMMED = 20.0, 0.5  # grey levels of the brightest tile; and of what one in five usually has

Tiles = NDArray[np.float32]  # (rows, columns), or several of them
Chosen = NDArray[np.bool_]  # of the tiles
# What is known of a tile, now and usually. Its plane is the mean and two slopes.
MEAN, PLANE, SAME, DETAIL = 0, slice(3), 3, 4


@dataclass(frozen=True)
class Signs:
    """What a look at the view has shown. Shares are of the tiles that have a pattern."""

    frozen: bool = False  # the very same cells as before
    black: bool = False  # which it usually is not
    flat: float = 0.0  # share without a pattern
    soft: float = 0.0  # share of the usual fine detail that is gone, of tiles that show as usual
    strange: float = 0.0  # share with another pattern


class View:
    """Remembers what a view usually shows."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin to learn."""
        self._cells: Cells | None = None  # of the newest look
        self._at_s = self._age_s = 0.0
        self._looks = 0

    def look(self, grey: Grey, now_s: float) -> Signs | None:
        """Compare a frame with what is usual; None where there is too little to be seen.

        While too little is known, only a frozen camera is noticed.

        Args:
            grey: the frame's small copy.
            now_s: when it was captured, by a clock that does not jump.
        """
        cells = grey.cells
        gap_s = now_s - self._at_s
        if self._cells is None or self._cells.shape != cells.shape or not 0 <= gap_s <= GAP_S:
            self._begin(grey)
            self._at_s = now_s
            return None
        self._at_s, self._gap_s = now_s, gap_s
        self._note_noise(cells[::3, ::3] - self._cells[::3, ::3])
        is_same = bool((cells == self._cells).all())
        weight = self._weight = 1 - math.exp(-gap_s / SHORT_S)
        self._measure(grey, weight)
        frozen = is_same and bool(self._contrast.max() > MIN_VARIANCE)
        self._cells = cells
        _approach(self._short, cells, weight)
        _approach(self._fine, grey.fine, weight)
        if self._age_s < LEARN_S or self._looks < LEARN_LOOKS:
            return Signs(frozen)
        signs = self._signs(frozen)
        if not signs:
            self.learn()  # it may stay so
        return signs

    def learn(self) -> None:
        """Take what the newest look has shown for usual."""
        self._looks += 1
        self._age_s += self._gap_s
        # The first look replaces what is known of the frame before: that one times itself is noise.
        weight = max(1 / self._looks, min(0.5, 1 - math.exp(-self._gap_s / USUAL_S)))
        slowly = 1 - math.exp(-self._gap_s / DAYLIGHT_S)
        _approach(self._usual, self._short, weight)
        _approach(self._usually, self._now, weight)
        self._usual_level += weight * (self._level - self._usual_level)
        rises = self._level > self._lasting_level
        self._lasting_level += (slowly if rises else weight) * (self._level - self._lasting_level)

    def _begin(self, grey: Grey) -> None:
        cells = grey.cells
        self._rows, self._columns = _pooling(cells.shape[0]), _pooling(cells.shape[1]).T
        self._tiles = len(self._rows) // 2, self._columns.shape[1] // 2
        self._cells, self._short, self._fine = cells, cells.copy(), grey.fine.copy()
        self._usual = cells.copy()
        self._fields = np.empty((4, *cells.shape), np.float32)  # a new one takes 10 us more
        self._noise, self._gap_s, self._age_s, self._looks = 2.0, 0.0, 0.0, 0
        plane, products = self._plane(cells), self._products(grey)
        self._common = products[0] - (plane * plane).sum(0)
        known = np.concatenate((plane, np.zeros_like(plane[:2])))
        self._known = np.stack((known, known))
        self._now, self._usually = self._known
        self._measure(grey, 1.0)
        self._usually[:] = self._now
        self._usual_level = self._lasting_level = self._level

    def _plane(self, cells: Cells) -> Tiles:
        """The mean and the slopes of each tile, (3, rows, columns)."""
        height, width = self._tiles
        means_and_slopes = self._rows @ (cells @ self._columns)
        four = means_and_slopes.reshape(2, height, 2, width).transpose(0, 2, 1, 3)
        return four.reshape(4, height, width)[:3]

    def _products(self, grey: Grey) -> Tiles:
        """Means of each tile, (4, rows, columns), of what a frame and others have in common."""
        cells, usual, (height, width) = grey.cells, self._usual, self._tiles
        detail, fields = grey.fine * self._fine, self._fields
        np.multiply(cells, self._short, out=fields[0])
        np.multiply(usual, usual, out=fields[1])
        np.multiply(cells, usual, out=fields[2])
        np.add(detail[0], detail[1], out=fields[3])
        rows = fields.reshape(-1, cells.shape[1]) @ self._columns[:, :width]
        tiles: Tiles = self._rows[:height] @ rows.reshape(4, len(cells), width)
        return tiles

    def _note_noise(self, change: Cells) -> None:
        """Follow the noise of a cell; what moves is more than noise, and is followed slowly.

        An exposure that changes is not noise: what is linear in the brightness is left out.

        Args: change: of one cell in nine since the look before.
        """
        change, light = change.ravel(), self._short[::3, ::3].ravel()
        light = light - light.sum() / light.size
        change -= change.sum() / change.size
        change -= light * (change.dot(light) / (light.dot(light) + 1))
        deviation = 1.05 * _ranked(np.abs(change), 0.5)
        more = deviation - self._noise
        if self._looks < LEARN_LOOKS:
            self._noise += more / (self._looks + 1)
        elif more > 0:
            self._noise += -math.expm1(-self._gap_s / NOISE_S) * min(more, self._noise + 0.1)
        else:
            self._noise += 0.2 * more

    def _measure(self, grey: Grey, weight: float) -> None:
        """Measure each tile of a frame, beside the frames before it and beside what is usual."""
        plane, (product, square, common, detail) = self._plane(grey.cells), self._products(grey)
        self._mean, usual_plane, now = plane[MEAN], self._usually[PLANE], self._now
        # One tile in five is brighter: a headlight makes no day.
        self._level = _ranked(plane[MEAN], 0.8)
        plane_now, plane_usual = (self._known[:, PLANE] * plane).sum(1)
        self._contrast = np.maximum(product - plane_now, 0)
        self._usual_variance = square - (usual_plane * usual_plane).sum(0)
        # How much of the usual pattern there is, its slopes included: they stay out of focus.
        usual = np.maximum(square - usual_plane[MEAN] ** 2, 1)
        share = (common - plane[MEAN] * usual_plane[MEAN]) / usual
        self._share = np.minimum(np.maximum(share, 0), 1) ** 2
        common = np.maximum(common - plane_usual, 0)
        # What the usual pattern explains of the contrast: a glare has none of it.
        explained = common * self._common / np.maximum(self._usual_variance, 1)
        now[SAME] = np.minimum(np.sqrt(explained / np.maximum(self._contrast, 1)), 1)
        _approach(self._common, common, weight)
        _approach(now[DETAIL], detail, weight)
        _approach(now[PLANE], plane, weight)

    def _signs(self, frozen: bool) -> Signs | None:
        # Of the brightest tile: beside a headlight all else is dark, and the camera is not.
        black = float(self._mean.max()) < BLACK < DIMMED * self._lasting_level
        has_pattern = self._usual_variance > max(MIN_VARIANCE, self._noise**2)
        has_pattern &= self._usually[SAME] > 0.5
        count = int(np.count_nonzero(has_pattern))
        if count < MIN_TILES:
            return Signs(frozen, black)
        dimmed = min(1.0, self._level / (self._usual_level + 1))  # at dusk, contrast is less too
        shown = has_pattern & (self._mean < GLARE)  # a light is neither covered nor moved
        if 2 * np.count_nonzero(shown) < count:
            return Signs(frozen=True) if frozen else None  # overexposed: the exposure hunts
        flat = shown & (self._contrast < FLAT * dimmed * self._usual_variance)
        strange = shown & (self._now[SAME] < STRANGE * self._usually[SAME])
        return Signs(
            frozen,
            black,
            np.count_nonzero(flat) / count,
            self._softness(has_pattern, shown & ~flat & ~strange),
            np.count_nonzero(strange) / count,
        )

    def _softness(self, has_pattern: Chosen, as_usual: Chosen) -> float:
        """Share of the fine detail that is gone, of all tiles together that show as usual."""
        has_detail = has_pattern & (self._usually[DETAIL] > max(4.0, 2 * self._noise**2))
        # Out of focus, each part is as bright as before: where light has come or gone, it is that.
        light = self._mean / (self._usually[MEAN] + 1)
        usual = _ranked(light, 0.5)
        judged = has_detail & as_usual & (light < LIT * usual) & (light > usual / LIT)
        count = int(np.count_nonzero(judged))
        # A lens is out of focus all over: what a few tiles show beside a headlight is none of it.
        if count < max(MIN_TILES, np.count_nonzero(has_detail) / 2):
            return 0.0
        expected = (self._share * self._usually[DETAIL])[judged]
        # What moves has any detail.
        detail = np.maximum(np.minimum(self._now[DETAIL][judged], 3 * expected), -expected)
        # Of a product of two frames' noise, of which each is four times that of a cell's change;
        # both frames and products are smoothed. A tile has 2 * TILE**2 of them.
        error = 4 * self._noise**2 * self._weight / (2 - self._weight)
        error *= math.sqrt(count / (2 * TILE**2))
        return float(1 - (detail.sum() + DOUBT * error) / (expected.sum() + 1))


def _approach(known: NDArray[np.float32], newest: NDArray[np.float32], weight: float) -> None:
    """Move what is known by a share of the way to what is newest, in place."""
    step = newest - known
    step *= np.float32(weight)
    known += step


def _ranked(values: NDArray[np.float32], share: float) -> float:
    """The value that this share of all is below."""
    rank = int(values.size * share)
    return float(np.partition(values.ravel(), rank)[rank])


def _pooling(cells: int) -> NDArray[np.float32]:
    """What takes means, then slopes, of tiles, (2 * tiles, cells); they share what is left over."""
    tiles = max(1, cells // TILE)
    owner = np.minimum(np.arange(cells) * tiles // cells, tiles - 1)
    means = (owner == np.arange(tiles)[:, None]).astype(np.float32)
    means /= means.sum(axis=1, keepdims=True)
    slopes = np.arange(cells) - (means @ np.arange(cells))[:, None]
    scale = np.sqrt((means * slopes**2).sum(axis=1, keepdims=True))
    slopes = means * slopes / np.maximum(scale, 0.1)
    pooling: NDArray[np.float32] = np.concatenate((means, slopes)).astype(np.float32)
    return pooling
