"""Do one thing for each of many photos, in threads, with a progress bar."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from tqdm import tqdm

from edge.cores import usable_cores

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

AHEAD = 16  # photos waiting per thread: what is under way stays small, however many there are


def each(
    function: Callable[[Item], Outcome], items: Sequence[Item], title: str, *, bar: bool = True
) -> Generator[Outcome, None, None]:
    """Yield function(item) of every item, in order.

    Pillow and hashlib let threads run side by side. An error, Ctrl-C or closing the iterator ends
    it after the items under way.
    """
    threads = usable_cores()
    pool = ThreadPoolExecutor(threads)
    try:
        source = iter(items)
        waiting = deque(pool.submit(function, i) for i in islice(source, AHEAD * threads))
        with tqdm(desc=title, total=len(items), unit="photo", disable=not bar) as progress:
            while waiting:
                outcome = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(source, 1))
                progress.update()
                yield outcome
    finally:
        pool.shutdown(cancel_futures=True)
