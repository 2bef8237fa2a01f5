"""Keep the loop running when a sink fails: retry with backoff, and count the failures."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from edge.errors import EdgeError, reason_of
from edge.service.control import Command
from edge.service.sighting import Sighting, Sink
from edge.service.sinks import ReaderGoneError

MOST_LATE = 1000  # changes of state that wait for a sink; the oldest goes first
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


class Delivery(Sink):
    """A sink that is independent of what it delivers to.

    While its sink fails, results are let go; changes of state wait, without their images.
    """

    def __init__(
        self,
        sink: Sink,
        report: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: where it delivers to, what takes a line about failures, and the time to go by."""
        self.name = sink.name or type(sink).__name__
        self._failures, self._lost = 0, 0
        self._sink, self._report, self._monotonic = sink, report, monotonic
        self._late: deque[Sighting] = deque()
        self._pause_s, self._retry_s = 0.0, 0.0

    def __call__(self, sighting: Sighting) -> None:
        """Deliver what waits, then this. Raises: ReaderGoneError, when stdout's reader left."""
        # A request for an image does not wait.
        if self._pause_s and not sighting.wanted and self._monotonic() < self._retry_s:
            self._keep(sighting)
            return
        try:
            wrote = self._catch_up()
            wrote |= self._sink(sighting) is not False
        except ReaderGoneError:
            raise
        except Exception as error:  # whatever a sink's client raises, frames go on
            self._failed(error)
            self._keep(sighting)
            return
        self._works(wrote)

    def retry(self) -> None:
        """Deliver what waits, once it is due; for what waits in a thread of its own."""
        if self._late and self._monotonic() >= self._retry_s:
            try:
                wrote = self._catch_up()
            except Exception as error:
                self._failed(error)
            else:
                self._works(wrote)

    def note(self, command: Command) -> None:
        """Hand a command on for the record. Raises: ReaderGoneError, when stdout's reader left."""
        try:
            self._sink.note(command)
        except ReaderGoneError:
            raise
        except Exception as error:
            self._failures += 1
            self._report(f"{self.name}: {self._text(error)}")

    def close(self) -> None:
        """Deliver what still waits, as far as that goes, and close the sink."""
        try:
            self._catch_up()
        except Exception as error:
            self._lost += len(self._late)
            self._report(f"{self.name}: {self._text(error)}; {self.lost} changes lost")
        try:
            self._sink.close()
        except Exception as error:
            self._failures += 1
            self._report(f"{self.name}: {self._text(error)}")

    def _catch_up(self) -> bool:
        """Deliver what waits; return whether any of it was written."""
        wrote = False
        while self._late:
            wrote |= self._sink(self._late[0]) is not False
            self._late.popleft()
        return wrote

    @property
    def failures(self) -> int:
        """How often it has failed since it began, or has counted itself what fails behind it."""
        return self._failures + self._sink.failures

    @property
    def lost(self) -> int:
        """Changes of state that could not wait any longer, here or in the sink's own queue."""
        return self._lost + self._sink.lost

    @property
    def trouble(self) -> str:
        """What is the matter with it now; "" for nothing."""
        return f"{self.name} fails" if self._pause_s else self._sink.trouble

    def _works(self, wrote: bool) -> None:
        if self._pause_s and wrote:
            self._pause_s = 0.0
            counts = f"{self.failures} failures in total, {self.lost} changes lost"
            self._report(f"{self.name}: works again ({counts})")

    def _keep(self, sighting: Sighting) -> None:
        if not sighting.change:
            return
        if len(self._late) == MOST_LATE:
            self._late.popleft()
            self._lost += 1
        self._late.append(sighting.late())

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s or FIRST_PAUSE_S)
        self._retry_s = self._monotonic() + self._pause_s
        self._report(f"{self.name}: {self._text(error)}; next attempt in {self._pause_s:g} s")

    def _text(self, error: Exception) -> str:
        """Return the fault, with a remedy if the sink's folder explains it."""
        if self._sink.folder and isinstance(error, OSError):
            error = self._sink.folder.fault(error)
            return f"{error.fault}; {error.remedy}"
        if isinstance(error, EdgeError):
            return str(error)
        return reason_of(error)
