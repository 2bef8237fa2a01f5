"""What is fastest on this machine, measured once and kept in one file for all commands.

A JSON file, the user's before the system's:

    {"schema": 2, "machine": "Raspberry Pi 5 Model B Rev 1.0", "num_cores": 4,
     "model": "/home/pi/mine.tflite",          the one to use where none is named, or ""
     "measured": {"<sha256 of the model>": {
         "name": "mine.tflite", "measured_at": "2026-11-25T05:00:00+00:00",
         "versions": {"litert": "2.3.0", "tflite": "2.14.0"},
         "invoke_ms": {"litert": {"1": 9.7, "2": 5.1}, "tflite": {"1": 40.2, "2": 38.0}}}}}

`edge.classifier.selection` and `edge-benchmark --apply` write it. Times hold while the same
runtimes are installed; the choice between them is made when a model is opened, so that a process
with fewer cores takes fewer threads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from edge import board
from edge.files import replace_file, settings_places
from edge.names import TUNED, TUNED_SCHEMA

MOST_THREADS = 256
NEARLY = 1.03  # as fast as the fastest: then fewer threads, which leave others a core

Times = Mapping[str, Mapping[int, float]]  # ms of one invoke, by runtime and number of threads


class Best(NamedTuple):
    """The fastest way to run a model, within what is given."""

    runtime: str  # "litert" or "tflite"
    threads: int
    invoke_ms: float


class Measured(NamedTuple):
    """How long one model's invoke takes here."""

    name: str  # of the file, for people
    measured_at: str
    versions: Mapping[str, str]  # of the runtimes that were installed
    invoke_ms: Times

    def best(self, most_threads: int, runtime: str = "auto", threads: int = 0) -> Best | None:
        """Return what is fastest; of what is nearly so, that with the fewest threads.

        Args:
            most_threads: that may be used.
            runtime: the one to use, or "auto".
            threads: the number to use; 0 is any.
        """
        ways = [
            Best(name, number, took)
            for name, times in self.invoke_ms.items()
            for number, took in times.items()
            if runtime in ("auto", name) and (number == threads or not threads)
            if threads or number <= most_threads
        ]
        limit = min((way.invoke_ms for way in ways), default=0.0) * NEARLY
        near = [way for way in ways if way.invoke_ms <= limit]
        return min(near, key=lambda way: (way.threads, way.invoke_ms), default=None)

    def others(self, runtime: str, most_threads: int) -> dict[str, float]:
        """Return how many times as long each other runtime takes at its best, by its name."""
        ours = self.best(most_threads, runtime)
        found = {name: self.best(most_threads, name) for name in self.invoke_ms if name != runtime}
        return {n: of.invoke_ms / ours.invoke_ms for n, of in found.items() if of and ours}


class Tuned(NamedTuple):
    """What was measured on one machine."""

    model: str = ""  # an absolute path: what to use where no model is named
    measured: Mapping[str, Measured] = MappingProxyType({})  # by the sha256 of the model's file


def places(root: Path = board.ROOT) -> tuple[Path, ...]:
    """Where it may be, the user's own first."""
    return settings_places(TUNED, root)


def place(root: Path = board.ROOT) -> Path:
    """Where to write it: as root, where every user and the service find it."""
    return places(root)[hasattr(os, "geteuid") and os.geteuid() == 0]


def read(root: Path = board.ROOT) -> Tuned:
    """Return what is known of this machine: the user's own, and else the system's.

    A file that is damaged, of another version or from another machine (a card that moved) is no
    fault: its settings are only faster, never more accurate.
    """
    own, system = (_read(path, root) for path in places(root))
    return Tuned(own.model or system.model, {**system.measured, **own.measured})


def keep(
    measured: Mapping[str, Measured],
    model: str = "",
    root: Path = board.ROOT,
    path: Path | None = None,
) -> Path:
    """Add to what is kept, whole or not at all, and return its path. Raises: OSError.

    A file that holds the same already is left alone: a second installation changes nothing.

    Args: by the sha256 of a model; the one to use where none is named ("": as before); the tree of
        the machine; the file, `place` unless it is given.
    """
    path = path or place(root)
    before = _read(path, root)
    entries = {**before.measured, **measured}
    said = {
        "schema": TUNED_SCHEMA,
        **dict(zip(("machine", "num_cores"), _machine(root), strict=True)),
        "model": model or before.model,
        "measured": {sha256: one._asdict() for sha256, one in entries.items()},
    }
    content = json.dumps(said, indent=1).encode() + b"\n"
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    return path


def _read(path: Path, root: Path) -> Tuned:
    try:
        said = json.loads(path.read_bytes())
        if said["schema"] != TUNED_SCHEMA or [said["machine"], said["num_cores"]] != _machine(root):
            return Tuned()
        entries = {sha256: _measured(one) for sha256, one in said["measured"].items()}
        return Tuned(str(said["model"]), entries)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Tuned()


def _machine(root: Path) -> list[object]:
    return [board.model(root) or board.processor(root), board.num_cores(root)]


def _measured(said: Mapping[str, Any]) -> Measured:
    """Raises: TypeError, KeyError, ValueError, AttributeError where it is damaged."""
    times = {
        str(runtime): {int(threads): float(took) for threads, took in each.items()}
        for runtime, each in said["invoke_ms"].items()
    }
    for each in times.values():
        if not all(1 <= threads <= MOST_THREADS and took > 0 for threads, took in each.items()):
            raise ValueError("threads, or a time")
    versions = {str(name): str(version) for name, version in said["versions"].items()}
    return Measured(str(said["name"]), str(said["measured_at"]), versions, times)
