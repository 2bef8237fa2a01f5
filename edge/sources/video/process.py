"""The decoder's process, seen from the one that classifies: requests, replies, deadlines."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from edge.child import environment, python
from edge.errors import ConfigurationError, SourceError
from edge.image.preprocess import Pixels

MAX_FRAME = 3 * 40_000_000  # bytes; pages are taken only as they are written
CLOSE_S = 1.0  # a killed process is gone at once
INSTALL = (
    "pip install 'edge-classify[video]', or sudo apt install python3-av, "
    "or sudo deploy/install.sh --with video"
)
Reply = dict[str, Any]


class Decoder:
    """A process that decodes one video; `close` kills it."""

    def __init__(self, name: str, request: Reply) -> None:
        """Start it. Args: what to call it in errors; what to open, see decoder.py."""
        self._name = name
        self._memory = _anonymous_memory()
        self._map: mmap.mmap | None = None
        self._text = b""  # of replies that are not whole yet
        os.ftruncate(self._memory, MAX_FRAME)
        command = python("-m", "edge.sources.video.decoder", str(self._memory))
        self._process = subprocess.Popen(
            command,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._memory,),
            bufsize=0,
        )
        self.ask(request)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, request: Any) -> None:
        """Write a request; that it has ended is noticed by `reply`."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{json.dumps(request)}\n".encode())

    def reply(self, timeout_s: float) -> Reply | None:
        """Return the next reply; None where none came in time.

        Raises: SourceError: there is no image, or the process has ended.
        """
        assert self._process.stdout
        until = time.monotonic() + timeout_s
        while b"\n" not in self._text:
            left_s = max(0.0, until - time.monotonic())
            if not select.select([self._process.stdout], [], [], left_s)[0]:
                return None
            more = os.read(self._process.stdout.fileno(), 65536)
            if not more:
                raise self._ended()
            self._text += more
        line, _, self._text = self._text.partition(b"\n")
        reply: Reply = json.loads(line)
        if "error" in reply:
            raise SourceError(self._name, *reply["error"])
        return reply

    def pixels(self, frame: tuple[int, int, int]) -> Pixels:
        """Copy a frame out of the shared memory, upright: (height, width, 3) RGB.

        Args: height, width and counter-clockwise quarter turns, as the reply has them.
        """
        height, width, turns = frame
        if self._map is None:
            self._map = mmap.mmap(self._memory, MAX_FRAME, prot=mmap.PROT_READ)
        stored = np.frombuffer(self._map, np.uint8, height * width * 3)
        pixels = stored.reshape(height, width, 3).copy()
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels

    def close(self) -> None:
        """Kill it, and give back what it had."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it waits in the kernel for a disk
            self._process.wait(CLOSE_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def _ended(self) -> SourceError:
        code = self._process.wait()
        if code == 1 and not has_pyav():
            return SourceError(self._name, "needs PyAV", INSTALL)
        why = f"signal {-code}" if code < 0 else f"status {code}"
        return SourceError(self._name, f"the decoder failed ({why})", "it will be restarted")


def _anonymous_memory() -> int:
    """Return the descriptor of memory without a name; nothing is left of it after a crash."""
    if sys.platform == "linux":
        return os.memfd_create("edge-frame", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def has_pyav() -> bool:
    """Whether PyAV is installed."""
    from importlib.util import find_spec

    return find_spec("av") is not None


def ensure_pyav(name: str) -> None:
    """Raises: ConfigurationError, without PyAV, and on Windows."""
    if not hasattr(os, "fork"):
        fault = "videos and network cameras need Linux or macOS"
        raise ConfigurationError(name, fault, "on Windows, use WSL 2")
    if not has_pyav():
        raise ConfigurationError(name, "needs PyAV", INSTALL)
