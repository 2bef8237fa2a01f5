"""Pictures for those who look: encoded once for all of them, and not more often than allowed."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from edge.classifier.model import Model
from edge.errors import EdgeError
from edge.image.decode import encode_png
from edge.image.preprocess import encode_jpeg, read_image, resize, seen
from edge.service.sighting import Sighting

AT_LEAST = (480, 640)  # a photo of a folder is decoded at the smallest scale that covers this
SHOWN = 30  # frames that can still be kept as a label once they were shown
THUMBNAIL = 320  # width in pixels
THUMBNAILS = 20

T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    """A frame as it was shown."""

    number: int
    jpeg: bytes


class Pictures:
    """The newest frame's picture, the last ones that were shown, and those of the last changes.

    For one thread, the server's. Whoever holds a Sighting holds its pixels: of the frames only the
    newest is kept so, the others as JPEG.
    """

    def __init__(
        self,
        newest: Callable[[], Sighting | None],
        fps: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: what gives the newest sighting; encoded frames a second at most; the time."""
        self.encoded = 0  # frames, since it began
        self._newest, self._least_s, self._monotonic = newest, 1 / fps, monotonic
        self._encoded_s = -self._least_s
        self._shown: OrderedDict[int, Shown] = OrderedDict()
        self._seen: tuple[int, Model, bytes] | None = None  # by which model
        self._thumbnails: OrderedDict[int, bytes] = OrderedDict()

    def newest(self) -> Shown | None:
        """The newest frame, or the one before it where that is encoded only just now.

        Raises: EdgeError where its picture cannot be read any more.
        """
        last = next(reversed(self._shown.values()), None)
        sighting = self._newest()
        if sighting is None or sighting.frame is None:
            return last
        early = self._monotonic() - self._encoded_s < self._least_s
        if last and (last.number == sighting.number or early):
            return last
        self._encoded_s = self._monotonic()
        self.encoded += 1
        shown = Shown(sighting.number, encode_jpeg(read_image(sighting.frame.picture, AT_LEAST)))
        _keep(self._shown, sighting.number, shown, SHOWN)
        return shown

    def shown(self, number: int) -> bytes | None:
        """The JPEG of a frame that was shown; None where that is too long ago."""
        shown = self._shown.get(number)
        return shown.jpeg if shown else None

    def seen_by(self, model: Model) -> bytes | None:
        """What the model sees of the newest frame, as PNG; None before the first.

        Raises: EdgeError where its picture cannot be read any more.
        """
        sighting = self._newest()
        if sighting is None or sighting.frame is None:
            return None
        if self._seen is None or self._seen[:2] != (sighting.number, model):
            png = encode_png(seen(sighting.frame.picture, model.input))
            self._seen = (sighting.number, model, png)
        return self._seen[2]

    def keep_thumbnail(self, sighting: Sighting) -> None:
        """Keep the small picture of a change."""
        if sighting.frame is None:
            return
        try:
            pixels = read_image(sighting.frame.picture, AT_LEAST)
        except EdgeError:  # the file is gone: a change without a picture
            return
        height, width = pixels.shape[:2]
        if width > THUMBNAIL:
            pixels = resize(pixels, (max(1, round(height * THUMBNAIL / width)), THUMBNAIL))
        _keep(self._thumbnails, sighting.number, encode_jpeg(pixels, 80), THUMBNAILS)

    def thumbnail(self, number: int) -> bytes | None:
        """The small JPEG of the change at a frame; None where there is none."""
        return self._thumbnails.get(number)


def _keep(kept: OrderedDict[int, T], number: int, item: T, most: int) -> None:
    kept[number] = item
    while len(kept) > most:
        kept.popitem(last=False)
