"""When a frame is classified: hours by the clock and the sun, and motion in drawn scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from conftest import run
from live import HOTDOG, scenes, until, watching
from numpy.typing import NDArray
from sightings import AT

from edge.errors import ConfigurationError
from edge.image.preprocess import encode_jpeg
from edge.service.intake.motion import STILL, Motion, MotionSettings, Moving
from edge.service.intake.schedule import Schedule, ScheduleSettings
from edge.sources.frame import Frame, Source, Waiting
from edge.sources.grey import Grey

BERLIN = {"latitude": 52.5, "longitude": 13.4}
CET = timezone(timedelta(hours=1))
SIZE = (240, 320)


def is_on(settings: ScheduleSettings, text: str, *, clock_is_set: bool | None = True) -> bool:
    at = datetime.fromisoformat(text).replace(tzinfo=CET)
    return Schedule(settings, lambda: at, lambda: clock_is_set).rest() is None


@pytest.mark.parametrize(
    "hours, days, at, on",
    [
        ((), (), "2026-03-02T03:00", True),
        (("07:00-19:30",), (), "2026-03-02T06:59:59", False),
        (("07:00-19:30",), (), "2026-03-02T07:00", True),
        (("07:00-19:30",), (), "2026-03-02T19:30", False),
        (("22:00-06:00",), (), "2026-03-02T23:00", True),
        (("22:00-06:00",), (), "2026-03-02T05:59", True),
        (("22:00-06:00",), (), "2026-03-02T12:00", False),
        (("00:00-24:00",), (), "2026-03-02T23:59:59", True),
        (("06:00-07:00", "18:00-19:00"), (), "2026-03-02T18:30", True),
        (("06:00-07:00", "18:00-19:00"), (), "2026-03-02T12:00", False),
        (("22:00-06:00",), ("mon",), "2026-03-03T05:00", True),  # it began on Monday
        (("22:00-06:00",), ("mon",), "2026-03-02T05:00", False),
        (("22:00-06:00",), ("mon",), "2026-03-03T23:00", False),
    ],
)
def test_hours(hours: tuple[str, ...], days: tuple[str, ...], at: str, on: bool) -> None:
    assert is_on(ScheduleSettings(hours, days), at) is on


@pytest.mark.parametrize(
    "hours, at, on",
    [  # Berlin, 21 June: sunrise 3:43, sunset 20:33 (CET); 21 December: 8:15 and 15:54
        ("sunrise-sunset", "2026-06-21T04:00", True),
        ("sunrise-sunset", "2026-12-21T07:30", False),
        ("sunrise-60-sunset", "2026-12-21T07:30", True),
        ("sunset-sunrise", "2026-12-21T17:00", True),
        ("sunset-sunrise", "2026-12-22T03:00", True),
        ("sunset-sunrise", "2026-12-21T12:00", False),
        ("12:00-sunset+30", "2026-12-21T16:10", True),
        ("12:00-sunset+30", "2026-12-21T16:40", False),
    ],
)
def test_hours_by_the_sun(hours: str, at: str, on: bool) -> None:
    assert is_on(ScheduleSettings((hours,), **BERLIN), at) is on


def test_a_polar_night_has_no_sunrise() -> None:
    settings = ScheduleSettings(("sunrise-sunset",), latitude=78.2, longitude=15.6)
    assert not is_on(settings, "2026-12-21T12:00")


def test_a_clock_that_is_not_set_decides_nothing() -> None:
    settings = ScheduleSettings(("07:00-08:00",))
    assert is_on(settings, "1970-01-01T00:00", clock_is_set=False)
    assert not is_on(settings, "2026-03-02T00:00", clock_is_set=None)  # another one sets it


@pytest.mark.parametrize(
    "toml",
    [
        'hours = ["7-19"]',
        'hours = ["25:00-26:00"]',
        'hours = ["07:60-08:00"]',
        'hours = ["07:00-07:00"]',
        'hours = ["noon-sunset"]',
        'hours = ["sunrise-sunset"]',
        'hours = ["sunrise-sunset"]\nlatitude = 91.0\nlongitude = 0.0',
        'hours = [""]',
        'hours = "07:00-19:00"',
        "hours = [7]",
        'days = ["mon"]',
        'hours = ["07:00-08:00"]\ndays = ["monday"]',
        'hours = ["07:00-08:00"]\nlatitude = "north"',
    ],
)
def test_a_wrong_schedule_is_one_line(tmp_path: Path, toml: str) -> None:
    (tmp_path / "watch.toml").write_text(f"[schedule]\n{toml}\n")
    done = run("-m", "edge", "watch", "--config", str(tmp_path / "watch.toml"), "--print-config")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edge-watch: schedule.") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["threshold", "area", "hold_s", "every_s", "fps"])
def test_wrong_motion_settings(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"motion.{name}"):
        MotionSettings(**{name: -1.0})


def test_outside_of_its_hours_a_service_is_asleep(tmp_path: Path) -> None:
    hour = (datetime.now().hour + 6) % 24
    options = ("--schedule-hours", f"{hour:02}:00-{hour:02}:30")
    with watching(tmp_path, HOTDOG, *options) as service:
        until(lambda: service.document("/latest.json")["zone"]["state"] == "asleep")
        assert service.get("/healthz")[0].status == 200
        assert service.document("/latest.json")["result"] is None


# --- motion


def still(seed: int, frames: int, *, noise: float = 4.0) -> Iterator[NDArray[np.uint8]]:
    """A scene in which nothing moves: noise, and an exposure that hunts by a fifth."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    waves = random.uniform(0.01, 0.08, (4, 2))
    scene = 110 + 25 * sum(np.sin(a * rows + b * columns) for a, b in waves)
    for number in range(frames):
        gain = 1 + 0.2 * np.sin(number / 15)
        frame = (scene * gain)[..., None] + random.normal(0, noise, (*SIZE, 3))
        yield frame.clip(0, 255).astype(np.uint8)


def test_a_still_scene_does_not_move_and_what_crosses_it_does() -> None:
    motion = Motion(MotionSettings())
    frames = list(still(7, 40))
    assert [motion(Grey.of(frame).cells) for frame in frames].count(True) == 1  # the first
    for number, frame in enumerate(frames[:20]):
        crossing = frame.copy()
        left = 10 + 12 * number
        crossing[100:140, left : left + 30] = (30, 40, 60)
        assert motion(Grey.of(crossing).cells), number


def test_the_small_copy_has_every_shape() -> None:
    for shape in ((1, 1), (2, 3), (48, 64), (480, 640), (1080, 1920), (3, 4000)):
        grey = Grey.of(np.full((*shape, 3), 90, np.uint8))
        assert grey.cells.size and (grey.cells == 90).all()
        assert grey.fine.shape == (2, *grey.cells.shape) and not grey.fine.any()
    motion = Motion(MotionSettings())
    for size in ((480, 640), (640, 480)):
        assert motion(Grey.of(np.zeros((*size, 3), np.uint8)).cells)


def test_the_small_copy_is_made_once_and_of_its_own_pixels() -> None:
    frame = Frame("camera", np.full((48, 64, 3), 90, np.uint8), AT, 0)
    assert frame.grey is frame.grey
    masked = replace(frame, picture=np.zeros((48, 64, 3), np.uint8))
    assert (frame.grey.cells == 90).all() and not masked.grey.cells.any()


class Camera(Source):
    """Frames of a list, one each second by its own clock."""

    def __init__(self, frames: list[NDArray[np.uint8]]) -> None:
        self.frames, self.now = frames, 0.0

    def __iter__(self) -> Iterator[Frame | Waiting]:
        for frame in self.frames:
            self.now += 1.0
            yield Frame("camera", frame, AT, 0)


def test_frames_pass_while_something_moves_for_a_while_after_and_now_and_then() -> None:
    frames = list(still(3, 60))
    frames[20] = frames[20].copy()
    frames[20][50:150, 50:150] = 250
    camera = Camera(frames)
    wanted = [False]
    settings = MotionSettings(on=True, hold_s=3.0, every_s=20.0)
    moving = Moving(camera, settings, lambda seconds: None, lambda: wanted[0], lambda: camera.now)
    passed = []
    for number, item in enumerate(moving):
        wanted[0] = number == 54
        if isinstance(item, Frame):
            passed.append(number)
        else:
            assert item == Waiting(STILL, idle=True)
    assert passed == [0, 1, 2, 3, *range(20, 24), 43, 55]


def test_a_service_that_sees_nothing_move_is_idle_and_its_label_stands(tmp_path: Path) -> None:
    picture = tmp_path / "scene.jpg"
    picture.write_bytes(encode_jpeg(next(still(5, 1))))
    options = ("--fps", 10, "--motion-on", "--motion-hold-s", 0.5, "--motion-every-s", 0)
    with watching(tmp_path, picture, *options) as service:
        service.after(1)
        until(lambda: service.document("/latest.json")["health"]["waiting"] == STILL)
        before = service.document("/latest.json")["result"]["frame"]
        # A still zone is idle once its newest result is no longer fresh: until then it is live.
        assert service.document("/latest.json")["zone"]["state"] in ("live", "idle")
        assert service.control("/command", {"name": "classify"})[0] == 202
        until(lambda: service.document("/latest.json")["result"]["frame"] > before)
        hotdog = scenes(tmp_path / "scenes") / "a00.jpg"
        hotdog.rename(picture)
        until(lambda: service.document("/latest.json")["result"]["state"] == "hotdog")
