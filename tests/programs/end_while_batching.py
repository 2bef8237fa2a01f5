"""End while batches are being made: held, or dropped and by an error.

Usage: python tests/programs/end_while_batching.py held|dropped
"""

from __future__ import annotations

import sys

import numpy as np
from drawn_batches import augmented, photos

from convert.training import batches
from convert.training.augment import Augmentation

source = iter(augmented(photos(50, 300), Augmentation.camera()))
batch = next(source)
plain = iter(batches.plain(photos(90, 300), np.zeros(90), 4))
first = next(plain)
if sys.argv[1] == "dropped":
    del batch, source
    raise ValueError("an error")
