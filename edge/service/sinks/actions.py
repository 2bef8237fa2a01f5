"""Acts on a change of state without a broker: runs a program, or switches a pin."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from edge.errors import ConfigurationError, EdgeError, reason_of
from edge.image.preprocess import encode_jpeg, read_image
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.action_settings import ActionSettings

GRACE_S = 0.3  # between a request to end and a kill; the service itself ends within two seconds
# A program of the user's has no use for our secrets, and must not speak to systemd in our name.
OURS = {"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS"}


class Acting(Protocol):
    """What an action does."""

    failures: int

    def start(self, sighting: Sighting) -> bool:
        """Begin, without waiting; False while it is still at it."""

    def close(self) -> None:
        """End it."""


class Action(Sink):
    """One [[action]] table. A change that comes too early, or too late, is not acted on."""

    def __init__(
        self,
        settings: ActionSettings,
        report: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin. Raises: ConfigurationError where what it needs is not installed.

        Args: when and what; what takes a line about failures; the time to go by.
        """
        self.name = settings.name
        self._settings, self._report, self._monotonic = settings, report, monotonic
        self._acting: Acting | None = None
        self._fault: Exception | None = None
        self._acted_s = -settings.every_s
        try:
            self._begin()  # a pin has its first level before the first frame
        except ConfigurationError:
            raise
        except (OSError, EdgeError) as error:
            self._fault = error

    def _begin(self) -> Acting:
        if self._acting is None:
            if self._settings.gpio:
                from edge.service.sinks.pin import Pin

                self._acting = Pin(self._settings)
            else:
                self._acting = Program(self._settings, self.name, self._report)
        return self._acting

    def __call__(self, sighting: Sighting) -> bool:
        """Act on a change; return whether there was one to act on. Raises: OSError, EdgeError."""
        fault, self._fault = self._fault, None
        if fault:
            raise fault
        acting, now = self._begin(), self._monotonic()
        if not self._is_meant(sighting) or now - self._acted_s < self._settings.every_s:
            return False
        if not acting.start(sighting):
            return False
        self._acted_s = now
        return True

    def _is_meant(self, sighting: Sighting) -> bool:
        settings, change = self._settings, sighting.change
        if change is None or sighting.frame is None:  # a door must not open minutes later
            return False
        if settings.zone and settings.zone != sighting.zone:
            return False
        is_to = not settings.to or change.after in settings.to
        return is_to and (not settings.from_ or change.before in settings.from_)

    @property
    def failures(self) -> int:
        """How often a program has failed."""
        return self._acting.failures if self._acting else 0

    def close(self) -> None:
        """End the program, or switch the pin off."""
        if self._acting:
            self._acting.close()


class Program:
    """A program of the user's: one at a time, in a process group that ends with it."""

    def __init__(self, settings: ActionSettings, name: str, report: Callable[[str], None]) -> None:
        """Args: the program and its deadline; what reports call it; what takes a line."""
        self.failures = 0
        self._settings, self._name, self._report = settings, name, report
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None  # until it is reaped
        self._closed = False
        self._lock = threading.Lock()

    def start(self, sighting: Sighting) -> bool:
        """Run it in a thread; False while it still runs."""
        if self._thread and self._thread.is_alive():
            return False
        run = threading.Thread(target=self._run, args=(sighting,), name=self._name, daemon=True)
        run.start()
        self._thread = run
        return True

    def close(self) -> None:
        """End it, with its children."""
        self._closed = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._thread and self._thread.is_alive():
                self._signal(number)
                self._thread.join(GRACE_S)

    def _run(self, sighting: Sighting) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="edge-action-") as folder:
                fault = self._outcome(self._input(sighting, Path(folder)))
        except (OSError, EdgeError) as error:
            fault = reason_of(error)
        if fault and not self._closed:
            self.failures += 1
            self._report(f"{self._name}: {fault}")

    def _input(self, sighting: Sighting, folder: Path) -> bytes:
        record = sighting.as_dict()
        if self._settings.image and sighting.frame is not None:
            path = folder / "frame.jpg"
            path.write_bytes(encode_jpeg(read_image(sighting.frame.picture)))
            record["image"] = str(path)
        return json.dumps(record).encode() + b"\n"

    def _outcome(self, content: bytes) -> str:
        """Run it; return what went wrong, "" for nothing."""
        with self._lock:
            if self._closed:
                return ""
            process = self._process = subprocess.Popen(
                self._settings.command,
                stdin=subprocess.PIPE,
                stdout=2,  # the journal: our own output is for records
                env=environment(os.environ),
                start_new_session=True,
            )
        assert process.stdin
        with contextlib.suppress(OSError):  # it need not read it
            process.stdin.write(content)
            process.stdin.close()
        in_time = self._wait(process.pid, self._settings.deadline_s)
        if not in_time:
            self._signal(signal.SIGTERM)
            self._wait(process.pid, GRACE_S)
        self._signal(signal.SIGKILL)  # what it has left behind, too
        with self._lock:
            status, self._process = process.wait(), None
        if not in_time:
            return f"killed after {self._settings.deadline_s:g} s"
        return f"ended with exit status {status}" if status else ""

    @staticmethod
    def _wait(pid: int, seconds: float) -> bool:
        """Whether a process has ended within a time. It is not reaped: its group keeps its name."""
        handle = os.pidfd_open(pid)
        try:
            return bool(select.select([handle], [], [], seconds)[0])
        finally:
            os.close(handle)

    def _signal(self, number: int) -> None:
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process:
                os.killpg(self._process.pid, number)


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What a program gets of the service's environment."""
    return {k: v for k, v in ours.items() if k not in OURS and not k.startswith("EDGE_")}
