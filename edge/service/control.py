"""Commands: what people change while the service runs, from a broker or the page, in any thread.

A command takes effect in the thread that brings it, and wakes the loop. What must outlive a
restart is in a file: a service that was paused for privacy stays paused.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from edge.files import replace_file
from edge.names import COMMAND_SCHEMA

PAUSE, SNAPSHOT, CLASSIFY, KEEP, THRESHOLD = COMMANDS = (
    "pause",  # ON: frames are not classified, and the camera is closed; OFF: resume
    "snapshot",  # save the next frame
    "classify",  # classify a frame now, whatever the rate, schedule and motion gate
    "keep",  # save the next frame as an example of a label
    "threshold",  # 0..1, or auto for the configured one; LABEL=0..1 and LABEL=auto: of one label
)
OF_ZONE = (KEEP, THRESHOLD)  # the others are for the camera, and so for all zones
MAX_BYTES = 256  # of a payload
PER_SECOND, BURST = 10.0, 20.0  # commands that are accepted
AUTO = "auto"
ALL = ""  # all labels, in a zone's thresholds
SWITCHED = {"on": True, "off": False}


class CommandError(EdgeError):
    """A command that is rejected."""


@dataclass(frozen=True)
class Command:
    """A command that was accepted."""

    name: str  # of COMMANDS
    value: bool | float | str | None  # of pause, threshold, keep
    by: str  # "mqtt" or "page"
    at: datetime
    zone: str = ""  # "": all
    label: str = ALL  # of a threshold

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes; a zone that has a name, and a label where one is meant."""
        record: dict[str, Any] = {"schema": COMMAND_SCHEMA, "command": self.name}
        record |= {"value": self.value, "by": self.by}
        record["at"] = self.at.isoformat(timespec="milliseconds")
        record |= {"zone": self.zone} if self.zone else {}
        return record | ({"label": self.label} if self.label else {})


class Control:
    """Owns what commands have changed."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        ask: Callable[[], None] = lambda: None,
        labels: Mapping[str, Callable[[], Collection[str]]] | None = None,
        report: Callable[[str], None] = lambda line: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin as the last run ended.

        Args:
            path: the file that remembers it; None: it is not remembered.
            ask: requests a snapshot of the next frame.
            labels: by the name of each zone the labels that `keep` accepts now; None: one zone
                without a name, which has none.
            report: takes a line where the file cannot be written.
            monotonic: the time to go by.
        """
        self._path, self._report, self._monotonic = path, report, monotonic
        self.ask, self.labels = ask, {"": tuple} if labels is None else labels
        self.ignored = 0  # commands that were rejected
        self.keep_as: dict[str, str] = {}  # by zone the label of its next frame
        self.changed: list[Callable[[], None]] = []  # called after each, in its thread
        self.paused, self.thresholds = _remembered(path)  # by zone, then by label, or of ALL
        self._lock = threading.Lock()
        self._awake, self._now = threading.Event(), False
        self._done: deque[Command] = deque(maxlen=1000)  # not in the record yet
        self._left, self._left_s = BURST, monotonic()

    def do(self, name: str, payload: str | bytes, by: str, zone: str = "") -> Command:
        """Follow a command.

        Args:
            name: of COMMANDS.
            payload: its value, as text.
            by: who sends it.
            zone: which one, of a command that is for a zone.

        Raises: CommandError, after which it is counted in `ignored`.
        """
        with self._lock:
            try:
                value, label = self._value(name, payload, zone)
                command = Command(name, value, by, datetime.now(UTC), zone, label)
            except CommandError:
                self.ignored += 1
                raise
            self._follow(command)
            self._done.append(command)
        self._awake.set()
        for each in self.changed:
            each()
        return command

    def record(self, name: str, value: str, by: str, zone: str = "") -> None:
        """Have a command in the record that was followed elsewhere."""
        self._done.append(Command(name, value, by, datetime.now(UTC), zone))

    def _value(
        self, name: str, payload: str | bytes, zone: str
    ) -> tuple[bool | float | str | None, str]:
        """The value of a command, if it has one, and a threshold's label. Raises: CommandError."""
        now = self._monotonic()
        self._left = min(BURST, self._left + (now - self._left_s) * PER_SECOND)
        self._left_s = now
        if self._left < 1:
            raise CommandError(name[:40], f"rate limit exceeded ({PER_SECOND:g}/s)", "retry later")
        self._left -= 1
        if name not in COMMANDS:
            raise CommandError(name[:40], "is not a command", f"use {', '.join(COMMANDS)}")
        self._check_zone(name, zone)
        text = _text(name, payload)
        if name == PAUSE:
            if text.lower() not in SWITCHED:
                raise CommandError(name, f"must be ON or OFF. Received: {text!r}", "send one")
            return SWITCHED[text.lower()], ALL
        if name == THRESHOLD:
            label, _, limit = text.rpartition("=")
            if label:
                self._check_label(name, label, zone)
            return _threshold(limit), label
        if name == KEEP:
            self._check_label(name, text, zone)
        return (text if name == KEEP else None), ALL

    def _check_label(self, name: str, label: str, zone: str) -> None:
        """Raises: CommandError where the zone has no such label."""
        if label not in self.labels[zone]():
            raise CommandError(name, f"must be a label of the model. Received: {label!r}", "")

    def _check_zone(self, name: str, zone: str) -> None:
        """Raises: CommandError where a command is for a zone, and that is none; or the reverse."""
        known = self.labels if name in OF_ZONE else ("",)
        if zone not in known:
            of = f"is for a zone: {', '.join(known)}" if any(known) else "is not for a zone"
            raise CommandError(name, f"{of}. Received: {zone!r}", "")

    def _follow(self, command: Command) -> None:
        if command.name == PAUSE:
            self.paused = bool(command.value)
        elif command.name == THRESHOLD:
            self._limit(command)
        elif command.name == SNAPSHOT:
            self.ask()
        elif command.name == CLASSIFY:
            self._now = True
        else:
            self.keep_as[command.zone] = str(command.value)
        if command.name in (PAUSE, THRESHOLD):
            self._remember()

    def _limit(self, command: Command) -> None:
        """Set a threshold, of all labels or one; other threads see the old ones or the new ones."""
        known = self.thresholds.get(command.zone, {})
        others = {} if command.label == ALL else known
        limits = {label: limit for label, limit in others.items() if label != command.label}
        if isinstance(command.value, float):
            limits[command.label] = command.value
        self.thresholds[command.zone] = limits

    def taken(self) -> list[Command]:
        """The commands since the last call, for the record; in the loop's thread."""
        taken = []
        while self._done:
            taken.append(self._done.popleft())
        return taken

    def takes_now(self) -> bool:
        """Whether a frame is to be classified now; once for each command."""
        was, self._now = self._now, False
        return was

    @property
    def wants_now(self) -> bool:
        """The same, without an end to it."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Sleep, in the loop's thread, until then or the next command."""
        self._awake.wait(seconds)
        self._awake.clear()

    def _remember(self) -> None:
        if self._path:
            content = json.dumps({"paused": self.paused, "thresholds": self.thresholds})
            try:
                replace_file(self._path, content.encode())
            except OSError as error:
                self._report(f"{self._path}: cannot be written ({error.strerror})")


def _text(name: str, payload: str | bytes) -> str:
    if len(payload) > MAX_BYTES:
        raise CommandError(name, f"has {len(payload)} bytes, at most {MAX_BYTES} are allowed", "")
    try:
        text = payload.decode() if isinstance(payload, bytes) else payload
    except ValueError as error:
        raise CommandError(name, "is not text", "send UTF-8") from error
    if not text.strip():
        raise CommandError(name, "has no value", "send a value")
    return text.strip()


def _threshold(text: str) -> float | None:
    """A threshold; None for the configured one. Raises: CommandError."""
    if text.lower() == AUTO:
        return None
    with contextlib.suppress(ValueError):
        value = float(text)
        if math.isfinite(value) and 0 <= value <= 1:
            return value
    raise CommandError(THRESHOLD, f"must be a number from 0 to 1. Received: {text!r}", "")


def _remembered(path: Path | None) -> tuple[bool, dict[str, dict[str, float]]]:
    """What the last run left: whether it was paused, and the thresholds by zone and label."""
    try:
        content = json.loads(path.read_bytes()) if path else {}
    except (OSError, ValueError, RecursionError):
        content = {}
    if not isinstance(content, dict):
        return False, {}
    found = content.get("thresholds")
    thresholds = found if isinstance(found, dict) else {}
    return content.get("paused") is True, {
        zone: {
            label: limit
            for label, limit in (of if isinstance(of, dict) else {ALL: of}).items()
            if isinstance(limit, float) and 0 <= limit <= 1
        }
        for zone, of in thresholds.items()
    }
