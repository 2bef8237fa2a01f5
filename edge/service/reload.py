"""Swaps the model while the service runs: when its file has changed, or when asked.

The new one must first prove itself in a process of its own. The old one stays until it has.
"""

from __future__ import annotations

import ctypes
import hashlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from edge.classifier.model import Model, read_model
from edge.classifier.trial import Trial, Trying
from edge.errors import EdgeError, ModelError

LOOK_S = 1.0  # between two looks at the file
RESTED_S = 2.0  # a file that is still being copied changes again within this time

Signature = tuple[int, int, int]  # modification time in ns, bytes, inode


@dataclass(frozen=True)
class Demands:
    """What a new model must be besides right."""

    labels: Collection[str] = ()  # that the configuration names
    slowest_ms: float | None = None  # for one invoke

    def check(self, path: Path, trial: Trial) -> None:
        """Raises: ModelError."""
        lacking = sorted(set(self.labels) - set(trial.labels))
        if lacking:
            fault = f"lacks label {lacking[0]!r}, which the configuration names"
            raise ModelError(path, fault, "give a model that has it, or change the configuration")
        if self.slowest_ms is not None and trial.invoke_p50_ms > self.slowest_ms:
            fault = f"takes {trial.invoke_p50_ms:.0f} ms, at most {self.slowest_ms:.0f} will do"
            raise ModelError(path, fault, "give a smaller model, or lower fps")


class Reloading:
    """Owns the running model, and the next one's trial."""

    def __init__(
        self,
        path: Path,
        open_model: Callable[[Path], Model],
        start_trial: Callable[[Path], Trying],
        demands: Demands,
        report: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the first model. Raises: ModelError, RuntimeMissingError.

        Args:
            path: the file.
            open_model: loads a file.
            start_trial: tries a file in a process of its own.
            demands: what it must be besides right.
            report: takes one line about what becomes of a new file.
            monotonic: the time to go by.
        """
        self._path, self._open, self._start = path, open_model, start_trial
        self._demands, self._report, self._monotonic = demands, report, monotonic
        self._judged = self._seen = _signature(path)
        self._seen_s = self._looked_s = monotonic()
        self._asked = False
        self._trying: Trying | None = None
        self.trouble = ""  # why the file is not the model that is loaded
        self.model = open_model(path)
        self.version = _version(path)  # of the model: of `sha256sum` its first 12 digits

    def ask(self) -> None:
        """Load the file again at the next turn, changed or not; safe in a signal handler."""
        self._asked = True

    def poll(self) -> bool:
        """Take a turn, between frames; return whether the model is another one now."""
        if self._trying:
            return self._finish(self._trying)
        now = self._monotonic()
        if not self._asked and now - self._looked_s < LOOK_S:
            return False
        self._looked_s = now
        signature = _signature(self._path)
        if signature != self._seen:
            self._seen, self._seen_s = signature, now
            self._asked |= signature is None  # to say so
        rested = now - self._seen_s >= RESTED_S
        if self._asked or (signature != self._judged and rested):
            self._asked, self._judged = False, signature
            self._try(signature)
        return False

    def _try(self, signature: Signature | None) -> None:
        try:
            if signature is None:
                raise ModelError(self._path, "is gone", "put it back")
            self._trying = self._start(self._path)
        except EdgeError as error:
            self._refuse(error)

    def _refuse(self, error: EdgeError) -> None:
        self.trouble = f"{error.subject}: {error.fault}"
        self._report(f"{error}; the model that is loaded goes on")

    def _finish(self, trying: Trying) -> bool:
        try:
            trial = trying.poll()
            if trial is None:
                return False
            self._trying = None
            if _signature(self._path) != self._judged:  # it changed meanwhile: try that one
                self._judged = None
                return False
            self._demands.check(self._path, trial)
            new, version = self._open(self._path), _version(self._path)
        except EdgeError as error:
            self._trying = None
            self._refuse(error)
            return False
        finally:
            if not self._trying:
                trying.close()
        self.model.close()
        _trim_heap()
        self.model, self.version, self.trouble = new, version, ""
        golden = f"{trial.golden} golden vectors hold" if trial.golden else "no golden vectors"
        self._report(f"{self._path}: loaded anew ({golden}, {trial.invoke_p50_ms:.1f} ms)")
        return True

    def close(self) -> None:
        """Close the model, and end a trial."""
        if self._trying:
            self._trying.close()
        self.model.close()


def _trim_heap() -> None:
    """Give the system back what the closed model took: one beside another leaves gaps in the heap.

    Without it, a service that exchanged 150 models was seen to take 35 to 60 MB; with it, 32 to 33.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; another C library has none
    if trim:
        trim(0)


def _version(path: Path) -> str:
    """Raises: ModelError."""
    return hashlib.sha256(read_model(path)).hexdigest()[:12]


def _signature(path: Path) -> Signature | None:
    """What changes when a file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
