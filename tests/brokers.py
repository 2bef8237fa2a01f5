"""A real Mosquitto on a port of its own, and those who listen to it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from live import until

SBIN = Path("/usr/sbin/mosquitto")  # not on every user's path
MOSQUITTO = shutil.which("mosquitto") or (str(SBIN) if SBIN.exists() else "")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Broker:
    """It keeps what subscribers have not had over a restart, as long as it is told to end."""

    def __init__(self, folder: Path, *settings: str, port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, port or free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}/edge-classify"
        lines = [f"listener {self.port} 127.0.0.1", "persistence true", *settings]
        lines += [f"persistence_location {folder}/", "autosave_interval 1", "user root"]
        lines += (
            [] if any("password_file" in line for line in settings) else ["allow_anonymous true"]
        )
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("a") as log:
            words = [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")]
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        until(self._answers)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def end(self, *, kill: bool = False) -> None:
        if self.process:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(20)
            self.process = None

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(kill=True)


class Listener:
    """mosquitto_sub, with a session that outlives a connection, and what it has heard."""

    def __init__(self, broker: Broker, topic: str, *options: str) -> None:
        self.file = broker.folder / f"heard-{time.monotonic_ns()}"
        words = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", topic, "-q", "1"]
        words += ["-c", "-i", self.file.name, "-F", "%r %t %p", *options]
        with self.file.open("w") as out:
            self.process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT)
        log = broker.folder / "log"
        until(lambda: f"{self.file.name}" in log.read_text())
        time.sleep(0.2)  # its subscription follows its connection

    def messages(self, kind: str = "") -> list[tuple[str, Any]]:
        """What has come: topics that end so, with their text, or what its JSON says."""
        found = []
        for line in self.file.read_text(errors="replace").splitlines():
            _, _, rest = line.partition(" ")
            topic, _, text = rest.partition(" ")
            if topic.endswith(kind):
                with suppress(ValueError):
                    found.append((topic, json.loads(text) if text[:1] == "{" else text))
        return found

    def frames(self) -> list[int]:
        return [told["frame"] for _, told in self.messages("/event")]

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def publish(broker: Broker, topic: str, text: str, *options: str) -> None:
    words = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", topic, "-m", text]
    words += options
    subprocess.run(words, check=True, timeout=20)


def required(name: str) -> bool:
    """Whether what is missing is a failure: `make test-mqtt` and `make test-web` say so."""
    return bool(os.environ.get(name))
