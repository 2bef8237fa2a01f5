"""Detect a changed model file, and validate the new one in its own process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from edge.classifier.trial import Trial, Trying
from edge.errors import ModelError

LOOK_S = 1.0  # between two looks at the file
RESTED_S = 2.0  # a file that is still being copied changes again within this time

Signature = tuple[int, int, int]  # modification time in ns, bytes, inode


class FileTrials:
    """Owns the trial of a file that changed or is to be validated again."""

    def __init__(
        self,
        path: Path,
        start_trial: Callable[[Path], Trying],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the file as it is now for the one that is loaded.

        Args:
            path: the file.
            start_trial: validates a file in its own process.
            monotonic: the time to go by.
        """
        self._path, self._start, self._monotonic = path, start_trial, monotonic
        self._judged = self._seen = _signature(path)
        self._seen_s = self._looked_s = monotonic()
        self._asked = False
        self._trying: Trying | None = None

    def ask(self) -> None:
        """Try the file at the next turn, changed or not; safe in a signal handler."""
        self._asked = True

    def poll(self) -> Trial | None:
        """Take a turn; return the outcome once, for a file that works and is still the same.

        Raises: ModelError for one that does not work, or is gone.
        """
        if self._trying:
            return self._finish(self._trying)
        now = self._monotonic()
        if not self._asked and now - self._looked_s < LOOK_S:
            return None
        self._looked_s = now
        signature = _signature(self._path)
        if signature != self._seen:
            self._seen, self._seen_s = signature, now
            self._asked |= signature is None  # to report it
        rested = now - self._seen_s >= RESTED_S
        if self._asked or (signature != self._judged and rested):
            self._asked, self._judged = False, signature
            if signature is None:
                raise ModelError(self._path, "no such file", "copy the model there again")
            self._trying = self._start(self._path)
        return None

    def _finish(self, trying: Trying) -> Trial | None:
        try:
            trial = trying.poll()
        except ModelError:
            self.close()
            raise
        if trial is None:
            return None
        self.close()
        if _signature(self._path) != self._judged:  # it changed meanwhile: try that one
            self._judged = None
            return None
        return trial

    def close(self) -> None:
        """End the trial that is under way."""
        trying, self._trying = self._trying, None
        if trying:
            trying.close()


def _signature(path: Path) -> Signature | None:
    """What changes when a file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
