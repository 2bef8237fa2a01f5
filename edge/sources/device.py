"""What a camera is to the loop that reopens it: it captures, and is closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from edge.errors import ImageError, SourceError
from edge.image.preprocess import Picture, read_image
from edge.sources.camera_faults import silent
from edge.sources.camera_format import CameraSettings, Layout, pixels_of, turn_of


class Shot(NamedTuple):
    """What a device gives: an image, and its metadata by libcamera's names."""

    pixels: Picture  # (height, width, 3) uint8 RGB, or an encoded image
    metadata: Mapping[str, Any]  # "SensorTimestamp" in ns, by the monotonic or the boottime clock
    dropped: int = 0  # frames that were let go before it, where the device counts them


class Device(ABC):
    """An open camera."""

    has_fixed_size = True  # a frame of another size is a fault

    @abstractmethod
    def capture(self, timeout_s: float) -> Shot | None:
        """Return the next frame; None where none came in time, and then the next call goes on."""

    @abstractmethod
    def close(self) -> None:
        """Give the camera back; more than once does no harm."""

    def silent(self, name: str, seconds: float) -> SourceError:
        """Return why no frame came for this many seconds."""
        return silent(name, seconds)


def framed(picture: Picture, settings: CameraSettings) -> Picture:
    """Turn and crop a device's image by [camera]; one that needs neither stays encoded."""
    turn = turn_of(settings)
    if not (settings.roi or turn.horizontal or turn.vertical or turn.quarters):
        return picture
    try:
        pixels = np.ascontiguousarray(read_image(picture))
    except ImageError:
        return picture  # which fails again where it is classified, and is reported there
    height, width = pixels.shape[:2]
    layout = Layout((height, width), width * 3, turn, settings.roi)
    return pixels_of(pixels.reshape(-1), layout)
