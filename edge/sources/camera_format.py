"""Camera settings, and how its buffers become pixels and its clock ours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError, checked
from edge.files import secret
from edge.image.preprocess import Pixels, Size, part

ROTATIONS = (0, 90, 180, 270)
TRANSPORTS = ("tcp", "udp")
PASSWORD_VARIABLE, CREDENTIAL = "EDGE_CAMERA_PASSWORD", "camera-password"
FLIPS = ("none", "horizontal", "vertical", "both")
MOST_PIXELS = 10_000  # a side; no sensor that these cameras have is larger

LEAST_RATE = 5.0  # frames per second of a sensor whose rate is lowered

# A mode counts as the full field above this share of the sensor: some leave out a border of pixels.
FULL_FIELD = 0.95
# An older timestamp is none: by another clock, or of a driver that gives no time.
OLDEST_FRAME_NS = 60 * 10**9


@dataclass(frozen=True)
class CameraSettings:
    """The configuration's [camera] section, whose keys `edge.commands.keys` describes.

    Raises: ConfigurationError where a value cannot be.
    """

    number: int = 0
    width: int = 640
    height: int = 480
    deadline_s: float = 5.0
    give_up_s: float = 20.0
    rotate: int = 0
    flip: str = "none"
    roi: tuple[float, ...] = ()
    zoom: tuple[float, ...] = ()
    controls: Mapping[str, Any] = field(default_factory=dict)
    tuning_file: str = ""
    frame_rate: float | None = None
    password_file: str = ""
    transport: str = "tcp"

    def __post_init__(self) -> None:
        _check_whole("number", self.number, 0, 99)
        for key in ("width", "height"):
            _check_whole(key, getattr(self, key), 16, MOST_PIXELS)
            if getattr(self, key) % 2:  # picamera2 would round it down without a word
                raise _wrong(key, "must be even", getattr(self, key))
        for key in ("deadline_s", "give_up_s"):
            _check_seconds(key, getattr(self, key))
        if self.rotate not in ROTATIONS or isinstance(self.rotate, bool):
            raise _wrong("rotate", f"must be one of {_listed(ROTATIONS)}", self.rotate)
        if self.flip not in FLIPS:
            raise _wrong("flip", f"must be one of {_listed(FLIPS)}", self.flip)
        if self.transport not in TRANSPORTS:
            raise _wrong("transport", f"must be one of {_listed(TRANSPORTS)}", self.transport)
        if self.frame_rate is not None:
            checked("camera.frame_rate", self.frame_rate, 0.0, 1000.0)
        object.__setattr__(self, "roi", _checked_region("roi", self.roi))
        object.__setattr__(self, "zoom", _checked_region("zoom", self.zoom))
        if not isinstance(self.controls, Mapping):
            raise _wrong("controls", "must be a table of libcamera's controls", self.controls)

    def check_tuning_file(self) -> None:
        """See whether it is there. Raises: ConfigurationError."""
        if self.tuning_file and not Path(self.tuning_file).is_file():
            fault, place = "no such file", "/usr/share/libcamera/ipa/rpi"
            subject = f"camera.tuning_file {self.tuning_file}"
            raise ConfigurationError(subject, fault, f"ls {place}/* lists the installed ones")

    def password(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return a network camera's password; "" for none. Raises: ConfigurationError."""
        named = ("camera.password_file", self.password_file)
        return secret(*named, PASSWORD_VARIABLE, CREDENTIAL, environment)


@dataclass(frozen=True)
class Turn:
    """What makes a stored image upright: flips first, then quarter turns clockwise."""

    horizontal: bool = False
    vertical: bool = False
    quarters: int = 0

    def apply(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Turn a (height, width) array; a view."""
        return np.rot90(self._flipped(stored), -self.quarters)

    def undo(self, upright: NDArray[Any]) -> NDArray[Any]:
        """Turn it back; a view."""
        return self._flipped(np.rot90(upright, self.quarters))

    def undo_region(self, region: tuple[float, ...]) -> tuple[float, float, float, float]:
        """Return where a region of the upright image is in the stored one; both as shares."""
        x, y, width, height = region
        for _ in range(self.quarters % 4):  # counter-clockwise, each
            x, y, width, height = y, 1 - x - width, height, width
        if self.horizontal:
            x = 1 - x - width
        if self.vertical:
            y = 1 - y - height
        return x, y, width, height

    def _flipped(self, array: NDArray[Any]) -> NDArray[Any]:
        return array[:: -1 if self.vertical else 1, :: -1 if self.horizontal else 1]


@dataclass(frozen=True)
class Layout:
    """How a camera stores a frame, and which part of it is wanted."""

    size: Size  # (height, width) as it is stored
    stride: int  # bytes from one row to the next, of which the last may be padding
    turn: Turn = Turn()
    roi: tuple[float, ...] = ()
    depth: int = 3  # bytes of a pixel, of which the first are R, G, B


def sensor_rate(settings: CameraSettings, fps: float) -> CameraSettings:
    """Return the settings with the sensor's frame rate, where they leave it open.

    Twice what is classified: the next frame is waited for, and at the same rate every second one
    would be missed. A rate below LEAST_RATE would slow automatic exposure, which takes some twenty
    frames to settle.

    Args:
        settings: the configuration's.
        fps: frames per second that are classified or compared; 0: no limit.
    """
    if settings.frame_rate is not None:
        return settings
    return replace(settings, frame_rate=max(LEAST_RATE, 2 * fps) if fps else 0.0)


def turn_of(settings: CameraSettings) -> Turn:
    """Return the settings' turns in the order in which they are done: flips before quarters."""
    horizontal = settings.flip in ("horizontal", "both")
    vertical = settings.flip in ("vertical", "both")
    if settings.rotate == 180:
        return Turn(not horizontal, not vertical)
    if settings.rotate in (90, 270):  # the setting is a flip of the rotated image
        return Turn(vertical, horizontal, settings.rotate // 90)
    return Turn(horizontal, vertical)


def pixels_of(buffer: NDArray[np.uint8], layout: Layout) -> Pixels:
    """Copy the wanted part of a buffer of pixels: (height, width, 3), upright.

    The buffer may be uncached memory, where only reading in its own order is quick: the part is
    copied as it is stored, and what flips and turns are left are done on the copy.

    Raises: ValueError where the buffer is too short.
    """
    height, width = layout.size
    row = width * layout.depth
    rows = buffer[: height * layout.stride].reshape(height, layout.stride)[:, :row]
    # (height, width): a pixel moves as one, in half the time of three
    stored = rows.view(f"V{layout.depth}")
    wanted = layout.turn.undo(part(layout.turn.apply(stored), layout.roi)).copy()
    upright = np.ascontiguousarray(layout.turn.apply(wanted))
    return upright.view(np.uint8).reshape(*upright.shape, layout.depth)[..., :3]


def full_field_mode(modes: Iterable[Mapping[str, Any]], size: Size) -> Mapping[str, Any] | None:
    """Choose the smallest sensor mode that sees the full field and covers (height, width).

    Left to itself, libcamera takes the nearest size, which on many sensors is a crop: a telephoto.

    Args:
        modes: picamera2's `sensor_modes`; those without a field of view are skipped.
        size: of the frame that is made of it.

    Returns: the mode, of equal ones that with the most bits; None if no mode has its field of view.
    """
    told = [mode for mode in modes if "crop_limits" in mode and "size" in mode]
    whole = max((_area(mode["crop_limits"][2:]) for mode in told), default=0)
    full = [mode for mode in told if _area(mode["crop_limits"][2:]) >= FULL_FIELD * whole]
    covering = [m for m in full if m["size"][0] >= size[1] and m["size"][1] >= size[0]]
    if covering:
        return min(covering, key=lambda m: (_area(m["size"]), -m.get("bit_depth", 0)))
    return max(full, key=lambda m: (_area(m["size"]), m.get("bit_depth", 0)), default=None)


def age_of(sensor_ns: object, *, monotonic_ns: int, boottime_ns: int) -> int:
    """Return a frame's age in ns by its SensorTimestamp; 0 if that is absent or absurd.

    libcamera defines it by CLOCK_BOOTTIME, and drivers that stamp by CLOCK_MONOTONIC exist. The two
    differ by the time that the machine was suspended: the wrong one makes a frame older than it is,
    or gives it a time yet to come.

    Args:
        sensor_ns: from a frame's metadata.
        monotonic_ns: that clock, now.
        boottime_ns: that clock, now.
    """
    if not isinstance(sensor_ns, int) or sensor_ns <= 0:
        return 0
    ages = [age for age in (boottime_ns - sensor_ns, monotonic_ns - sensor_ns) if age >= 0]
    age = min(ages, default=0)
    return age if age < OLDEST_FRAME_NS else 0


def frames_between(before_ns: object, sensor_ns: object, frame_duration_us: object) -> int:
    """Count the frames that a camera made between two timestamps; 0 where one is unknown."""
    if not (isinstance(before_ns, int) and isinstance(sensor_ns, int)):
        return 0
    if not isinstance(frame_duration_us, int | float) or frame_duration_us <= 0:
        return 0
    return max(0, round((sensor_ns - before_ns) / (frame_duration_us * 1000)) - 1)


def boottime_ns() -> int:
    """Read CLOCK_BOOTTIME, or where there is none the monotonic clock, which then is the same."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock)


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _check_whole(key: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(key, f"must be a whole number from {least} to {most}", value)


def _check_seconds(key: str, value: object) -> None:
    if not _is_number(value) or not 0 < value <= 3600:  # type: ignore[operator]
        raise _wrong(key, "must be above 0, at most 3600 seconds", value)


def _checked_region(key: str, roi: object) -> tuple[float, ...]:
    """The region as a tuple, which a list becomes."""
    shares = tuple(roi) if isinstance(roi, list | tuple) else (roi,)
    if not shares:
        return ()
    if len(shares) == 4 and all(_is_number(share) and 0 <= share <= 1 for share in shares):
        x, y, width, height = shares
        if width > 0 and height > 0 and max(x + width, y + height) <= 1 + 1e-9:
            return tuple(map(float, shares))
    raise _wrong(key, "must be x, y, width, height as shares within 0 and 1", roi)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _wrong(key: str, rule: str, value: object) -> ConfigurationError:
    return ConfigurationError(
        f"camera.{key}", f"{rule}. Received: {value!r}", "correct the configuration"
    )
