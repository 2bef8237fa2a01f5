"""Masks on every way out of a real service, and a page that requires a password."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brokers import MOSQUITTO, Broker, Listener
from conftest import ROOT, run
from live import HOTDOG, TOKEN, Watching, until, watching
from notify_target import Target
from numpy.typing import NDArray
from PIL import Image
from sightings import AT

from edge.errors import ConfigurationError
from edge.image.preprocess import encode_jpeg
from edge.service.intake.masks import Masked, PrivacySettings, mask_of
from edge.sources.frame import Frame, Source, Waiting

VIEW = "a-password-for-tests"
HISTORY = ("/history.html", "/history/events.json", "/history/hours.csv", "/history/1.jpg")
HALF = "0.5 0 0.5 1"  # the right half
JUMPY = ("--steady-frames", 1, "--steady-smoothing", 1, "--steady-hold-s", 0, "-t", 0)
NO_BROKER = pytest.mark.skipif(
    not (MOSQUITTO and shutil.which("mosquitto_sub")), reason="sudo apt install mosquitto"
)


def is_masked(jpeg: bytes) -> bool:
    """Whether the right half is black, and the left one is not."""
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))
    middle = pixels.shape[1] // 2
    return bool(pixels[:, middle + 4 :].max() < 24 and pixels[:, : middle - 4].mean() > 40)


# --- on every way out


@NO_BROKER
@pytest.mark.skipif(not find_spec("apprise"), reason="pip install apprise")
def test_masks_are_on_every_way_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "0.jpg").write_bytes(HOTDOG.read_bytes())
    (source / "1.jpg").write_bytes(encode_jpeg(np.full((240, 320, 3), (170, 200, 150), np.uint8)))
    program = ROOT / "tests" / "programs" / "act.sh"
    action = f'[[action]]\ncommand = ["{program}", "{tmp_path}"]\nimage = true\n'
    (tmp_path / "watch.toml").write_text(action)
    with (
        Broker(tmp_path / "broker") as broker,
        Listener(broker, "edge-classify/+/snapshot", "-F", "%r %t %x") as listener,
        closing(Target()) as target,
    ):
        (tmp_path / "urls").write_text(target.url)
        options = ("--privacy-masks", HALF, "--fps", 10, *JUMPY, "--mqtt", broker.url)
        options += ("--config", tmp_path / "watch.toml")
        options += ("--notify-on", "--notify-urls-file", tmp_path / "urls")
        options += ("--mqtt-pictures", "--mqtt-commands", "keep")
        options += ("--snapshots-folder", tmp_path / "snapshots", "--mqtt-device", "shed")
        options += ("--history-on",)
        with watching(tmp_path, source, *options) as service:
            service.after(4)
            events = until(lambda: pictured(service))
            ways = {path: service.get(path)[1] for path in ("/frame.jpg", "/input.png")}
            ways |= {"/stream.mjpg": first_of_stream(service)}
            ways |= {path: service.get(f"/{path}")[1] for path in events[:2]}
            assert service.control("/keep", {"label": "mine"})[0] == 201
            assert service.control("/command", {"name": "keep", "value": "hotdog"})[0] == 202
            for pattern in ("state/dataset/mine/*.jpg", "state/dataset/hotdog/*.jpg"):
                ways[pattern] = until(lambda p=pattern: list(tmp_path.glob(p)))[0].read_bytes()
            ways["snapshot"] = until(lambda: list(tmp_path.glob("snapshots/*.jpg")))[0].read_bytes()
            events = until(lambda: kept_events(service))
            ways["history"] = service.get(f"/{events[0]['image']}")[1]
            ways["mqtt"] = bytes.fromhex(until(listener.messages)[0][1])
            ways["notification"] = until(target.images)[0]
            ways["action"] = until(lambda: list(tmp_path.glob("image.*.jpg")))[0].read_bytes()
    assert len(ways) == 12
    assert [way for way, jpeg in ways.items() if not is_masked(jpeg)] == []


def kept_events(service: Watching) -> list[dict[str, Any]]:
    """The events of the history, once there are some."""
    events: list[dict[str, Any]] = service.document("/history/events.json")["events"]
    return events


def pictured(service: Watching) -> list[str]:
    """Two changes that have a picture."""
    events = service.document("/events.json")["events"]
    images = [event["image"] for event in events if event["image"]]
    return images if len(images) > 1 else []


def first_of_stream(service: Watching) -> bytes:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("GET", "/stream.mjpg")
    answer = connection.getresponse()
    length = 0
    while (line := answer.readline().strip()) or not length:
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    content = answer.read(length)
    connection.close()
    return content


class Pictures(Source):
    def __init__(self, *pictures: object) -> None:
        self.pictures = pictures

    def __iter__(self) -> Iterator[Frame | Waiting]:
        for picture in self.pictures:
            yield Frame("here", picture, AT, 0)


def white(size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    return np.full((*size, 3), 255, np.uint8)


@pytest.mark.parametrize(
    "roi, columns",
    [((), (32, 64)), ((0.5, 0, 0.5, 1), (0, 64)), ((0.25, 0, 0.5, 1), (32, 64))],
)
def test_a_crop_cannot_uncover_what_is_masked(
    roi: tuple[float, ...], columns: tuple[int, int]
) -> None:
    (frame,) = Masked(Pictures(white()), PrivacySettings((HALF,)), roi)
    black = (frame.picture == 0).all(axis=(0, 2))
    assert black[slice(*columns)].all()
    assert black.sum() - (columns[1] - columns[0]) <= 1  # a pixel that the edge touches


def test_the_source_keeps_its_own_pixels_and_the_model_sees_them_if_wanted() -> None:
    pixels = white()
    (frame,) = Masked(Pictures(pixels), PrivacySettings((HALF,)))
    assert (pixels == 255).all() and frame.unmasked is None
    (frame,) = Masked(Pictures(pixels), PrivacySettings((HALF,), classify_all=True))
    assert frame.unmasked is pixels and (frame.picture[:, 40:] == 0).all()


def test_files_are_masked_in_every_form_and_a_damaged_one_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(white()))
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    frames = list(Masked(Pictures(path, path.read_bytes(), bad), PrivacySettings((HALF,))))
    for frame in frames[:2]:
        assert (frame.picture[:, 32:] == 0).all() and frame.picture[:, :31].mean() > 250
    assert frames[2].picture == b"no image"  # it stays what it was when it was looked at


@pytest.mark.parametrize("seed", range(5))
def test_a_polygon_covers_all_pixels_that_it_touches(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = [tuple(point) for point in random.uniform(0, 1, (random.integers(3, 9), 2))]
    fine = mask_of([corners], (480, 640))
    coarse = mask_of([corners], (48, 64))
    touched = fine.reshape(48, 10, 64, 10).any(axis=(1, 3))
    assert not (touched & ~coarse).any()
    assert coarse.sum() <= touched.sum() * 1.5 + 40


@pytest.mark.parametrize(
    "text", ["", "0 0 1", "0 0 0 1", "0 0 1 2", "a b c d", "0 0 nan 1", "0 0 1 0 1", "-0.1 0 1 1"]
)
def test_what_is_no_mask_is_one_line(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"privacy\.masks: must "):
        PrivacySettings((text,))


def test_a_zoom_below_the_masks_is_rejected() -> None:
    options = ("--privacy-masks", HALF, "--camera-controls", '{"ScalerCrop": [0, 0, 100, 100]}')
    done = run("-m", "edge", "watch", *options, "--print-config")
    assert done.returncode == 2
    assert done.stderr.startswith("edge-watch: camera.controls ScalerCrop: must not be set with")


# --- who may look


def test_viewing_requires_the_password_everywhere_but_for_health(tmp_path: Path) -> None:
    (tmp_path / "view").write_text(f"{VIEW}\n")
    options = ("--fps", 10, "--web-view-token-file", tmp_path / "view", "--history-on")
    with watching(tmp_path, HOTDOG, *options) as service:
        until(lambda: service.get("/healthz")[0].status == 200)
        paths = ("/", "/page.js", "/latest.json", "/frame.jpg", "/frame.json", "/stream.mjpg")
        for path in (*paths, "/input.png", "/events.json", "/history.json", "/metrics", *HISTORY):
            answer, content = service.get(path)
            assert (answer.status, content) == (401, b"a password is required\n"), path
            assert answer.getheader("WWW-Authenticate") == 'Basic realm="edge-watch"'
        for wrong in ("Basic !", f"Basic {encoded('wrong')}", "Bearer wrong", f"Digest {VIEW}x"):
            assert service.get("/frame.jpg", Authorization=wrong)[0].status == 401
        for right in (f"Basic {encoded(VIEW)}", f"Bearer {VIEW}", f"Bearer {TOKEN}"):
            assert service.get("/frame.jpg", Authorization=right)[0].status == 200
        pause = {"name": "pause", "value": True}
        assert service.control("/command", pause)[0] == 202  # the token for controls views too
        assert service.control("/command", pause, VIEW)[0] == 401  # and not the other way round


def encoded(password: str) -> str:
    return base64.b64encode(f"anyone:{password}".encode()).decode()


def test_a_short_password_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "view").write_text("short\n")
    options = ("--web", "8080", "--web-view-token-file", str(tmp_path / "view"), "--check")
    done = run("-m", "edge", "watch", "--source", str(HOTDOG), *options)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "must be at least 8 letters" in done.stderr
