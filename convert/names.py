"""The names that options take: known without TensorFlow, so that --help is there in a blink."""

from __future__ import annotations

NETWORK_NAMES = (
    "mobilenet_v2",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "mobilenet",
    "mobilenet_v3_small",
    "efficientnet_v2_b0",
    "vgg16",
    "small",
    "tutorial",
)
DEFAULT_NETWORK = "efficientnet_lite0"  # its weights are installed with the [convert] extra
DEFAULT_OF_KERAS = "mobilenet_v2"  # has widths, and weights files that Keras publishes
RECIPE_NAMES = ("scratch", "fine-tune", "head", "tutorial")
AUGMENTATIONS = ("camera", "scratch", "tutorial", "none")
VARIANTS = ("float32", "float16", "dynamic", "int8", "int8-float")
DEVICES = ("auto", "cpu")  # or a number of GPUs
GROUP_BY = ("auto", "folder", "name", "time", "none")  # what a split keeps in one set
