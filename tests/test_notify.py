"""Notifications: Apprise's own client, and a real server that takes, rejects or hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from conftest import run
from live import HOTDOG, until, watching
from notify_target import SECRET, Target
from sightings import sighting

from edge.errors import ConfigurationError
from edge.service.configuration import build, read
from edge.service.sinks.notify_settings import NotifySettings

pytest.importorskip("apprise", reason="pip install apprise")
from edge.service.sinks.notify import Notify

# Apprise's own imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def target() -> Iterator[Target]:
    with closing(Target()) as target:
        yield target


class Setting:
    def __init__(self, folder: Path, url: str, at: str = "12:00", **values: object) -> None:
        (folder / "urls").write_text(f"# ours\n{url}\n")
        settings = NotifySettings(on=True, urls_file=str(folder / "urls"), **values)  # type: ignore[arg-type]
        self.lines, self.now_s = list[str](), 100.0
        now = datetime.fromisoformat(f"2026-03-01T{at}")
        self.notify = Notify(
            settings, self.lines.append, monotonic=lambda: self.now_s, now=lambda: now
        )


def test_a_service_sends_the_change_with_its_image(tmp_path: Path, target: Target) -> None:
    (tmp_path / "urls").write_text(f"{target.url}\n")
    options = ("--fps", 10, "--notify-on", "--notify-urls-file", tmp_path / "urls")
    with watching(tmp_path, HOTDOG, *options) as service:
        (body,) = until(lambda: target.bodies)
        assert body["title"] == "hotdog" and "unknown to hotdog, score " in str(body["message"])
        assert target.images()[0].startswith(b"\xff\xd8")
        seen = [service.get(path)[1].decode() for path in ("/latest.json", "/metrics", "/")]
        assert service.end() == 0
    said = [(tmp_path / name).read_text() for name in ("stderr", "stdout")]
    assert not [text for text in (*seen, *said) if SECRET in text]


def test_each_label_at_most_once_in_a_time(tmp_path: Path, target: Target) -> None:
    at = Setting(tmp_path, target.url, labels=("cup", "plate"), every_min=10.0, image=False)
    with closing(at.notify) as notify:
        assert notify(sighting(1, "cup")) is False
        assert notify(sighting(2, "cup", changed=True)) is True
        assert notify(sighting(3, "plate", changed=True)) is True
        assert notify(sighting(4, "key", changed=True)) is False
        at.now_s += 599
        assert notify(sighting(5, "cup", changed=True)) is False
        at.now_s += 1
        assert notify(sighting(6, "cup", changed=True)) is True
        until(lambda: len(target.bodies) == 3)
    assert [body["title"] for body in target.bodies] == ["cup", "plate", "cup"]
    assert target.images() == []


@pytest.mark.parametrize(
    "quiet, at, sent",
    [
        ((), "03:00", True),
        (("22:00-07:00",), "21:59", True),
        (("22:00-07:00",), "22:00", False),
        (("22:00-07:00",), "06:59", False),
        (("22:00-07:00",), "07:00", True),
        (("12:00-13:00", "20:00-24:00"), "23:59", False),
        (("00:00-24:00",), "00:00", False),
    ],
)
def test_hours_without_notifications(
    tmp_path: Path, target: Target, quiet: tuple[str, ...], at: str, sent: bool
) -> None:
    setting = Setting(tmp_path, target.url, at, quiet=quiet)
    with closing(setting.notify) as notify:
        assert notify(sighting(1, changed=True)) is sent


def test_a_service_that_rejects_is_tried_again_and_named(tmp_path: Path, target: Target) -> None:
    target.status = 500
    at = Setting(tmp_path, target.url, every_min=0.0)
    with closing(at.notify) as notify:
        notify(sighting(1, changed=True))
        until(lambda: notify.failures)
        until(lambda: notify.trouble == "notify 1 (json) fails")
        assert at.lines[0].startswith("notify 1 (json): notify 1 (json): did not accept")
        target.status = 200
        at.now_s += 2
        until(lambda: target.bodies)
        until(lambda: not notify.trouble)
    assert notify.lost == 0 and "works again" in at.lines[-1]
    assert not [line for line in at.lines if SECRET in line or str(target.url) in line]


def test_a_service_that_hangs_delays_nothing(tmp_path: Path, target: Target) -> None:
    target.status = None
    at = Setting(tmp_path, target.url, every_min=0.0)
    began = time.monotonic()
    for number in range(1, 1200):
        at.notify(sighting(number, changed=True))
    assert time.monotonic() - began < 2
    until(lambda: at.notify._boxes[0]._busy_since_s)
    at.now_s += 40
    until(lambda: at.notify.trouble == "notify 1 (json) hangs")
    began = time.monotonic()
    at.now_s = 0.0
    threading.Timer(0.3, lambda: setattr(at, "now_s", 1e6)).start()
    at.notify.close()
    assert time.monotonic() - began < 1.5
    assert at.notify.lost >= 1000


@pytest.mark.parametrize(
    "text, key",
    [
        ("on = 1", "on"),
        ("urls_file = 1", "urls_file"),
        ('labels = "a"', "labels"),
        ("labels = [1]", "labels"),
        ("every_min = -1", "every_min"),
        ("every_min = nan", "every_min"),
        ("every_min = 1e6", "every_min"),
        ('every_min = "1"', "every_min"),
        ('quiet = "22:00-07:00"', "quiet"),
        ('quiet = ["22-7"]', "quiet"),
        ('quiet = ["22:60-23:00"]', "quiet"),
        ('quiet = ["24:01-03:00"]', "quiet"),
        ('quiet = ["07:00-07:00"]', "quiet"),
        ('quiet = [""]', "quiet"),
        ("image = 1", "image"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "watch.toml").write_text(f"[notify]\n{text}\n")
    with pytest.raises(ConfigurationError, match=rf"^notify\.{key}: must be ") as caught:
        build(read(tmp_path / "watch.toml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, line",
    [
        ("", "notify.urls_file: has no URL; "),
        ("# none\n", "notify.urls_file: has no URL; "),
        (
            f"json://127.0.0.1\nno-service://{SECRET}",
            "notify.urls_file: URL 2 has an unknown service; ",
        ),
    ],
)
def test_a_wrong_url_is_one_line_without_it(tmp_path: Path, content: str, line: str) -> None:
    (tmp_path / "urls").write_text(content)
    options = ("--notify-on", "--notify-urls-file", str(tmp_path / "urls"))
    done = run("-m", "edge", "watch", "--source", str(HOTDOG), *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"edge-watch: {line}") and done.stderr.count("\n") == 1
    assert SECRET not in done.stderr
