"""The camera: how it recovers, what it asks picamera2 for, and what it makes of its buffers."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from conftest import run

from edge.errors import ConfigurationError, EdgeError, SourceError
from edge.service.configuration import build
from edge.service.intake.chain import _camera_settings
from edge.sources.address import parse
from edge.sources.camera import SLICE_S, Camera, CameraSettings
from edge.sources.camera_faults import busy, closed_nodes, explain, holders, no_camera, no_memory
from edge.sources.camera_format import (
    FLIPS,
    ROTATIONS,
    Layout,
    Turn,
    age_of,
    frames_between,
    full_field_mode,
    pixels_of,
    sensor_rate,
    turn_of,
)
from edge.sources.device import Device
from edge.sources.frame import Frame, Waiting
from edge.sources.opening import check_camera, open_device
from edge.sources.picamera import Picamera, Shot, open_picamera

SECOND_NS = 10**9
BRIGHTNESS = itertools.count()


def shot(size: tuple[int, int] = (4, 6), **metadata: Any) -> Shot:
    """A frame like no other: a sensor without noise is taken for one that is stuck."""
    return Shot(np.full((*size, 3), next(BRIGHTNESS) % 256, np.uint8), metadata)


@dataclass
class StandIn:
    """A clock that no one waits for, and a camera that does as it is told.

    Each opening takes the next script: an exception is raised, and of a list each capture takes the
    next: a Shot, an exception, None (no frame in time). After its end there is no frame any more.
    """

    scripts: Iterable[Exception | list[Any]]
    now: float = 100.0
    opened: list[float] = field(default_factory=list)  # when
    closed: int = 0

    def __post_init__(self) -> None:
        self.scripts = iter(self.scripts)

    def open(self, settings: CameraSettings) -> OpenStandIn:
        self.opened.append(self.now)
        script = next(self.scripts)
        if isinstance(script, Exception):
            raise script
        return OpenStandIn(self, iter(script))

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 1
        self.now += seconds

    def camera(self, **settings: Any) -> Camera:
        return Camera(
            CameraSettings(**settings), self.open, monotonic=lambda: self.now, sleep=self.sleep
        )


@dataclass
class OpenStandIn(Device):
    stand_in: StandIn
    script: Iterator[Any]

    def capture(self, timeout_s: float) -> Shot | None:
        assert timeout_s <= 1
        does = next(self.script, None)
        if isinstance(does, Exception):
            raise does
        if does is None:
            self.stand_in.now += timeout_s
        return does

    def close(self) -> None:
        self.stand_in.closed += 1


def until_frame(source: Iterator[Frame | Waiting]) -> tuple[list[str], Frame]:
    """The reasons that came before a frame, and the frame."""
    reasons = []
    for given in source:
        if isinstance(given, Frame):
            return reasons, given
        reasons.append(given.reason)
    raise AssertionError("it ended")


def until_error(camera: Camera) -> tuple[list[str], EdgeError]:
    """The reasons that came before the error that it ended with."""
    reasons = []
    with pytest.raises(EdgeError) as caught:
        for given in camera:
            assert isinstance(given, Waiting)
            reasons.append(given.reason)
    return reasons, caught.value


def test_frames_come_as_the_camera_gives_them() -> None:
    stand_in = StandIn([[shot(), shot(), shot()]])
    frames = list(itertools.islice(stand_in.camera(number=1), 3))
    assert [frame.source for frame in frames] == ["camera 1"] * 3
    assert frames[0].picture.shape == (4, 6, 3)
    assert (len(stand_in.opened), stand_in.closed) == (1, 0)


def test_a_stalled_camera_is_opened_again_after_the_deadline() -> None:
    stand_in = StandIn([[shot()], [shot()]])
    source = iter(stand_in.camera(deadline_s=5))
    next(source)
    reasons, _ = until_frame(source)
    assert stand_in.opened == [100.0, 105.5]
    assert stand_in.closed == 1
    assert len(reasons) == 5 / SLICE_S - 1 + 1  # a word each half second, then the cause
    assert reasons[0] == "camera 0: no frame yet"
    assert "sent no frame within 5.0 s; reseat the cable" in reasons[-1]


@pytest.mark.parametrize("stamped", [True, False])
def test_a_sensor_that_is_stuck_is_no_source_of_fresh_frames(stamped: bool) -> None:
    stamps = {"SensorTimestamp": 7 * SECOND_NS} if stamped else {}
    same = Shot(np.full((4, 6, 3), 9, np.uint8), stamps)
    other = {"SensorTimestamp": 8 * SECOND_NS} if stamped else {}
    stand_in = StandIn([[same] * 100, [shot(**other)]])
    source = iter(stand_in.camera(deadline_s=5))
    next(source)
    reasons, _ = until_frame(source)
    assert reasons[0] == "camera 0: the same frame again"
    assert "sent the same frame for 5" in reasons[-1]
    assert len(stand_in.opened) == 2 and 105 <= stand_in.opened[1] < 107


def test_a_slow_frame_within_the_deadline_is_no_fault() -> None:
    stand_in = StandIn([[*[None] * 6, shot()]])
    reasons, frame = until_frame(iter(stand_in.camera(deadline_s=5)))
    assert len(reasons) == 6
    assert frame.dropped == 0
    assert stand_in.closed == 0


def test_pauses_grow_and_the_loop_hears_why_each_half_second() -> None:
    stand_in = StandIn([RuntimeError("broken")] * 22)
    camera = stand_in.camera(give_up_s=40)
    started = stand_in.now
    reasons, error = until_error(camera)
    assert np.diff(stand_in.opened).tolist() == [0.5, 1, *[2] * 19]
    assert stand_in.now - started < 40
    assert len(reasons) == 39.5 / SLICE_S
    assert set(reasons) == {"camera 0: failed (broken); run `rpicam-hello`, and check `dmesg`"}
    assert isinstance(error, SourceError)
    assert "failed (broken) (attempts: 22, within 40 s); run" in str(error)


def test_a_camera_that_stays_silent_is_given_up_in_time() -> None:
    stand_in = StandIn([[]] * 9)
    camera = stand_in.camera(deadline_s=5, give_up_s=20)
    _, error = until_error(camera)
    assert stand_in.now - 100 == 20
    assert "sent no frame within" in str(error)
    camera.close()
    assert stand_in.closed == len(stand_in.opened) == 4


def test_a_frame_begins_the_count_anew() -> None:
    error = RuntimeError("now and then")
    stand_in = StandIn([error, error, error, [shot(), error], error, [shot()]])
    source = iter(stand_in.camera())
    for _ in range(2):
        until_frame(source)
    assert np.diff(stand_in.opened).tolist() == [0.5, 1, 2, 0.5, 1]


@pytest.mark.parametrize("other", [shot((8, 6)), shot((0, 6)), shot((0, 0))])
def test_a_frame_of_another_size_is_a_fault(other: Shot) -> None:
    stand_in = StandIn([[shot(), other], [shot((8, 6))]])
    source = iter(stand_in.camera())
    next(source)
    reasons, frame = until_frame(source)
    assert f"{other.pixels.shape[1]} x {other.pixels.shape[0]} pixels" in reasons[-1]
    assert frame.picture.shape == (8, 6, 3)  # after it was opened again that is its size
    assert stand_in.closed == 1


def test_an_empty_first_frame_is_a_fault_too() -> None:
    stand_in = StandIn([[shot((0, 6))], [shot()]])
    reasons, _ = until_frame(iter(stand_in.camera()))
    assert "6 x 0 pixels" in reasons[-1]


def test_a_device_that_raises_in_the_midst_is_opened_again() -> None:
    stand_in = StandIn([[shot(), OSError("gone")], [shot()]])
    source = iter(stand_in.camera())
    next(source)
    reasons, _ = until_frame(source)
    assert "failed (gone)" in reasons[-1]
    assert (len(stand_in.opened), stand_in.closed) == (2, 1)


def test_a_device_that_does_not_close_does_not_end_the_recovery() -> None:
    class Stuck(OpenStandIn):
        def close(self) -> None:
            super().close()
            raise RuntimeError("Failed to release camera")

    stand_in = StandIn([])
    devices = iter([Stuck(stand_in, iter([])), OpenStandIn(stand_in, iter([shot()]))])
    camera = Camera(
        CameraSettings(),
        lambda settings: next(devices),
        monotonic=lambda: stand_in.now,
        sleep=stand_in.sleep,
    )
    until_frame(iter(camera))
    assert stand_in.closed == 1


def test_a_wrong_setting_is_told_at_once() -> None:
    stand_in = StandIn([EdgeError("camera.controls.Foo", "none such", "choose")] * 2)
    reasons, error = until_error(stand_in.camera())
    assert (reasons, type(error), len(stand_in.opened)) == ([], EdgeError, 1)


def test_picamera2_that_is_absent_is_one_line_at_once() -> None:
    reasons, error = until_error(StandIn([ModuleNotFoundError("No module named 'x'")]).camera())
    assert reasons == []
    assert isinstance(error, SourceError)
    assert "No module named 'x'" in str(error)
    assert "sudo apt install -y python3-picamera2" in error.remedy
    assert "--system-site-packages" in error.remedy


def test_without_picamera2_the_default_says_so() -> None:
    if "picamera2" in sys.modules:
        pytest.skip("picamera2 is here")
    _, error = until_error(Camera(CameraSettings()))
    assert "picamera2" in str(error)


@pytest.fixture
def hung() -> Iterator[Callable[[Any], Any]]:
    """Something that hangs until the test is over."""
    over = threading.Event()
    yield lambda *_: over.wait(30)
    over.set()


def test_an_opening_that_hangs_is_given_up(hung: Callable[[Any], Any]) -> None:
    camera = Camera(CameraSettings(give_up_s=0.3), hung)
    started = time.monotonic()
    _, error = until_error(camera)
    assert time.monotonic() - started < 10  # of the 30 that it hangs
    assert isinstance(error, SourceError)
    assert "hangs while being opened" in str(error)


@pytest.mark.parametrize("part", ["opened", "closed"])
def test_a_hang_does_not_hide_the_fault_before_it(hung: Callable[[Any], Any], part: str) -> None:
    openings = 0

    def open_device(_: object) -> object:
        nonlocal openings
        openings += 1
        if part == "closed":
            return SimpleNamespace(capture=lambda timeout_s: raised("unplugged"), close=hung)
        return raised("unplugged") if openings == 1 else hung()

    _, error = until_error(Camera(CameraSettings(give_up_s=2.0), open_device))
    assert f"failed (unplugged); then it hangs while being {part} (attempts: " in str(error)
    assert error.remedy.startswith("run `rpicam-hello`")


def raised(text: str) -> object:
    raise OSError(text)


def test_close_gives_the_camera_back_once_and_ends_the_iteration() -> None:
    stand_in = StandIn([[shot(), shot()]])
    camera = stand_in.camera()
    source = iter(camera)
    next(source)
    camera.close()
    assert stand_in.closed == 1
    assert list(source) == []
    assert list(camera) == []


def test_close_before_anything_and_twice_is_nothing() -> None:
    camera = StandIn([]).camera()
    camera.close()
    camera.close()


def test_close_while_it_recovers_ends_it() -> None:
    stand_in = StandIn([RuntimeError("broken")] * 9)
    camera = stand_in.camera()
    for given in camera:
        assert isinstance(given, Waiting)
        camera.close()
    assert len(stand_in.opened) <= 2


def test_close_does_not_wait_for_ever(hung: Callable[[Any], Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("edge.sources.camera.CLOSE_S", 0.1)
    camera = Camera(CameraSettings(), lambda settings: SimpleNamespace(capture=shot_of, close=hung))
    next(iter(camera))
    started = time.monotonic()
    camera.close()
    assert time.monotonic() - started < 10  # of the 30 that it hangs


def shot_of(timeout_s: float) -> Shot:
    return shot()


class Ended(BaseException):
    """What a signal's handler raises."""


@pytest.mark.parametrize("place", ["capture", "sleep"])
def test_a_signal_in_the_midst_leaves_what_close_can_close(place: str) -> None:
    stand_in = StandIn([[shot()], [shot()]])
    source = iter(camera := stand_in.camera())
    next(source)

    def interrupted(*_: Any) -> None:
        raise Ended

    if place == "capture":
        camera._device.result().capture = interrupted
    else:
        camera._sleep = interrupted
    with pytest.raises(Ended):
        until_frame(source)
    camera.close()
    assert stand_in.closed == len(stand_in.opened) == 1


def test_a_signal_while_it_is_opened_does_not_leave_it_open(monkeypatch: Any) -> None:
    stand_in = StandIn([[shot()]])
    go = threading.Event()
    camera = Camera(CameraSettings(), lambda settings: go.wait(5) and stand_in.open(settings))
    monkeypatch.setattr("edge.sources.camera.SLICE_S", 0.01)
    assert next(iter(camera)) == Waiting("camera 0: being opened")
    threading.Timer(0.05, go.set).start()
    camera.close()
    assert stand_in.closed == 1


def test_the_age_of_a_frame_is_that_of_its_sensor() -> None:
    stamp = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 2 * SECOND_NS
    stand_in = StandIn([[shot(SensorTimestamp=stamp)]])
    (frame,) = itertools.islice(stand_in.camera(), 1)
    age_s = (time.monotonic_ns() - frame.captured_ns) / SECOND_NS
    assert 2 <= age_s < 4
    assert abs(time.time() - frame.captured_at.timestamp() - age_s) < 0.5


@pytest.mark.parametrize("stamp", [None, 0, -5, "soon", 10**18])
def test_an_absurd_timestamp_is_now(stamp: object) -> None:
    now_ns = time.monotonic_ns()
    (frame,) = itertools.islice(StandIn([[shot(SensorTimestamp=stamp)]]).camera(), 1)
    assert now_ns <= frame.captured_ns <= time.monotonic_ns()


@pytest.mark.parametrize("suspended_s", [0, 3, 3600])
@pytest.mark.parametrize("clock", ["boottime", "monotonic"])
def test_either_clock_of_a_driver_is_understood(clock: str, suspended_s: int) -> None:
    now = {"monotonic": 5000 * SECOND_NS, "boottime": (5000 + suspended_s) * SECOND_NS}
    stamp = now[clock] - SECOND_NS // 10
    age_ns = age_of(stamp, monotonic_ns=now["monotonic"], boottime_ns=now["boottime"])
    assert age_ns == SECOND_NS // 10


def test_frames_that_were_let_go_are_counted() -> None:
    start = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - SECOND_NS
    stamps = [start + n * SECOND_NS // 30 for n in (0, 1, 5, 20)]
    shots = [shot(SensorTimestamp=stamp, FrameDuration=33_333) for stamp in stamps]
    frames = list(itertools.islice(StandIn([shots]).camera(), 4))
    assert [frame.dropped for frame in frames] == [0, 0, 3, 14]


def test_what_was_lost_while_it_was_opened_again_is_not_guessed() -> None:
    start = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 2 * SECOND_NS
    first = shot(SensorTimestamp=start, FrameDuration=33_333)
    second = shot(SensorTimestamp=start + SECOND_NS, FrameDuration=33_333)
    source = iter(StandIn([[first], [second]]).camera(deadline_s=1))
    assert [until_frame(source)[1].dropped for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("duration", [None, 0, "long"])
def test_without_a_duration_none_is_counted(duration: object) -> None:
    assert frames_between(5, 5 + SECOND_NS, duration) == 0
    assert frames_between(5 + SECOND_NS, 5, 33_333) == 0


# Settings


@pytest.mark.parametrize(
    "key, value, says",
    [
        ("number", -1, "0 to 99"),
        ("number", 0.5, "0.5"),
        ("width", 8, "16 to 10000"),
        ("width", True, "whole number"),
        ("height", 481, "even"),
        ("deadline_s", 0, "above 0"),
        ("deadline_s", "5", "'5'"),
        ("give_up_s", float("nan"), "nan"),
        ("rotate", 45, "0, 90, 180, 270"),
        ("rotate", False, "False"),
        ("flip", "upside", "none, horizontal, vertical, both"),
        ("roi", (0, 0, 1), "x, y, width, height"),
        ("roi", [0.5, 0, 0.6, 1], "within 0 and 1"),
        ("roi", [0, 0, 0, 1], "within 0 and 1"),
        ("roi", [0, 0, 1, "1"], "shares"),
        ("roi", 1, "shares"),
        ("zoom", [0.5, 0, 0.6, 1], "within 0 and 1"),
        ("frame_rate", -1.0, "from 0 to 1000"),
        ("frame_rate", "fast", "a number"),
        ("controls", ["AeEnable"], "table"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_key(key: str, value: object, says: str) -> None:
    with pytest.raises(EdgeError) as caught:
        CameraSettings(**{key: value})
    assert caught.value.subject == f"camera.{key}"
    assert "must be" in caught.value.fault
    assert says in caught.value.fault


def test_a_region_from_toml_becomes_a_tuple() -> None:
    assert CameraSettings(roi=[0, 0.25, 1, 0.5]).roi == (0.0, 0.25, 1.0, 0.5)
    assert CameraSettings(roi=[]).roi == ()
    assert CameraSettings(roi=[0.7, 0.9, 0.3, 0.1]).roi  # 1.0000000000000002 in all


# Pixels


def buffer_of(picture: np.ndarray, stride: int, depth: int = 3) -> np.ndarray:
    """An image as a camera stores it: rows padded with what is none of it, and a tail."""
    height, width = picture.shape[:2]
    rows = np.full((height, stride), 255, np.uint8)
    pixels = np.full((height, width, depth), 253, np.uint8)
    pixels[..., :3] = picture
    rows[:, : width * depth] = pixels.reshape(height, width * depth)
    return np.append(rows.ravel(), np.full(100, 254, np.uint8))


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 250, (8, 12, 3), np.uint8)


@pytest.mark.parametrize("depth, stride", [(3, 36), (3, 64), (4, 48), (4, 64)])
def test_the_padding_of_rows_is_cropped(picture: np.ndarray, depth: int, stride: int) -> None:
    buffer = buffer_of(picture, stride, depth)
    pixels = pixels_of(buffer, Layout((8, 12), stride, depth=depth))
    assert np.array_equal(pixels, picture)
    assert pixels.strides == (12 * depth, depth, 1)
    assert not np.shares_memory(pixels, buffer)  # the camera takes it back


def test_a_buffer_that_is_too_short_is_no_frame(picture: np.ndarray) -> None:
    with pytest.raises(ValueError):
        pixels_of(buffer_of(picture, 64)[:300], Layout((8, 12), 64))
    with pytest.raises(ValueError):
        pixels_of(np.empty(0, np.uint8), Layout((8, 12), 64))


def expected(picture: np.ndarray, rotate: int, flip: str) -> np.ndarray:
    """Rotated, then flipped, by the book."""
    rotated = np.rot90(picture, -rotate // 90)
    if flip in ("horizontal", "both"):
        rotated = rotated[:, ::-1]
    return rotated[::-1] if flip in ("vertical", "both") else rotated


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("flip", FLIPS)
def test_rotate_and_flip(picture: np.ndarray, rotate: int, flip: str) -> None:
    turn = turn_of(CameraSettings(rotate=rotate, flip=flip))
    pixels = pixels_of(buffer_of(picture, 64), Layout((8, 12), 64, turn))
    assert np.array_equal(pixels, expected(picture, rotate, flip))


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("flip", ["none", "horizontal"])
def test_the_region_is_one_of_the_upright_picture(
    picture: np.ndarray, rotate: int, flip: str
) -> None:
    turn = turn_of(CameraSettings(rotate=rotate, flip=flip))
    pixels = pixels_of(buffer_of(picture, 64), Layout((8, 12), 64, turn, (0.25, 0.5, 0.5, 0.25)))
    upright = expected(picture, rotate, flip)
    height, width = upright.shape[:2]
    part = upright[height // 2 : height * 3 // 4, width // 4 : width * 3 // 4]
    assert np.array_equal(pixels, part)
    assert pixels.flags["C_CONTIGUOUS"]


def test_a_region_has_a_pixel_at_least(picture: np.ndarray) -> None:
    layout = Layout((8, 12), 64, roi=(0.999, 0.999, 0.001, 0.001))
    assert np.array_equal(pixels_of(buffer_of(picture, 64), layout), picture[-1:, -1:])


# Sensor modes, as picamera2 lists them for two sensors


def mode(size: tuple[int, int], crop: tuple[int, int, int, int], bits: int = 10) -> dict[str, Any]:
    return {"size": size, "crop_limits": crop, "bit_depth": bits, "format": f"SRGGB{bits}_CSI2P"}


IMX219 = [
    mode((640, 480), (1000, 752, 1280, 960)),
    mode((1640, 1232), (0, 0, 3280, 2464), 8),
    mode((1640, 1232), (0, 0, 3280, 2464)),
    mode((1920, 1080), (680, 692, 1920, 1080)),
    mode((3280, 2464), (0, 0, 3280, 2464)),
]
OV5647 = [
    mode((640, 480), (16, 0, 2560, 1920)),  # all but its border: 97 % of the field
    mode((1296, 972), (0, 0, 2592, 1944)),
    mode((1920, 1080), (348, 434, 1928, 1080)),
    mode((2592, 1944), (0, 0, 2592, 1944)),
]


@pytest.mark.parametrize(
    "modes, size, chosen",
    [
        (IMX219, (480, 640), IMX219[2]),
        (IMX219, (1200, 1800), IMX219[4]),
        (IMX219, (4000, 6000), IMX219[4]),
        (OV5647, (480, 640), OV5647[0]),
        (OV5647, (720, 960), OV5647[1]),
        ([{"format": "MJPEG"}], (480, 640), None),
        ([], (480, 640), None),
    ],
)
def test_the_mode_sees_the_full_field(modes: Any, size: Any, chosen: Any) -> None:
    assert full_field_mode(modes, size) == chosen


# Causes


def test_no_camera_is_the_cable() -> None:
    nothing = Path("/nonexistent")
    error = no_camera("camera 0", 0, dev=nothing, proc=nothing)
    assert error.fault == "no camera found"
    assert "cable" in error.remedy
    assert "camera_auto_detect" in error.remedy


def test_another_number_than_there_are_is_told(tmp_path: Path) -> None:
    assert "1 found, numbered from 0" in str(no_camera("camera 1", 1, dev=tmp_path))


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder that anybody may look into, while the test is no one: root may open anything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        if os.getuid() == 0:
            os.seteuid(0)


def test_devices_that_cannot_be_opened_are_a_matter_of_rights(nobody: Path) -> None:
    (nobody / "media0").touch(mode=0o600)
    for allowed in (nobody / "video0", nobody / "dma_heap" / "linux,cma"):
        allowed.parent.mkdir(exist_ok=True)
        allowed.touch()
        allowed.chmod(0o666)
    if os.getuid() == 0:
        os.seteuid(65534)
    else:
        (nobody / "media0").chmod(0)
    assert list(closed_nodes(nobody)) == [nobody / "media0"]
    assert no_memory(nobody.name, nobody) is None
    error = no_camera("camera 0", 0, dev=nobody)
    assert f"permission denied: {nobody / 'media0'}" in error.fault
    assert "video and render" in error.remedy


def test_memory_for_frames_that_cannot_be_had_is_one_too(nobody: Path) -> None:
    (nobody / "dma_heap").mkdir(mode=0o755)
    (nobody / "dma_heap" / "system").touch(mode=0)  # not one that picamera2 takes any from
    heap = nobody / "dma_heap" / "vidbuf_cached"
    heap.touch(mode=0)
    if os.getuid() == 0:
        os.seteuid(65534)
    assert f"permission denied: {heap}" in str(no_memory("camera 0", nobody))


def test_a_right_that_lacks_is_found_in_the_chain() -> None:
    wrapped = RuntimeError("Camera __init__ sequence did not complete.")
    wrapped.__cause__ = PermissionError(13, "Permission denied", "/dev/dma_heap/linux,cma")
    assert "permission denied: /dev/dma_heap/linux,cma" in str(explain("camera 0", wrapped))


def test_busy_is_found_in_the_chain() -> None:
    wrapped = RuntimeError("Camera __init__ sequence did not complete.")
    wrapped.__cause__ = RuntimeError("Failed to acquire camera: Device or resource busy")
    assert "busy: in use by" in str(explain("camera 0", wrapped))


def process(proc: Path, pid: int, name: str, holds: str) -> None:
    (proc / str(pid) / "fd").mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{name}\n")
    (proc / str(pid) / "fd" / "3").symlink_to(holds)


def test_who_holds_the_camera_is_named(tmp_path: Path) -> None:
    process(tmp_path, 99, "shell", "/dev/pts/0")
    process(tmp_path, 4711, "rpicam-vid", "/dev/media0")
    process(tmp_path, 812, "motion", "/dev/video0")
    process(tmp_path, os.getpid(), "self", "/dev/media0")
    assert list(holders(tmp_path)) == ["motion (812)", "rpicam-vid (4711)"]
    error = busy("camera 0", tmp_path)
    assert error.fault == "busy: in use by motion (812), rpicam-vid (4711)"


def test_a_camera_that_is_not_listed_may_be_in_use(tmp_path: Path) -> None:
    process(tmp_path, 4711, "rpicam-vid", "/dev/media0")
    error = no_camera("camera 0", 0, dev=tmp_path / "dev", proc=tmp_path)
    assert error.fault == "no camera found, or it is in use by rpicam-vid (4711)"
    assert "stop that process, or reseat the cable" in error.remedy


def test_many_holders_stay_one_short_line(tmp_path: Path) -> None:
    for pid in range(1, 7):
        process(tmp_path, pid, "p", "/dev/media0")
    assert str(busy("camera 0", tmp_path)).count("p (") == 4
    assert "and 2 more" in str(busy("camera 0", tmp_path))


def test_a_holder_that_cannot_be_seen_is_looked_for_by_root(tmp_path: Path) -> None:
    error = busy("camera 0", tmp_path)
    assert "another process" in error.fault
    assert "sudo fuser" in error.remedy


def test_the_innermost_error_is_told_in_one_line() -> None:
    wrapped = RuntimeError("it did not complete")
    wrapped.__context__ = ValueError("why\nexactly")
    assert str(explain("camera 0", wrapped)).startswith("camera 0: failed (why\\nexactly); ")
    assert "failed (ValueError)" in str(explain("camera 0", ValueError()))


# picamera2: a stand-in for the package, which is not here


@dataclass
class StandInRequest:
    buffer: np.ndarray
    metadata: dict[str, Any]
    released: int = 0

    def get_metadata(self) -> dict[str, Any]:
        return self.metadata

    def release(self) -> None:
        self.released += 1


class StandInJob:
    def __init__(self, signal: Callable[[Any], None]) -> None:
        self.signal = signal
        self.result: Any = None

    def finish(self, result: Any) -> None:
        self.result = result
        self.signal(self)

    def get_result(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class StandInPicamera2:
    """What a Raspberry Pi's camera with autofocus answers, and what it was asked."""

    camera_controls: ClassVar = {
        "AfMode": (0, 2, 0),
        "AeEnable": (0, 1, 1),
        "ScalerCrop": ((), (), ()),
        "FrameDurationLimits": (100, 1_000_000, None),
    }
    sensor_modes = IMX219
    format = "XBGR8888"
    flips = True  # whether it can
    found = 1

    def __init__(self, number: int, tuning: str | None = None) -> None:
        self.number, self.tuning = number, tuning
        self.jobs: list[StandInJob] = []
        self.started = 0
        self.closed = 0

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return [{}] * cls.found

    def create_preview_configuration(self, **wanted: Any) -> dict[str, Any]:
        return wanted

    def configure(self, wanted: dict[str, Any]) -> None:
        self.configuration = wanted

    @property
    def camera_properties(self) -> dict[str, Any]:
        assert self.configuration  # known from then on
        return {"ScalerCropMaximum": (8, 10, 3280, 2464)}

    def set_controls(self, wanted: dict[str, Any]) -> None:
        assert not self.started
        self.set = wanted

    def camera_configuration(self) -> dict[str, Any]:
        width, height = self.configuration["main"]["size"]
        main = {"format": self.format, "size": (width, height)}
        main["stride"] = width * (4 if self.format == "XBGR8888" else 3) + 28
        made = self.configuration["transform"]
        if not self.flips:
            made = SimpleNamespace(hflip=False, vflip=False)
        return self.configuration | {"main": main, "transform": made}

    def start(self) -> None:
        self.started += 1

    def capture_request(self, *, wait: bool, signal_function: Callable[[Any], None]) -> Any:
        assert wait is False
        self.jobs.append(StandInJob(signal_function))
        return self.jobs[-1]

    def close(self) -> None:
        self.closed += 1


class StandInMappedArray:
    def __init__(self, request: StandInRequest, name: str, *, reshape: bool, write: bool) -> None:
        assert (name, reshape, write) == ("main", False, False)
        self.array = request.buffer

    def __enter__(self) -> StandInMappedArray:
        return self

    def __exit__(self, *_: object) -> None:
        del self.array


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package, with a class whose answers the test may change."""

    class Own(StandInPicamera2):
        pass

    package, libcamera = ModuleType("picamera2"), ModuleType("libcamera")
    package.Picamera2, package.MappedArray = Own, StandInMappedArray  # type: ignore[attr-defined]
    libcamera.Transform = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", package)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    monkeypatch.setenv("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    return package


def opened(settings: CameraSettings) -> tuple[Picamera, StandInPicamera2]:
    device = open_picamera(settings)
    assert isinstance(device, Picamera)
    return device, device._picam2


def test_one_small_stream_of_the_full_field_is_asked_for(picamera2: Any) -> None:
    _, asked = opened(CameraSettings(controls={"AeEnable": False}))
    wanted = asked.configuration
    assert wanted["main"] == {"size": (640, 480), "format": "XBGR8888"}
    assert (wanted["raw"], wanted["queue"]) == (None, False)
    assert wanted["buffer_count"] <= 4
    assert wanted["sensor"] == {"output_size": (1640, 1232), "bit_depth": 10}
    assert wanted["controls"] == {"AfMode": 2, "AeEnable": False}
    assert asked.started == 1


@pytest.mark.parametrize(
    ("settings", "crop"),
    [
        ({}, (8, 10, 1640, 616)),
        ({"rotate": 180}, (8 + 1640, 10 + 1848, 1640, 616)),
        ({"flip": "horizontal"}, (8 + 1640, 10, 1640, 616)),
    ],
)
def test_a_zoom_is_cropped_by_the_sensor(
    picamera2: Any, settings: dict[str, Any], crop: tuple[int, ...]
) -> None:
    _, asked = opened(CameraSettings(zoom=(0.0, 0.0, 0.5, 0.25), **settings))
    assert asked.set == {"ScalerCrop": crop}
    # A mode with the pixels of a frame in that part.
    assert asked.configuration["sensor"]["output_size"] == (3280, 2464)


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("flip", FLIPS)
def test_a_region_is_undone_as_the_image_is(rotate: int, flip: str) -> None:
    turn = turn_of(CameraSettings(rotate=rotate, flip=flip))
    stored = np.arange(80).reshape(8, 10)
    upright = turn.apply(stored)
    height, width = upright.shape
    part = upright[height // 2 : height // 2 + 2, 0 : width // 2]
    region = (0.0, (height // 2) / height, (width // 2) / width, 2 / height)
    x, y, wide, high = turn.undo_region(region)
    left, top = round(x * 10), round(y * 8)
    found = stored[top : top + round(high * 8), left : left + round(wide * 10)]
    assert sorted(found.ravel()) == sorted(part.ravel())


def test_a_camera_that_cannot_crop_has_no_zoom(picamera2: Any) -> None:
    picamera2.Picamera2.camera_controls = {"Brightness": (0, 1, 0)}
    with pytest.raises(EdgeError, match="cannot crop"):
        opened(CameraSettings(zoom=(0.0, 0.0, 0.5, 0.5)))


def test_a_camera_without_modes_and_autofocus_is_asked_for_neither(picamera2: Any) -> None:
    picamera2.Picamera2.camera_controls = {"Brightness": (0, 1, 0)}
    picamera2.Picamera2.sensor_modes = property(lambda self: pytest.fail("it has none"))
    _, asked = opened(CameraSettings())
    assert (asked.configuration["sensor"], asked.configuration["controls"]) == ({}, {})


def test_what_the_user_says_of_the_focus_holds(picamera2: Any) -> None:
    _, asked = opened(CameraSettings(controls={"AfMode": 0, "FrameRate": 5.0}))
    assert asked.configuration["controls"] == {"AfMode": 0, "FrameRate": 5.0}


def test_an_unknown_control_is_refused_by_name_and_the_camera_given_back(
    picamera2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[StandInPicamera2] = []
    monkeypatch.setattr(
        picamera2.Picamera2,
        "__init__",
        lambda self, number, tuning: made.append(self),
        raising=True,
    )
    monkeypatch.setattr(picamera2.Picamera2, "closed", 0, raising=False)
    with pytest.raises(EdgeError) as caught:
        open_picamera(CameraSettings(controls={"Sharpnes": 1}))
    assert not isinstance(caught.value, SourceError)
    assert caught.value.subject == "camera.controls.Sharpnes"
    assert "AeEnable, AfMode, FrameDurationLimits, FrameRate, ScalerCrop" in caught.value.remedy
    assert [camera.closed for camera in made] == [1]


@pytest.mark.parametrize(
    ("fps", "limits"),
    [(2.0, (200_000, 200_000)), (10.0, (50_000, 83_333)), (0.0, None), (0.1, (200_000, 200_000))],
)
def test_the_sensor_is_slowed_to_what_is_classified(
    picamera2: Any, fps: float, limits: tuple[int, int] | None
) -> None:
    _, asked = opened(sensor_rate(CameraSettings(), fps))
    assert asked.configuration["controls"].get("FrameDurationLimits") == limits


@pytest.mark.parametrize(
    ("settings", "controls"),
    [
        ({"frame_rate": 0.0}, {}),
        ({"frame_rate": 20.0}, {"FrameDurationLimits": (50_000, 83_333)}),
        ({"controls": {"FrameRate": 3.0}}, {"FrameRate": 3.0}),
        (
            {"controls": {"FrameDurationLimits": [1, 2]}},
            {"FrameDurationLimits": [1, 2]},
        ),
    ],
)
def test_the_users_own_rate_holds(
    picamera2: Any, settings: dict[str, Any], controls: dict[str, Any]
) -> None:
    _, asked = opened(sensor_rate(CameraSettings(**settings), 2.0))
    assert asked.configuration["controls"] == {"AfMode": 2} | controls


def test_a_camera_without_frame_durations_keeps_its_rate(picamera2: Any) -> None:
    picamera2.Picamera2.camera_controls = {"Brightness": (0, 1, 0)}
    _, asked = opened(sensor_rate(CameraSettings(), 2.0))
    assert asked.configuration["controls"] == {}


def test_the_service_lowers_the_rate_of_this_camera_alone() -> None:
    def rate(**values: Any) -> float | None:
        return _camera_settings(build(values)).frame_rate

    assert rate() == 5.0  # 2 a second are classified
    assert rate(fps=8.0) == 16.0
    assert rate(**{"motion.on": True}) == 10.0  # 5 a second are compared
    assert rate(**{"motion.on": True, "fps": 0.0}) == 0.0
    assert rate(**{"camera.frame_rate": 25.0}) == 25.0
    assert rate(source="/dev/video0") is None


def test_a_tuning_file_is_named_before_libcamera_looks_for_cameras(
    picamera2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIBCAMERA_RPI_TUNING_FILE", raising=False)
    path = tmp_path / "imx219_noir.json"
    path.write_text("{}")
    named: list[str | None] = []

    def info() -> list[dict[str, Any]]:
        named.append(os.environ.get("LIBCAMERA_RPI_TUNING_FILE"))
        return [{}]

    picamera2.Picamera2.global_camera_info = staticmethod(info)
    _, asked = opened(CameraSettings(tuning_file=str(path)))
    assert (named, asked.tuning) == ([str(path)], str(path))
    monkeypatch.delenv("LIBCAMERA_RPI_TUNING_FILE")
    _, asked = opened(CameraSettings())
    assert (named[-1], asked.tuning) == (None, None)


def test_a_tuning_file_that_is_not_there_is_one_line_at_the_check() -> None:
    done = run("-m", "edge", "watch", "--camera-tuning-file", "/no/imx219.json", "--check")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "camera.tuning_file /no/imx219.json: no such file" in done.stderr


@pytest.mark.parametrize("key", ["tuning_file", "frame_rate"])
def test_what_is_for_picamera2_alone_is_rejected_elsewhere(key: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    value = {"tuning_file": str(tmp_path / "a.json"), "frame_rate": 5.0}[key]
    with pytest.raises(ConfigurationError, match=f"camera.{key}: works only with a picamera2"):
        check_camera(parse("/dev/video0"), CameraSettings(**{key: value}))


SECOND_ID = "/base/soc/i2c0mux/i2c@1/imx708@1a"
TWO = [{"Id": "/base/soc/i2c0mux/i2c@0/imx219@10", "Model": "imx219"}]
TWO.append({"Id": SECOND_ID, "Model": "imx708"})


@pytest.mark.parametrize(
    ("source", "number"), [("camera:1", 1), (f"camera:{SECOND_ID}", 1), ("camera:imx219", 0)]
)
def test_a_camera_is_chosen_by_number_id_or_model(
    picamera2: Any, source: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    picamera2.Picamera2.global_camera_info = staticmethod(lambda: TWO)
    monkeypatch.setattr("edge.sources.picamera.no_memory", lambda name: None)
    device = open_device(parse(source), CameraSettings())
    assert isinstance(device, Picamera) and device._picam2.number == number
    with pytest.raises(SourceError, match="no such camera; found: imx219, imx708"):
        open_device(parse("camera:imx500"), CameraSettings())


def test_a_number_beyond_what_is_there(picamera2: Any) -> None:
    with pytest.raises(SourceError, match=r"1 found, numbered from 0|permission denied:"):
        open_picamera(CameraSettings(number=1))


def test_other_colours_than_rgb_are_refused(picamera2: Any) -> None:
    picamera2.Picamera2.format = "YUYV"
    with pytest.raises(EdgeError, match="provides YUYV, not XBGR8888 or BGR888"):
        open_picamera(CameraSettings())


def test_a_camera_that_stores_three_bytes_is_read_so(picamera2: Any) -> None:
    picamera2.Picamera2.format = "BGR888"
    device, asked = opened(CameraSettings(width=24, height=16))
    assert asked.configuration["main"]["format"] == "BGR888"
    assert device.capture(0) is None
    stamp = {"SensorTimestamp": next(BRIGHTNESS)}
    stored = np.random.default_rng(2).integers(0, 250, (16, 24, 3), np.uint8)
    asked.jobs[0].finish(StandInRequest(buffer_of(stored, 24 * 3 + 28), stamp))
    given = device.capture(0)
    assert given is not None
    assert np.array_equal(given.pixels, stored)


def request_of(picture: np.ndarray) -> StandInRequest:
    return StandInRequest(
        buffer_of(picture, picture.shape[1] * 4 + 28, 4), {"SensorTimestamp": next(BRIGHTNESS)}
    )


@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("rotate, flip", [(0, "horizontal"), (180, "none"), (90, "vertical")])
def test_what_the_camera_cannot_flip_is_flipped_here(
    picamera2: Any, flips: bool, rotate: int, flip: str
) -> None:
    picamera2.Picamera2.flips = flips
    device, asked = opened(CameraSettings(width=24, height=16, rotate=rotate, flip=flip))
    stored = scene = np.random.default_rng(2).integers(0, 250, (16, 24, 3), np.uint8)
    made = asked.camera_configuration()["transform"]
    stored = stored[:, ::-1] if made.hflip else stored
    stored = stored[::-1] if made.vflip else stored
    assert device.capture(0) is None
    asked.jobs[0].finish(request_of(np.ascontiguousarray(stored)))
    given = device.capture(0)
    assert given is not None
    assert np.array_equal(given.pixels, expected(scene, rotate, flip))


def test_a_late_frame_is_waited_for_again_and_released(picamera2: Any) -> None:
    device, asked = opened(CameraSettings(width=24, height=16))
    assert [device.capture(0.001) for _ in range(3)] == [None] * 3
    assert len(asked.jobs) == 1  # a second one would take a frame that no one releases
    request = request_of(np.zeros((16, 24, 3), np.uint8))
    asked.jobs[0].finish(request)
    given = device.capture(0.001)
    assert given is not None
    assert set(given.metadata) == {"SensorTimestamp"}
    assert request.released == 1
    assert device.capture(0) is None
    assert len(asked.jobs) == 2


def test_a_frame_that_cannot_be_read_is_released(picamera2: Any) -> None:
    device, asked = opened(CameraSettings(width=24, height=16))
    device.capture(0)
    request = StandInRequest(np.zeros(10, np.uint8), {})
    asked.jobs[0].finish(request)
    with pytest.raises(ValueError):
        device.capture(0)
    assert request.released == 1


def test_what_a_job_raises_is_raised(picamera2: Any) -> None:
    device, asked = opened(CameraSettings())
    device.capture(0)
    asked.jobs[0].finish(RuntimeError("Failed to queue request"))
    with pytest.raises(RuntimeError, match="queue"):
        device.capture(0)
    assert device.capture(0) is None  # a new one
    assert len(asked.jobs) == 2


def test_closing_releases_what_a_late_job_got(picamera2: Any) -> None:
    device, asked = opened(CameraSettings(width=24, height=16))
    device.capture(0)
    request = request_of(np.zeros((16, 24, 3), np.uint8))
    asked.jobs[0].finish(request)
    device.close()
    device.close()
    assert (request.released, asked.closed) == (1, 1)


def test_the_camera_by_picamera2_from_end_to_end(picamera2: Any) -> None:
    picamera2.Picamera2.capture_request = answering
    camera = Camera(CameraSettings(width=24, height=16, rotate=90, roi=(0, 0, 0.5, 0.5)))
    frames = list(itertools.islice(camera, 3))
    camera.close()
    assert [frame.picture.shape for frame in frames] == [(12, 8, 3)] * 3


def answering(self: Any, *, wait: bool, signal_function: Callable[[Any], None]) -> StandInJob:
    job = StandInJob(signal_function)
    job.finish(request_of(np.full((16, 24, 3), next(BRIGHTNESS) % 256, np.uint8)))
    return job


def test_a_turn_undone_is_none() -> None:
    picture = np.arange(6).reshape(2, 3)
    for flags in itertools.product([False, True], [False, True], range(4)):
        assert np.array_equal(Turn(*flags).undo(Turn(*flags).apply(picture)), picture)


def test_a_failure_leaves_nothing_for_the_garbage_collector() -> None:
    opened: list[weakref.ref[Device]] = []

    class Failing(Device):
        def __init__(self) -> None:
            opened.append(weakref.ref(self))
            self.shots = [shot(SensorTimestamp=time.monotonic_ns())]
            if len(opened) % 2:
                raise OSError("no")

        def capture(self, timeout_s: float) -> Shot | None:
            if not self.shots:
                raise SourceError("it", "failed", "wait")
            return self.shots.pop()

        def close(self) -> None:
            pass

    source = Camera(CameraSettings(), lambda _: Failing(), sleep=lambda _: None)
    gc.collect()
    gc.disable()
    try:
        items = iter(source)
        while len(opened) < 12:
            next(items)
        assert sum(one() is not None for one in opened) <= 2
    finally:
        gc.enable()
    source.close()
