"""What the live page costs the service, with no one looking and with viewers; how soon it is there.

- No one looks: processor time that the page's sink takes of each frame, by a loop over sightings of
  640 x 480 pixels, its server waiting beside it.
- Five viewers of the stream: age of a frame at its result and processor time of the whole service,
  against the same service with no one looking, in turns.
- The page: its weight, and the time from asking for it until the stream's first image is whole.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge.classifier.classify import Category, Result
from edge.classifier.model import Model, default_model
from edge.classifier.trial import Trying
from edge.commands import complain, run
from edge.commands.arguments import count
from edge.image.preprocess import encode_jpeg
from edge.service.control import Control
from edge.service.delivery import Delivery
from edge.service.health import Watched, vital_signs
from edge.service.models import ModelRequirements, ModelStore
from edge.service.process.pace import Pace, PaceSettings
from edge.service.sighting import Sighting
from edge.service.sinks.dataset import Dataset
from edge.service.watch import Unreadable
from edge.service.web.handlers import STATIC
from edge.service.web.settings import WebSettings
from edge.service.web.sink import Web
from edge.service.web.station import Station
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.zone import Zone
from edge.sources.frame import Frame
from edge.sources.replay import Replay

NAME = "web"
SIZE = (480, 640)
FPS = 10
VIEWERS = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/web.py`."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/web.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", type=count, default=20_000, help="with no one looking")
    parser.add_argument("--rounds", type=count, default=5, help="with viewers and without")
    parser.add_argument("--seconds", type=count, default=8, help="of each round")
    args = parser.parse_args(argv)
    return run(lambda: _measure(args), NAME)


def _measure(args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        alone_ms = _nobody(Path(folder), args.frames)
        rounds = list(_rounds(Path(folder), args.rounds, args.seconds))
    weight = sum(path.stat().st_size for path in STATIC.iterdir())
    print("| what | measured | wanted |\n|---|---|---|")
    print(
        f"| processor time per frame, no one looks, web and metrics on | {alone_ms:.4f} ms | 0.1 |"
    )
    age, processor, first = (statistics.median(each) for each in zip(*rounds, strict=True))
    viewers = f"{VIEWERS} viewers at {FPS} fps, 640 x 480"
    print(f"| {viewers}: age of a frame at its result, against none | {age:.3f} times | 1.1 |")
    print(f"| {viewers}: processor time of the service, all threads | {processor:.3f} times | |")
    print(f"| first image after the page is asked for | {first:.3f} s | 0.5 |")
    print(f"| page weight | {weight / 1000:.1f} kB | 60 |")
    return 0


# --- no one looks


def _nobody(folder: Path, frames: int) -> float:
    """Processor time of this process per sighting, its server's thread among it, in ms."""
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    with ExitStack() as stack:
        pace = Pace(PaceSettings(), lambda: None, lambda _: None)
        store = ModelStore(default_model(), Model, Trying, ModelRequirements(), lambda _: None)
        models = stack.enter_context(closing(store))
        zones = [Zone(ZoneSettings(), models)]
        vitals = vital_signs(Watched(Replay(folder)), pace, zones, [], Unreadable(print))
        settings = WebSettings(listen="127.0.0.1:0")
        station = Station(
            settings, vitals, zones, Control(), Dataset(folder, max_files=1, max_bytes=1)
        )
        web = stack.enter_context(closing(Web(settings, station, lambda _: None)))
        sink = Delivery(web, lambda _: None)
        sightings = [_sighting(number, noise) for number in range(1, frames + 1)]
        began = time.process_time()
        for sighting in sightings:
            sink(sighting)
        return (time.process_time() - began) * 1000 / frames


def _sighting(number: int, pixels: Any) -> Sighting:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    result = Result(
        source="camera 0",
        label="hotdog",
        score=0.9,
        categories=(Category(0, "hotdog", 0.9), Category(1, "nothotdog", 0.1)),
        preprocess_ms=1.0,
        invoke_ms=5.0,
        model="hotdog.tflite",
        runtime="",
        captured_at=now,
        scores=np.array([0.9, 0.1], np.float32),
    )
    frame = Frame("camera 0", pixels, now, time.monotonic_ns())
    return Sighting(number, frame, result, "hotdog", 0.9, None, 6.0, 0)


# --- viewers


def _rounds(folder: Path, rounds: int, seconds: int) -> Iterator[tuple[float, float, float]]:
    """In each: age and processor time with viewers, against those without; the first image."""
    frames = folder / "frames"
    frames.mkdir()
    noise = np.random.default_rng(1).normal(0, 20, (8, *SIZE, 3))
    rows = np.linspace(0, 255, SIZE[0])[:, None, None]
    for number, grain in enumerate(noise):
        picture = np.clip(rows + grain, 0, 255).astype(np.uint8)
        (frames / f"{number}.jpg").write_bytes(encode_jpeg(picture))
    with _service(folder, frames) as (process, port):
        first = _first_picture(port)
        for number in range(rounds):
            alone = _watched(process.pid, port, 0, seconds)
            looked = _watched(process.pid, port, VIEWERS, seconds)
            complain(NAME, f"round {number + 1}: age {alone[0]:.2f} and {looked[0]:.2f} ms")
            yield looked[0] / alone[0], looked[1] / alone[1], first


@contextmanager
def _service(folder: Path, frames: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    words = ["-m", "edge", "watch", "--source", frames, "--repeat", "--fps", FPS, "--every", 1]
    log, results = folder / "log", folder / "results"
    with log.open("w") as stderr, results.open("w") as stdout:
        command = [sys.executable, *map(str, words), "--web", "0"]
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, text=True)
    try:
        while "live page" not in (said := log.read_text()):
            time.sleep(0.05)
        yield process, int(said.rpartition(":")[2].strip().strip("/"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _watched(pid: int, port: int, viewers: int, seconds: int) -> tuple[float, float]:
    """Median age of a frame at its result in ms, and processor time in s, while some look."""
    stop = threading.Event()
    command = [sys.executable, "-c", VIEWER, str(port)]
    looking = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(viewers)]
    for each in looking:
        assert each.stdout
        each.stdout.readline()  # it has seen its first image
    ages, number = list[float](), 0
    before = _processor_s(pid)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sighting = _latest(port)["result"]
        if sighting and sighting["frame"] != number:
            number = sighting["frame"]
            ages.append(sighting["age_ms"])
        stop.wait(1 / FPS)
    spent = _processor_s(pid) - before
    for each in looking:
        each.kill()
        each.wait()
    return statistics.median(ages), spent


VIEWER = """
import sys, urllib.request
stream = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/stream.mjpg")
stream.read(20_000)
print("sees", flush=True)
while stream.read(65_536):
    pass
"""


def _latest(port: int) -> dict[str, Any]:
    import json

    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/latest.json")
    latest: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return latest


def _first_picture(port: int) -> float:
    """From asking for the page until the stream's first image has come, in s."""
    while not _latest(port)["result"]:
        time.sleep(0.05)
    began = time.monotonic()
    for path in ("/", "/page.css", "/page.js", "/latest.json"):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", path)
        connection.getresponse().read()
        connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/stream.mjpg")
    answer = connection.getresponse()
    while not (line := answer.readline()).startswith(b"Content-Length:"):
        pass
    answer.read(int(line.split(b":")[1]))
    connection.close()
    return time.monotonic() - began


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
