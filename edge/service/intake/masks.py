"""Privacy: parts of the camera's view that are black in everything that is shown, kept or sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError, EdgeError
from edge.image.preprocess import Pixels, Size, read_image
from edge.image.shared import copied
from edge.sources.frame import Frame, Source, Waiting

REMEDY = 'use "x y width height", or a polygon as "x y x y x y", in shares of the full view'
MOST_POINTS = 100

Point = tuple[float, float]  # x, y


@dataclass(frozen=True)
class PrivacySettings:
    """The configuration's [privacy] section, whose keys `edge.commands.keys` describes."""

    masks: tuple[str, ...] = ()
    classify_all: bool = False

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        _ = self.polygons

    @property
    def polygons(self) -> tuple[tuple[Point, ...], ...]:
        """The corners of each mask. Raises: ConfigurationError."""
        return tuple(map(_polygon, self.masks))


class Masked(Source):
    """A source whose frames have black masks: nothing behind it has the pixels."""

    def __init__(
        self, source: Source, settings: PrivacySettings, roi: Sequence[float] = ()
    ) -> None:
        """Mask a source.

        Args:
            source: its frames show `roi` of the full view.
            settings: with the masks.
            roi: x, y, width, height as shares; (): all of the view.
        """
        self._source, self._settings = source, settings
        x, y, width, height = roi or (0.0, 0.0, 1.0, 1.0)
        # A crop moves the masks with the view: what is masked stays so.
        self._polygons = [
            [((px - x) / width, (py - y) / height) for px, py in polygon]
            for polygon in settings.polygons
        ]
        self._size: Size | None = None
        self._mask: NDArray[np.bool_] = np.zeros((0, 0), bool)  # of that size
        self.goes_on = source.goes_on

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield what the source does, masked. Raises: SourceError."""
        for item in self._source:
            yield self._masked(item) if isinstance(item, Frame) else item

    def _masked(self, frame: Frame) -> Frame:
        picture = frame.picture
        try:
            if isinstance(picture, str | Path):
                picture = Path(picture).read_bytes()  # once: a file may be another one later
            pixels = self._black(read_image(picture))
        except (EdgeError, OSError):
            return frame if isinstance(picture, str | Path) else replace(frame, picture=picture)
        return replace(
            frame, picture=pixels, unmasked=picture if self._settings.classify_all else None
        )

    def _black(self, pixels: Pixels) -> Pixels:
        size = pixels.shape[:2]
        if size != self._size:
            self._size = (size[0], size[1])
            self._mask = mask_of(self._polygons, self._size)
        masked: Pixels = copied(pixels)
        masked[self._mask] = 0
        return masked

    @property
    def openings(self) -> int:  # type: ignore[override]
        """How often the source was opened."""
        return self._source.openings

    def close(self) -> None:
        """Close it."""
        self._source.close()


def mask_of(polygons: Sequence[Sequence[Point]], size: Size) -> NDArray[np.bool_]:
    """Return which pixels of an image polygons touch, (height, width).

    Args:
        polygons: their corners, x and y as shares of the image; they may lie outside of it.
        size: (height, width) in pixels.
    """
    height, width = size
    mask = np.zeros(size, bool)
    for polygon in polygons:
        corners = [(x * width, y * height) for x, y in polygon]
        at_corners = _inside(corners, np.arange(height + 1.0), np.arange(width + 1.0))
        mask |= at_corners[:-1, :-1] | at_corners[1:, :-1] | at_corners[:-1, 1:]
        mask |= at_corners[1:, 1:]
        mask |= _inside(corners, np.arange(height) + 0.5, np.arange(width) + 0.5)
        mask |= _on_edges(corners, size)
    return mask


def _inside(
    corners: Sequence[Point], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which points of a grid are inside, by the number of edges to their right."""
    y, x = rows[:, None], columns[None, :]
    inside = np.zeros((rows.size, columns.size), bool)
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def _on_edges(corners: Sequence[Point], size: Size) -> NDArray[np.bool_]:
    """The pixels that edges pass: a narrow polygon has hardly any other."""
    mask = np.zeros(size, bool)
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        steps = np.linspace(0.0, 1.0, 2 + 2 * int(abs(x2 - x1) + abs(y2 - y1)))
        columns = np.floor(x1 + steps * (x2 - x1)).astype(int)
        rows = np.floor(y1 + steps * (y2 - y1)).astype(int)
        within = (columns >= 0) & (columns < size[1]) & (rows >= 0) & (rows < size[0])
        mask[rows[within], columns[within]] = True
    return mask


def _polygon(text: str) -> tuple[Point, ...]:
    """A mask's corners. Raises: ConfigurationError."""
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError:
        numbers = []
    in_view = all(0.0 <= number <= 1.0 for number in numbers)
    if not in_view or len(numbers) % 2 or not 4 <= len(numbers) <= 2 * MOST_POINTS:
        fault = f"must be rectangles or polygons. Received: {text!r}"
        raise ConfigurationError("privacy.masks", fault, REMEDY)
    if len(numbers) == 4:
        x, y, width, height = numbers
        if not (width and height):
            fault = f"must have a width and a height. Received: {text!r}"
            raise ConfigurationError("privacy.masks", fault, REMEDY)
        return (x, y), (x + width, y), (x + width, y + height), (x, y + height)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
