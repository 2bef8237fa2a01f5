"""Images are decoded ahead of their turn, in threads, while the model is at work."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from edge.image.preprocess import InputSpec, prepare
from edge.sources.frame import Frame

# Per thread: one image that it is at, one that waits for it, so that it never waits itself.
HELD = 2


def ahead(frames: Iterable[Frame], input: InputSpec, *, jobs: int) -> Iterator[Frame]:
    """Yield the frames in order, their images already what a model sees of them.

    Pillow lets other threads run while it decodes and resizes, so that `jobs` threads use as many
    cores. At most HELD * jobs images are held, each at the input's size. What a frame's image
    fails with, classify() raises when it comes to that frame; what the frames themselves fail with
    is raised after all frames before it. Closing the iterator, or Ctrl-C, ends the threads as soon
    as each has finished the image that it is at.

    Args:
        frames: from `edge.sources.photos`; read no further than what is held.
        input: `model.input` of the model that will classify them.
        jobs: threads; below 1 nothing is done ahead.
    """
    if jobs < 1:
        yield from frames
        return
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="decode")
    held: deque[Future[Frame]] = deque()
    try:
        try:
            for frame in frames:
                held.append(pool.submit(_prepared, frame, input))
                if len(held) == HELD * jobs:
                    yield held.popleft().result()
        except Exception:  # of the frames themselves: its turn is after those before it
            yield from _drained(held)
            raise
        yield from _drained(held)
    finally:
        pool.shutdown(cancel_futures=True)


def _prepared(frame: Frame, input: InputSpec) -> Frame:
    return replace(frame, picture=prepare(frame.picture, input))


def _drained(held: deque[Future[Frame]]) -> Iterator[Frame]:
    while held:
        yield held.popleft().result()
