"""report.html: one file, safe whatever a label says, with everything that a reader needs."""

from __future__ import annotations

import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from reports import ODD, photos, report

from convert.report.page import pictures, report_html
from convert.report.report import Report

EMPTY = {"meta", "img", "link", "br", "hr"}

PICTURES = {
    f"{name}.png"
    for name in (
        "history confusion roc reliability predictions mistakes augmentation variants"
    ).split()
}


class Page(HTMLParser):
    """What stands in a page; asserts that its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def found() -> Report:
    return report(ODD, augmentation_png=_png())


@pytest.fixture(scope="module")
def drawn_pictures(found: Report) -> dict[str, bytes]:
    return pictures(found)


@pytest.fixture(scope="module")
def page(found: Report, drawn_pictures: dict[str, bytes]) -> Page:
    return Page(report_html(found, drawn_pictures).decode())


def _png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photos(12)[0]).save(stream, "PNG")
    return stream.getvalue()


def test_every_picture_is_drawn_and_shown(page: Page, drawn_pictures: dict[str, bytes]) -> None:
    assert set(drawn_pictures) == PICTURES
    assert len(page.all("img")) == len(PICTURES)


def test_nothing_is_fetched_and_nothing_runs(page: Page) -> None:
    assert page.all("script") == page.all("link") == []
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:image/png;base64,", "#"))
    assert "url(" not in page.text
    policy = page.all("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert (policy["content"] or "").startswith("default-src 'none'")


def test_odd_labels_are_read_as_they_are(page: Page) -> None:
    assert ODD[0] in page.text
    assert "new\\nline | bar $x$ & $" in page.text
    assert ODD[2] in page.text


def test_what_to_ship_comes_first(page: Page) -> None:
    body = page.text[page.text.index("model\n") if "model\n" in page.text else 0 :]
    assert body.lower().index("ship model-int8.tflite: ") < body.index("Variants")


def test_it_tells_everything(page: Page, found: Report) -> None:
    for text in (
        "Model: <tutorial>",
        found.command,
        found.fingerprint,
        "Conv_1",
        "it rains",
        "val 30",
        str(found.chosen.val.accuracy),
    ):
        assert text in page.text


def test_pictures_have_words_and_sizes(page: Page) -> None:
    for image in page.all("img"):
        assert len(image["alt"] or "") > 20
        assert int(image["width"] or 0) > 0
        assert int(image["height"] or 0) > 0


def test_tables_have_headers_and_captions(page: Page) -> None:
    assert len(page.all("table")) == len(page.all("caption")) == 6
    assert {attributes["scope"] for attributes in page.all("th")} == {"col", "row"}


def test_sections_are_named_and_linked(page: Page) -> None:
    anchors = {attributes["id"] for attributes in page.all("h2")}
    assert {(link["href"] or "")[1:] for link in page.all("a")} == anchors
    assert {section["aria-labelledby"] for section in page.all("section")} == anchors
    assert len(page.all("h1")) == 1
    assert page.all("html")[0]["lang"] == "en"


def test_what_scrolls_is_reached_by_key(page: Page) -> None:
    scrolling = [a for a in page.all("div") if "scroll" in (a.get("class") or "")]
    assert scrolling
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolling)


def test_it_is_light_and_dark(page: Page) -> None:
    assert "prefers-color-scheme: dark" in page.text
    assert {"name": "color-scheme", "content": "light dark"} in page.all("meta")


def test_mistakes_are_named_and_their_paths_are_not(page: Page) -> None:
    assert re.search(r"\d{4}\.jpg: ", page.text)
    assert "/somewhere" not in page.text


def test_without_a_mistake_there_is_no_sheet_of_them() -> None:
    labels = np.arange(60) % 2
    found = report()
    val = dataclasses.replace(found.chosen.val, scores=np.eye(2, dtype=np.float32)[labels])
    perfect = dataclasses.replace(found, chosen=dataclasses.replace(found.chosen, val=val))
    drawn = pictures(perfect)
    assert "mistakes.png" not in drawn
    assert "augmentation.png" not in drawn
    assert (
        Page(report_html(perfect, drawn).decode()).text.count(
            "No prediction on the validation set is wrong."
        )
        == 2
    )


def test_without_test_it_says_so() -> None:
    found = report()
    chosen = dataclasses.replace(found.chosen, test=None)
    bare = dataclasses.replace(found, chosen=chosen, val_names=())
    assert "not measured" in Page(report_html(bare, {}).decode()).text


def test_a_thousand_labels_make_a_page_of_a_few_megabytes() -> None:
    names = tuple(f"label {i:04d}" for i in range(1000))
    found = report(names, n=2000)
    content = report_html(found, pictures(found))
    assert len(content) < 8_000_000
    page = Page(content.decode())
    assert len(page.all("tr")) < 100
    of = "the 20 with the lowest F1 on the validation set"
    assert f"Of 1000 labels, {of}; card.json has all." in page.text
