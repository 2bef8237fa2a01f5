"""How soon an event is at a subscriber, and what MQTT costs the service: a Mosquitto on loopback.

- Events: the sink is given a change of state every 20 ms, and a subscriber notes when it has it.
- Commands: a real edge-watch is paused and resumed in turns, at the rate that it accepts, and a
  subscriber notes when its zone's state has followed.
- Cost: processor time that the sink takes of a frame without a change, its threads and states with
  it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.benchmark import drawn_picture
from edge.classifier.classify import Category, Result
from edge.classifier.model import models_folder
from edge.commands import run
from edge.commands.arguments import count
from edge.errors import EdgeError
from edge.service.health import Vitals
from edge.service.mqtt.settings import MqttSettings
from edge.service.mqtt.sink import Mqtt
from edge.service.sighting import Sighting
from edge.service.zones.steady import Change
from edge.sources.frame import Frame

NAME = "mqtt"
PAUSE_S = 0.02  # between two events
COMMAND_PAUSE_S = 0.11  # ten commands a second are accepted
PIXELS = np.zeros((480, 640, 3), np.uint8)
VITALS = Vitals(
    up_s=1.0,
    fps=10.0,
    waiting="",
    idle=False,
    rest="",
    silent_s=0.2,
    has_result=True,
    unreadable=4,
    reopened=0,
    celsius=50.0,
    throttling=None,
    model="hotdog.tflite",
    version="0123456789ab",
    runtime="",
    labels=("hotdog", "nothotdog"),
    sinks={},
    trouble="",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/mqtt.py`."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/mqtt.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=count, default=1000, help="default: 1000")
    parser.add_argument("--frames", type=count, default=20_000, help="default: 20000")
    parser.add_argument("--commands", type=count, default=200, help="default: 200")
    args = parser.parse_args(argv)
    return run(lambda: _measure(args.events, args.frames, args.commands), NAME)


def _measure(events: int, frames: int, commands: int) -> int:
    with tempfile.TemporaryDirectory() as folder, _broker(Path(folder)) as port:
        settings = MqttSettings(url=f"mqtt://127.0.0.1:{port}", device="bench")
        with closing(Mqtt(settings, lambda *_: VITALS, print)) as sink:
            delays = _delays_ms(sink, port, events)
            cost = _cost_ms(sink, frames)
        followed = _commands_ms(Path(folder), port, commands)
    p50, p99 = np.percentile(delays, [50, 99])
    print("| what | measured | wanted |\n|---|---|---|")
    print(f"| event to subscriber, {events} events: p50 | {p50:.2f} ms | |")
    print(f"| p99 | {p99:.2f} ms | 20 |")
    print(f"| longest | {max(delays):.2f} ms | |")
    median, most = np.percentile(followed, [50, 99])
    print(f"| command to the zone's state, {commands} commands: p50 | {median:.2f} ms | |")
    print(f"| p99 | {most:.2f} ms | 100 |")
    print(f"| processor time per frame, without an event | {cost:.4f} ms | |")
    return 0


@contextmanager
def _broker(folder: Path) -> Iterator[int]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if not program:
        raise EdgeError("mosquitto", "is not installed", "sudo apt install mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", str(settings)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield port
    finally:
        process.terminate()
        process.wait()


def _delays_ms(sink: Mqtt, port: int, events: int) -> list[float]:
    """From giving the sink an event until a subscriber has it, in ms."""
    heard: dict[int, float] = {}
    ready = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _, __, message: heard.setdefault(
        json.loads(message.payload)["frame"], time.perf_counter()
    )
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe("edge-classify/+/event", qos=1)
    client.loop_start()
    ready.wait(10)
    given = {}
    for number in range(1, events + 1):
        change = Change("unknown", "hotdog", 0.9, 1.0)
        sighting = replace(_sighting(number), change=change)
        given[number] = time.perf_counter()
        sink(sighting)
        time.sleep(PAUSE_S)
    time.sleep(1)
    client.disconnect()
    client.loop_stop()
    if len(heard) < events:
        raise EdgeError(NAME, f"{events - len(heard)} events were lost", "tell us")
    return [(heard[number] - at) * 1000 for number, at in given.items()]


def _commands_ms(folder: Path, port: int, commands: int) -> list[float]:
    """From publishing a command until the zone's state has followed, in ms."""
    photo = folder / "photo.jpg"
    photo.write_bytes(drawn_picture())
    words = ["--source", str(photo), "--repeat", "--fps", "2", "--every", "0"]
    words += ["--mqtt", f"mqtt://127.0.0.1:{port}", "--mqtt-device", "commanded"]
    words += ["--mqtt-commands", "pause", "-m", str(models_folder() / "hotdog-scratch.tflite")]
    states: Queue[tuple[float, bool]] = Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _, __, message: states.put(
        (time.perf_counter(), json.loads(message.payload)["state"] == "paused")
    )
    client.connect("127.0.0.1", port)
    client.subscribe("edge-classify/commanded/health", qos=1)
    client.loop_start()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "watch", *words], stdout=subprocess.DEVNULL
    )
    delays = []
    try:
        states.get(timeout=60)
        time.sleep(5)  # until it is live
        for number in range(commands):
            wanted = number % 2 == 0
            began = time.perf_counter()
            text = "ON" if wanted else "OFF"
            client.publish("edge-classify/commanded/command/pause", text, qos=1)
            while True:
                at, paused = states.get(timeout=60)
                if at > began and paused == wanted:
                    break
            delays.append((at - began) * 1000)
            time.sleep(COMMAND_PAUSE_S)
    finally:
        process.terminate()
        process.wait(20)
        client.disconnect()
        client.loop_stop()
    return delays


def _cost_ms(sink: Mqtt, frames: int) -> float:
    """Processor time of this process for each frame, in ms; the median of ten parts."""
    parts = []
    for part in range(10):
        began = time.process_time()
        for number in range(frames // 10):
            sink(_sighting(part * frames + number))
        parts.append((time.process_time() - began) * 10_000 / frames)
    return statistics.median(parts)


NOW = datetime.now(UTC)
RESULT = Result(
    source="camera 0",
    label="hotdog",
    score=0.9,
    categories=(Category(0, "hotdog", 0.9),),
    preprocess_ms=1.0,
    invoke_ms=5.0,
    model="hotdog.tflite",
    runtime="",
    captured_at=NOW,
    scores=np.array([0.9, 0.1], np.float32),
)


def _sighting(number: int) -> Sighting:
    frame = Frame("camera 0", PIXELS, NOW, time.monotonic_ns())
    return Sighting(number, frame, RESULT, "hotdog", 0.9, None, 6.0, 0)


if __name__ == "__main__":
    sys.exit(main())
