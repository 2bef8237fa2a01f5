"""Which part of an image a model sees, and where it lands in the input: geometry, no pixels."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple, cast

from edge.errors import ConfigurationError
from edge.names import FILTERS, RESIZES, TURNS

# An image is shrunk to at least this many times the size that its part is resized to. Measured by
# benchmarks/reduction.py.
OVERSAMPLING = 1

Size = tuple[int, int]  # (height, width)
Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


class View(NamedTuple):
    """Which pixels of an image a model sees, and where they land in its input."""

    cut: tuple[int, int, int, int]  # left, top, right, bottom: nothing outside is looked at
    by: int  # the power of two by which the cut is shrunk first
    box: Box  # what is then resized, in pixels of the shrunk cut
    top: int  # of the input, where that lands
    left: int
    target: Size  # (height, width) there


@dataclass(frozen=True)
class Framing:
    """Which part of an image the model sees, and how it is brought to the input's size.

    Args:
        resize: "squash" (whatever the aspect), "crop" (the centre, filling the input) or "pad"
            (all of it, centred on black).
        filter: "antialias" (shrunk by the largest power of two that still covers the input, then
            Pillow's bilinear, whose support grows with the reduction), "bilinear"
            (the four nearest pixels weighed by their distance, pixel centres at halves, rounded
            down; no antialiasing) or "nearest" (the pixel under the centre).
        roi: x, y, width and height of the part as shares 0..1 of the upright image.
        rotate: degrees clockwise, 0, 90, 180 or 270, by which the part is then turned.

    Raises: ConfigurationError.
    """

    resize: str = "squash"
    filter: str = "antialias"
    roi: tuple[float, float, float, float] | None = None
    rotate: int = 0

    def __post_init__(self) -> None:
        _one_of("resize", self.resize, RESIZES)
        _one_of("filter", self.filter, FILTERS)
        _one_of("rotate", self.rotate, TURNS)
        if self.roi is not None:
            _check_roi(self.roi)

    def turned(self, size: Size) -> Size:
        """Return the (height, width) that an image has once it is turned by `rotate`."""
        return size if self.rotate in (0, 180) else size[::-1]

    def part(self, area: Box, input: Size) -> Box:
        """Return which pixels of a turned image the model sees.

        They may be fractions, so that every DCT scale of a JPEG shows the same part.

        Args:
            area: which pixels the image covers.
            input: (height, width) of the model's input.
        """
        height, width = area[3] - area[1], area[2] - area[0]
        x, y, w, h = self._turned_roi()
        left, top, wide, high = x * width, y * height, w * width, h * height
        if self.resize == "crop":
            scale = min(wide / input[1], high / input[0])
            left += (wide - scale * input[1]) / 2
            top += (high - scale * input[0]) / 2
            wide, high = scale * input[1], scale * input[0]
        left, right = _edges(left, left + wide, width)
        top, bottom = _edges(top, top + high, height)
        return left + area[0], top + area[1], right + area[0], bottom + area[1]

    def landing(self, box: Box, input: Size) -> tuple[int, int, Size]:
        """Return where a part lands in the input: top, left and its (height, width) there.

        Args:
            box: the part of the upright image: left, top, right, bottom in pixels.
            input: (height, width) of the model input.
        """
        if self.resize != "pad":
            return 0, 0, input
        wide, high = box[2] - box[0], box[3] - box[1]
        scale = min(input[1] / wide, input[0] / high)
        height = min(input[0], max(1, round(scale * high)))
        width = min(input[1], max(1, round(scale * wide)))
        return (input[0] - height) // 2, (input[1] - width) // 2, (height, width)

    def reduction(self, size: Size, input: Size) -> int:
        """Return the power of two by which an upright image is shrunk first.

        1 without antialiasing: an image that was shrunk would give other pixels.

        Args:
            size: (height, width) of the image.
            input: (height, width) of the model input.
        """
        height, width = self.turned(size)
        return view(self, (0.0, 0.0, width, height), input).by

    def _turned_roi(self) -> tuple[float, float, float, float]:
        x, y, w, h = self.roi or (0.0, 0.0, 1.0, 1.0)
        if self.rotate == 90:
            return 1 - y - h, x, h, w
        if self.rotate == 180:
            return 1 - x - w, 1 - y - h, w, h
        if self.rotate == 270:
            return y, 1 - x - w, h, w
        return x, y, w, h


@functools.lru_cache(maxsize=64)
def view(framing: Framing, area: Box, input: Size) -> View:
    """Return what is seen of a turned image; that of a camera's frames is computed once.

    Args:
        framing: which part of it.
        area: which pixels the image covers.
        input: (height, width) of the model's input.
    """
    left, top, right, bottom = box = framing.part(area, input)
    landing_top, landing_left, target = framing.landing(box, input)
    by = covering((bottom - top, right - left), target) if framing.filter == "antialias" else 1
    cut = (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
    shrunk = tuple((edge - first) / by for edge, first in zip(box, cut[:2] * 2, strict=True))
    return View(cut, by, cast(Box, shrunk), landing_top, landing_left, target)


def covering(size: tuple[float, float], least: Size) -> int:
    """Return the largest power of two by which (height, width) is divided and still covers it."""
    times = min(size[0] / least[0], size[1] / least[1]) / OVERSAMPLING
    return 1 << (max(1, int(times + 1e-4)).bit_length() - 1)  # see _edges: not quite exact


def _edges(first: float, last: float, length: float) -> tuple[float, float]:
    """Round to thousandths of a pixel: a third of 300 is 100, and sums of shares stay inside."""
    first = min(max(0.0, round(first, 3)), length - 0.001)
    return first, min(max(first + 0.001, round(last, 3)), length)


def _one_of(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        choices = ", ".join(map(str, known))
        raise ConfigurationError(name, f"must be one of {choices}. Received: {value}", "change it")


def _check_roi(roi: tuple[float, float, float, float]) -> None:
    x, y, width, height = roi if len(roi) == 4 else (0.0,) * 4
    inside = 0 <= x < 1 and 0 <= y < 1 and x + width <= 1 + 1e-6 and y + height <= 1 + 1e-6
    if not (inside and width > 0 and height > 0):
        raise ConfigurationError(
            "roi",
            f"must be x, y, width, height as shares 0..1 within the image. Received: {roi}",
            "change it",
        )


WHOLE = Framing()
