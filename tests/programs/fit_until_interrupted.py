"""Fit until Ctrl-C, printing 1 after each batch.

Usage: python -u tests/programs/fit_until_interrupted.py [SECONDS]

Without SECONDS, which each batch then takes, Ctrl-C is caught once, 2 is printed, and another fit
is begun, in which it is not.
"""

from __future__ import annotations

import sys
import time

import keras
import numpy as np
from drawn_batches import augmented, network, photos

from convert.training import batches
from convert.training.augment import Augmentation
from convert.training.callbacks.interrupt import between_batches


class Tell(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        print(1)
        time.sleep(float(sys.argv[1]) if sys.argv[1:] else 0)


def fit() -> None:
    once = batches.plain(photos(90, 300), np.arange(90) % 3, 8)
    source = augmented(photos(50, 300), Augmentation.camera())
    with between_batches() as interrupt:
        network(300).fit(
            source,
            steps_per_epoch=5,
            epochs=999,
            validation_data=once,
            shuffle=False,
            verbose=0,
            callbacks=[Tell(), interrupt],
        )


if not sys.argv[1:]:
    try:
        fit()
    except KeyboardInterrupt:
        print(2)
fit()
