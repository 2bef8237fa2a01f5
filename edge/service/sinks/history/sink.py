"""The history as a sink: what the service's loop has to do with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge.errors import EdgeError, reason_of
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.history.rows import Batch
from edge.service.sinks.history.store import Store

FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0  # after writes that failed
CLOSE_S = 1.0  # the service has two seconds to exit


class History(Sink):
    """Counts frames in memory; a thread of its own writes at most once a minute, or on a change.

    To wait for a card may take seconds, which the loop must not.
    """

    def __init__(
        self,
        store: Store,
        report: Callable[[str], None],
        image_of: Callable[[Sighting], str] = lambda sighting: "",
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin the thread.

        Args:
            store: is written to, by the thread alone.
            report: takes a line about failures.
            image_of: names the file of a frame's snapshot; "" where it has none.
            wall: seconds since 1970.
            monotonic: seconds by a clock that does not jump.
        """
        self.name = f"history in {store.path}"
        self._store, self._report, self._image_of = store, report, image_of
        self._wall, self._monotonic = wall, monotonic
        self._batch, self._lock = Batch(), threading.Lock()
        self._clock_is_set: bool | None = None  # of the newest frame
        self._failures, self._fault, self._pause_s = 0, "", 0.0
        self._wake, self._ends = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)
        self._thread.start()

    def __call__(self, sighting: Sighting) -> None:
        """Take a `Sighting`, in microseconds."""
        image = self._image_of(sighting) if sighting.change else ""
        with self._lock:
            before_s = self._batch.due_s
            self._batch.add(sighting, self._wall(), self._monotonic(), image)
            self._clock_is_set = sighting.clock_is_set
            is_sooner = before_s is None or (self._batch.due_s or before_s) < before_s
        if is_sooner:
            self._wake.set()

    @property
    def failures(self) -> int:
        """How often it could not be written."""
        return self._failures

    @property
    def lost(self) -> int:
        """Events that could not wait any longer."""
        return self._batch.lost

    @property
    def trouble(self) -> str:
        """What is wrong now; "" for nothing."""
        return self._fault and "history cannot be written"

    def close(self) -> None:
        """Write what is left."""
        self._ends = True
        self._wake.set()
        self._thread.join(CLOSE_S)

    def _work(self) -> None:
        """Write whenever something is due, until it is closed; the thread's own work."""
        while not self._ends:
            due_s = self._batch.due_s
            left_s = None if due_s is None else max(0.0, due_s - self._monotonic())
            if left_s == 0:
                self._write()
                continue
            self._wake.wait(left_s)
            self._wake.clear()
        self._write()
        self._store.close()

    def _write(self) -> None:
        with self._lock:
            rows, clock_is_set = self._batch.take(), self._clock_is_set
        if not (rows.events or rows.shares):
            return
        try:
            line = self._store.write(rows, self._wall(), clock_is_set=clock_is_set)
        except Exception as error:  # a fault of SQLite must not stop the frames
            self._failed(error)
            with self._lock:
                self._batch.put_back(rows, self._monotonic() + self._pause_s)
            return
        if self._fault:
            self._report(f"{self.name}: works again ({self._failures} failures, {self.lost} lost)")
        self._fault, self._pause_s = "", 0.0
        if line:
            self._report(line)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._pause_s = min(MAX_PAUSE_S, 2 * self._pause_s or FIRST_PAUSE_S)
        fault = str(error) if isinstance(error, EdgeError) else f"{self.name}: {reason_of(error)}"
        if fault != self._fault:  # once: a disk that stays full would fill the journal
            self._report(f"{fault}; retrying")
        self._fault = fault
