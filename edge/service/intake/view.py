"""Whether a camera shows what it usually shows: its view in tiles, each against its own past.

A tile is judged by what is usual for it, so that leaves, shadows and people, who change some tiles,
are not a fault of the camera; that changes most tiles, and stays. Light changes all of them by a
factor: patterns are compared without their mean and scale, and detail relative to contrast.

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

# Chosen on the generator A of benchmarks/days.py: `python benchmarks/health.py --choose`.
FLAT = 0.12  # of the usual variance
STRANGE = 0.5  # of the usual correlation
LASTING = 0.4  # of the usual variance, below which a pattern is new: a parked car shines on it
LIT = 1.4  # times as bright as usual, or less, beside the other tiles: the light is another
DOUBT = 2.0  # standard errors of the detail that noise may have hidden
GLARE = 230.0  # grey levels from which a tile is too bright to judge
BLACK, DIMMED = 20.0, 0.5  # grey levels of the brightest tile; and of what one in five usually has

Tiles = NDArray[np.float32]  # (rows, columns), or several of them
MEAN, CONTRAST, SAME, DETAIL = range(4)  # what is known of a tile, now and usually


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
        """Compare a frame with what is usual; None while too little is known.

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
        change = cells - self._cells
        self._note_noise(change)
        weight = self._weight = 1 - math.exp(-gap_s / SHORT_S)
        self._measure(grey, weight)
        self._cells = cells
        self._short += weight * (cells - self._short)
        self._fine += weight * (grey.fine - self._fine)
        frozen = not change.any() and bool(self._now[CONTRAST].max() > MIN_VARIANCE)
        if self._age_s < LEARN_S or self._looks < LEARN_LOOKS:
            self.learn()
            return Signs(frozen=True) if frozen else None
        return self._signs(frozen)

    def learn(self) -> None:
        """Take what the newest look has shown for usual."""
        self._looks += 1
        self._age_s += self._gap_s
        # The first look replaces what is known of the frame before: that one times itself is noise.
        weight = max(1 / self._looks, min(0.5, 1 - math.exp(-self._gap_s / USUAL_S)))
        slowly = 1 - math.exp(-self._gap_s / DAYLIGHT_S)
        self._usual += weight * (self._short - self._usual)
        self._usually += weight * (self._now - self._usually)
        self._usual_level += weight * (self._level - self._usual_level)
        rises = self._level > self._lasting_level
        self._lasting_level += (slowly if rises else weight) * (self._level - self._lasting_level)
        more = self._now[CONTRAST] - self._lasting_contrast
        slowly = slowly if self._looks > LEARN_LOOKS else weight
        self._lasting_contrast += np.where(more > 0, slowly, weight) * more

    def _begin(self, grey: Grey) -> None:
        cells = grey.cells
        self._rows = _pooling(cells.shape[0])
        self._columns = _pooling(cells.shape[1]).T
        self._cells, self._short, self._fine = cells, cells.copy(), grey.fine.copy()
        self._usual = cells.copy()
        self._noise, self._gap_s, self._age_s, self._looks = 2.0, 0.0, 0.0, 0
        mean, square = self._products(grey)[:2]
        self._common = square - mean**2
        self._now = np.stack((mean, self._common, self._common, self._common))
        self._usually = self._now
        self._measure(grey, 1.0)
        self._usually = self._now.copy()
        self._usual_level = self._lasting_level = self._level
        self._lasting_contrast = self._now[CONTRAST].copy()

    def _products(self, grey: Grey) -> Tiles:
        """Means of each tile, (5, rows, columns): of its cells, and of their products."""
        cells, usual = grey.cells, self._usual
        detail = grey.fine * self._fine
        fields = np.concatenate(
            (cells, cells * self._short, usual * usual, cells * usual, detail[0] + detail[1])
        )
        rows = (fields @ self._columns).reshape(5, len(cells), -1)
        tiles: Tiles = self._rows @ rows
        return tiles

    def _note_noise(self, change: Cells) -> None:
        """Follow the noise of a cell; what moves is more than noise, and is followed slowly.

        An exposure that changes is not noise: what is linear in the brightness is left out.
        """
        some, light = change[::3, ::3].ravel(), self._short[::3, ::3].ravel()
        middle, mean = some.size // 2, float(some.sum()) / some.size
        light = light - light.sum() / light.size
        slope = float(some @ light) / (float(light @ light) + 1)
        left = np.abs(some - slope * light - mean)
        deviation = 1.05 * float(np.partition(left, middle)[middle])
        more = deviation - self._noise
        if self._looks < LEARN_LOOKS:
            self._noise += more / (self._looks + 1)
        elif more > 0:
            self._noise += -math.expm1(-self._gap_s / NOISE_S) * min(more, self._noise + 0.1)
        else:
            self._noise += 0.2 * more

    def _measure(self, grey: Grey, weight: float) -> None:
        """Measure each tile of a frame, beside the frames before it and beside what is usual."""
        mean, product, square, common, detail = self._products(grey)
        self._mean, usual_mean, now = mean, self._usually[MEAN], self._now
        # One tile in five is brighter: a headlight makes no day.
        self._level = float(np.partition(mean.ravel(), mean.size * 4 // 5)[mean.size * 4 // 5])
        now[CONTRAST] = variance = np.maximum(product - mean * now[MEAN], 0)
        self._usual_variance = square - usual_mean**2
        common = np.maximum(common - mean * usual_mean, 0)
        # What the usual pattern explains of the variance: a glare has none of it.
        self._explained = common * self._common / np.maximum(self._usual_variance, 1)
        now[SAME] = np.minimum(np.sqrt(self._explained / np.maximum(variance, 1)), 1)
        self._common += weight * (common - self._common)
        now[DETAIL] += weight * (detail - now[DETAIL])
        now[MEAN] += weight * (mean - now[MEAN])

    def _signs(self, frozen: bool) -> Signs:
        # Of the brightest tile: beside a headlight all else is dark, and the camera is not.
        black = float(self._mean.max()) < BLACK < DIMMED * self._lasting_level
        noise = self._noise**2
        has_pattern = self._usual_variance > max(MIN_VARIANCE, 4 * noise)
        has_pattern &= (self._usually[SAME] > 0.5) & (self._mean < GLARE)
        has_pattern &= self._lasting_contrast > LASTING * self._usually[CONTRAST]
        count = int(np.count_nonzero(has_pattern))
        if count < MIN_TILES:
            return Signs(frozen, black)
        dimmed = min(1.0, self._level / (self._usual_level + 1))  # at dusk, contrast is less too
        flat = self._now[CONTRAST] < FLAT * dimmed * self._usual_variance
        strange = self._now[SAME] < STRANGE * self._usually[SAME]
        return Signs(
            frozen,
            black,
            np.count_nonzero(flat & has_pattern) / count,
            self._softness(has_pattern & ~flat & ~strange),
            np.count_nonzero(strange & has_pattern) / count,
        )

    def _softness(self, judged: NDArray[np.bool_]) -> float:
        """Share of the fine detail that is gone, of all these tiles together."""
        judged = judged & (self._usually[DETAIL] > max(4.0, 2 * self._noise**2))
        # Out of focus, each part is as bright as before: where light has come or gone, it is that.
        light = self._mean / (self._usually[MEAN] + 1)
        usual = float(np.median(light))
        judged &= (light < LIT * usual) & (usual < LIT * light)
        count = int(np.count_nonzero(judged))
        if count < MIN_TILES:
            return 0.0
        # More contrast than usual comes from a light, which adds no detail.
        share = np.minimum(self._explained / (self._usually[CONTRAST] + 1), 1)
        expected = (share * self._usually[DETAIL])[judged]
        detail = np.clip(self._now[DETAIL][judged], -expected, 3 * expected)  # what moves has any
        # Of a product of two frames' noise, of which each is four times that of a cell's change;
        # both frames and products are smoothed. A tile has 2 * TILE**2 of them.
        error = 4 * self._noise**2 * self._weight / (2 - self._weight)
        error *= math.sqrt(count / (2 * TILE**2))
        return float(1 - (detail.sum() + DOUBT * error) / (expected.sum() + 1))


def _pooling(cells: int) -> NDArray[np.float32]:
    """What takes means of tiles, (tiles, cells); the last ones share what does not divide."""
    tiles = max(1, cells // TILE)
    owner = np.minimum(np.arange(cells) * tiles // cells, tiles - 1)
    pooling = (owner == np.arange(tiles)[:, None]).astype(np.float32)
    means: NDArray[np.float32] = pooling / pooling.sum(axis=1, keepdims=True)
    return means
