"""What edge-benchmark --apply found to be best on this machine, for the other commands to read.

A JSON file, the user's before the system's:

    {"version": 1, "machine": "Raspberry Pi 5 Model B Rev 1.0", "num_cores": 4,
     "measured_at": "2026-11-25T05:00:00+00:00",
     "model": "/home/pi/mine.tflite",          the one to use where none is named
     "best": {"mine.tflite": {"size_bytes": 2739076, "runtime": "litert", "threads": 4,
                              "invoke_p50_ms": 5.1}}}

"best" has what is fastest for each model that was measured, also where another is named.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge import board
from edge.files import replace_file, settings_places
from edge.names import TUNED

VERSION = 1


@dataclass(frozen=True)
class Best:
    """The fastest way to run one model."""

    size_bytes: int  # of its file: another of the same name is another
    runtime: str  # "litert" or "tflite"
    threads: int
    invoke_p50_ms: float


@dataclass(frozen=True)
class Tuned:
    """What is best on one machine."""

    machine: str | None
    num_cores: int | None
    measured_at: str
    model: str  # an absolute path
    best: Mapping[str, Best]  # by the file's name

    def of(self, model: Path) -> Best | None:
        """Return what is best for a model; None where that was not measured, or has changed."""
        best = self.best.get(model.name)
        try:
            return best if best and model.stat().st_size == best.size_bytes else None
        except OSError:
            return None


def places(root: Path = board.ROOT) -> tuple[Path, ...]:
    """Where it may be, the user's own first."""
    return settings_places(TUNED, root)


def place(root: Path = board.ROOT) -> Path:
    """Where to write it: as root, where every user and the service find it."""
    return places(root)[os.geteuid() == 0]


def read(root: Path = board.ROOT) -> Tuned | None:
    """Return what was found best on this machine; None where nothing was, or all has changed.

    A file that is damaged, of another version or from another machine (a card that moved) is no
    fault: its settings are only faster, never more accurate.
    """
    for path in places(root):
        try:
            said = json.loads(path.read_bytes())
            found = _tuned(said) if said["version"] == VERSION else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
        here = (board.model(root) or board.processor(root), board.num_cores(root))
        if found and (found.machine, found.num_cores) == here:
            return found
    return None


def write(tuned: Tuned, path: Path) -> None:
    """Write it, whole or not at all. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"version": VERSION} | asdict(tuned), indent=1)
    replace_file(path, content.encode() + b"\n")


def _tuned(said: Mapping[str, Any]) -> Tuned:
    """Raises: TypeError, KeyError, ValueError, AttributeError where it is damaged."""
    best = {}
    for name, one in said["best"].items():
        runtime, threads = str(one["runtime"]), int(one["threads"])
        if not 1 <= threads <= 256:
            raise ValueError("threads")
        best[name] = Best(int(one["size_bytes"]), runtime, threads, float(one["invoke_p50_ms"]))
    return Tuned(
        said["machine"], said["num_cores"], str(said["measured_at"]), str(said["model"]), best
    )
