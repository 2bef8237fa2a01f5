"""The service's configuration: from a file, from options, and back to a file."""

from __future__ import annotations

import argparse
import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from edge.commands.keys import HELP, printed
from edge.commands.watch import _parser
from edge.errors import ConfigurationError, EdgeError
from edge.service.configuration import (
    KEYS,
    SECTIONS,
    TABLE_KEYS,
    Configuration,
    Key,
    build,
    of_text,
    read,
)
from edge.service.intake.health import HealthSettings
from edge.service.intake.masks import PrivacySettings
from edge.service.intake.motion import MotionSettings
from edge.service.intake.schedule import ScheduleSettings
from edge.service.mqtt.settings import MqttSettings
from edge.service.process.pace import PaceSettings
from edge.service.sinks.action_settings import ActionSettings
from edge.service.sinks.history.settings import HistorySettings
from edge.service.sinks.notify_settings import NotifySettings
from edge.service.sinks.results import ResultsSettings
from edge.service.sinks.snapshots import SnapshotSettings
from edge.service.web.settings import WebSettings
from edge.service.zones.settings import MAX_ZONES, ZoneSettings, overlaps
from edge.service.zones.steady import SteadySettings
from edge.sources.camera import CameraSettings

# Every key with another value than its own, none of them simple.
EVERYTHING = Configuration(
    source='images "of" \\ cups\tand\x7f 杯 🌭\n#',
    model="/var/lib/models/cup's.tflite",
    threads=3,
    runtime="litert",
    fps=0.1,
    follow=True,
    repeat=True,
    threshold=1.0,
    every=0,
    latest="latest.json",
    labels="names.txt",
    normalize="imagenet",
    output="main",
    input_size="96x128",
    resize="crop",
    filter="nearest",
    roi=(0.25, 0.0, 0.5, 1.0),
    rotate=90,
    give_up_s=1e-05,
    max_temperature=61.5,
    max_memory_mb=0,
    camera=CameraSettings(
        number=1,
        width=800,
        height=600,
        deadline_s=2.5,
        give_up_s=15.0,
        rotate=90,
        flip="both",
        roi=(0.1, 0.2, 0.5, 0.25),
        zoom=(0.25, 0.25, 0.5, 0.5),
        controls={"AwbEnable": False, "ColourGains": [1.5, 2.0], "Name #1": "x", "EV": 2},
        tuning_file="/usr/share/libcamera/imx219_noir.json",
        frame_rate=12.5,
        password_file="/etc/camera-password",
        transport="udp",
    ),
    schedule=ScheduleSettings(("07:00-08:00",), ("mon",), 52.5, -13.4),
    motion=MotionSettings(True, 20.0, 0.5, 0.0, 5.5, 2.0),
    health=HealthSettings(True, ("dark", "moved"), 2.5, 60.0),
    privacy=PrivacySettings(("0.5 0 0.5 1", "0 0 1 0 0.5 0.5"), True),
    steady=SteadySettings(smoothing=1.0, enter=0.9, leave=0.2, frames=1, hold_s=0.0),
    snapshots=SnapshotSettings("seen", ("label", "low"), ("a", "b"), 0.1, 2.0, 7, 3.5),
    results=ResultsSettings("results.jsonl", 1e6, 0),
    history=HistorySettings(True, "/srv/history.sqlite", 30, 20.0),
    web=WebSettings(
        "[::]:8080",
        ("cam.example.org", "cam"),
        "https://cam.example.org/",
        "token",
        "view",
        "kept",
        7,
        3.5,
        2.5,
        8000.0,
    ),
    mqtt=MqttSettings(
        "mqtts://a@b/c",
        "password",
        "ca.pem",
        "shed",
        "ha",
        5,
        1.5,
        True,
        320,
        ("pause", "keep"),
        "no camera detected",
    ),
    notify=NotifySettings(True, "urls", ("a",), 1.5, ("22:00-07:00",), False),
    action=(
        ActionSettings(("a", "b"), ("c",), "door", 2.5, ("/bin/x", "-v"), 0.5, True),
        ActionSettings(gpio="GPIO17", gpio_s=0.5, active_low=True),
    ),
    zone=(
        ZoneSettings(
            "door", (0.5, 0.0, 0.5, 0.5), "door.tflite", ("open", "shut"), 0.75, 0.5,
            {"frames": 7, "enter": "auto"},
        ),
        ZoneSettings("table-2", (0.0, 0.5, 0.25, 0.5, 0.0, 0.75)),
    ),
)  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "watch.toml"
    path.write_text(text)
    return path


def fault(folder: Path, text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        build(read(written(folder, text)))
    assert "\n" not in str(caught.value)
    return caught.value


def test_every_key_is_explained_and_nothing_else_is() -> None:
    assert list(HELP) == [*KEYS, *TABLE_KEYS]


def test_every_key_is_an_option_and_every_option_a_key() -> None:
    # Not what argparse itself, or the command, has beside them.
    own = {"help", argparse.SUPPRESS, "config", "print_config", "check", "forget", "verbose"}
    own |= {"history", "format"}
    assert {action.dest for action in _parser()._actions} - own == set(KEYS)


def test_the_default_is_an_empty_file(tmp_path: Path) -> None:
    assert build(read(written(tmp_path, ""))) == build({}) == Configuration()


def test_everything_differs_from_the_default() -> None:
    assert not [key for key in KEYS.values() if value_of(EVERYTHING, key.dotted) == key.default]
    for key in TABLE_KEYS.values():
        tables = getattr(EVERYTHING, key.section)
        assert [table for table in tables if getattr(table, key.field) != key.default], key


def value_of(configuration: Configuration, dotted: str) -> object:
    of = configuration
    for name in dotted.split("."):
        of = getattr(of, name)
    return of


@pytest.mark.parametrize("configuration", [Configuration(), EVERYTHING], ids=["default", "all"])
def test_what_is_printed_is_read_as_the_same(tmp_path: Path, configuration: Configuration) -> None:
    assert build(read(written(tmp_path, printed(configuration)))) == configuration


def test_what_is_printed_names_and_explains_every_key() -> None:
    text = printed(Configuration())
    for key in (*KEYS.values(), *TABLE_KEYS.values()):
        assert re.search(rf"^(#|# )?{key.name}\b", text, re.M)
        assert HELP[key.dotted] in text
    uncommented = re.sub(r"^# (\w+) =  #.*$", r"\1 = 'auto'", text, flags=re.M)
    assert len(flat(tomllib.loads(uncommented))) == len(KEYS)


def flat(table: dict[str, object]) -> list[str]:
    sections = SECTIONS
    return [
        inner
        for name, value in table.items()
        for inner in (value if name in sections else [name])  # type: ignore[attr-defined]
    ]


def test_a_whole_number_will_do_where_any_number_does(tmp_path: Path) -> None:
    configuration = build(read(written(tmp_path, "fps = 2\n[steady]\nhold_s = 3\n")))
    assert configuration.fps == 2.0
    assert isinstance(configuration.fps, float)
    assert isinstance(configuration.steady.hold_s, float)


def test_what_may_be_left_open_may_also_be_auto(tmp_path: Path) -> None:
    text = 'threads = "auto"\nfps = "auto"\nthreshold = "auto"\n[steady]\nenter = "auto"\n'
    assert build(read(written(tmp_path, text))) == Configuration()


def test_a_camera_has_a_usual_rate_and_a_folder_none() -> None:
    assert Configuration().pace == PaceSettings(2.0, 80.0)
    assert Configuration(source="x").pace.fps == 0.0
    assert Configuration(source="x", fps=3.0).pace.fps == 3.0
    assert Configuration(fps=0.0).pace.fps == 0.0


@pytest.mark.parametrize(
    "text, name, remedy",
    [
        ("treshold = 0.5", "treshold", "did you mean threshold?"),
        ("[camera]\nrotation = 90", "camera.rotation", "did you mean camera.rotate?"),
        ("[stready]\nframes = 3", "stready", "did you mean steady?"),
        ("[snapshot]\nfolder = 'x'", "snapshot", "did you mean snapshots?"),
        ("qqqq = 1", "qqqq", "edge-watch --help"),
        ("[[actions]]", "actions", "did you mean action?"),
        ("[[action]]\ncommands = []", "action.commands", "did you mean action.command?"),
        ("[steady]\nqqqq = 1", "steady.qqqq", ""),
        ("[[zone]]\nrio = []", "zone.rio", "did you mean zone.roi?"),
    ],
)
def test_an_unknown_key_is_named_with_a_hint(
    tmp_path: Path, text: str, name: str, remedy: str
) -> None:
    found = fault(tmp_path, text)
    assert found.fault == f"has an unknown key {name}"
    assert found.subject.endswith("watch.toml")
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "text, subject, must",
    [
        ("fps = '2'", "fps", "a number"),
        ("fps = true", "fps", "a number"),
        ("fps = -1", "fps", "from 0 to 1000"),
        ("fps = nan", "fps", "from 0 to 1000"),
        ("fps = inf", "fps", "from 0 to 1000"),
        ("fps = 1e999", "fps", "from 0 to 1000"),
        (f"fps = {'9' * 400}", "fps", "a number"),
        ("threads = 0", "threads", "from 1 to 256"),
        ("threads = 2.0", "threads", "a whole number"),
        ("threads = 'many'", "threads", "a whole number"),
        ("threshold = 1.5", "threshold", "from 0 to 1"),
        ("every = -1", "every", "from 0 to 1000000"),
        ("every = true", "every", "a whole number"),
        ("repeat = 1", "repeat", "true or false"),
        ("source = 5", "source", "a text"),
        ("source = ''", "source", "a video file, a folder or a pattern"),
        ('source = "a\\u0000b"', "source", "a text"),
        ("model = ['x']", "model", "a text"),
        ("latest = {}", "latest", "a text"),
        ("normalize = '[1]'", "normalize", "must be a range"),
        ("input_size = '0'", "input_size", "SIDE or HEIGHTxWIDTH"),
        ("resize = 'stretch'", "resize", "one of squash"),
        ("filter = 'cubic'", "filter", "one of antialias"),
        ("rotate = 45", "rotate", "one of 0, 90"),
        ("roi = [0.5, 0.5, 0.6, 0.1]", "roi", "within the image"),
        ("roi = [0.5, 0.5]", "roi", "within the image"),
        ("runtime = 'torch'", "runtime", "one of auto, litert, tflite"),
        ("max_memory_mb = 1.5", "max_memory_mb", "a whole number"),
        ("max_temperature = 1979-05-27", "max_temperature", "a number"),
        ("steady = 5", "steady", "a table"),
        ("[[camera]]\nnumber = 1", "camera", "a table"),
        ("[steady]\nframes = 1.5", "steady.frames", "a whole number"),
        ("[steady]\nenter = 0.2\nleave = 0.4", "steady.leave", "not be above"),
        ("[snapshots]\non = 'change'", "snapshots.on", "a list of texts"),
        ("[snapshots]\non = ['often']", "snapshots.on", "of change, label, low"),
        ("[snapshots]\nlabels = [1]", "snapshots.labels", "a list of texts"),
        ("[camera]\nroi = [0, 0, 'x', 1]", "camera.roi", "a list of numbers"),
        ("[camera]\nroi = [nan, 0, 1, 1]", "camera.roi", "within 0 and 1"),
        ("[camera]\nrotate = 45", "camera.rotate", "one of 0, 90, 180"),
        ("[camera]\ncontrols = 'x'", "camera.controls", "a table"),
        ("[camera.controls]\nX = 1979-05-27", "camera.controls", "a table of numbers"),
        ("[camera.controls.X]\ny = 1", "camera.controls", "a table of numbers"),
        ("[results]\nkeep = -1", "results.keep", "from 0 to 1000"),
        ("[action]\ncommand = ['/x']", "action", "must be tables"),
        ("action = ['/x']", "action", "must be tables"),
        ("[history]\nmax_mb = 1.0", "history.max_mb", "from 5 to 100000"),
        ("zone = 5", "zone", "must be tables"),
        ("[zone]\nname = 'a'", "zone", "must be tables"),
        ("[[zone]]\nname = 5", "zone.name ([[zone]] 1)", "a text"),
        (
            "[[zone]]\nname = 'a'\n[[zone]]\nname = 'b/c'",
            "zone.name ([[zone]] 2)",
            "1 to 32 letters",
        ),
        (
            "[[zone]]\nname = 'a'\nroi = [0.5, 0, 0.6, 1]",
            "zone.roi ([[zone]] 1)",
            "as shares of the frame",
        ),
        (
            "[[zone]]\nname = 'a'\nroi = [0, 0, 0, 1]",
            "zone.roi ([[zone]] 1)",
            "as shares of the frame",
        ),
        (
            "[[zone]]\nname = 'a'\nroi = [0, 0, 1, 1, 1]",
            "zone.roi ([[zone]] 1)",
            "a polygon's corners",
        ),
        (
            "[[zone]]\nname = 'a'\nroi = [nan, 0, 1, 1]",
            "zone.roi ([[zone]] 1)",
            "as shares of the frame",
        ),
        ("[[zone]]\nname = 'a'\nroi = [1, 1, 1, 1, 1, 1]", "zone.roi ([[zone]] 1)", "as shares"),
        ("[[zone]]\nname = 'a'\nroi = 'all'", "zone.roi ([[zone]] 1)", "a list of numbers"),
        ("[[zone]]\nname = 'a'\nlabels = 'x'", "zone.labels ([[zone]] 1)", "a list of texts"),
        ("[[zone]]\nname = 'a'\nmodel = 5", "zone.model ([[zone]] 1)", "a text"),
        ("[[zone]]\nname = 'a'\nthreshold = 2", "zone.threshold ([[zone]] 1)", "from 0 to 1"),
        ("[[zone]]\nname = 'a'\nfps = 0", "zone.fps ([[zone]] 1)", "from 0.001 to 1000"),
        ("[[zone]]\nname = 'a'\nsteady = 5", "zone.steady ([[zone]] 1)", "a table"),
        (
            "[[zone]]\nname = 'a'\n[zone.steady]\nframes = 0.5",
            "zone.steady.frames ([[zone]] 1)",
            "a whole number",
        ),
        (
            "[[zone]]\nname = 'a'\n[zone.steady]\nframes = 0",
            "zone.steady.frames ([[zone]] 1)",
            "1 to 1000",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(
    tmp_path: Path, text: str, subject: str, must: str
) -> None:
    found = fault(tmp_path, text)
    assert found.subject == subject
    assert must in found.fault
    assert "Received: " in found.fault or subject == "source"


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.dotted)
def test_every_key_rejects_another_kind_and_a_number_out_of_range(tmp_path: Path, key: Key) -> None:
    table = f"[{key.section}]\n" if key.section else ""
    is_number = key.kind.removesuffix(" | None") in ("int", "float")
    wrong = ["1979-05-27", *(["-1000000000000000", "1000000000000000"] if is_number else [])]
    for value in wrong:
        found = fault(tmp_path, f"{table}{key.name} = {value}")
        assert found.subject == key.dotted and found.remedy


@pytest.mark.parametrize(
    "text, subject, said",
    [
        ("[[zone]]\nname = 'a'\n" * 2, "zone.name", "'a' is the name of two zones"),
        ("[[zone]]\nname = 'command'", "zone.name ([[zone]] 1)", "not 'command'"),
        ("[[zone]]\nroi = [0, 0, 1, 1]", "zone.name ([[zone]] 1)", "is missing"),
        (
            "[[zone]]\nname = 'a'\n[zone.steady]\nframe = 1",
            "zone.steady.frame ([[zone]] 1)",
            "mean frames?",
        ),
        ("[[zone]]\nname = 'a'\n[[zone]]\nname = 'b'", "zone.roi (b)", "has the same region"),
    ],
)
def test_zones_that_do_not_go_together_are_named(
    tmp_path: Path, text: str, subject: str, said: str
) -> None:
    found = fault(tmp_path, text)
    assert found.subject == subject and said in str(found)


def test_there_are_not_too_many_zones(tmp_path: Path) -> None:
    text = "".join(
        f"[[zone]]\nname = 'z{n}'\nroi = [0, 0, 1, {1 / n}]\n" for n in range(1, MAX_ZONES + 2)
    )
    assert f"at most {MAX_ZONES} tables" in str(fault(tmp_path, text))


ZONES = """
fps = 2.0
threshold = 0.5
[steady]
frames = 5
[[zone]]
name = "door"
roi = [0.5, 0.0, 0.5, 0.5]
fps = 4.0
[zone.steady]
hold_s = 7.0
[[zone]]
name = "table"
roi = [0.2, 0.5, 0.4, 0.4, 0.3, 0.9]
threshold = 0.75
"""


def test_a_zone_has_what_holds_for_all_but_its_own(tmp_path: Path) -> None:
    configuration = build(read(written(tmp_path, ZONES)))
    door, table = configuration.zones
    steady = [zone.steady_within(configuration.steady) for zone in (door, table)]
    assert [(each.frames, each.hold_s) for each in steady] == [(5, 7.0), (5, 1.0)]
    assert (door.threshold, table.threshold) == (0.5, 0.75)
    assert table.box == pytest.approx((0.2, 0.4, 0.2, 0.5))  # of a polygon, its box
    # The loop has the rate of the fastest, which so has none of its own.
    assert (configuration.pace.fps, door.fps, table.fps) == (4.0, None, 2.0)
    assert overlaps(configuration.zone) == []


def test_without_zones_there_is_one_without_a_name(tmp_path: Path) -> None:
    configuration = build(read(written(tmp_path, 'model = "m.tflite"\nthreshold = 0.25')))
    assert configuration.zones == (ZoneSettings(model="m.tflite", threshold=0.25),)


def test_regions_that_overlap_are_named(tmp_path: Path) -> None:
    text = ZONES.replace("[0.5, 0.0, 0.5, 0.5]", "[0.0, 0.0, 0.3, 0.9]")
    (line,) = overlaps(build(read(written(tmp_path, text))).zone)
    assert line == "zone.roi (table): overlaps zone door by 50%"


@pytest.mark.parametrize(
    "content",
    [b"fps = ", b"fps = 1\nfps = 2", b"\xff", b"\xef\xbb\xbffps = 1", b"x = " + b"[" * 10_000,
     b"fps = " + b"9" * 5000],
    ids=["cut", "twice", "bytes", "mark", "deep", "digits"],
)  # fmt: skip
def test_what_is_no_toml_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "watch.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not TOML"):
        read(path)


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    "dotted, text, value",
    [
        ("fps", "2", 2.0),
        ("fps", ".5", 0.5),
        ("fps", "auto", None),
        ("threads", "4", 4),
        ("threads", "auto", None),
        ("source", "2", "2"),
        ("source", "auto", "auto"),
        ("snapshots.on", "change,low", ("change", "low")),
        ("snapshots.labels", "", ()),
        ("camera.roi", "0,0.25,1,0.5", (0.0, 0.25, 1.0, 0.5)),
        ("camera.roi", "", ()),
        ("camera.controls", '{"AwbEnable": false, "Gains": [1, 2.5]}',
         {"AwbEnable": False, "Gains": [1, 2.5]}),
    ],
)  # fmt: skip
def test_an_option_is_read_as_its_key_s_kind(dotted: str, text: str, value: object) -> None:
    found = of_text(KEYS[dotted], text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "dotted, text",
    [
        ("fps", "fast"),
        ("fps", ""),
        ("fps", "1\nthreads = 2"),
        ("threads", "2.5"),
        ("threads", "9" * 5000),
        ("steady.frames", "auto"),
        ("camera.roi", "a,b"),
        ("camera.controls", "{"),
        ("camera.controls", '{"x": null}'),
        ("camera.controls", "[" * 100_000),
    ],
)
def test_a_wrong_option_is_named_by_its_key(dotted: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(dotted)}: must be "):
        of_text(KEYS[dotted], text)


def test_whatever_a_section_refuses_is_a_wrong_configuration() -> None:
    with pytest.raises(EdgeError) as caught:
        build({"camera.width": 17})
    assert type(caught.value) is ConfigurationError


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Configuration().fps = 3  # type: ignore[misc]
