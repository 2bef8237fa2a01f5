"""One picture after the other for all who look at the stream, encoded once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from edge.errors import EdgeError
from edge.service.web.pictures import Pictures, Shown


class Stream:
    """Turns while somebody looks, and stands still otherwise. Lives in the server's thread."""

    def __init__(self, pictures: Pictures, fps: float) -> None:
        """Args: where pictures come from, and how many a second at most."""
        self.viewers = 0
        self._pictures, self._pause_s = pictures, 1 / fps
        self._turned = asyncio.Event()
        self._turning: asyncio.Task[None] | None = None
        self._newest: Shown | None = None

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Count a viewer for as long as it looks."""
        self.viewers += 1
        if self._turning is None or self._turning.done():
            self._turning = asyncio.create_task(self._turn())
        try:
            yield
        finally:
            self.viewers -= 1

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
