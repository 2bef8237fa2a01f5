"""The live page in a real browser, in front of a real service: what people see and can do."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from brokers import required
from conftest import ROOT
from live import TOKEN, Watching, scenes, until, watching
from model_copies import relabelled
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
MISSING = not CHROMIUM or importlib.util.find_spec("playwright") is None
pytestmark = pytest.mark.skipif(
    MISSING and not required("EDGE_WEB_REQUIRED"), reason="no Chromium: sudo apt install chromium"
)
CHECKS = Path(__file__).parent / "page_checks.js"
STATIC = ROOT / "edge" / "service" / "web" / "static"
SIZES = {"phone": (360, 740), "desktop": (1280, 900)}
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """Hot dogs for some seconds, then grass, and again."""
    folder = tmp_path_factory.mktemp("page")
    with watching(folder, scenes(folder / "scenes", 14), "--fps", 4) as running:
        running.after(2)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Looked:
    """A page that was opened, and what the browser had to say of it."""

    def __init__(self, browser: Browser, size: str, scheme: str = "light") -> None:
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("response", self._note)

    def _note(self, response: Response) -> None:
        if response.status not in (200, 201, 202, 204, 401):
            self.complaints.append(f"{response.status} {response.url}")

    def open(self, port: int) -> Page:
        self.page.goto(f"http://127.0.0.1:{port}/")
        return self.page

    def __enter__(self) -> Looked:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def is_shown(page: Page, selector: str) -> bool:
    """Whether an image is there and has pixels."""
    return bool(page.eval_on_selector(selector, "image => !image.hidden && image.naturalWidth > 0"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_it_shows_frames_and_follows_the_state(
    service: Watching, browser: Browser, size: str, scheme: str, tmp_path: Path
) -> None:
    with Looked(browser, size, scheme) as looked:
        page = looked.open(service.port)
        until(lambda: page.evaluate("!document.getElementById('live').hidden"))
        for state in ("nothotdog", "hotdog"):
            page.get_by_text(state, exact=True).first.wait_for()
            until(lambda state=state: page.title().startswith(f"{state} "))
            until(lambda state=state: page.locator("#state").text_content() == state)
        assert page.locator("#spoken").text_content() == "now hotdog"  # what a screen reader says
        assert is_shown(page, "#live") and is_shown(page, "#input")
        assert page.locator("#events li").count() >= 2
        assert page.locator("#chart polyline").count() >= 2
        assert page.locator("#banner").is_hidden()
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0  # nothing to scroll sideways for
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert looked.complaints == []
        assert {url.split("/")[2] for url in looked.requests if "://" in url} == {
            f"127.0.0.1:{service.port}"
        }


def test_a_browser_without_abort_signal_timeout_and_a_clock_that_was_set_back(
    service: Watching, browser: Browser
) -> None:
    """Safari 15 lacks it; the chart goes by the time since the start."""
    with Looked(browser, "desktop") as looked:
        looked.context.add_init_script("delete AbortSignal.timeout; delete AbortSignal.any")
        page = looked.open(service.port)
        until(lambda: page.evaluate("document.getElementById('status').dataset.is === 'live'"))
        until(lambda: page.evaluate("known.points.length > 3"))
        across = page.evaluate("""() => {
            known.points.forEach((point, index) => { point.unix_s -= 86400 * index; });
            drawChart();
            const lines = [...document.querySelectorAll("#chart polyline")];
            return lines.map((line) => [...line.points].map((point) => point.x));
        }""")
        assert across and all(line == sorted(line) for line in across)
        assert min(map(min, across)) >= 0
        assert max(map(max, across)) <= page.evaluate(
            "document.getElementById('chart').clientWidth"
        )
        assert looked.complaints == []


def test_the_first_picture_is_soon_there(service: Watching, browser: Browser) -> None:
    with Looked(browser, "desktop") as looked:
        began = time.monotonic()
        page = looked.open(service.port)
        until(lambda: page.evaluate("document.getElementById('live').naturalWidth > 0"))
        print(f"first image after {time.monotonic() - began:.2f} s")
        assert is_shown(page, "#live")


def test_the_page_is_light() -> None:
    # 62 kB take a quarter of a second at 2 Mbit/s.
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 62_000


def test_the_chart_tells_its_values(service: Watching, browser: Browser) -> None:
    with Looked(browser, "desktop") as looked:
        page = looked.open(service.port)
        until(lambda: page.evaluate("document.querySelectorAll('#chart polyline').length >= 2"))
        page.locator("#chart").scroll_into_view_if_needed()  # where the mouse can be
        box = page.locator("#chart").bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] / 2)
        told = page.locator("#at-point")
        until(lambda: "hotdog" in (told.text_content() or ""))
        assert "Scores of hotdog, nothotdog" in (
            page.locator("#chart").get_attribute("aria-label") or ""
        )


def test_frames_are_kept_by_keyboard(tmp_path: Path, browser: Browser) -> None:
    folder = scenes(tmp_path / "scenes", 2)
    with watching(tmp_path, folder, "--fps", 2) as running, Looked(browser, "phone") as looked:
        page = looked.open(running.port)
        page.locator("#controls").wait_for()
        press_until_focused(page, "keep")
        page.keyboard.press("Enter")
        page.locator("#keeping[open]").wait_for()
        assert is_shown(page, "#still")
        until(lambda: page.evaluate("document.activeElement.id") == "label")
        page.locator("#label").press_sequentially("bun and mustard")
        page.keyboard.press("Enter")
        page.locator("#asking[open]").wait_for()
        page.keyboard.type("not-the-token")
        page.keyboard.press("Enter")
        page.get_by_text("Wrong token").wait_for()
        press_until_focused(page, "snapshot")
        page.keyboard.press("Enter")
        page.locator("#asking[open]").wait_for()
        page.keyboard.type(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_text("A snapshot of the next frame is saved").wait_for()
        press_until_focused(page, "keep")
        page.keyboard.press("Enter")
        page.locator("#keeping[open]").wait_for()
        until(lambda: page.evaluate("document.activeElement.id") == "label")
        page.locator("#label").press_sequentially("bun and mustard")
        page.keyboard.press("Enter")
        page.get_by_text("Saved as bun and mustard/").wait_for()
        assert len(list((running.state / "dataset" / "bun and mustard").glob("*.jpg"))) == 1
        until(lambda: list((running.state / "snapshots").glob("*.jpg")))
        press_until_focused(page, "why")
        page.keyboard.press("Enter")
        page.get_by_text("red supports ").wait_for()
        until(lambda: is_shown(page, "#heat"))
        press_until_focused(page, "keep")
        page.keyboard.press("Enter")
        page.locator("#keeping[open]").wait_for()
        page.keyboard.press("Escape")
        page.locator("#keeping").wait_for(state="hidden")
        # A 401 is a line in the console, as the browser has it.
        assert [line for line in looked.complaints if "401" not in line] == []


def press_until_focused(page: Page, name: str) -> None:
    """Go on by the Tab key, as someone without a mouse does."""
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not lead to {name}")


def test_it_says_when_the_service_is_gone_and_comes_back(tmp_path: Path, browser: Browser) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = scenes(tmp_path / "scenes", 2)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with Looked(browser, "phone") as looked:
        with watching(first, folder, "--fps", 4, port=port) as running:
            until(lambda: answers(port))
            running.after(1)
            page = looked.open(port)
            until(lambda: page.evaluate("document.getElementById('live').naturalWidth > 0"))
        page.get_by_text("The service does not respond").wait_for()
        assert page.locator("#status").get_attribute("data-is") == "lost"
        with watching(second, folder, "--fps", 4, port=port):
            until(lambda: page.evaluate("document.getElementById('status').dataset.is === 'live'"))
            assert page.locator("#banner").is_hidden()
            number = page.evaluate("known.newest")
            until(lambda: page.evaluate(f"known.newest !== {number}"))


def test_the_readmes_picture(service: Watching, browser: Browser, tmp_path: Path) -> None:
    """A desktop and a phone side by side; EDGE_PAGE_PICTURE names the file that is written."""
    shots = []
    for size, scheme in (("desktop", "light"), ("phone", "dark")):
        with Looked(browser, size, scheme) as looked:
            page = looked.open(service.port)
            until(lambda page=page: page.locator("#state").text_content() == "nothotdog")
            until(lambda page=page: page.locator("#state").text_content() == "hotdog")
            until(lambda page=page: is_shown(page, "#live"))
            page.wait_for_timeout(200)
            shots.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    desktop, phone = shots
    phone = phone.resize((round(phone.width * desktop.height / phone.height), desktop.height))
    both = Image.new("RGB", (desktop.width + 24 + phone.width, desktop.height), "white")
    both.paste(desktop, (0, 0))
    both.paste(phone, (desktop.width + 24, 0))
    path = Path(os.environ.get("EDGE_PAGE_PICTURE") or tmp_path / "page.jpg")
    both.save(path, quality=85)
    assert path.stat().st_size < 300_000


def test_the_docs_picture_of_a_report(browser: Browser, tmp_path: Path) -> None:
    """Of synthetic scores and drawn photos; EDGE_REPORT_PICTURE names the file that is written."""
    pytest.importorskip("matplotlib")
    from reports import report

    from convert.report.page import pictures, report_html

    labels = ("cup", "fish", "key")
    facts = {
        "failures": (),
        "reason": "ship model-int8.tflite: the smallest within a point of the best",
        "counts": {
            name: dict.fromkeys(labels, count)
            for name, count in (("train", 400), ("val", 100), ("test", 100))
        },
        "config": {
            "network": "efficientnet_lite0",
            "image_size": [224, 224],
            "recipe": {"head_only": False, "head_first": True},
        },
    }
    shown = report(labels, n=300, summary="", **facts)
    (tmp_path / "report.html").write_bytes(report_html(shown, pictures(shown)))
    with Looked(browser, "desktop") as looked:
        looked.page.goto((tmp_path / "report.html").as_uri())
        shot = Image.open(io.BytesIO(looked.page.screenshot())).convert("RGB")
        wide = looked.page.evaluate("document.documentElement.scrollWidth")
    path = Path(os.environ.get("EDGE_REPORT_PICTURE") or tmp_path / "report.jpg")
    shot.save(path, quality=85)
    assert wide == SIZES["desktop"][0] and path.stat().st_size < 300_000


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def test_it_says_why_there_is_no_frame(tmp_path: Path, browser: Browser) -> None:
    gone = tmp_path / "gone"
    with (
        watching(tmp_path, gone, "--give-up-s", 300) as running,
        Looked(browser, "desktop") as looked,
    ):
        page = looked.open(running.port)
        page.get_by_text("no such file or folder").wait_for()
        assert page.locator("#status").get_attribute("data-is") == "stale"
        assert page.get_by_text("No frame yet").is_visible()
        assert page.get_by_text("None since the service started").is_visible()
        assert looked.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(service: Watching, browser: Browser, scheme: str) -> None:
    with Looked(browser, "phone", scheme) as looked:
        page = looked.open(service.port)
        until(lambda: page.evaluate("document.querySelectorAll('#events li').length > 0"))
        assert page.evaluate(CHECKS.read_text()) == []
        page.locator("#keep").click()
        page.locator("#keeping[open]").wait_for()
        assert page.evaluate(CHECKS.read_text()) == []


def test_odd_names_stay_text(tmp_path: Path, browser: Browser) -> None:
    odd = ("<img src=x onerror=alert(1)>", "x" * 200)
    model = tmp_path / "odd.tflite"
    model.write_bytes(relabelled(odd))
    with watching(tmp_path, scenes(tmp_path / "scenes", 2), "-m", model, "--fps", 4) as running:
        running.after(2)
        with Looked(browser, "phone") as looked:
            page = looked.open(running.port)
            until(lambda: page.evaluate("document.querySelectorAll('#bars li').length === 2"))
            assert page.locator("#bars").get_by_text(odd[0]).count() == 1
            ours = "#live, #input, #heat, #still, #ground, #events img"
            assert page.locator("img").count() == page.locator(ours).count()
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            assert looked.complaints == []
