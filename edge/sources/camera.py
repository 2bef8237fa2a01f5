"""Frames from a camera: the newest, each within a deadline, for as long as it can be.

What opens it is chosen in `opening.py`; `Camera` knows only the interface `Device`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np

from edge.errors import EdgeError, SourceError
from edge.image.preprocess import Picture, Size
from edge.sources.camera_faults import explain, frozen, no_picamera2
from edge.sources.camera_format import (
    CameraSettings,
    age_of,
    boottime_ns,
    frames_between,
)
from edge.sources.device import Device, Shot
from edge.sources.frame import Frame, Source, Waiting
from edge.sources.picamera import open_picamera

__all__ = ["Camera", "CameraSettings"]

T = TypeVar("T")

FROZEN_S = 0.1  # between two looks at a sensor that gives the same frame
SLICE_S = 0.5  # nothing is waited for longer without a word to the loop, which serves signals
# From one opening to the next, then the last one: a camera that is back has waited for no longer.
PAUSES_S = (0.5, 1.0, 2.0)
LEAST_PAUSE_S = 0.5  # after an opening that took longer
CLOSE_S = 1.5  # a service has two seconds to end in; the kernel frees what does not close by then


class Camera(Source):
    """A source of frames that reopens its camera when it fails, and ends after `give_up_s`.

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
        name: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: what is wanted, what opens it (None: picamera2), its name, the time to go by."""
        self._settings = settings
        self._open_device = open_device or open_picamera
        self._monotonic = monotonic
        self._sleep = sleep
        self._name = name or f"camera {settings.number}"
        self._device: Future[Device] | None = None  # open, or on the way to it
        self._size: Size | None = None  # of its frames since it was opened
        self._stamp: object = None  # of its last frame, by the sensor
        self._unstamped: Picture | None = None  # its last frame, where the sensor gives no time
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
        attempts, earlier = 0, None
        while not self._closed:
            attempts += 1
            began = self._monotonic()
            try:
                frame = yield from self._attempt(until)
            except ImportError as error:
                raise no_picamera2(error) from error
            except _HangError as error:
                fault = error.after(earlier)
            except SourceError as error:
                fault = error
            except EdgeError:  # a wrong setting stays wrong
                raise
            except Exception as error:  # picamera2 and libcamera raise what they like
                fault = explain(self._name, error)
            else:
                yield frame
                return
            if self._closed:  # and that is why it failed
                return
            took_s = self._monotonic() - began
            pause_s = max(LEAST_PAUSE_S, PAUSES_S[min(attempts, len(PAUSES_S)) - 1] - took_s)
            earlier = fault.fault, fault.remedy
            if self._monotonic() + pause_s >= until:
                raise self._given_up(fault, attempts) from fault
            try:
                yield from self._shut(until)
            except _HangError as error:
                raise self._given_up(error.after(earlier), attempts) from fault
            yield from self._rest(pause_s, fault)
            # Its traceback holds this frame, which holds it: garbage of 0.5 MB for each failure.
            del fault

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
                return self._frame(shot, device)
            if self._monotonic() >= deadline:
                raise (frozen if shot else device.silent)(self._name, deadline - began)
            yield Waiting(f"{self._name}: {'the same frame again' if shot else 'no frame yet'}")
            if shot:  # it came at once
                self._sleep(min(FROZEN_S, left_s))

    def _is_again(self, shot: Shot) -> bool:
        """Whether it is the last frame: a sensor that is stuck has no fresh ones."""
        stamp = shot.metadata.get("SensorTimestamp")
        if stamp is not None:
            return bool(stamp == self._stamp)
        was, self._unstamped = self._unstamped, shot.pixels
        if not isinstance(was, np.ndarray) or not isinstance(shot.pixels, np.ndarray):
            return was is not None and was == shot.pixels
        return np.array_equal(was, shot.pixels)

    def _check_size(self, pixels: Picture) -> None:
        """Raises: SourceError where it is none, or has changed."""
        if not isinstance(pixels, np.ndarray):
            return
        height, width = pixels.shape[:2]
        if not pixels.size or self._size not in (None, (height, width)):
            fault = f"sent a frame of {width} x {height} pixels"
            raise SourceError(self._name, fault, "update its software: sudo apt full-upgrade")
        self._size = (height, width)

    def _frame(self, shot: Shot, device: Device) -> Frame:
        if device.has_fixed_size:
            self._check_size(shot.pixels)
        now_ns = time.monotonic_ns()
        stamp = shot.metadata.get("SensorTimestamp")
        age_ns = age_of(stamp, monotonic_ns=now_ns, boottime_ns=boottime_ns())
        captured_at = datetime.now(UTC) - timedelta(microseconds=age_ns / 1000)
        duration = shot.metadata.get("FrameDuration")
        dropped = shot.dropped or frames_between(self._stamp, stamp, duration)
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
            if device and device.exception() is None:  # which waits, and raises nothing
                with suppress(Exception):  # what does not close is busy when it is opened again
                    device.result().close()

        return _in_background(close)

    def _done(self, work: Future[Any], until: float, state: str) -> Iterator[Waiting]:
        """Yield Waiting until it is done. Raises: SourceError where that takes too long."""
        while not wait([work], timeout=SLICE_S).done:
            if self._monotonic() >= until:
                remedy = "if it remains, switch the machine off and on"
                raise _HangError(self._name, f"hangs while {state}", remedy)
            yield Waiting(f"{self._name}: {state}")

    def _rest(self, seconds: float, fault: SourceError) -> Iterator[Waiting]:
        until = self._monotonic() + seconds
        while (left_s := until - self._monotonic()) > 0:
            yield Waiting(str(fault))
            self._sleep(min(SLICE_S, left_s))

    def _given_up(self, fault: SourceError, attempts: int) -> SourceError:
        tried = f"attempts: {attempts}, within {self._settings.give_up_s:g} s"
        return SourceError(fault.subject, f"{fault.fault} ({tried})", fault.remedy)


class _HangError(SourceError):
    """Opening or closing has not returned."""

    def after(self, earlier: tuple[str, str] | None) -> SourceError:
        """Return the fault that led to it, which it would hide, if there was one.

        Args: that fault and its remedy.
        """
        if earlier is None:
            return self
        fault, remedy = earlier
        return SourceError(self.subject, f"{fault}; then it {self.fault}", remedy)


def _in_background(work: Callable[[], T]) -> Future[T]:
    """Do it in a thread that ends with the process, whatever it waits for."""
    future: Future[T] = Future()
    threading.Thread(target=_complete, args=(future, work), daemon=True).start()
    return future


def _complete(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
    finally:
        del future, work  # which an error's traceback would hold, and they it
