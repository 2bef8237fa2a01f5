"""How a network is trained: three recipes by name, each value of which has an option."""

from __future__ import annotations

from dataclasses import dataclass

from convert.training.augment import Augmentation
from convert.training.networks import NETWORKS
from convert.training.weights_file import NONE


@dataclass(frozen=True)
class Recipe:
    """Everything about a training but the network, its data and its seed."""

    augmentation: Augmentation
    epochs: int
    batch_size: int
    learning_rate: float  # the highest
    steps_per_epoch: int | None = None  # None: every photo once
    optimizer: str = "adamw"  # or "rmsprop"
    warmup: float = 0.0  # share of all steps in which the rate rises from 0
    falling: bool = True  # to 0 along half a cosine; else the rate stays
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    average: float = 0.0  # momentum of the moving average of the weights that is kept; 0 is none
    patience: int | None = None  # epochs without a better validation loss; None never stops early
    class_weights: bool = True
    head_epochs: int = 0  # of the last layer alone, on features computed once
    fine_tune: float = 1.0  # share of the backbone's layers, from the top, that is trained


RECIPES = {
    # The whole network, from random weights.
    "scratch": Recipe(
        Augmentation.scratch(),
        epochs=60,
        batch_size=32,
        learning_rate=3e-3,
        warmup=0.05,
        weight_decay=0.02,
        label_smoothing=0.1,
        average=0.995,
    ),
    # First the head on frozen features, then the upper layers with it, gently.
    "fine-tune": Recipe(
        Augmentation.camera(),
        epochs=5,
        batch_size=32,
        learning_rate=1e-4,
        warmup=0.1,
        weight_decay=0.01,
        label_smoothing=0.1,
        average=0.99,
        head_epochs=20,
        fine_tune=0.6,
    ),
    # As the tutorial does it: 5 epochs of 50 steps at RMSprop's own rate.
    "tutorial": Recipe(
        Augmentation.tutorial(),
        epochs=5,
        steps_per_epoch=50,
        batch_size=128,
        learning_rate=1e-3,
        optimizer="rmsprop",
        falling=False,
        class_weights=False,
    ),
}


def recipe_for(network: str, weights: str) -> str:
    """Name the recipe that suits: fine-tuning where there are weights to start from."""
    return "fine-tune" if NETWORKS[network].is_backbone and weights != NONE else "scratch"
