"""The one definition of preprocessing: a photo or a frame becomes the model's input tensor.

Training, calibration, evaluation, files and camera frames all come through here, so that what was
trained is what runs. A change of the policy that moves a pixel raises PREPROCESSING_VERSION, which
every model file carries: how files are decoded is in decode.py, which part is seen and by
which filter in framing.py. Unless a model wants it otherwise, that is all of the image, brought
to the input's size regardless of the aspect ("squash") by "antialias": the image is shrunk by the
largest power of two that still covers the input, a JPEG as it is decoded (DCT scale), pixels by box
average; then by Pillow's bilinear filter, whose support grows with the reduction.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from edge.errors import ImageError
from edge.image.decode import Decoded, Pixels, encode_jpeg, opened
from edge.image.framing import WHOLE, Framing, Size, View, covering, view
from edge.image.input_tensor import InputSpec, Normalization, fill
from edge.image.opening import Encoded
from edge.image.shared import shared

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [  # of the modules below, what others find here
    "Framing",
    "InputSpec",
    "Normalization",
    "Pixels",
    "Size",
    "encode_jpeg",
    "fill",
]

PREPROCESSING_VERSION = 2

STRIP_PIXELS = 1 << 16  # 256 KiB in Pillow's memory, which stay in the processor's cache
MAX_KEPT_PIXELS = 1_000_000

_KEPT = threading.local()  # images of frames, see _kept


class Prepared(NamedTuple):
    """An image with what one model will see of it, made ahead of time by `prepare`."""

    picture: Pixels | Encoded
    input: InputSpec  # of the model
    outcome: Pixels | ImageError  # (h, w, 3) or grey (h, w), or why there is none
    prepare_ms: float  # how long that took, in whichever thread


# Decoded (a camera frame), still encoded (a file's path or content), or prepared.
Picture: TypeAlias = "Pixels | Encoded | Prepared"


def preprocess(picture: Picture, input: InputSpec, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Make the input tensor of an image.

    Args:
        picture: (H, W, 3) uint8 RGB upright, the path or content of an image file, or prepared.
        input: the model's input.
        out: where to write, of the input's shape and dtype; a new array where it is None.

    Returns: the tensor, of the input's shape and dtype.
    Raises: ImageError.
    """
    tensor = np.empty(input.shape, input.dtype) if out is None else out
    fill(tensor, seen(picture, input), input)
    return tensor


def prepare(picture: Picture, input: InputSpec) -> Prepared:
    """Do all of `preprocess` that needs no tensor; a bad image fails once it is preprocessed."""
    original = picture.picture if isinstance(picture, Prepared) else picture
    started = time.perf_counter()
    outcome: Pixels | ImageError
    try:
        outcome = seen(original, input)
    except ImageError as error:
        outcome = error
    return Prepared(original, input, outcome, (time.perf_counter() - started) * 1000)


def seen(picture: Picture, input: InputSpec) -> Pixels:
    """Return what the model sees: (h, w, 3) RGB, or grey (h, w). Raises: ImageError."""
    if isinstance(picture, Prepared):
        if picture.input != input:  # for another model than this one
            return seen(picture.picture, input)
        if isinstance(picture.outcome, ImageError):
            raise picture.outcome
        return picture.outcome
    channels = 1 if input.channels == 1 else 3
    return resized(picture, input.size, input.framing, channels=channels)


def resized(picture: Picture, size: Size, framing: Framing = WHOLE, *, channels: int = 3) -> Pixels:
    """Decode an image where it is encoded, and bring it to a size.

    Returns: (*size, 3) uint8 RGB; (*size,) grey where `channels` is 1.
    Raises: ImageError.
    """
    if isinstance(picture, Prepared):
        picture = picture.picture
    if isinstance(picture, np.ndarray):
        return resize(picture, size, framing, channels=channels)
    with opened(picture, functools.partial(framing.reduction, input=size)) as decoded:
        return np.asarray(_framed(decoded, size, framing, channels))


def resize(pixels: Pixels, size: Size, framing: Framing = WHOLE, *, channels: int = 3) -> Pixels:
    """Bring (H, W, 3) uint8 RGB to a size: (*size, 3), or grey (*size,) where `channels` is 1."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ImageError(
            "a frame",
            f"must be (height, width, 3) uint8. Received: {pixels.shape} {pixels.dtype}",
            "pass RGB pixels",
        )
    image = shared(pixels)
    if image or framing.rotate:
        decoded = Decoded.all_of(image or _frame_image(pixels))
        return _pixels(_framed(decoded, size, framing, channels))
    if pixels.shape[:2] == size and framing.roi is None and channels == 3:
        return pixels
    part = view(framing, (0.0, 0.0, pixels.shape[1], pixels.shape[0]), size)
    left, top, right, bottom = part.cut
    cut = pixels[top:bottom, left:right]  # the others are not even copied
    if channels == 1:
        image, by = _frame_image(cut).convert("L"), part.by
    else:
        image, by = _shrunk(cut, part.by), 1
    part = part._replace(cut=(0, 0, *image.size), by=by)
    return _pixels(_landed(image, part, size, framing.filter))


def read_image(picture: Picture, at_least: Size | None = None) -> Pixels:
    """Decode an image to upright RGB.

    Args:
        picture: a path, the content of an image file, either of them prepared, or pixels, which
            are returned as they are.
        at_least: (height, width) that suffices: a JPEG is then decoded at a smaller scale that
            still covers it. All of its pixels where it is None.

    Returns: (height, width, 3) uint8 RGB.
    Raises: ImageError.
    """
    if isinstance(picture, Prepared):
        picture = picture.picture
    if isinstance(picture, np.ndarray):
        return picture
    with opened(picture, lambda size: covering(size, at_least) if at_least else 1) as decoded:
        return np.asarray(decoded.image)


def part(pixels: Pixels, roi: tuple[float, ...] | None) -> Pixels:
    """Return a view of a part of (H, W, 3) pixels, of one pixel at least.

    Args:
        pixels: the image.
        roi: x, y, width, height as shares of it; None or (): all of it.
    """
    if not roi:
        return pixels
    height, width = pixels.shape[:2]
    left, top = min(int(roi[0] * width), width - 1), min(int(roi[1] * height), height - 1)
    right, bottom = round((roi[0] + roi[2]) * width), round((roi[1] + roi[3]) * height)
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]


def part_of_jpeg(jpeg: bytes, roi: tuple[float, ...] | None) -> bytes:
    """Return a part of a JPEG as another; itself where it is all of it. Raises: ImageError."""
    return encode_jpeg(part(read_image(jpeg), roi)) if roi else jpeg


_CLOCKWISE = {
    90: Image.Transpose.ROTATE_270,  # Pillow counts the other way round
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def _shrunk(pixels: Pixels, by: int) -> Image.Image:
    """Put (H, W, 3) uint8 RGB into an image, shrunk by box average.

    Strip by strip: 2.9 instead of 4.2 ms for a frame of 1920 x 1080, 0.54 instead of 0.58 ms for
    640 x 480. This thread keeps the image until the next call.
    """
    if by == 1:
        return _frame_image(pixels)
    height, width = pixels.shape[:2]
    shrunk = _kept("shrunk", (math.ceil(width / by), math.ceil(height / by)))
    strips = max(1, round(height * width / STRIP_PIXELS))
    rows = math.ceil(height / strips / by) * by
    for top in range(0, height, rows):
        strip = pixels[top : top + rows]
        image = _frame_image(strip, "strip" if len(strip) == rows else "last strip")
        # What Image.reduce and Image.paste call: without their checks and copies of attributes, the
        # strips of a frame of 640 x 480 take 0.05 ms less.
        part = image.im.reduce((by, by), (0, 0, *image.size))
        first = top // by
        shrunk.im.paste(part, (0, first, part.size[0], first + part.size[1]))
    return shrunk


def _frame_image(pixels: Pixels, what: str = "frame") -> Image.Image:
    """Put (H, W, 3) uint8 RGB into an image that this thread keeps, until it calls this again."""
    image = _kept(what, (pixels.shape[1], pixels.shape[0]))
    image.frombytes(np.ascontiguousarray(pixels), "raw", "RGB", 0, 1)
    return image


def _pixels(image: Image.Image) -> Pixels:
    """Return the pixels of RGB or grey; np.asarray(image) takes 0.03 ms more."""
    shape = (image.height, image.width, 3) if image.mode == "RGB" else image.size[::-1]
    return np.frombuffer(image.tobytes(), np.uint8).reshape(shape)


def _kept(what: str, size: Size) -> Image.Image:
    """Return an RGB image of (width, height) that this thread keeps, whatever is in it.

    No memory is allocated and zeroed then: 0.10 instead of 0.16 ms of a frame of 640 x 480.
    """
    image: Image.Image | None = getattr(_KEPT, what, None)
    if image is None or image.size != size:
        Image.new("RGB", size, None)  # freed: glibc then keeps as much for what is made of it
        image = Image.new("RGB", size, None)
        if size[0] * size[1] <= MAX_KEPT_PIXELS:
            setattr(_KEPT, what, image)
    return image


def _framed(decoded: Decoded, size: Size, framing: Framing, channels: int) -> Image.Image:
    """What the model sees of an upright RGB image, at the input's size."""
    if channels == 1:
        decoded = decoded._replace(image=decoded.image.convert("L"))
    if framing.rotate:
        decoded = decoded.turned(_CLOCKWISE[framing.rotate])
    part = view(framing, decoded.area, size)
    return _landed(decoded.image, part, size, framing.filter)


def _landed(image: Image.Image, part: View, size: Size, filter: str) -> Image.Image:
    """Bring a part of an image to the input's size, on black where it does not fill it."""
    resized = _resize(image, part, filter)
    if part.target == size:
        return resized
    padded = Image.new(resized.mode, size[::-1])
    padded.paste(resized, (part.left, part.top))
    return padded


def _resize(image: Image.Image, part: View, filter: str) -> Image.Image:
    """Bring a part of an image to its size in the input."""
    # The antialiasing filter would reach beyond the part's edges, hence the crop.
    if part.by > 1:
        image = image.reduce(part.by, part.cut)
    elif part.cut != (0, 0, *image.size):
        image = image.crop(part.cut)
    height, width = part.target
    if filter == "bilinear":
        left, top, right, bottom = part.box
        affine = ((right - left) / width, 0, left, 0, (bottom - top) / height, top)
        return image.transform(
            (width, height), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
    nearest = filter == "nearest"
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    return image.resize((width, height), method, part.box)
