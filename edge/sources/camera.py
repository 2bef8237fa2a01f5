"""Frames from a camera by picamera2: the newest, each within a deadline, for as long as it can be.

picamera2 comes with Raspberry Pi OS (0.3.14 or newer is supported) and is imported when a camera is
opened. All that is done with it is in `Picamera`; `Camera` knows only what `Device` says.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from edge.errors import ConfigurationError, EdgeError, SourceError
from edge.image.preprocess import Pixels, Size
from edge.sources.camera_faults import explain, frozen, no_camera, no_memory, no_picamera2, silent
from edge.sources.camera_format import (
    CameraSettings,
    Layout,
    Turn,
    age_of,
    boottime_ns,
    frames_between,
    full_field_mode,
    pixels_of,
    turn_of,
)
from edge.sources.frame import Frame, Source, Waiting

__all__ = ["Camera", "CameraSettings", "Device", "Picamera", "Shot", "open_picamera"]

T = TypeVar("T")

FROZEN_S = 0.1  # between two looks at a sensor that gives the same frame
SLICE_S = 0.5  # nothing is waited for longer without a word to the loop, which serves signals
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # before the camera is opened again; then the last one
CLOSE_S = 1.5  # a service has two seconds to end in; the kernel frees what does not close by then

FORMAT = "BGR888"  # named after a 24-bit word, whose low byte comes first: R, G, B in memory
BUFFER_COUNT = 3  # one with us, one being filled, one queued: each costs memory that is scarce
CONTINUOUS = 2  # libcamera's AfModeEnum.Continuous


class Shot(NamedTuple):
    """What a device gives: a picture, and libcamera's metadata of it."""

    pixels: Pixels
    metadata: Mapping[str, Any]


class Device(Protocol):
    """An open camera."""

    def capture(self, timeout_s: float) -> Shot | None:
        """Return the next frame; None where none came in time, and then the next call goes on."""

    def close(self) -> None:
        """Give the camera back; more than once does no harm."""


class Camera(Source):
    """A source of frames that opens its camera again when it fails, and ends when that is no use.

    Iterating yields the frame that the camera makes next, never one that has waited: what it made
    meanwhile is counted in `Frame.dropped`. While there is none it yields Waiting, at least once a
    second. Closing and opening may hang in the kernel, so that each happens in a thread of its own,
    which can be left behind.
    """

    def __init__(
        self,
        settings: CameraSettings,
        open_device: Callable[[CameraSettings], Device] | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: what is wanted, and what opens it (None: picamera2), with the time to go by."""
        self._settings = settings
        self._open_device = open_device or open_picamera
        self._monotonic = monotonic
        self._sleep = sleep
        self._name = f"camera {settings.number}"
        self._device: Future[Device] | None = None  # open, or on the way to it
        self._size: Size | None = None  # of its frames since it was opened
        self._stamp: object = None  # of its last frame, by the sensor
        self._unstamped: Pixels | None = None  # its last frame, where the sensor gives no time
        self._closed = False
        self.openings = 0  # since it began, those that failed among them

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield until `close`.

        Raises: SourceError after `give_up_s` without a frame, and at once without picamera2;
            ConfigurationError where a setting is not for this camera.
        """
        while not self._closed:
            yield from self._until_frame()

    def close(self) -> None:
        """Give the camera back, within CLOSE_S, from whatever state; the iteration ends."""
        self._closed = True
        if self._device:
            wait([self._release()], timeout=CLOSE_S)

    def _until_frame(self) -> Iterator[Frame | Waiting]:
        """Yield one frame, and Waiting before it while there is none."""
        until = self._monotonic() + self._settings.give_up_s
        attempts = 0
        while not self._closed:
            attempts += 1
            try:
                frame = yield from self._attempt(until)
            except ImportError as error:
                raise no_picamera2(error) from error
            except SourceError as error:
                fault = error
            except EdgeError:  # a wrong setting does not mend itself
                raise
            except Exception as error:  # picamera2 and libcamera raise what they like
                fault = explain(self._name, error)
            else:
                yield frame
                return
            if self._closed:  # and that is why it failed
                return
            pause_s = PAUSES_S[min(attempts, len(PAUSES_S)) - 1]
            if self._monotonic() + pause_s >= until:
                raise self._given_up(fault, attempts) from fault
            yield from self._shut(until)
            yield from self._rest(pause_s, fault)

    def _attempt(self, until: float) -> Generator[Waiting, None, Frame]:
        """Return a frame, from a camera that is opened first where it is not."""
        if self._device is None:
            self._size = self._stamp = self._unstamped = None
            self.openings += 1
            self._device = _in_background(lambda: self._open_device(self._settings))
        yield from self._done(self._device, until, "being opened")
        device = self._device.result()
        began = self._monotonic()
        deadline = min(until, began + self._settings.deadline_s)
        while True:
            left_s = max(0.0, deadline - self._monotonic())
            shot = device.capture(min(SLICE_S, left_s))
            if shot and not self._is_again(shot):
                return self._frame(shot)
            if self._monotonic() >= deadline:
                raise (frozen if shot else silent)(self._name, deadline - began)
            yield Waiting(f"{self._name}: {'the same frame again' if shot else 'no frame yet'}")
            if shot:  # it came at once
                self._sleep(min(FROZEN_S, left_s))

    def _is_again(self, shot: Shot) -> bool:
        """Whether it is the last frame: a sensor that is stuck is no source of fresh ones."""
        stamp = shot.metadata.get("SensorTimestamp")
        if stamp is not None:
            return bool(stamp == self._stamp)
        was, self._unstamped = self._unstamped, shot.pixels
        return was is not None and np.array_equal(was, shot.pixels)

    def _frame(self, shot: Shot) -> Frame:
        height, width = shot.pixels.shape[:2]
        if not shot.pixels.size or self._size not in (None, (height, width)):
            fault = f"gave a frame of {width} x {height} pixels"
            raise SourceError(self._name, fault, "update its software: sudo apt full-upgrade")
        self._size = (height, width)
        now_ns = time.monotonic_ns()
        stamp = shot.metadata.get("SensorTimestamp")
        age_ns = age_of(stamp, monotonic_ns=now_ns, boottime_ns=boottime_ns())
        captured_at = datetime.now(UTC) - timedelta(microseconds=age_ns / 1000)
        dropped = frames_between(self._stamp, stamp, shot.metadata.get("FrameDuration"))
        self._stamp = stamp
        return Frame(self._name, shot.pixels, captured_at, now_ns - age_ns, dropped)

    def _shut(self, until: float) -> Iterator[Waiting]:
        if self._device:
            closing = self._release()
            self._device = None
            yield from self._done(closing, until, "being closed")

    def _release(self) -> Future[None]:
        """Begin to close what is open or on the way to it."""
        device = self._device

        def close() -> None:
            with suppress(Exception):  # what does not close is busy when it is opened again
                if device:
                    device.result().close()

        return _in_background(close)

    def _done(self, work: Future[Any], until: float, state: str) -> Iterator[Waiting]:
        """Yield Waiting until it is done. Raises: SourceError where that takes too long."""
        while not wait([work], timeout=SLICE_S).done:
            if self._monotonic() >= until:
                remedy = "switch the machine off and on, if it stays so"
                raise SourceError(self._name, f"hangs while {state}", remedy)
            yield Waiting(f"{self._name}: {state}")

    def _rest(self, seconds: float, fault: SourceError) -> Iterator[Waiting]:
        until = self._monotonic() + seconds
        while (left_s := until - self._monotonic()) > 0:
            yield Waiting(str(fault))
            self._sleep(min(SLICE_S, left_s))

    def _given_up(self, fault: SourceError, attempts: int) -> SourceError:
        tried = f"attempts: {attempts}, within {self._settings.give_up_s:g} s"
        return SourceError(fault.subject, f"{fault.fault} ({tried})", fault.remedy)


class Picamera:
    """A camera that picamera2 has opened and started: one stream, R, G, B in memory."""

    def __init__(self, picamera2: Any, settings: CameraSettings) -> None:
        """Args: the module, and what is wanted. Raises: whatever picamera2 does; EdgeError."""
        self._module = picamera2
        self._job: Any = None  # a capture that was begun
        self._finished = threading.Event()  # its end
        self._picam2: Any = picamera2.Picamera2(settings.number)
        try:
            self._picam2.configure(_configuration(self._picam2, settings))
            self._layout = _layout(self._picam2.camera_configuration(), settings)
            self._picam2.start()
        except BaseException:
            self.close()
            raise

    def capture(self, timeout_s: float) -> Shot | None:
        """Return the next frame, copied out of the camera's memory; None where none came in time.

        picamera2's own time limits (a job's from 0.3.17, `wait=` from 0.3.21) leave the job behind,
        which then takes a frame that nobody releases. Here the next call waits for it again.
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
            # has gone are the devices looked for anew.
            gc.collect()


def open_picamera(settings: CameraSettings) -> Device:
    """Open a camera by picamera2. Raises: ImportError, SourceError, EdgeError, whatever it does."""
    # Read when libcamera is loaded; what it tells of each opening is no news.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    picamera2 = import_module("picamera2")
    logging.getLogger("picamera2").setLevel(logging.CRITICAL)  # what fails is said once, by us
    name = f"camera {settings.number}"
    found = len(picamera2.Picamera2.global_camera_info())
    if settings.number >= found:
        raise no_camera(name, found)
    # picamera2 would take the camera, fail for want of memory and keep it: busy from then on.
    if fault := no_memory(name):
        raise fault
    return Picamera(picamera2, settings)


def _configuration(picam2: Any, settings: CameraSettings) -> Any:
    """One stream and no raw one; of a queue, frames would come that have waited."""
    turn = turn_of(settings)
    transform = import_module("libcamera").Transform(hflip=turn.horizontal, vflip=turn.vertical)
    return picam2.create_preview_configuration(
        main={"size": (settings.width, settings.height), "format": FORMAT},
        raw=None,
        transform=transform,
        buffer_count=BUFFER_COUNT,
        controls=_controls(picam2, settings.controls),
        display=None,
        encode=None,
        queue=False,
        sensor=_sensor(picam2, (settings.height, settings.width)),
    )


def _controls(picam2: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted controls, and autofocus where there is any. Raises: ConfigurationError."""
    known = {*picam2.camera_controls, "FrameRate"}  # picamera2's own name for two durations
    for name in wanted:
        if name not in known:
            raise ConfigurationError(
                f"camera.controls.{name}",
                "this camera has no such control",
                f"choose from {', '.join(sorted(known))}",
            )
    focus = {"AfMode": CONTINUOUS} if "AfMode" in known else {}
    return focus | dict(wanted)


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
    """How frames are stored, which is what the camera made of what was asked.

    Raises: ConfigurationError where it gives other than R, G, B.
    """
    main = configuration["main"]
    if main["format"] != FORMAT:
        fault, remedy = f"gives {main['format']}, not {FORMAT}", "use one with an image processor"
        raise ConfigurationError(f"camera {settings.number}", fault, remedy)
    width, height = main["size"]
    wanted, made = turn_of(settings), configuration["transform"]
    left = Turn(  # to be done by us: what the camera could not
        wanted.horizontal != bool(made.hflip), wanted.vertical != bool(made.vflip), wanted.quarters
    )
    return Layout((height, width), main["stride"], left, settings.roi)


def _in_background(work: Callable[[], T]) -> Future[T]:
    """Do it in a thread that ends with the process, whatever it waits for."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
