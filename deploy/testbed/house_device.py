"""The service beside Home Assistant, and what it leaves at the broker, for home_assistant.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from brokers import Broker

MODEL = Path("models/hotdog-scratch.tflite")
SHED = (
    *("--mqtt-device", "shed", "--mqtt-pictures"),
    *("--mqtt-commands", "pause,snapshot,classify,keep,threshold"),
)
PAGE = """
[web]
listen = "127.0.0.1:8090"
url = "http://127.0.0.1:8090/"
"""
THERMOMETER = Path("/sys/class/thermal/thermal_zone0")  # test-ha.sh has mounted a folder over it


class Device:
    """edge-watch, started again 10 s after it exits, as its unit says."""

    def __init__(self, work: Path, url: str) -> None:
        self._work, self._url = work, url
        self.photos = work / "photos"
        self.photos.mkdir()
        self.starts, self.options = 0, list[str]()
        self._process: subprocess.Popen[bytes] | None = None
        self._due_s = 0.0

    def show(self, *pictures: bytes) -> None:
        """Have the camera see these in turns: one, or always as many."""
        new = self._work / "new.jpg"
        for number, picture in enumerate(pictures):
            new.write_bytes(picture)
            new.rename(self.photos / f"frame-{number:02}.jpg")

    def lose_camera(self) -> None:
        """Take the camera away."""
        self.photos.rename(self._work / "away")

    def find_camera(self) -> None:
        """Bring it back."""
        (self._work / "away").rename(self.photos)

    def start(self, *options: object) -> None:
        """Start it with options, which hold for later starts as well."""
        self.options = list(map(str, options))
        self._start()

    def _start(self) -> None:
        self.starts += 1
        words = [sys.executable, "-m", "edge", "watch", "--source", self.photos, "--repeat"]
        words += ["--fps", "5", "-m", MODEL, "--every", "0", "--mqtt", self._url]
        words += ["--mqtt-state-every-s", "2", *self.options]
        environment = os.environ | {"STATE_DIRECTORY": str(self._work / "state")}
        with (self._work / "watch.log").open("a") as log:
            self._process = subprocess.Popen(
                list(map(str, words)), stdout=log, stderr=log, env=environment
            )

    def look(self) -> None:
        """Do as systemd: start it again 10 s after it has exited."""
        if self._process and self._process.poll() is not None:
            self._process, self._due_s = None, time.monotonic() + 10
        if self._process is None and time.monotonic() >= self._due_s:
            self._start()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    def end(self) -> None:
        """Tell it to end."""
        if self._process:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def forget(self) -> None:
        """Do as uninstall.sh."""
        words = [sys.executable, "-m", "edge", "watch", "--forget", "--mqtt", self._url]
        environment = os.environ | {"STATE_DIRECTORY": str(self._work / "state")}
        subprocess.run([*words, *self.options], check=True, env=environment, timeout=60)


def retained(broker: Broker) -> list[str]:
    """The topics of ours that the broker keeps."""
    words = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", "#"]
    words += ["--retained-only", "-W", "2", "-F", "%t"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return sorted(topic for topic in done.stdout.split() if topic != "homeassistant/status")


def announced(broker: Broker) -> set[str]:
    """The unique ids of the entities that discovery announces; one that is off has none."""
    words = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "--retained-only"]
    words += ["-t", "homeassistant/device/#", "-W", "2", "-F", "%p"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    messages: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    parts = [part for message in messages for part in message["components"].values()]
    return {part["unique_id"] for part in parts if set(part) != {"platform"}}


def content_of(url: str) -> bytes:
    """What a URL has; nothing where it cannot be had."""
    try:
        with urlopen(url, timeout=30) as answer:
            content: bytes = answer.read()
            return content
    except (OSError, ValueError):
        return b""


def heat(celsius: float | None) -> None:
    """Set the processor's temperature; None: the machine does not measure it."""
    THERMOMETER.mkdir(exist_ok=True)
    (THERMOMETER / "type").write_text("x86_pkg_temp" if celsius else "unknown")
    (THERMOMETER / "temp").write_text(f"{round(1000 * (celsius or 0))}")
