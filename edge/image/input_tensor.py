"""A model's input tensor: how pixels 0..255 become its values."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge.image.framing import WHOLE, Framing, Size
from edge.image.tensor import TensorSpec, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPAQUE = 255  # alpha of an input with four channels


class Normalization(NamedTuple):
    """What a model wants done to pixels 0..255: `(pixel - mean) / std`.

    Args:
        mean: one number, or one for each of red, green and blue.
        std: as many; a negative one inverts.
    """

    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0

    @property
    def is_by_channel(self) -> bool:
        """Whether red, green and blue have numbers of their own."""
        return isinstance(self.mean, tuple) or isinstance(self.std, tuple)

    def of(self, values: NDArray[Any], channels: int) -> NDArray[Any]:
        """Normalize pixel values (n,): the same shape, or (n, channels) where it is by channel."""
        if not self.is_by_channel:
            return np.asarray((values - self.mean) / self.std)
        mean, std = (_for_channels(numbers, channels) for numbers in (self.mean, self.std))
        return np.asarray((values[:, None] - mean) / std)

    def __str__(self) -> str:
        """Return the formula, such as (pixel - 127.5) / 127.5."""
        return f"(pixel - {_shown(self.mean)}) / {_shown(self.std)}"


def _for_channels(numbers: float | tuple[float, ...], channels: int) -> NDArray[np.float64]:
    """One number for each channel; alpha has blue's."""
    of_rgb = numbers if isinstance(numbers, tuple) else (numbers,) * 3
    return np.array([of_rgb[min(place, 2)] for place in range(channels)])


def _shown(numbers: float | tuple[float, ...]) -> str:
    if isinstance(numbers, tuple):
        return f"[{', '.join(f'{number:g}' for number in numbers)}]"
    return f"{numbers:g}"


@dataclass(frozen=True)
class InputSpec(TensorSpec):
    """A model's input tensor, and how pixels get into it.

    Its shape is (1, height, width, channels) with 3 channels (RGB), 4 (RGBA) or 1 (grey), or
    (1, channels, height, width), or leaves the one channel out, or that and the 1 in front.

    Without a normalization, quantized pixels go in as they are (int8: shifted by 128), which is the
    convention of all TFLite image tools.
    """

    normalization: Normalization | None = None
    framing: Framing = WHOLE
    is_channels_first: bool = False

    @functools.cached_property
    def size(self) -> Size:
        """(height, width) of the image that the model sees."""
        first = 1 if len(self.shape) == 4 and not self.is_channels_first else len(self.shape) - 2
        return self.shape[first], self.shape[first + 1]

    @functools.cached_property
    def channels(self) -> int:
        """3 for RGB, 4 for RGBA, 1 for grey."""
        if len(self.shape) < 4:
            return 1
        return self.shape[1 if self.is_channels_first else 3]

    @functools.cached_property
    def pixel_table(self) -> NDArray[Any]:
        """What each pixel value 0..255 becomes, of the input's dtype.

        (256,); (256, channels) where it differs by channel. A pixel has only 256 values, so that
        normalization and quantization are one table look-up.
        """
        pixels = np.arange(256)
        if self.dtype == np.uint8:
            return pixels.astype(np.uint8)
        if self.normalization is None:
            return (pixels - 128 if self.dtype == np.int8 else pixels).astype(self.dtype)
        return quantize(self.normalization.of(pixels, self.channels), self)

    @functools.cached_property
    def takes_pixels(self) -> bool:
        """Whether pixels go in unchanged, except for their dtype."""
        return bool(np.array_equal(self.pixel_table, np.arange(256)))

    @functools.cached_property
    def takes_rgb(self) -> bool:
        """Whether (h, w, 3) RGB goes in unchanged, as most frames do."""
        return self.takes_pixels and self.channels == 3 and not self.is_channels_first

    @functools.cached_property
    def takes_shifted_pixels(self) -> bool:
        """Whether pixels go in less 128."""
        return bool(np.array_equal(self.pixel_table, np.arange(-128, 128)))

    @functools.cached_property
    def mean_and_std(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """What gives the very table in float32 arithmetic, and faster; None where it differs.

        Each is one number, or one for each channel, in a shape that spreads over the tensor.
        """
        rule = self.normalization
        if rule is None or self.dtype != np.float32:
            return None
        channels = self.channels if rule.is_by_channel else 1
        mean, std = (
            _for_channels(numbers, channels).astype(np.float32) for numbers in (rule.mean, rule.std)
        )
        pixels = np.arange(256, dtype=np.float32)[:, None]
        table = ((pixels - mean) / std).reshape(self.pixel_table.shape)
        if not np.array_equal(table, self.pixel_table):
            return None
        shape = (-1, 1, 1) if self.is_channels_first and rule.is_by_channel else (-1,)
        return mean.reshape(shape), std.reshape(shape)


def fill(tensor: NDArray[Any], pixels: NDArray[np.uint8], input: InputSpec) -> None:
    """Write (h, w, 3) RGB, or grey (h, w), into a tensor of the input's shape.

    The fastest way there is.
    """
    if input.takes_rgb:
        tensor[...] = pixels
        return
    if input.channels == 4:
        alpha = np.full((*pixels.shape[:2], 1), OPAQUE, np.uint8)
        pixels = np.concatenate([pixels, alpha], axis=2)
    if input.is_channels_first and pixels.ndim == 3:
        pixels = pixels.transpose(2, 0, 1)
    pixels = pixels.reshape(tensor.shape)  # which adds axes of one element
    if input.takes_pixels:
        tensor[...] = pixels
    elif input.takes_shifted_pixels and input.dtype == np.int8:
        np.bitwise_xor(pixels, np.uint8(128), out=tensor.view(np.uint8))  # wraps as it should
    elif input.mean_and_std:
        mean, std = input.mean_and_std
        tensor[...] = pixels
        np.subtract(tensor, mean, out=tensor)
        np.divide(tensor, std, out=tensor)
    elif input.pixel_table.ndim == 2:
        axis = 1 if input.is_channels_first else -1
        values, planes = np.moveaxis(tensor, axis, 0), np.moveaxis(pixels, axis, 0)
        for channel, table in enumerate(input.pixel_table.T):
            values[channel] = table[planes[channel]]
    elif input.dtype.itemsize == 1:
        bytes_ = pixels.tobytes().translate(input.pixel_table.tobytes())
        tensor[...] = np.frombuffer(bytes_, input.dtype).reshape(pixels.shape)
    else:
        # mode="clip" lets numpy write into `out` directly; no index can be out of range.
        np.take(input.pixel_table, pixels, out=tensor, mode="clip")
