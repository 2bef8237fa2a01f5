"""The training's input: shuffled, weighted, augmented batches without end; plain batches once."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.data.photo import PixelRows
from convert.training.augment import Augmentation
from convert.training.scene import Draw, drawing
from edge.cores import usable_cores
from edge.image.preprocess import Pixels

# A batch is drawn by its step alone, so that threads may make them in any order. More of them than
# this would only hold more batches in memory: one thread feeds most networks.
THREADS = min(4, usable_cores())
AHEAD = 2  # batches that wait, ready
LOW = 19  # the priority that gives way to all others

# The first number after the seed: what is drawn from it. Else an order could repeat an image's.
ORDER, PICTURE, VIEW = 0, 1, 2

Arrays = tuple[NDArray[Any], ...]  # of a batch
Tensors = tuple[tf.Tensor, ...]


def augmented(
    pixels: PixelRows,
    labels: NDArray[np.int64],
    weights: NDArray[np.float32],
    *,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Yield batches without end, every photo once per epoch, each epoch in a new order.

    The batch of a step depends on seed and step only: not on the threads, nor on where it started.

    Args:
        pixels: (num_photos, h, w, 3) uint8, of a file best.
        labels: (num_photos,) integers.
        weights: (num_photos,) of the samples.
        first_step: where to go on: 0, or how many batches an earlier run has had.

    Yields: (batch_size, h, w, 3) uint8, (batch_size,) int64 labels, (batch_size,) float32 weights.
    """
    labels, weights = labels.astype(np.int64), weights.astype(np.float32)
    draw = drawing(pixels, labels, augmentation)

    @functools.lru_cache(maxsize=4)
    def order(epoch: int) -> NDArray[np.int64]:
        """Shuffle the photos' indices for an epoch."""
        return np.random.default_rng((seed, ORDER, epoch)).permutation(len(pixels))

    def batch(step: int) -> Arrays:
        """Make the augmented batch of a step: pixels, labels, weights."""
        made = _aligned((batch_size, *pixels.shape[1:]))
        chosen = np.empty(batch_size, np.int64)
        for row in range(batch_size):
            epoch, place = divmod(int(step) * batch_size + row, len(pixels))
            chosen[row] = order(epoch)[place]
            random = np.random.default_rng((seed, PICTURE, int(step), row))
            made[row] = draw(int(chosen[row]), random)
        return made, labels[chosen], weights[chosen]

    steps = tf.data.Dataset.counter(first_step)
    return _made(steps, batch, (tf.uint8, tf.int64, tf.float32), batch_size, pixels.shape[1:])


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Views:
    """Augmented views, made when they are read: of all photos, then of all of them again."""

    pixels: PixelRows
    labels: NDArray[np.int64]
    augmentation: Augmentation
    number: int  # of each photo
    seed: int

    @functools.cached_property
    def _draw(self) -> Draw:
        return drawing(self.pixels, self.labels, self.augmentation)

    @property
    def shape(self) -> tuple[int, ...]:
        """(num_views, h, w, 3)."""
        return len(self), *self.pixels.shape[1:]

    def __len__(self) -> int:
        """Return the number of views."""
        return self.number * len(self.pixels)

    def __getitem__(self, index: Any, /) -> Any:
        """Return (h, w, 3) of a number, or (n, h, w, 3) of a slice or several numbers."""
        places = np.arange(len(self))[index]
        if places.ndim == 0:
            return self._view(int(places))
        return np.stack([self._view(place) for place in places.tolist()])

    def _view(self, place: int) -> Any:
        random = np.random.default_rng((self.seed, VIEW, place))
        return self._draw(place % len(self.pixels), random)


def plain(pixels: PixelRows, labels: NDArray[np.int64], batch_size: int) -> tf.data.Dataset:
    """Yield (n, h, w, 3) uint8 and (n,) int64 labels once, in order; the last batch may be smaller.

    Its length is known, so that no one warns of data that ran out.
    """
    labels = labels.astype(np.int64)

    def batch(step: int) -> Arrays:
        """Make the plain batch of a step: pixels, labels."""
        chosen = slice(int(step) * batch_size, (int(step) + 1) * batch_size)
        made = _aligned((len(labels[chosen]), *pixels.shape[1:]))
        made[:] = pixels[chosen]
        return made, labels[chosen]

    steps = tf.data.Dataset.range(-(-len(pixels) // batch_size))
    return _made(steps, batch, (tf.uint8, tf.int64), None, pixels.shape[1:])


def _made(
    steps: tf.data.Dataset,
    batch: Callable[[int], Arrays],
    dtypes: tuple[tf.DType, ...],
    batch_size: int | None,
    picture: tuple[int, ...],
) -> tf.data.Dataset:
    """Make each step's batch ahead, in threads, and yield the batches in order."""

    def aside(step: int) -> Arrays:
        """Make a batch in what time the network's operators leave of the cores."""
        _give_way()
        return batch(step)

    def tensors(step: tf.Tensor) -> Tensors:
        made = tf.numpy_function(aside, [step], dtypes)
        for tensor, shape in zip(made, (picture, (), ()), strict=False):
            tensor.set_shape((batch_size, *shape))
        return tuple(made)

    options = tf.data.Options()
    # Threads of their own: in TensorFlow's, they would keep the network's operators waiting.
    options.threading.private_threadpool_size = THREADS
    options.autotune.enabled = False
    return steps.map(tensors, THREADS, deterministic=True).prefetch(AHEAD).with_options(options)


def _give_way() -> None:
    """Lower this thread's priority.

    An operator is done when the slower of its threads is: one that shares its core with us holds
    up the others as well. Where Linux has no such priority, nothing is lost but that time.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW)


@atexit.register
def _end_iterators() -> None:
    """End what still makes batches: a thread that Python's own end cuts off aborts the process.

    An iterator waits for its threads when its resource goes. After an error or Ctrl-C, it and the
    frames that a traceback keeps may hold it, out of reach but for the garbage collector.
    """
    for thing in gc.get_objects():
        if type(thing) is TracebackType:
            with contextlib.suppress(RuntimeError):  # it still runs
                thing.tb_frame.clear()
        elif tf.data.Iterator in type(thing).__mro__:
            vars(thing).pop("_iterator_resource", None)


ALIGNMENT = 64  # bytes; TensorFlow takes such arrays as they are, and copies others


def _aligned(shape: tuple[int, ...]) -> Pixels:
    """Make an uninitialized uint8 array that becomes a tensor without a copy."""
    size = int(np.prod(shape))
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].reshape(shape)
