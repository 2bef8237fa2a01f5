"""What a training is: recipes by name, each value of which has an option; network and seed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from convert.training.augment import Augmentation
from convert.training.backbones.known import NETWORKS
from convert.training.backbones.weights_file import NONE
from edge.image.preprocess import Size

BEST, LAST = "best", "last"
FINE_TUNE = "fine-tune"
HEAD = "head"
TUTORIAL = "tutorial"
PLAIN_RATE = 1e-4  # learning rate of FINE_TUNE for networks without batch normalization
# At a fixed camera:
FIXED_VIEWS = 8  # augmented views of each photo to fit the head to
FIXED_EXPOSURE = 1.5  # stops, either way: a day's light changes more than that of photos


@dataclass(frozen=True)
class Recipe:
    """Everything about a training but the network, its data and its seed."""

    augmentation: Augmentation
    epochs: int  # the number wanted, within `steps`
    batch_size: int
    learning_rate: float  # the highest
    steps: tuple[int, int] | None = None  # minimum and maximum steps of the whole training
    steps_per_epoch: int | None = None  # None: every photo once
    optimizer: str = "adamw"  # or "rmsprop"
    warmup: float = 0.0  # share of all steps in which the rate rises from 0
    falling: bool = True  # to 0 along half a cosine; else the rate stays
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    average: float = 0.0  # momentum of the moving average of the weights that is kept; 0 is none
    patience: int | None = None  # epochs without a better validation loss; None never stops early
    class_weights: bool = True
    head_first: bool = False  # begin with a head that is fitted to frozen features
    head_views: int = 0  # augmented views of each photo to fit this head to, where photos are few
    head_only: bool = False  # and end with it: no other layer is trained
    fine_tune: float = 1.0  # share of the backbone's layers, from the top, that is trained
    batch_norm: bool = True  # whether the backbone's batch normalization is trained with them
    keep: str = BEST  # which epoch's weights are kept: that of the lowest validation loss, or LAST

    def steps_of_epoch(self, num_photos: int) -> int:
        """Number of batches of one epoch."""
        return self.steps_per_epoch or -(-num_photos // self.batch_size)

    def for_fixed_camera(self) -> Recipe:
        """Let the scene lie still and move what lies in it, in stronger light.

        The first head is fitted to such views, too: to frames that are nearly the same, it gets
        weights so large that the loss of the fine-tuning begins at 5 and more.
        """
        light = max(self.augmentation.exposure, FIXED_EXPOSURE)
        augmentation = dataclasses.replace(self.augmentation, still=True, exposure=light)
        return dataclasses.replace(self, augmentation=augmentation, head_views=FIXED_VIEWS)

    def for_photos(self, num_photos: int) -> Recipe:
        """Choose the number of epochs for a training set, so that `steps` holds."""
        if self.steps is None:
            return self
        least, most = self.steps
        per_epoch = self.steps_of_epoch(num_photos)
        epochs = max(-(-least // per_epoch), min(self.epochs, most // per_epoch), 1)
        return dataclasses.replace(self, epochs=epochs, steps=None)


@dataclass(frozen=True)
class TrainConfig:
    """What a training run is."""

    network: str
    image_size: Size
    recipe: Recipe
    alpha: float = 1.0  # width of a backbone
    weights: str = "none"  # "imagenet", "none" or a file
    precision: str = "auto"  # to compute in: "float32", "bfloat16", or what is faster here
    devices: tuple[str, ...] = ()  # TensorFlow's names; of several, each has a part of a batch
    teacher: str = ""  # a .tflite file to learn from, beside the labels
    start: str = ""  # OUT of an earlier training, whose weights this one starts from
    seed: int = 0


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
    # First the head on frozen features, then all layers with it.
    FINE_TUNE: Recipe(
        Augmentation.camera(),
        epochs=20,
        steps=(120, 5000),  # about 120 is the shortest that was measured
        batch_size=32,
        learning_rate=1e-3,
        warmup=0.1,
        weight_decay=0.01,
        label_smoothing=0.1,
        average=0.99,
        head_first=True,
        head_views=6,
        keep=LAST,
    ),
    # The last layer alone: what fine-tuning may lose to where photos are few.
    HEAD: Recipe(
        Augmentation.camera(),
        epochs=1,
        batch_size=32,
        learning_rate=1e-3,
        head_first=True,
        head_only=True,
        head_views=6,
        keep=LAST,
    ),
    # As the tutorial does it: 5 epochs of 50 steps at RMSprop's own rate.
    TUTORIAL: Recipe(
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
    return FINE_TUNE if NETWORKS[network].is_backbone and weights != NONE else "scratch"
