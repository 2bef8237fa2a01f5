"""Images for viewers: encoded once for all of them, and at a limited rate."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from edge.errors import EdgeError
from edge.image.preprocess import InputSpec, Pixels, encode_jpeg, read_image, resize, seen
from edge.service.sighting import Sighting

AT_LEAST = (480, 640)  # a photo of a folder is decoded at the smallest scale that covers this
SHOWN = 30  # frames that can still be kept as a label after they were shown
RECENT = 3  # of those, frames whose pixels are still held: a camera's are 1 to 6 MB each
THUMBNAIL = 320  # width in pixels
THUMBNAILS = 25
LISTED_THUMBNAILS = 20  # a page requests one some time after it was listed

T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    """A frame as it was shown: its image, its result and what the model saw are of one frame."""

    number: int
    jpeg: bytes
    sighting: Sighting | None  # None once its pixels are no longer held
    input: Pixels | None = None  # the model input, for a page that requests it by number


class Pictures:
    """The newest frame's image, the last ones that were shown, and those of the last changes.

    For one thread, the server's. A `Sighting` holds its frame's pixels: only the RECENT newest are
    kept with theirs, the others as JPEG.
    """

    def __init__(
        self,
        newest: Callable[[], Sighting | None],
        fps: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: returns the newest `Sighting`; maximum encoded frames per second; the clock."""
        self.encoded = 0  # frames, since it began
        self._newest, self._least_s, self._monotonic = newest, 1 / fps, monotonic
        self._encoded_s = -self._least_s
        self._shown: OrderedDict[int, Shown] = OrderedDict()
        self._thumbnails: OrderedDict[int, bytes] = OrderedDict()

    def newest(self) -> Shown | None:
        """The newest frame, or the one before it where that is encoded only just now.

        Raises: EdgeError where its image cannot be read any more.
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
        jpeg = encode_jpeg(read_image(sighting.frame.picture, AT_LEAST))
        shown = Shown(sighting.number, jpeg, sighting)
        _keep(self._shown, sighting.number, shown, SHOWN)
        self._release_pixels()
        return shown

    def _release_pixels(self) -> None:
        for number in list(self._shown)[:-RECENT]:
            if self._shown[number].sighting:
                self._shown[number] = replace(self._shown[number], sighting=None)

    def shown(self, number: int) -> Shown | None:
        """A frame that was shown; None where that is too long ago."""
        return self._shown.get(number)

    def seen_by(self, input: InputSpec, number: int | None = None) -> Pixels | None:
        """What the model sees of a frame, (height, width, 3) uint8; None where it is gone.

        Args:
            input: of the model, with the zone's framing.
            number: of a frame whose input was kept; None: the newest frame.

        Raises: EdgeError where its image cannot be read any more.
        """
        if number is not None:
            shown = self._shown.get(number)
            return shown.input if shown else None
        sighting = self._newest()
        if sighting is None or sighting.frame is None:
            return None
        return seen(sighting.frame.picture, input)

    def keep_input(self, shown: Shown, input: InputSpec) -> None:
        """Keep the model input of a frame: on a slow line it is requested seconds later.

        Raises: EdgeError where its image cannot be read any more.
        """
        if shown.input is None and shown.sighting and shown.sighting.frame:
            pixels = seen(shown.sighting.frame.picture, input)
            self._shown[shown.number] = replace(shown, input=pixels)

    def keep_thumbnail(self, sighting: Sighting) -> None:
        """Keep the small image of a change."""
        if sighting.frame is None:
            return
        try:
            pixels = read_image(sighting.frame.picture, AT_LEAST)
        except EdgeError:  # the file is gone: a change without an image
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
