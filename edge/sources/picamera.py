"""A camera by picamera2: opened, one frame after the other copied out of its memory, closed.

picamera2 comes with Raspberry Pi OS (0.3.14 or newer is supported) and is imported when a camera is
opened.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from edge.errors import ConfigurationError, SourceError
from edge.image.preprocess import Size
from edge.image.shared import STORED
from edge.sources.camera_faults import no_camera, no_memory
from edge.sources.camera_format import (
    CameraSettings,
    Layout,
    Turn,
    full_field_mode,
    pixels_of,
    turn_of,
)
from edge.sources.device import Device, Shot

__all__ = ["Device", "Picamera", "Shot", "open_picamera"]

# Bytes of a pixel, by format; the first that a camera provides is used. They are named after words
# of 32 and 24 bits, whose low byte comes first. R, G, B, X needs no copy (edge/image/shared.py).
FORMATS = {"XBGR8888": STORED, "BGR888": 3}
BUFFER_COUNT = 3  # one with us, one being filled, one queued: each costs memory that is scarce
DURATIONS = "FrameDurationLimits"
TUNING_VARIABLE = "LIBCAMERA_RPI_TUNING_FILE"
SLOWEST_US = 83_333  # picamera2's own limit for a preview: in the dark a frame may take as long
CONTINUOUS = 2  # libcamera's AfModeEnum.Continuous


class Picamera(Device):
    """A camera that picamera2 has opened and started: one stream, R, G, B in memory."""

    def __init__(self, picamera2: Any, settings: CameraSettings, number: int) -> None:
        """Args: the module, what is wanted, which. Raises: whatever picamera2 does; EdgeError."""
        self._module = picamera2
        self._job: Any = None  # a capture that was begun
        self._finished = threading.Event()  # its end
        self._picam2: Any = picamera2.Picamera2(number, tuning=settings.tuning_file or None)
        try:
            for format in FORMATS:
                self._picam2.configure(_configuration(self._picam2, settings, format))
                if self._picam2.camera_configuration()["main"]["format"] == format:
                    break
            _zoom(self._picam2, settings)
            self._layout = _layout(self._picam2.camera_configuration(), settings)
            self._picam2.start()
        except BaseException:
            self.close()
            raise

    def capture(self, timeout_s: float) -> Shot | None:
        """Return the next frame, copied out of the camera's memory; None where none came in time.

        picamera2's own time limits (a job's from 0.3.17, `wait=` from 0.3.21) leave the job behind,
        which then takes a frame that no one releases. Here the next call waits for it again.
        """
        if self._job is None:
            self._finished.clear()
            self._job = self._picam2.capture_request(
                wait=False, signal_function=lambda _: self._finished.set()
            )
        if not self._finished.wait(timeout_s):
            return None
        job, self._job = self._job, None
        request = job.get_result()
        try:
            mapped = self._module.MappedArray(request, "main", reshape=False, write=False)
            with mapped as memory:
                pixels = pixels_of(memory.array, self._layout)
            return Shot(pixels, request.get_metadata())
        finally:
            request.release()  # a camera whose buffers are all kept stops

    def close(self) -> None:
        """Stop the camera and give it back, with the frame that a late job may have got."""
        picam2, self._picam2 = self._picam2, None
        job, self._job = self._job, None
        if job and self._finished.is_set():
            with suppress(Exception):
                job.get_result().release()
        if picam2:
            picam2.close()
            del picam2, job
            # picamera2's objects hold each other, and with them libcamera's manager: only when that
            # has gone are the devices looked for again.
            gc.collect()


def open_picamera(settings: CameraSettings, identity: str = "") -> Device:
    """Open a camera by picamera2.

    Args:
        settings: what is wanted.
        identity: a number, or libcamera's Id or Model of it; "" is `settings.number`.

    Raises: ImportError, SourceError, EdgeError, whatever picamera2 does.
    """
    # Read when libcamera is loaded; its messages on each opening do not matter.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    # Read when libcamera looks for cameras, which is before one is chosen.
    if settings.tuning_file:
        settings.check_tuning_file()
        os.environ[TUNING_VARIABLE] = settings.tuning_file
    picamera2 = import_module("picamera2")
    logging.getLogger("picamera2").setLevel(logging.CRITICAL)  # failures are reported once, by us
    found = picamera2.Picamera2.global_camera_info()
    number = _number(found, settings, identity)
    name = f"camera {number}"
    if number >= len(found):
        raise no_camera(name, len(found))
    # picamera2 would take the camera, fail for want of memory and keep it: busy from then on.
    if fault := no_memory(name):
        raise fault
    return Picamera(picamera2, settings, number)


def _number(found: Sequence[Mapping[str, Any]], settings: CameraSettings, identity: str) -> int:
    """Which of the cameras is meant. Raises: SourceError where none is."""
    if not identity or identity.isdecimal():
        return int(identity or settings.number)
    for number, camera in enumerate(found):
        if identity in (camera.get("Id"), camera.get("Model")):
            return number
    if not found:
        raise no_camera(f"camera {identity}", 0)
    names = ", ".join(str(camera.get("Model", camera.get("Id"))) for camera in found)
    fault = f"no such camera; found: {names}"
    raise SourceError(f"camera {identity}", fault, "choose by `rpicam-hello --list-cameras`")


def _configuration(picam2: Any, settings: CameraSettings, format: str) -> Any:
    """One stream and no raw one; of a queue, frames would come that have waited."""
    turn = turn_of(settings)
    transform = import_module("libcamera").Transform(hflip=turn.horizontal, vflip=turn.vertical)
    return picam2.create_preview_configuration(
        main={"size": (settings.width, settings.height), "format": format},
        raw=None,
        transform=transform,
        buffer_count=BUFFER_COUNT,
        controls=_controls(picam2, settings),
        display=None,
        encode=None,
        queue=False,
        sensor=_sensor(picam2, _wanted_size(settings)),
    )


def _wanted_size(settings: CameraSettings) -> Size:
    """Of the whole field, so that the zoomed part of it has the pixels of a frame."""
    if not settings.zoom:
        return settings.height, settings.width
    _, _, width, height = turn_of(settings).undo_region(settings.zoom)
    return round(settings.height / height), round(settings.width / width)


def _zoom(picam2: Any, settings: CameraSettings) -> None:
    """Have the sensor's field cropped before it is scaled. Raises: ConfigurationError."""
    if not settings.zoom:
        return
    if "ScalerCrop" not in picam2.camera_controls:
        fault, remedy = "this camera cannot crop by itself", "use camera.roi"
        raise ConfigurationError("camera.zoom", fault, remedy)
    # In the sensor's own pixels, whatever the mode; known once the camera is configured.
    left, top, width, height = picam2.camera_properties["ScalerCropMaximum"]
    x, y, wide, high = turn_of(settings).undo_region(settings.zoom)
    crop = (left + x * width, top + y * height, wide * width, high * height)
    picam2.set_controls({"ScalerCrop": tuple(map(round, crop))})


def _controls(picam2: Any, settings: CameraSettings) -> dict[str, Any]:
    """The wanted controls, autofocus and the frame rate. Raises: ConfigurationError."""
    wanted = settings.controls
    known = {*picam2.camera_controls, "FrameRate"}  # picamera2's own name for two durations
    for name in wanted:
        if name not in known:
            raise ConfigurationError(
                f"camera.controls.{name}",
                "this camera has no such control",
                f"choose from {', '.join(sorted(known))}",
            )
    usual: dict[str, Any] = {"AfMode": CONTINUOUS} if "AfMode" in known else {}
    if settings.frame_rate and DURATIONS in known and "FrameRate" not in wanted:
        duration_us = round(1e6 / settings.frame_rate)
        usual[DURATIONS] = (duration_us, max(duration_us, SLOWEST_US))
    return usual | dict(wanted)


def _sensor(picam2: Any, size: Size) -> dict[str, Any]:
    """The sensor's mode; none where the camera has no modes to choose from.

    Of a field that is wider than the stream, the sides are cropped: a stream of the sensor's own
    shape (1152 x 648 of a 16:9 one) sees them.
    """
    if "ScalerCrop" not in picam2.camera_controls:  # not a Raspberry Pi's camera
        return {}
    mode = full_field_mode(picam2.sensor_modes, size)
    return {"output_size": mode["size"], "bit_depth": mode["bit_depth"]} if mode else {}


def _layout(configuration: Mapping[str, Any], settings: CameraSettings) -> Layout:
    """How frames are stored, which may differ from what was requested.

    Raises: ConfigurationError where it gives other than R, G, B.
    """
    main = configuration["main"]
    if main["format"] not in FORMATS:
        fault, remedy = (
            f"provides {main['format']}, not {' or '.join(FORMATS)}",
            "use one with an image processor",
        )
        raise ConfigurationError(f"camera {settings.number}", fault, remedy)
    width, height = main["size"]
    wanted, made = turn_of(settings), configuration["transform"]
    left = Turn(  # to be done by us: what the camera could not
        wanted.horizontal != bool(made.hflip), wanted.vertical != bool(made.vflip), wanted.quarters
    )
    return Layout((height, width), main["stride"], left, settings.roi, FORMATS[main["format"]])
