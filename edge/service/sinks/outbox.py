"""Hands state changes to a sink that waits for others, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from edge.service.delivery import MOST_LATE, Delivery
from edge.service.sighting import Sighting, Sink

LOOK_S = 0.5  # between two looks at what is to be delivered again
HANGS_S = 30.0  # from which a delivery is reported to hang
MAX_FRAMES = 3  # that wait with their image: a camera's has 1 to 6 MB
CLOSE_S = 0.5  # for what still waits


class Outbox(Sink):
    """Queues changes for a sink, which may wait, and raises what fails: `Delivery` retries it."""

    def __init__(
        self,
        sink: Sink,
        report: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: the sink, what takes a line about failures, and the time to go by."""
        self.name = sink.name
        self._delivery, self._monotonic = Delivery(sink, report, monotonic), monotonic
        self._waiting: deque[Sighting] = deque()
        self._lost = 0
        self._busy_since_s: float | None = None
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name=self.name, daemon=True)
        self._thread.start()

    def __call__(self, sighting: Sighting) -> None:
        """Queue a change; the oldest makes room."""
        if len(self._waiting) >= MOST_LATE:
            self._waiting.popleft()
            self._lost += 1
        with_image = len(self._waiting) < MAX_FRAMES
        self._waiting.append(sighting if with_image else sighting.late())
        self._wake.set()

    def _deliver(self) -> None:
        while not self._closing:
            self._wake.wait(LOOK_S)
            self._wake.clear()
            self._busy_since_s = self._monotonic()
            self._delivery.retry()
            while self._waiting and not self._closing:
                self._busy_since_s = self._monotonic()
                self._delivery(self._waiting.popleft())
            self._busy_since_s = None

    @property
    def failures(self) -> int:
        """Deliveries that failed."""
        return self._delivery.failures

    @property
    def lost(self) -> int:
        """Events that could not be delivered."""
        return self._lost + self._delivery.lost

    @property
    def trouble(self) -> str:
        """What is wrong with the delivery now; "" for nothing."""
        since_s = self._busy_since_s
        if since_s is not None and self._monotonic() - since_s > HANGS_S:
            return f"{self.name} hangs"
        return self._delivery.trouble

    def close(self) -> None:
        """Deliver what waits, for at most CLOSE_S; a delivery that hangs is left behind."""
        until = self._monotonic() + CLOSE_S
        while self._waiting and self._monotonic() < until:
            time.sleep(0.01)
        self._closing = True
        self._wake.set()
        self._thread.join(max(0.0, until - self._monotonic()))
        self._lost += len(self._waiting)
