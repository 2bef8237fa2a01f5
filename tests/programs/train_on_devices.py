"""Train in a process whose processor counts as several devices.

Usage: python tests/programs/train_on_devices.py PHOTOS FOLDER PROCESSORS DEVICES [WEIGHTS]

WEIGHTS is a file of MobileNetV2 0.35, which is then fine-tuned; else a small network is trained.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

from convert.data.cache import DecodedPhotos
from convert.data.dataset import load
from convert.errors import EdgeError
from convert.training.augment import Augmentation
from convert.training.checkpoint import Checkpoint
from convert.training.computing.devices import choose_devices
from convert.training.recipes import RECIPES, TrainConfig
from convert.training.train import scores_of, train

photos, folder = map(pathlib.Path, sys.argv[1:3])
processors, wanted = int(sys.argv[3]), sys.argv[4]
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * processors,
)
recipe = dataclasses.replace(
    RECIPES["fine-tune" if sys.argv[5:] else "scratch"],
    batch_size=16,
    epochs=2,
    steps=None,
    augmentation=Augmentation.scratch(),
)
try:
    devices = choose_devices(wanted, recipe.batch_size)
except EdgeError as error:
    sys.exit(str(error))
config = TrainConfig("small", (32, 48), recipe, precision="float32", devices=devices)
if sys.argv[5:]:
    backbone = {"network": "mobilenet_v2", "alpha": 0.35, "weights": sys.argv[5]}
    config = dataclasses.replace(config, image_size=(96, 96), **backbone)
dataset = load(photos, 0)
decoded = DecodedPhotos(dataset, config.image_size, folder / "cache")
weights = np.linspace(0.5, 1.5, len(dataset.train), dtype=np.float32)


def trained(epochs: int, resume: bool) -> tuple[list[dict[str, float]], list[float]]:
    """The history, and the scores of a few photos."""
    changed = dataclasses.replace(config, recipe=dataclasses.replace(recipe, epochs=epochs))
    checkpoint = Checkpoint(folder / "training", {}, resume=resume)
    model = train(decoded, changed, weights, checkpoint)
    return checkpoint.history, scores_of(model, decoded.val[:3]).ravel().tolist()


first, _ = trained(1, resume=False)
both, scores = trained(2, resume=True)  # another rate, but the same on all devices
print(json.dumps({"devices": devices, "history": both, "scores": scores}))
