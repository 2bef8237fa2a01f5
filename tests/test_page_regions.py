"""Zones on the live page, and its editor of regions, in a real browser: mouse, touch, keyboard."""

from __future__ import annotations

import io
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from live import TOKEN, Watching, until, watching
from PIL import Image
from test_page_live import CHECKS, SIZES, Looked, browser, pytestmark
from test_zones import LEFT, RIGHT, scene

from edge.image.preprocess import encode_jpeg, read_image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "pytestmark"]  # a fixture, and what skips these tests
ZONES = """
[[zone]]
name = "left"
roi = [0.0, 0.0, 0.5, 0.5]
[[zone]]
name = "right"
roi = [0.5, 0.0, 0.5, 0.5]
threshold = 0.25
steady = { frames = 2 }
[[zone]]
name = "corner"
roi = [0.0, 0.6, 0.3, 0.6, 0.0, 1.0]
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """A hot dog on the left, grass on the right."""
    folder = tmp_path_factory.mktemp("zones")
    (folder / "scene.jpg").write_bytes(encode_jpeg(scene(LEFT)))
    (folder / "watch.toml").write_text(ZONES)
    options = ("--config", folder / "watch.toml", "--fps", 4)
    with watching(folder, folder / "scene.jpg", *options) as running:
        running.after(5)
        yield running


def shown(looked: Looked, service: Watching, query: str = "") -> Page:
    page = looked.page
    page.goto(f"http://127.0.0.1:{service.port}/{query}")
    until(lambda: page.evaluate("document.querySelectorAll('#marks g').length === 3"))
    return page


def editing(looked: Looked, service: Watching) -> Page:
    page = shown(looked, service)
    page.locator("#draw").click()
    until(lambda: page.locator("#drawing g").count() == 3)
    until(lambda: page.locator("#checked").text_content() == "Valid.")
    return page


def tables(page: Page) -> dict[str, list[float]]:
    """The regions of the TOML that the page shows, by name."""
    content = tomllib.loads(page.locator("#toml").input_value())
    return {table["name"]: table["roi"] for table in content["zone"]}


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a share of the frame is in the window; the frame is fitted into its place."""
    box = page.locator("#drawing").bounding_box()
    assert box
    scale = min(box["width"] / 640, box["height"] / 480)
    left = box["x"] + (box["width"] - 640 * scale) / 2
    top = box["y"] + (box["height"] - 480 * scale) / 2
    return left + x * 640 * scale, top + y * 480 * scale


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *[(a + b) / 2 for a, b in zip(start, end, strict=True)]))
    page.mouse.move(*at(page, *end))
    page.mouse.up()


@pytest.mark.parametrize("size", list(SIZES))
def test_each_zone_has_a_tab_with_its_own_frame_and_state(
    service: Watching, browser: Browser, size: str
) -> None:
    with Looked(browser, size) as looked:
        page = shown(looked, service)
        assert page.locator("#zones [aria-current]").text_content() == "left hotdog"
        until(lambda: page.locator("#state").text_content() == "hotdog")
        page.locator("#zones").get_by_text("right").click()
        page.wait_for_url("**/?zone=right")
        until(lambda: page.locator("#state").text_content() == "nothotdog")
        assert "right nothotdog" in (page.locator("#zones [aria-current]").text_content() or "")
        assert page.locator("#marks g:not(.other) text").text_content() == "right"
        until(lambda: page.locator("#bars li").count() == 2)
        seen = service.get("/input.png?zone=right")[1]
        assert read_image(seen)[..., 1].mean() > read_image(seen)[..., 0].mean()  # grass
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert looked.complaints == []


def test_a_zone_that_is_gone_leads_to_the_first(service: Watching, browser: Browser) -> None:
    with Looked(browser, "phone") as looked:
        looked.page.goto(f"http://127.0.0.1:{service.port}/?zone=attic")
        looked.page.wait_for_url(lambda url: url.endswith("/"))
        looked.page.locator("#zones [aria-current]").get_by_text("left").wait_for()


def test_a_region_is_drawn_moved_resized_and_named_by_mouse(
    service: Watching, browser: Browser
) -> None:
    with Looked(browser, "desktop") as looked:
        page = editing(looked, service)
        drag(page, (0.6, 0.6), (0.8, 0.9))
        assert tables(page)["zone1"] == pytest.approx([0.6, 0.6, 0.2, 0.3], abs=0.005)
        drag(page, (0.7, 0.75), (0.75, 0.7))
        assert tables(page)["zone1"] == pytest.approx([0.65, 0.55, 0.2, 0.3], abs=0.005)
        drag(page, (0.85, 0.85), (0.95, 0.95))  # its lower right corner
        assert tables(page)["zone1"] == pytest.approx([0.65, 0.55, 0.3, 0.4], abs=0.01)
        drag(page, (0.8, 0.7), (1.5, 1.5))  # no further than the edge
        x, y, width, height = tables(page)["zone1"]
        assert x + width == pytest.approx(1.0) and y + height == pytest.approx(1.0)
        page.locator("#region-list input").last.fill("door")
        assert list(tables(page)) == ["left", "right", "corner", "door"]
        until(lambda: page.locator("#checked").text_content() == "Valid.")
        assert looked.complaints == []


def test_what_was_there_stays_as_it_was(service: Watching, browser: Browser) -> None:
    with Looked(browser, "desktop") as looked:
        page = editing(looked, service)
        (left, right, corner) = tomllib.loads(page.locator("#toml").input_value())["zone"]
        assert left == {"name": "left", "roi": [0.0, 0.0, 0.5, 0.5]}
        assert (right["threshold"], right["steady"]) == (0.25, {"frames": 2})
        assert corner["roi"] == [0.0, 0.6, 0.3, 0.6, 0.0, 1.0]  # a polygon, until it is moved
        drag(page, (0.1, 0.8), (0.3, 0.8))
        assert tables(page)["corner"] == pytest.approx([0.2, 0.6, 0.3, 0.4], abs=0.005)


def test_a_region_is_drawn_by_touch(service: Watching, browser: Browser) -> None:
    with Looked(browser, "phone") as looked:
        page = editing(looked, service)
        session = looked.context.new_cdp_session(page)
        page.locator("#drawing").scroll_into_view_if_needed()
        for kind, x, y in (("Start", 0.5, 0.6), ("Move", 0.6, 0.7), ("Move", 0.8, 0.9)):
            left, top = at(page, x, y)
            points = [{"x": left, "y": top}]
            session.send(
                "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points}
            )
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        until(lambda: "zone1" in tables(page))
        assert tables(page)["zone1"] == pytest.approx([0.5, 0.6, 0.3, 0.3], abs=0.01)


def test_a_region_is_made_by_keyboard_alone(service: Watching, browser: Browser) -> None:
    with Looked(browser, "phone") as looked:
        page = shown(looked, service)
        focus(page, "draw")
        page.keyboard.press("Enter")
        until(lambda: page.locator("#drawing g").count() == 3)
        focus(page, "add")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.dataset.index") == "3"
        for key in ("ArrowRight", "ArrowDown", "Shift+ArrowLeft", "Shift+ArrowUp"):
            for _ in range(10):
                page.keyboard.press(key)
        assert tables(page)["zone1"] == pytest.approx([0.4, 0.4, 0.3, 0.3])
        told = page.evaluate("document.activeElement.ariaLabel")
        assert told == "zone1: x 40 %, y 40 %, width 30 %, height 30 %"
        page.keyboard.press("Delete")
        assert "zone1" not in tables(page)


def focus(page: Page, name: str) -> None:
    for _ in range(40):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not lead to {name}")


def test_it_is_checked_as_the_command_does_and_never_written(
    service: Watching, browser: Browser
) -> None:
    before = (service.state.parent / "watch.toml").read_text()
    with Looked(browser, "desktop") as looked:
        page = editing(looked, service)
        name = page.locator("#region-list input").last
        for text, fault in (
            ("left", "zone.name: 'left' is the name of two zones"),
            ("the door", "zone.name ([[zone]] 3): must be 1 to 32 letters, digits, - and _"),
        ):
            name.fill(text)
            until(lambda fault=fault: fault in (page.locator("#checked").text_content() or ""))
            assert page.locator("#checked").get_attribute("data-is") == "fault"
        name.fill("door")
        drag(page, (0.1, 0.8), (0.1, 0.6))
        until(lambda: "overlaps zone left" in (page.locator("#checked").text_content() or ""))
        assert page.locator("#checked").get_attribute("data-is") == "good"
    assert (service.state.parent / "watch.toml").read_text() == before


def test_the_tables_are_copied(service: Watching, browser: Browser) -> None:
    with Looked(browser, "desktop") as looked:
        looked.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = editing(looked, service)
        for without in (False, True):  # as over plain HTTP from another machine
            if without:
                page.evaluate("navigator.clipboard.writeText('')")
                page.evaluate("navigator.clipboard.writeText = undefined")
            page.locator("#copy").click()
            until(lambda: page.locator("#copy").text_content() == "Copied")
            copied = page.evaluate("navigator.clipboard.readText()")
            assert copied == page.locator("#toml").input_value() != ""
            until(lambda: page.locator("#copy").text_content() == "Copy")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_everybody_can_use_the_editor(
    service: Watching, browser: Browser, size: str, scheme: str
) -> None:
    with Looked(browser, size, scheme) as looked:
        page = editing(looked, service)
        drag(page, (0.6, 0.6), (0.8, 0.9))
        assert page.evaluate(CHECKS.read_text()) == []
        assert page.evaluate("regions.scrollWidth - regions.clientWidth") <= 0


def test_the_docs_picture_of_the_editor(
    service: Watching, browser: Browser, tmp_path: Path
) -> None:
    """A desktop and a phone side by side; EDGE_REGIONS_PICTURE names the file that is written."""
    shots = []
    for size, scheme in (("desktop", "light"), ("phone", "dark")):
        with Looked(browser, size, scheme) as looked:
            page = editing(looked, service)
            drag(page, (0.6, 0.6), (0.8, 0.9))
            shots.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    desktop, phone = shots
    phone = phone.resize((round(phone.width * desktop.height / phone.height), desktop.height))
    both = Image.new("RGB", (desktop.width + 24 + phone.width, desktop.height), "white")
    both.paste(desktop, (0, 0))
    both.paste(phone, (desktop.width + 24, 0))
    path = Path(os.environ.get("EDGE_REGIONS_PICTURE") or tmp_path / "regions.jpg")
    both.save(path, quality=85)
    assert path.stat().st_size < 300_000


def test_commands_of_a_zone_go_to_it(service: Watching, browser: Browser) -> None:
    with Looked(browser, "desktop") as looked:
        page = shown(looked, service, "?zone=right")
        page.locator("#threshold").click()
        page.locator("#limit").fill("1.0")
        page.keyboard.press("Enter")
        page.locator("#asking[open]").wait_for()
        page.keyboard.type(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_text("The threshold is set").wait_for()
    thresholds = {
        name: service.document(f"/latest.json?zone={name}")["threshold"]
        for name in ("left", "right")
    }
    assert thresholds["right"] == 1.0 != thresholds["left"]
    status, text = service.control("/command", {"name": "threshold", "value": "auto"})
    assert (status, "is for a zone: left, right, corner" in text) == (400, True)
    status, _ = service.control("/command", {"name": "threshold", "value": "auto", "zone": "right"})
    assert status == 202
    status, text = service.control("/keep", {"label": "grass", "zone": "right"})
    assert status == 201 and "-right.jpg" in text
    (kept,) = (service.state / "dataset" / "grass").glob("*-right.jpg")
    height, width = read_image(kept).shape[:2]
    assert (width, height) == (320, 240)


def test_paths_know_their_zone(service: Watching) -> None:
    results = {
        name: service.document(f"/frame.json?zone={name}&after=0") for name in ("left", "right")
    }
    assert {name: result["zone"] for name, result in results.items()} == {
        "left": "left", "right": "right"
    }  # fmt: skip
    assert results["left"]["state"] == "hotdog"
    answer, said = service.get("/latest.json?zone=attic")
    assert answer.status == 404 and b"no such zone; there are left, right, corner" in said
    _, metrics = service.get("/metrics")
    for name, state in (("left", "hotdog"), ("right", "nothotdog")):
        assert f'edge_classify_results_total{{label="{state}",zone="{name}"}}' in metrics.decode()
    assert metrics.decode().count("# TYPE edge_classify_results_total") == 1
    for roi in (LEFT, RIGHT):
        assert list(roi) in [zone["roi"] for zone in service.document("/latest.json")["zones"]]
