"""Camera health: planted faults before drawn scenes, days without one, and a real service."""

from __future__ import annotations

import itertools
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from live import until, watching
from PIL import Image

from edge.errors import ConfigurationError
from edge.image.preprocess import encode_jpeg
from edge.service.configuration import build, read
from edge.service.intake.health import CHECKS, Health, HealthSettings
from edge.service.zones.state import CameraProblem, ZoneState, zone_status
from edge.sources.grey import Grey

SECONDS = 90  # as usual, before a fault


@pytest.fixture(scope="module")
def days() -> Iterator[ModuleType]:
    """benchmarks/days.py, which draws."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import days

        yield days
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def before(days: ModuleType, generator: str, seed: int) -> Any:
    """A day before a wall of stones of all sizes."""
    random = np.random.RandomState(seed)
    wall = Image.new("L", days.LARGE, 90)
    for size in (200, 80, 30, 12):
        for _ in range(60 * 200 // size):
            left, top = random.randint(-size, 800), random.randint(-size, 600)
            box = (left, top, left + random.randint(2, size), top + random.randint(2, size))
            wall.paste(int(random.randint(20, 230)), box)
    return getattr(days, generator)(days.photo_of(wall, random), seed)


def seen(
    day: Any, health: Health, begin_s: float, seconds: float, fault: str = "", fps: float = 2.0
) -> list[str]:
    """What is reported at each frame."""
    told, held = [], None
    for number in range(int(seconds * fps)):
        at_s = begin_s + number / fps
        held = day.frame(at_s, fault) if held is None or fault != "frozen" else held
        health(Grey(held), at_s)
        told.append(str(health.problem or ""))
    return told


def settings(**values: object) -> HealthSettings:
    return HealthSettings(on=True, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", CHECKS)
@pytest.mark.parametrize("generator", ["PlainDay", "LitDay"])
def test_a_planted_fault_is_found_and_ends(days: ModuleType, generator: str, fault: str) -> None:
    noon, lines = 12.5 * 3600.0, list[str]()
    day = before(days, generator, 7)
    health = Health(settings(), lines.append)
    assert set(seen(day, health, noon, SECONDS)) == {""}
    assert seen(day, health, noon + SECONDS, 10, fault)[-1] == fault
    assert seen(day, health, noon + SECONDS + 10, 15)[-1] == ""
    assert lines == [f"the camera is {fault}", f"the camera is no longer {fault}"]


def test_what_is_not_checked_is_no_problem(days: ModuleType) -> None:
    day = before(days, "PlainDay", 7)
    health = Health(settings(checks=("frozen",)), print)
    seen(day, health, 45000.0, SECONDS)
    assert set(seen(day, health, 45000.0 + SECONDS, 15, "covered")) == {""}


def test_a_camera_that_is_frozen_at_the_start_is_good_once_it_moves(days: ModuleType) -> None:
    day, health = before(days, "PlainDay", 7), Health(settings(), lambda line: None)
    assert seen(day, health, 45000.0, 10, "frozen")[-1] == "frozen"
    assert seen(day, health, 45010.0, 10)[-1] == ""  # before the view is learned
    assert set(seen(day, health, 45020.0, SECONDS)) == {""}
    assert seen(day, health, 45020.0 + SECONDS, 10, "covered")[-1] == "covered"


def test_dusk_and_a_passer_by_are_no_problem(days: ModuleType) -> None:
    day = before(days, "PlainDay", 8)
    health = Health(settings(), print)
    dusk = day._noon_s + day._half_s
    assert set(seen(day, health, dusk - 1000, 3600, fps=0.25)) == {""}


def test_noise_is_no_blur_and_blur_is_found_under_it(days: ModuleType) -> None:
    """Noise grows with the gain of the sensor; it hides blur, and has fine detail of its own."""
    scene, random = before(days, "PlainDay", 7)._scene, np.random.default_rng(1)

    def told(health: Health, at_s: float, image: Any, deviation: float) -> str:
        for step in range(20):
            noisy = image * 0.6 + random.normal(0, deviation, image.shape)
            health(Grey(noisy.clip(0, 255).astype(np.uint8)), at_s + step / 2)
        return str(health.problem or "")

    health = Health(settings(), lambda line: None)
    assert [told(health, 10.0 * n, scene.usual, 5 + 2 * n) for n in range(10)] == [""] * 10
    assert told(health, 100.0, scene.usual, 2) == ""
    assert told(health, 110.0, scene.blurred, 25) == "blurred"


def test_blur_of_a_minority_of_the_tiles_is_no_problem(days: ModuleType) -> None:
    """A headlight leaves few tiles that show their pattern, and those lose detail."""
    scene, random = before(days, "PlainDay", 7)._scene, np.random.default_rng(1)
    part = scene.blurred.copy()
    part[:, :80] = 90
    part[:, 80:120] = 1.5 * part[:, 80:120] + 40
    health = Health(settings(), lambda line: None)
    for step in range(100):
        image = (part if step >= 60 else scene.usual) + random.normal(0, 2, part.shape)
        health(Grey(image.clip(0, 255).astype(np.uint8)), step / 2)
        assert health.problem is None


@pytest.mark.parametrize("seed", [4, 8])  # a steady exposure, and one that hunts
def test_a_car_that_parks_at_night_is_no_problem(days: ModuleType, seed: int) -> None:
    """Its light is on the lens, and the exposure falls: most of the pattern is lost."""
    night = 3600.0
    day = before(days, "LitDay", seed)
    day._lamp *= 0.003 / day._lamp.max()
    day._cars = [days.Passing(night + 600, night + 700, 0.14, 0.44, 1, 1)]
    health = Health(settings(), lambda line: None)
    assert set(seen(day, health, night, 760, fps=0.2)) == {""}


def test_a_cover_is_found_while_the_exposure_hunts(days: ModuleType) -> None:
    """One frame in four is white, and shows neither a cover nor a view."""
    picture, health = pictures(days, (120, 160), 2.0), Health(settings(), lambda line: None)
    for step in range(60):
        health(picture("usual"), step / 2)
        assert health.problem is None
    for step in range(60, 81):
        health(picture("covered", (1.3, 2.7, 1.3, 0.6)[step % 4]), step / 2)
    assert health.problem == "covered"


@pytest.mark.parametrize("fault", ["blurred", "moved"])
def test_a_fault_is_found_soon_after_a_start_at_night(days: ModuleType, fault: str) -> None:
    """The first frames are dark, until the exposure has settled."""
    night = 3600.0
    day = before(days, "LitDay", 7)
    day._lamp[:], day._cars = 0.01, []
    day._exposure = days.Exposure(4.0, 0.0)
    health = Health(settings(), lambda line: None)
    assert set(seen(day, health, night, SECONDS)) == {""}
    assert seen(day, health, night + SECONDS, 10.5, fault)[-1] == fault


def test_a_move_is_found_over_slopes_of_light(days: ModuleType) -> None:
    """A lamp's falloff is the same wherever the camera points; what stands in it is not."""
    random = np.random.default_rng(1)
    wall = random.uniform(-10, 10, (25, 30)).repeat(6, 0).repeat(6, 1)
    rows, columns = np.mgrid[0:120, 0:160]
    health = Health(settings(), lambda line: None)
    for step in range(140):
        by = 9 if step >= 120 else 0
        image = 60 + 0.7 * columns + 0.4 * rows + wall[by : by + 120, by : by + 160]
        image += random.normal(0, 2, image.shape)
        health(Grey(image.clip(0, 255).astype(np.uint8)), step / 2)
        assert step >= 120 or health.problem is None
    assert health.problem == "moved"


def pictures(days: ModuleType, size: tuple[int, int], deviation: float) -> Any:
    """What a camera of another size shows: a picture of the scene, or of it with a fault."""
    scene, random = before(days, "PlainDay", 7)._scene, np.random.default_rng(1)
    large = {
        name: np.asarray(Image.fromarray(getattr(scene, name)).resize(size[::-1]))
        for name in ("usual", "blurred", "moved")
    }
    large["covered"] = np.full(size, 90, np.float32)
    noise = random.normal(0, deviation, (size[0] + 50, size[1] + 50)).astype(np.float32)

    def picture(name: str, light: float = 0.8) -> Grey:
        top, left = random.integers(0, 50, 2)
        noisy = large[name] * light + noise[top : top + size[0], left : left + size[1]]
        return Grey.of(noisy.clip(0, 255).astype(np.uint8)[:, :, None].repeat(3, 2))

    return picture


@pytest.mark.parametrize(
    "size, faults",
    [
        *((size, ("blurred", "covered")) for size in ((96, 96), (240, 320), (640, 360))),
        *((size, ("covered",)) for size in ((720, 1280), (60, 1200), (1200, 60))),
    ],
)
def test_cameras_of_other_sizes(
    days: ModuleType, size: tuple[int, int], faults: tuple[str, ...]
) -> None:
    """Rows and columns of the picture; large ones, and strips, too."""
    picture = pictures(days, size, 2.0)
    for fault in faults:
        health = Health(settings(), lambda line: None)
        for step in range(60):
            health(picture("usual"), step / 2)
            assert health.problem is None
        for step in range(60, 80):
            health(picture(fault), step / 2)
        assert health.problem == fault


@pytest.mark.parametrize("fps, within_s", [(0.1, 30.0), (0.5, 10.0), (30.0, 10.0)])
def test_cameras_of_other_rates(days: ModuleType, fps: float, within_s: float) -> None:
    """Three looks must agree: of a frame every ten seconds that takes thirty."""
    picture = pictures(days, (120, 160), 2.0)
    for fault in ("blurred", "covered", "moved", "frozen"):
        health, at_s = Health(settings(), lambda line: None), 0.0
        while at_s < max(25.0, 15 / fps):
            health(picture("usual"), at_s)
            assert health.problem is None
            at_s += 1 / fps
        begin_s, held = at_s, picture("usual")
        while at_s <= begin_s + within_s:
            health(held if fault == "frozen" else picture(fault), at_s)
            at_s += 1 / fps
        assert health.problem == fault


@pytest.mark.parametrize("deviation", [1.0, 6.0, 20.0])
def test_a_dark_room_is_no_problem(days: ModuleType, deviation: float) -> None:
    """Black with noise, then lit, as by someone who comes in for a minute."""
    picture = pictures(days, (120, 160), deviation)
    health = Health(settings(), lambda line: None)
    for step in range(600):
        health(picture("usual", 0.8 if 400 < step < 520 else 0.01), step / 2)
        assert health.problem is None


def test_another_view_is_the_usual_one_after_a_time(days: ModuleType) -> None:
    day = before(days, "PlainDay", 9)
    health = Health(settings(accept_s=30.0), lambda line: None)
    seen(day, health, 45000.0, SECONDS)
    told = seen(day, health, 45000.0 + SECONDS, 80, "moved")
    changes = [reason for reason, _ in itertools.groupby(told)]
    assert changes == ["", "moved", ""]
    assert set(seen(day, health, 45170.0, 20, "moved")) == {""}


def test_a_gap_and_another_size_begin_anew(days: ModuleType) -> None:
    day = before(days, "PlainDay", 7)
    health = Health(settings(), print)
    seen(day, health, 40000.0, SECONDS)
    assert set(seen(day, health, 48000.0, 30, "moved")) == {""}  # it was off for two hours
    for shape in ((2, 2), (20, 30), (200, 100)):
        for at_s in range(3):
            health(Grey(np.zeros(shape, np.uint8)), 50000.0 + at_s)
    assert health.problem is None


@pytest.mark.parametrize(
    "text, key",
    [
        ("on = 1", "on"),
        ('on = "yes"', "on"),
        ('checks = ["cover"]', "checks"),
        ('checks = "dark"', "checks"),
        ("checks = [1]", "checks"),
        ("hold_s = -1", "hold_s"),
        ("hold_s = nan", "hold_s"),
        ("hold_s = 3601.0", "hold_s"),
        ("hold_s = true", "hold_s"),
        ("accept_s = 0", "accept_s"),
        ("accept_s = 1e9", "accept_s"),
        ("accept_s = []", "accept_s"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "watch.toml").write_text(f"[health]\n{text}\n")
    with pytest.raises(ConfigurationError, match=rf"^health\.{key}: must be ") as caught:
        build(read(tmp_path / "watch.toml"))
    assert "\n" not in str(caught.value)


def test_a_problem_with_the_view_is_a_problem_of_the_zone() -> None:
    covered = CameraProblem.COVERED
    live = zone_status(1, 10.0, has_result=True, waiting="", idle=False, camera=covered)
    assert (live.state, live.reason, live.problem) == (
        ZoneState.LIVE,
        "the camera is covered",
        True,
    )
    assert live.is_available
    idle = zone_status(90, 10.0, has_result=True, waiting="x", idle=True, camera=covered)
    assert (idle.state, idle.problem, idle.camera) == (ZoneState.IDLE, True, covered)
    asleep = zone_status(
        90, 2.0, has_result=True, waiting="x", idle=True, rest="asleep", camera=covered
    )
    assert (asleep.problem, asleep.reason) == (False, "")


def test_a_service_shows_it_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one photo again and again, the camera is frozen."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(str(tmp_path / "notify"))
    systemd.settimeout(30)
    photo = tmp_path / "scene.jpg"
    random = np.random.default_rng(1)
    scene = random.integers(0, 255, (48, 64, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    photo.write_bytes(encode_jpeg(scene))
    options = ("--fps", 10, "--health-on", "--health-hold-s", 0.4)
    with watching(tmp_path, photo, *options) as service:
        until(lambda: service.document("/latest.json")["health"]["camera"] == "frozen")
        zone = service.document("/latest.json")["zone"]
        assert (zone["state"], zone["reason"]) == ("live", "the camera is frozen")
        metrics = service.get("/metrics")[1].decode()
        assert 'edge_classify_camera_problem{problem="frozen"} 1.0' in metrics
        assert service.get("/healthz")[0].status == 200
        while b"; the camera is frozen" not in systemd.recv(4096):
            pass  # until its line of systemctl status has it
        until_s = time.monotonic() + 60
        while service.document("/latest.json")["health"]["camera"] != "good":
            darker = (scene * random.uniform(0.6, 1.0)).astype(np.uint8)  # each look sees another
            photo.with_suffix(".new").write_bytes(encode_jpeg(darker))
            photo.with_suffix(".new").rename(photo)
            assert time.monotonic() < until_s
    systemd.close()
    said = (tmp_path / "stderr").read_text()
    assert "the camera is frozen" in said and "the camera is no longer frozen" in said
