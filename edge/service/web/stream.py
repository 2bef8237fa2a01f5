"""One image after the other for all viewers, encoded once."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from edge.errors import EdgeError
from edge.service.web.pictures import Pictures, Shown

POLL_S = 5.0


class Stream:
    """Encodes frames while there are viewers, and rests otherwise. Lives in the server's thread."""

    def __init__(
        self, pictures: Pictures, fps: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Args: where images come from, the maximum rate in frames per second, and the clock."""
        self._pictures, self._pause_s, self._monotonic = pictures, 1 / fps, monotonic
        self._streams = 0  # open streams
        # Pages request one frame after the other: a connection with a recent request is a viewer.
        self._polls: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
        self._turned = asyncio.Event()
        self._turning: asyncio.Task[None] | None = None
        self._newest: Shown | None = None

    @property
    def viewers(self) -> int:
        """Count open streams, and connections that requested a frame within POLL_S."""
        since = self._monotonic() - POLL_S
        return self._streams + sum(asked >= since for asked in list(self._polls.values()))

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Count a viewer while its stream is open."""
        self._streams += 1
        self._start()
        try:
            yield
        finally:
            self._streams -= 1

    def polls(self, connection: Any) -> None:
        """Count a viewer that requests one frame after the other."""
        self._polls[connection] = self._monotonic()
        self._start()

    def _start(self) -> None:
        if self._turning is None or self._turning.done():
            self._newest = None  # that of the last viewer is old
            self._turning = asyncio.create_task(self._turn())

    async def after(self, number: int) -> Shown:
        """Wait for another frame than that one; a viewer that was slow gets the newest."""
        while self._newest is None or self._newest.number == number:
            await self._turned.wait()
        return self._newest

    async def _turn(self) -> None:
        while self.viewers:
            with contextlib.suppress(EdgeError):  # a file that is gone: the next frame is due soon
                shown = self._pictures.newest()
                if shown is not self._newest:
                    self._newest = shown
                    self._turned.set()
                    self._turned = asyncio.Event()
            await asyncio.sleep(self._pause_s)
