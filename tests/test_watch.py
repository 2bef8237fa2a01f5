"""The service's loop: frames, states, sinks, systemd, and a model that becomes another."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from model_copies import SMALL, relabelled
from sightings import Taker

from edge.classifier.model import Model
from edge.errors import SourceError
from edge.image.preprocess import Pixels, read_image
from edge.service.control import Control
from edge.service.delivery import Delivery
from edge.service.process.guard import MemoryGuard
from edge.service.process.pace import Pace, PaceSettings
from edge.service.process.systemd import Notifier
from edge.service.sighting import Sighting, Sink
from edge.service.sinks import ReaderGoneError
from edge.service.sinks.jsonlines import JsonLines
from edge.service.watch import Unreadable, watch
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.steady import SteadySettings
from edge.service.zones.zone import Zone
from edge.sources.frame import Frame, Waiting
from edge.sources.photos import photos

AT_ONCE = SteadySettings(smoothing=1.0, frames=1, hold_s=0.0)
HOTDOG = read_image(Path(__file__).parent / "data" / "hotdog.jpg")
GREY = np.full((48, 64, 3), 128, np.uint8)


class Models:
    """The models that the loop has, one after the other: after each frame comes the next."""

    trouble = ""

    def __init__(self, *models: Model) -> None:
        self.model, *self._next = models

    def poll(self) -> bool:
        if not self._next:
            return False
        self.model = self._next.pop(0)
        return True


class Loop:
    """What `watch` takes besides its source, and what came of it."""

    def __init__(self, *models: Model, fps: float = 0.0, steady: SteadySettings = AT_ONCE) -> None:
        self.seen: list[Sighting] = []
        self.lines: list[str] = []
        self.unreadable = Unreadable(self.lines.append)
        self.models, self.fps, self.steady = Models(*models), fps, steady

    def run(
        self,
        source: Iterable[Frame | Waiting],
        *sinks: Sink,
        threshold: float | None = None,
        environment: dict[str, str] | None = None,
        asked: Callable[[], bool] = bool,
    ) -> int:
        with closing(Notifier(environment or {})) as notifier:
            return watch(
                source,
                [Zone(ZoneSettings(threshold=threshold), self.models, steady=self.steady)],
                [Taker(self.seen.append), *sinks],
                notifier,
                Pace(PaceSettings(self.fps), lambda: None, self.lines.append),
                control=Control(),
                guard=MemoryGuard(0),
                asked=asked,
                unreadable=self.unreadable,
            )

    @property
    def states(self) -> list[str]:
        return [sighting.state for sighting in self.seen]

    @property
    def events(self) -> list[tuple[int, str]]:
        return [(found.number, found.change.after) for found in self.seen if found.change]


def frame(pixels: Pixels = GREY, *, dropped: int = 0, late_s: float = 0.0) -> Frame:
    captured_ns = time.monotonic_ns() - round(late_s * 1e9)
    return Frame("camera", pixels, datetime.now(UTC), captured_ns, dropped)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with Model(SMALL) as opened:
        yield opened


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """The same network, which calls things by other names."""
    path = tmp_path_factory.mktemp("other") / "other.tflite"
    path.write_bytes(relabelled(["hotdog", "fish"]))
    with Model(path) as opened:
        yield opened


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """What listens at $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def heard(listener: socket.socket) -> list[list[str]]:
    """Everything that was sent so far."""
    found = []
    try:
        while True:
            found.append(listener.recv(4096).decode().splitlines())
    except BlockingIOError:
        return found


def test_every_result_reaches_every_sink_in_order(model: Model, photo_folder: Path) -> None:
    loop, second = Loop(model), list[Sighting]()
    assert loop.run(photos([photo_folder]), Taker(second.append)) == 12
    assert loop.seen == second
    assert [found.number for found in second] == list(range(1, 13))
    paths = sorted(photo_folder.glob("*.jpg"))
    assert [found.result.source for found in second] == list(map(str, paths))
    assert loop.lines == []


def test_states_are_steady_and_told_once(model: Model) -> None:
    loop = Loop(model, steady=SteadySettings(smoothing=1.0, frames=2, hold_s=0.0))
    assert loop.run(frame(pixels) for pixels in [HOTDOG] * 4 + [GREY] * 3) == 7
    assert loop.events == [(2, "hotdog"), (6, "nothotdog")]
    assert loop.states == ["unknown"] + ["hotdog"] * 4 + ["nothotdog"] * 2


def test_a_record_has_the_age_of_its_frame_and_what_was_dropped(model: Model) -> None:
    loop = Loop(model)
    loop.run([frame(late_s=2.0, dropped=5)])
    (found,) = loop.seen
    assert 2000 <= found.age_ms < 60_000
    assert found.as_dict()["dropped"] == 5


def test_a_clock_that_jumps_changes_no_age_and_no_state(model: Model) -> None:
    loop = Loop(model)
    times = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)]
    loop.run(Frame("camera", HOTDOG, at, time.monotonic_ns()) for at in times * 2)
    assert all(0 <= found.age_ms < 60_000 for found in loop.seen)
    assert loop.events == [(1, "hotdog")]


def test_frames_may_change_their_size_and_one_of_none_is_a_line(model: Model) -> None:
    shapes = [(48, 64, 3), (480, 640, 3), (0, 0, 3), (0, 64, 3), (1, 1, 3), (1080, 1920, 3)]
    loop = Loop(model)
    assert loop.run(frame(np.zeros(shape, np.uint8)) for shape in shapes) == 4
    assert len(loop.lines) == 2


def test_systemd_hears_of_classified_frames_and_of_waiting_only(
    model: Model, systemd: socket.socket, tmp_path: Path
) -> None:
    heard_so_far: list[list[str]] = []

    def source() -> Iterator[Frame | Waiting]:
        bad = Frame("bad", b"no image", datetime.now(UTC), time.monotonic_ns())
        for item in (bad, Waiting("camera 0: busy"), bad, frame(HOTDOG), bad):
            yield item
            heard_so_far.extend(heard(systemd) or [["nothing"]])

    loop = Loop(model)
    assert loop.run(source(), environment={"NOTIFY_SOCKET": systemd.getsockname()}) == 1
    assert len(loop.lines) == 1  # of three that are the same
    status = heard_so_far[3].pop()
    assert re.fullmatch(r"STATUS=hotdog 0\.9\d, \d+\.\d frames a second", status)
    assert heard_so_far == [
        ["nothing"],
        ["READY=1", "WATCHDOG=1", "STATUS=waiting: camera 0: busy"],
        ["nothing"],
        ["WATCHDOG=1"],
        ["nothing"],
    ]


def test_what_fails_is_told_in_the_status(model: Model, systemd: socket.socket) -> None:
    def full(sighting: Sighting) -> None:
        raise OSError(28, "No space left on device")

    loop = Loop(model)
    loop.models.trouble = "mine.tflite: is cut off"  # another model runs than the file's
    delivery = Delivery(Taker(full), loop.lines.append)
    loop.run([frame()], delivery, environment={"NOTIFY_SOCKET": systemd.getsockname()})
    ((*_, status),) = heard(systemd)
    assert status.endswith(" frames a second; mine.tflite: is cut off; function fails")


def test_waiting_is_not_paced_and_the_state_outlasts_it(model: Model) -> None:
    loop = Loop(model, fps=0.01)
    began = time.monotonic()
    loop.run([Waiting("busy")] * 50)
    assert time.monotonic() - began < 10
    loop = Loop(model)
    loop.run([frame(HOTDOG), Waiting("busy"), frame(HOTDOG)])
    assert loop.events == [(1, "hotdog")]


def test_a_bad_picture_takes_no_place_of_a_good_one(model: Model, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    loop = Loop(model, fps=0.01)
    loop.run(photos([tmp_path / "a.jpg"] * 4))
    assert loop.unreadable.count == 4 and len(loop.lines) == 1  # not once in 100 s


def test_a_damaged_picture_is_one_line_until_its_file_changes(tmp_path: Path) -> None:
    lines: list[str] = []
    unreadable, path = Unreadable(lines.append), tmp_path / "a.jpg"
    path.write_bytes(b"none")
    for _ in range(1000):
        unreadable(str(path), f"{path}: is damaged")
    assert (len(lines), unreadable.count) == (1, 1000)
    path.write_bytes(b"none as well")
    unreadable(str(path), f"{path}: is damaged")
    assert len(lines) == 2
    for number in range(3000):  # what is remembered has a bound
        unreadable(f"{number}.jpg", "is damaged")
    assert len(lines) == 3002


def test_bad_pictures_alone_do_not_make_it_spin(model: Model) -> None:
    frames = (Frame("bad", b"", datetime.now(UTC), 0) for _ in range(5))
    began = time.monotonic()
    assert Loop(model).run(frames) == 0
    assert time.monotonic() - began >= 0.02 + 0.04 + 0.08 + 0.16 + 0.32


def test_a_picture_is_asked_for_once_and_of_a_frame_that_is_classified(model: Model) -> None:
    asked = [True, False, True]
    bad = Frame("bad", b"no image", datetime.now(UTC), 0)
    loop = Loop(model)
    loop.run([bad, frame(), frame(), frame()], asked=lambda: asked.pop(0))
    assert [found.wanted for found in loop.seen] == [True, False, True]


def test_the_threshold_is_the_one_that_is_given(model: Model) -> None:
    for threshold, label in ((None, "hotdog"), (0.0, "hotdog"), (1.0, "unknown")):
        loop = Loop(model)
        loop.run([frame(HOTDOG)], threshold=threshold)
        assert [found.result.label for found in loop.seen] == [label]
        assert loop.states == [label]


def test_another_model_takes_over_between_frames_and_the_state_stays(
    model: Model, other: Model
) -> None:
    loop = Loop(model, other, model)
    loop.run(frame(HOTDOG) for _ in range(4))
    assert [found.result.model for found in loop.seen] == [
        SMALL.name,
        "other.tflite",
        SMALL.name,
        SMALL.name,
    ]
    assert loop.events == [(1, "hotdog")]


def test_a_state_that_the_other_model_does_not_know_is_left_by_an_event(
    model: Model, other: Model
) -> None:
    loop = Loop(model, other)
    loop.run(frame() for _ in range(3))
    assert loop.events == [(1, "nothotdog"), (2, "fish")]


def test_a_reader_of_stdout_that_left_ends_it(model: Model, photo_folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    loop = Loop(model)
    unbuffered = io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True)
    with pytest.raises(ReaderGoneError), unbuffered as stream:
        loop.run(photos([photo_folder]), JsonLines(stream))
    assert len(loop.seen) == 1


def test_a_source_that_gives_up_ends_it(model: Model, photo_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photo_folder, folder)
    loop = Loop(model)
    with pytest.raises(SourceError, match="no image"):
        loop.run(photos([folder, tmp_path]))
    assert len(loop.seen) == 12
