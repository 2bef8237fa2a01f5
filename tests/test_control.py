"""Commands: what is accepted, what is remembered, and what the loop makes of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from sightings import AT, PIXELS

from edge.service.control import ALL, BURST, MAX_BYTES, CommandError, Control
from edge.service.intake.gate import Gated, Rest
from edge.sources.frame import Frame, Source, Waiting


def control(path: Path | None = None, **more: object) -> Control:
    return Control(path, labels={"": lambda: ("cup", "fish")}, **more)


@pytest.mark.parametrize(
    "name, payload",
    [
        ("pause", "maybe"),
        ("pause", ""),
        ("pause", b"\xff\xfe"),
        ("keep", "bird"),
        ("threshold", "nan"),
        ("threshold", "1.5"),
        ("threshold", "inf"),
        ("threshold", "much"),
        ("snapshot", "  "),
        ("classify", "x" * (MAX_BYTES + 1)),
        ("reboot", "now"),
        ("", "now"),
    ],
)
def test_what_is_no_command_changes_nothing_and_is_counted(name: str, payload: str | bytes) -> None:
    of = control()
    with pytest.raises(CommandError):
        of.do(name, payload, "mqtt")
    assert (of.ignored, of.paused, of.thresholds, of.keep_as) == (1, False, {}, {})
    assert of.taken() == []


def test_a_flood_is_ignored_but_for_its_beginning() -> None:
    now = 0.0
    of = control(monotonic=lambda: now)
    followed = 0
    for _ in range(1000):
        now += 0.001
        try:
            of.do("classify", "now", "mqtt")
            followed += 1
        except CommandError:
            pass
    assert BURST <= followed <= BURST + 11 and of.ignored == 1000 - followed
    assert len(of.taken()) == followed


def test_pause_and_threshold_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "commands.json"
    of = control(path)
    of.do("pause", "ON", "mqtt")
    of.do("threshold", "0.75", "page")
    again = control(path)
    assert (again.paused, again.thresholds) == (True, {"": {ALL: 0.75}})
    again.do("pause", b"off", "mqtt")
    again.do("threshold", "auto", "mqtt")
    assert (control(path).paused, control(path).thresholds) == (False, {"": {}})
    path.write_text('{"paused": false, "thresholds": {"": 0.75}}')  # as 0.2 wrote it
    assert control(path).thresholds == {"": {ALL: 0.75}}
    path.write_text('{"paused": 1, "thresholds": {"": 7, "a": {"cup": 7.5, "fish": 0.5}}}')
    assert control(path).thresholds == {"": {}, "a": {"fish": 0.5}}
    for damaged in (
        "",
        "[]",
        '{"thresholds": 7}',
        '{"paused": "yes"',
        "\0",
    ):
        path.write_text(damaged)
        assert (control(path).paused, control(path).thresholds) == (False, {})


def test_a_threshold_is_of_all_labels_or_of_one() -> None:
    of = control()
    for text, limits in (
        ("fish=0.3", {"fish": 0.3}),
        ("cup = 0.5", None),
        ("bird=0.5", None),
        ("fish=much", None),
        ("cup=0.9", {"fish": 0.3, "cup": 0.9}),
        ("fish=auto", {"cup": 0.9}),
        ("0.6", {ALL: 0.6}),
        ("fish=0.2", {ALL: 0.6, "fish": 0.2}),
        ("auto", {}),
    ):
        try:
            of.do("threshold", text, "mqtt")
        except CommandError:
            assert limits is None
        else:
            assert of.thresholds[""] == limits
    told = [(each["value"], each.get("label")) for each in (c.as_dict() for c in of.taken())]
    assert told[:3] == [(0.3, "fish"), (0.9, "cup"), (None, "fish")] and told[-1] == (None, None)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    lines: list[str] = []
    of = control(tmp_path / "gone" / "commands.json", report=lines.append)
    of.do("pause", "ON", "mqtt")
    assert of.paused and len(lines) == 1 and "cannot be written" in lines[0]


def test_each_command_is_for_the_record_with_who_sent_it() -> None:
    of = control()
    of.do("keep", "fish", "mqtt")
    of.do("threshold", "0.5", "page")
    first, second = (command.as_dict() for command in of.taken())
    assert (first["command"], first["value"], first["by"]) == ("keep", "fish", "mqtt")
    assert (second["command"], second["value"], second["by"]) == ("threshold", 0.5, "page")
    assert of.taken() == [] and json.dumps(first)


def test_a_command_ends_a_sleep() -> None:
    of = control()
    threading.Timer(0.05, lambda: of.do("classify", "now", "mqtt")).start()
    of.sleep(60.0)
    assert of.wants_now and of.takes_now() and not of.wants_now


class Camera(Source):
    """A source that is opened, and says whether it is open."""

    def __init__(self, opened: list[Camera]) -> None:
        self.is_open, self.openings = True, 1
        opened.append(self)

    def __iter__(self):
        while self.is_open:
            yield Frame("camera", PIXELS, AT, 0)

    def close(self) -> None:
        self.is_open = False


class Folder(Camera):
    goes_on = True


@pytest.mark.parametrize("kind, openings", [(Camera, 2), (Folder, 1)])
def test_a_camera_is_closed_while_it_rests_and_a_folder_is_not(
    kind: type[Camera], openings: int
) -> None:
    opened: list[Camera] = []
    resting: list[Rest | None] = [None]
    gated = Gated(lambda: kind(opened), lambda: resting[0], lambda seconds: None)
    items = iter(gated)
    assert isinstance(next(items), Frame)
    resting[0] = Rest("paused", "paused by a command")
    for _ in range(2):
        assert next(items) == Waiting("paused by a command", idle=True, rest="paused")
    assert [each.is_open for each in opened] == [kind is Folder]
    resting[0] = None
    assert isinstance(next(items), Frame)
    assert len(opened) == openings and gated.openings == 1  # no camera has failed
    gated.close()
    assert not any(each.is_open for each in opened)


def test_a_frame_that_was_captured_while_it_was_paused_is_not_looked_at() -> None:
    rests = iter([None, Rest("paused", "p"), Rest("paused", "p")])
    gated = Gated(lambda: Camera([]), lambda: next(rests), lambda seconds: None)
    assert isinstance(next(iter(gated)), Waiting)
