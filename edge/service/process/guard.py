"""Ends the service before it takes the machine's memory: systemd restarts it."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge import board
from edge.errors import EdgeError

LOOK_S = 5.0


class MemoryGuard:
    """Polled by the loop between frames.

    Stock Raspberry Pi OS has no memory controller, so that MemoryMax= of the unit does nothing.
    """

    def __init__(self, limit_mb: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Args: resident memory of this process, 0 for no limit; the time to go by."""
        self._limit_mb, self._monotonic = limit_mb, monotonic
        self._look_s = monotonic()

    def poll(self) -> None:
        """Take a turn. Raises: EdgeError above the limit."""
        now = self._monotonic()
        if not self._limit_mb or now < self._look_s:
            return
        self._look_s = now + LOOK_S
        memory = board.process_memory()
        if memory and memory.rss_bytes > self._limit_mb * 1e6:
            taken = f"takes {memory.rss_bytes / 1e6:.0f} MB"
            fault = f"{taken}, more than max_memory_mb = {self._limit_mb:g}"
            remedy = "restart it; report a bug if this happens often"
            raise EdgeError("edge-watch", fault, remedy)
