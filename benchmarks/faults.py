"""What the service makes of damaged files, over real time and real starts.

- A damaged picture in a folder that repeats: how often it is looked at, and how many lines of the
  log that makes.
- A damaged model file at a start, one after the other by ten kinds of damage: how many starts run
  the last good model, and say so on the page and, where there is a Mosquitto, over MQTT.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.benchmark import drawn_picture
from edge.classifier.model import models_folder
from edge.commands import complain, run
from edge.commands.arguments import count
from edge.errors import EdgeError
from edge.service.models import model_version

NAME = "faults"
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
ENOUGH_S = 60.0  # for a start on a busy machine

# By what a file is damaged: cut short, emptied, overwritten, torn.
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "the first half": lambda whole: whole[: len(whole) // 2],
    "all but the last byte": lambda whole: whole[:-1],
    "empty": lambda whole: b"",
    "its first 8 bytes": lambda whole: whole[:8],
    "zeros": lambda whole: bytes(len(whole)),
    "zeros from the middle on": lambda whole: whole[: len(whole) // 2] + bytes(len(whole) // 2),
    "a first page of zeros": lambda whole: bytes(4096) + whole[4096:],
    "a page of it": lambda whole: whole[4096:8192],
    "a web page": lambda whole: b"<!doctype html><title>404</title>\n",
    "all bits turned": lambda whole: bytes(byte ^ 255 for byte in whole),
}


class StartError(EdgeError):
    """A service that did not become what was asked for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/faults.py`."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/faults.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = "with the damaged picture (default: 3600)"
    parser.add_argument("--seconds", type=count, default=3600, metavar="N", help=text)
    args = parser.parse_args(argv)
    return run(lambda: _measure(args.seconds), NAME)


def _measure(seconds: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        good, said = _starts(Path(name) / "starts")
        looked, lines = _damaged_picture(Path(name) / "picture", seconds)
    print("| what | measured | wanted |\n|---|---|---|")
    where = f"page{' and MQTT' if MOSQUITTO else ' (no Mosquitto here)'}"
    print(f"| starts with a damaged model file that run the last good one | {good} of 10 | 10 |")
    print(f"| of these, said so on {where} | {said} of 10 | 10 |")
    print(f"| log lines in {seconds} s from a picture that was read {looked} times | {lines} | 1 |")
    return 0 if (good, said, lines) == (len(DAMAGES), len(DAMAGES), 1) else 1


# --- starts


def _starts(folder: Path) -> tuple[int, int]:
    """How many starts ran the good model, and how many said why."""
    folder.mkdir()
    model, good, said = folder / "mine.tflite", 0, 0
    whole = (models_folder() / "hotdog-scratch.tflite").read_bytes()
    model.write_bytes(whole)
    version = model_version(model)
    picture = folder / "picture.jpg"
    picture.write_bytes(drawn_picture())
    with _broker(folder) as url:
        options = ["--source", picture, "--repeat", "--fps", "5", "-m", model]
        options += ["--mqtt", url, "--mqtt-device", "bench"] if url else []
        with _service(folder, options) as port:
            _live(port)
        for kind, damage in DAMAGES.items():
            model.write_bytes(damage(whole))
            with _service(folder, options) as port:
                vitals = _live(port)["health"]
                runs, tells = (
                    vitals["model_version"] == version,
                    str(model) in vitals["model_problem"],
                )
                if url:
                    tells &= str(model) in _told(url, model)
            complain(NAME, f"{kind}: {'the last good one' if runs else 'wrong'}")
            good, said = good + runs, said + tells
    return good, said


def _told(url: str, model: Path) -> str:
    """What MQTT says of the model, once the run's own message has come."""
    port = url.rpartition(":")[2].partition("/")[0]
    words = ["mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-t", "edge-classify/bench/state"]
    end = time.monotonic() + ENOUGH_S
    while time.monotonic() < end:
        done = subprocess.run([*words, "-C", "1", "-W", "15"], capture_output=True, check=False)
        if done.stdout and str(model) in (told := json.loads(done.stdout)["model_problem"]):
            return str(told)
        time.sleep(0.2)
    return ""


# --- a damaged picture


def _damaged_picture(folder: Path, seconds: int) -> tuple[int, int]:
    """How often it was read, and how many lines tell of it."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    (photos / "good.jpg").write_bytes(drawn_picture())
    (photos / "damaged.jpg").write_bytes(drawn_picture()[:2000])
    options = ["--source", photos, "--repeat", "--fps", "10"]
    options += ["-m", models_folder() / "hotdog-scratch.tflite"]
    with _service(folder, options) as port:
        time.sleep(seconds)
        looked = _live(port)["health"]["unreadable"]
    return looked, sum("damaged.jpg" in line for line in (folder / "log").open())


# --- what is started


@contextmanager
def _service(folder: Path, options: Sequence[object]) -> Iterator[int]:
    """A service, by the port of its page; what it says is added to FOLDER/log."""
    port = _free_port()
    words = [sys.executable, "-m", "edge", "watch", "--every", "0", "--web", port, *options]
    with (folder / "log").open("a") as log, (folder / "records").open("a") as records:
        environment = os.environ | {"STATE_DIRECTORY": str(folder / "state")}
        process = subprocess.Popen(
            list(map(str, words)), stdout=records, stderr=log, env=environment
        )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _live(port: int) -> dict[str, Any]:
    """What the page says, once there is a result. Raises: StartError."""
    end = time.monotonic() + ENOUGH_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/latest.json", timeout=5) as told:
                latest: dict[str, Any] = json.load(told)
            if latest["result"]:
                return latest
        except OSError:
            pass  # it is not there yet
        time.sleep(0.1)
    raise StartError("edge-watch", f"gave no result in {ENOUGH_S:.0f} s", "see its log")


@contextmanager
def _broker(folder: Path) -> Iterator[str]:
    """A Mosquitto, by its URL; "" where there is none."""
    if not MOSQUITTO:
        yield ""
        return
    port = _free_port()
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    words = [MOSQUITTO, "-c", folder / "mosquitto.conf"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"mqtt://127.0.0.1:{port}/edge-classify"
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
