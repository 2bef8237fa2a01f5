"""The page of the history in a real browser, behind a proxy's sub-path as well as directly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from live import HOTDOG, Watching, until, watching
from test_page_live import CHECKS, SIZES, Looked, browser, pytestmark

from edge.image.preprocess import encode_jpeg, read_image
from edge.service.sinks.history.rows import Event, Rows, Share
from edge.service.sinks.history.settings import HistorySettings
from edge.service.sinks.history.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "pytestmark"]  # a fixture, and what skips these tests
ODD = "<img src=x onerror=alert(1)>"
NAME = "00000001-20260301T123015.250Z-cup-0.90.jpg"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """A service whose history has yesterday and today."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "state" / "snapshots").mkdir(parents=True)
    (folder / "state" / "snapshots" / NAME).write_bytes(encode_jpeg(read_image(HOTDOG)))
    noon = datetime.now().replace(hour=12, minute=0, second=0, microsecond=0)
    with closing(Store(folder / "state" / "history.sqlite", HistorySettings())) as store:
        store.write(rows_of(noon - timedelta(days=1)), noon.timestamp(), clock_is_set=True)
        store.write(rows_of(noon), noon.timestamp(), clock_is_set=True)
    # Nothing changes in this source, so that the history stays as it was written.
    options = ("--fps", 1, "--history-on", "--steady-hold-s", 3600)
    with watching(folder, HOTDOG, *options) as running:
        yield running


def rows_of(noon: datetime) -> Rows:
    at_s, labels = noon.timestamp(), ("cat", "fox", ODD)
    events = [
        Event("", at_s + n, True, labels[n % 3], labels[(n + 1) % 3], 0.9, 60.0, NAME)
        for n in range(90)
    ]
    shares = [
        Share("", int(at_s // 3600) + hour, label, True, 600.0 * (n + 1), 1200)
        for hour in range(3)
        for n, label in enumerate(labels)
    ]
    shares.append(Share("door", int(at_s // 3600), "open", False, 0.0, 1))
    return Rows((*events[:-1], Event("door", at_s, False, "cat", "open", 0.8, 5.0)), tuple(shares))


def opened(looked: Looked, service: Watching) -> Page:
    looked.page.goto(f"http://127.0.0.1:{service.port}/history.html")
    looked.page.locator("#events li").first.wait_for()
    return looked.page


@pytest.mark.parametrize("size, scheme", [("phone", "dark"), ("desktop", "light")])
def test_it_shows_a_day_with_its_images(
    service: Watching, browser: Browser, size: str, scheme: str
) -> None:
    with Looked(browser, size, scheme) as looked:
        page = opened(looked, service)
        assert page.locator("#events li").count() == 60
        until(lambda: page.evaluate("document.querySelector('#events img').naturalWidth > 0"))
        assert page.locator("#chart rect").count() == 9
        assert page.get_by_text(f"{ODD} 0.90").count() > 0  # as text
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert page.evaluate(CHECKS.read_text()) == []
        assert SIZES[size][0] == page.evaluate("innerWidth")
        assert looked.complaints == []
        assert {url.split("/")[2] for url in looked.requests if "://" in url} == {
            f"127.0.0.1:{service.port}"
        }


def test_days_labels_search_and_older_ones(service: Watching, browser: Browser) -> None:
    def count() -> int:
        return page.locator("#events li").count()

    with Looked(browser, "desktop") as looked:
        page = opened(looked, service)
        page.locator("#more").click()
        until(lambda: count() == 90)
        page.locator("#label").select_option("open")
        until(lambda: count() == 1)
        assert "the clock was not set" in (page.locator("#events").text_content() or "")
        page.locator("#days").select_option("7")
        until(lambda: count() == 2)
        page.locator("#label").select_option("")
        page.locator("#text").fill("OPE")
        until(lambda: count() == 2)
        page.locator("#text").fill("no such label")
        until(lambda: count() == 0)
        assert page.get_by_text("No state change in this time").is_visible()
        page.locator("#text").fill("")
        page.locator("#days").select_option("1")
        page.locator("#earlier").click()
        until(lambda: count() == 60)
        with page.expect_download() as download:
            page.locator("#events-csv").click()
        lines = Path(download.value.path()).read_text().splitlines()
        assert len(lines) == 91 and lines[0].startswith("number,zone,at")
        page.locator("#chart").hover()
        until(lambda: "fox" in (page.locator("#at-point").text_content() or ""))


def test_the_live_page_leads_to_it(service: Watching, browser: Browser) -> None:
    with Looked(browser, "phone") as looked:
        page = looked.open(service.port)
        page.get_by_role("link", name="History").click()
        page.locator("#events li").first.wait_for()
        page.get_by_role("link", name="Live page").click()
        page.locator("#state").wait_for()
