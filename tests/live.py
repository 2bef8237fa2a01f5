"""A running edge-watch with a live page, and what asks it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from conftest import ROOT

from edge.image.preprocess import encode_jpeg

HOTDOG = Path(__file__).parent / "data" / "hotdog.jpg"
TOKEN = "a-token-for-tests"
TIMEOUT_S = 60.0


class Watching:
    """The process, and its page's port."""

    def __init__(self, folder: Path, source: Path, *options: object, port: int = 0) -> None:
        self.stderr = folder / "stderr"
        self.state = folder / "state"
        self.state.mkdir(exist_ok=True)
        (folder / "token").write_text(f"{TOKEN}\n")
        words = [sys.executable, "-m", "edge", "watch", "--source", source, "--repeat"]
        words += ["--every", 0, "--web", port, *options]
        with self.stderr.open("w") as stderr, (folder / "stdout").open("w") as stdout:
            self.process = subprocess.Popen(
                list(map(str, words)),
                cwd=ROOT,
                stdout=stdout,
                stderr=stderr,
                env=os.environ | {"STATE_DIRECTORY": str(self.state)},
            )
        self.port = port or int(self.said(r"live page: http://127\.0\.0\.1:(\d+)/"))

    def said(self, pattern: str) -> str:
        """Wait for a line on stderr, and return the pattern's group in it."""
        found = until(lambda: re.search(pattern, self.stderr.read_text()))
        return str(found.group(found.lastindex or 0))

    def get(
        self, path: str, method: str = "GET", body: str = "", **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask, and return the answer with its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, named)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def document(self, path: str) -> dict[str, Any]:
        """Ask for JSON."""
        answer, content = self.get(path)
        assert answer.status == 200, (path, answer.status, content)
        return json.loads(content)

    def control(self, path: str, body: object = None, token: str = TOKEN) -> tuple[int, str]:
        """Ask for a control, and return the answer's status and text."""
        text = json.dumps({} if body is None else body)
        answer, content = self.get(path, "POST", text, Authorization=f"Bearer {token}")
        return answer.status, content.decode().strip()

    def after(self, frames: int) -> dict[str, Any]:
        """The newest result, once so many frames were classified."""

        def enough() -> dict[str, Any] | None:
            latest = self.document("/latest.json")
            return latest if latest["result"] and latest["result"]["frame"] >= frames else None

        return until(enough)

    def end(self) -> int:
        """Tell it to end, and return its exit status."""
        self.process.terminate()
        return self.process.wait(TIMEOUT_S)


@contextmanager
def watching(folder: Path, source: Path, *options: object, port: int = 0) -> Iterator[Watching]:
    """A service with controls, which ends with the block."""
    running = Watching(folder, source, "--web-token", folder / "token", *options, port=port)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def until(holds: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Wait for something that is true, and return it."""
    end = time.monotonic() + timeout_s
    while True:
        with suppress(IndexError):  # the first message has not come yet
            if found := holds():
                return found
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def scenes(folder: Path, frames: int = 8) -> Path:
    """Draw what the shipped model is sure of: hot dogs, then grass; 640 x 480, by name in order."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    for index in range(frames):
        (folder / f"a{index:02}.jpg").write_bytes(HOTDOG.read_bytes())
        grass = random.normal((70, 120, 50), 12, (480, 640, 3)).clip(0, 255).astype(np.uint8)
        (folder / f"b{index:02}.jpg").write_bytes(encode_jpeg(grass))
    return folder
