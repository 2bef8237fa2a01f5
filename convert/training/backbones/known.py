"""The networks that can be trained, and what each takes: known without TensorFlow.

So a width or a size that a network cannot have is rejected before the import, which takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Convention:
    """What a network wants done to RGB pixels 0..255: `pixel * scale + offset` by channel."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    bgr: bool = False  # its first convolution's weights were trained on blue, green, red


UNIT = Convention((1 / 255,) * 3, (0.0,) * 3)  # [0, 1]
SIGNED = Convention((1 / 127.5,) * 3, (-1.0,) * 3)  # [-1, 1]
# Mean and standard deviation of ImageNet's pixels over 255, https://arxiv.org/abs/2104.00298
STANDARD = Convention(
    (1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
    (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
)
# https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite
LITE = Convention((1 / 128,) * 3, (-127 / 128,) * 3)
# Caffe's: blue, green, red, each less its mean, https://arxiv.org/abs/1409.1556
CAFFE = Convention((1.0,) * 3, (-123.68, -116.779, -103.939), bgr=True)


@dataclass(frozen=True)
class Network:
    """One network that can be trained, and what it takes for granted."""

    convention: Convention
    size: int  # default side of its input, in pixels
    smallest: int  # the least side
    application: str = ""  # in keras.applications, or LITE_FAMILY; "" is trained from scratch
    alphas: tuple[float, ...] = (1.0,)  # widths that exist; the first is the default
    normalizes: bool = True  # has batch normalization, without which high rates diverge
    swish: bool = False  # swish and squeeze-and-excite: loses more when it is quantized

    @property
    def is_backbone(self) -> bool:
        """Whether there are ImageNet weights of it."""
        return bool(self.application)


LITE_FAMILY = "EfficientNet-Lite"  # built here: keras.applications does not have it
NETWORKS = {
    "mobilenet_v2": Network(SIGNED, 224, 32, "MobileNetV2", (1.0, 0.35, 0.5, 0.75, 1.3, 1.4)),
    "efficientnet_lite0": Network(LITE, 224, 32, LITE_FAMILY),
    "efficientnet_lite1": Network(LITE, 240, 32, LITE_FAMILY),
    "efficientnet_lite2": Network(LITE, 260, 32, LITE_FAMILY),
    "mobilenet": Network(SIGNED, 224, 32, "MobileNet", (1.0, 0.25, 0.5, 0.75)),
    "mobilenet_v3_small": Network(SIGNED, 224, 32, "MobileNetV3Small", (1.0, 0.75), swish=True),
    "efficientnet_v2_b0": Network(STANDARD, 224, 32, "EfficientNetV2B0", swish=True),
    "vgg16": Network(CAFFE, 224, 32, "VGG16", normalizes=False),
    "small": Network(SIGNED, 160, 32),
    "tutorial": Network(UNIT, 300, 95),
}
