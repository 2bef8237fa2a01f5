"""Let a model teach batches.

Usage: python tests/programs/ask_teacher.py MODEL OUT.npz
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
from pathlib import Path

import numpy as np
import tensorflow as tf

from convert.training import teacher
from edge.classifier.model import Model

path = Path(sys.argv[1])
pixels = np.random.default_rng(0).integers(0, 256, (12, 48, 40, 3)).astype(np.uint8)
labels, weights = np.arange(12) % 3, np.arange(12, dtype=np.float32)
batches = tf.data.Dataset.from_tensor_slices((pixels, labels, weights)).batch(4)
taught = teacher.Teacher(path, ("cup", "fish", "key")).teach(batches)
made = [np.concatenate(part) for part in zip(*taught.as_numpy_iterator(), strict=True)]
with Model(path) as model:
    alone = np.stack([model.scores(picture) for picture in pixels])
np.savez(
    sys.argv[2],
    pixels=pixels,
    labels=labels,
    weights=weights,
    alone=alone,
    share=teacher.SHARE,
    **{f"made_{n}": part for n, part in enumerate(made)},
)
