"""How much memory decoding takes at a time: a large image waits until others are done.

Without that, two of the biggest images decoded ahead side by side took 1,236 MB.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any, cast

from PIL import Image

BUDGET_BYTES = 540_000_000  # of all images that are decoded at the same time

# Pillow keeps an image in blocks, by default of 16 MiB. The C library takes blocks below 32 MiB
# from heaps of each thread, where holes stay: four images of 64 megapixels took 1,104 MB, with
# each in one block 596. They were PNGs with alpha, given to edge-classify.
cast(Any, Image).core.set_block_size(1 << 30)


class Budget:
    """Bytes that several threads share; one that needs more than there are gets all of them."""

    def __init__(self, total: int) -> None:
        """Args: how many bytes there are."""
        self._total = total
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the child has none of those threads

    def _reset(self) -> None:
        self._taken, self._given_back = 0, threading.Condition()

    @contextlib.contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Wait until this number of bytes is free, and hold them."""
        count = min(count, self._total)
        given_back = self._given_back
        with given_back:
            given_back.wait_for(lambda: self._taken + count <= self._total)
            self._taken += count
        try:
            yield
        finally:
            with given_back:
                self._taken -= count
                given_back.notify_all()


BUDGET = Budget(BUDGET_BYTES)
