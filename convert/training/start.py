"""Start a training from the weights of an earlier one: more epochs, or one class more."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from convert.data.photo import sha256_of
from convert.files import earlier_runs
from convert.training import networks
from convert.training.checkpoint import Checkpoint


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Start:
    """The weights of an earlier training's best epoch."""

    labels: tuple[str, ...]
    layers: tuple[list[NDArray[np.float32]], ...]  # of each layer, in Keras's order
    sha256: str  # of their file

    def load_into(self, model: keras.Model, labels: tuple[str, ...]) -> bool:
        """Load the weights into a network; those of the last layer if the labels are the same.

        Returns: whether the last layer has them.
        """
        same = labels == self.labels
        layers = model.layers if same else model.layers[:-1]
        for layer, weights in zip(layers, self.layers, strict=False):
            layer.set_weights(weights)
        return same


@functools.lru_cache(maxsize=1)
def find_start(out: Path) -> Start:
    """Find the best weights of the run in OUT. Raises: TrainingError."""
    checkpoint = Checkpoint.of(out / "training")
    about = checkpoint.about
    labels = tuple(about["labels"])
    model = networks.build(
        about["network"],
        tuple(about["image_size"]),
        len(labels),
        alpha=about["alpha"],
        for_training=True,
    )
    checkpoint.restore_best(model)
    layers = tuple(layer.get_weights() for layer in model.layers)
    return Start(labels, layers, sha256_of(checkpoint.best_path))


def started_from(out: Path, state_of: Path) -> Path:
    """The run in OUT that a training to be continued was started from.

    A training that starts from its own OUT has moved that run aside.

    Args:
        out: what --from was given.
        state_of: the folder of the training to be continued.
    """
    about = Checkpoint.about_of(state_of) or {}
    for run in (out, *earlier_runs(out)):
        if about.get("start") and find_start(run).sha256 == about["start"]:
            return run
    return out
