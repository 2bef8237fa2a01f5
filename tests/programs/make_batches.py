"""Make batches in many ways; then fit a network, which must have nothing to warn of.

Usage: python -W error tests/programs/make_batches.py OUT.npz
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from drawn_batches import augmented, network, photos

from convert.training import batches
from convert.training.augment import Augmentation
from convert.training.callbacks.interrupt import between_batches

CAMERA, NONE = Augmentation.camera(), Augmentation.none()
PARTS = ("pixels", "labels", "weights")  # plain batches have no weights


def ways() -> dict[str, object]:
    """Of each way, its batches' pixels, labels and weights, one after the other."""
    made = {
        "plain-order": take(augmented(photos(30), NONE), 13),  # 91 = 3 epochs and 1
        "camera": take(augmented(photos(30), CAMERA), 6),
        "another": take(augmented(photos(30), CAMERA, seed=6), 6),
        "continued": take(augmented(photos(30), CAMERA, first_step=4), 2),
        "few": take(augmented(photos(3), NONE), 3),  # fewer than a batch
        "plain": take(batches.plain(photos(30), np.arange(30) % 3, 8), -1),
    }
    threads, batches.THREADS = batches.THREADS, 1
    made["one-thread"] = take(augmented(photos(30), CAMERA), 6)
    batches.THREADS = threads
    views = batches.Views(photos(30), np.arange(30) % 3, CAMERA, 2, seed=5)
    made["views"] = take(batches.plain(views, np.arange(60) % 30, 8), -1)
    made["plain-views"] = [[batches.Views(photos(30), np.arange(30) % 3, NONE, 2, seed=5)[:]]]
    return {
        f"{name}-{part}": np.concatenate(values)
        for name, found in made.items()
        for part, values in zip(PARTS, zip(*found, strict=True), strict=False)
    }


def take(dataset: tf.data.Dataset, count: int) -> list[list[np.ndarray]]:
    return [[tensor.numpy() for tensor in batch] for batch in dataset.take(count)]


def facts() -> dict[str, object]:
    endless, once = augmented(photos(30), CAMERA), batches.plain(photos(30), np.arange(30), 8)
    return {
        "photos": photos(30),
        "cardinality": [int(endless.cardinality()), int(once.cardinality())],
        "dtypes": [spec.dtype.name for spec in endless.element_spec],
        "shape": endless.element_spec[0].shape,
    }


def fit() -> None:
    once = batches.plain(photos(30), np.arange(30) % 3, 8)
    model = network(32)
    endless = augmented(photos(30), CAMERA)
    model.fit(endless, steps_per_epoch=5, epochs=3, validation_data=once, shuffle=False, verbose=2)
    model.evaluate(once, verbose=2)
    model.predict(once.map(lambda pixels, labels: pixels), verbose=0)


def anonymous_megabytes(count: int, folder: Path) -> int:
    """Memory after 100 batches of so many photos from a mapped file."""
    path = folder / f"{count}.npy"
    np.save(path, np.zeros((count, 256, 256, 3), np.uint8))
    for _ in augmented(np.load(path, mmap_mode="r"), CAMERA).take(100):
        pass
    path.unlink()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon"))


def ignore_ctrl_c() -> bool:
    """Whether a signal that was ignored before still is, and does not interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with between_batches() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        interrupt.check()
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


if __name__ == "__main__":
    out = Path(sys.argv[1])
    results = ways() | facts()
    fit()
    if Path("/proc/self/status").exists():
        results["megabytes"] = [anonymous_megabytes(count, out.parent) for count in (20, 700)]
    np.savez(out, ignored=ignore_ctrl_c(), **results)
