"""The one definition of preprocessing: a photo or a frame becomes the model's input tensor.

Training, calibration, evaluation, files and camera frames all come through here, so that what was
trained is what runs. A change of the policy below that moves a pixel raises PREPROCESSING_VERSION,
which every model file carries.

Decoding, version 1:
- JPEG, PNG, WebP, BMP, GIF, TIFF and PNM (HEIF and AVIF where Pillow can); the first frame of any.
- A JPEG is decoded at the smallest DCT scale that still covers the wanted size in both directions.
- All eight EXIF orientations are turned upright.
- Transparency is laid over white. 16-bit grey keeps its high byte, rounded.
- An embedded ICC profile other than sRGB is converted to sRGB; one that is broken is ignored.
- At most MAX_DECODED_PIXELS are decoded.

Resizing, version 1: to the input's size regardless of the aspect ("squash"), by Pillow's bilinear
filter, whose support grows with the reduction ("antialias").
"""

from __future__ import annotations

import functools
import io
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from edge.errors import ImageError
from edge.tensor import TensorSpec, quantize

PREPROCESSING_VERSION = 1

# A model sees a few hundred pixels a side; an 8-bit picture of this size already takes 192 MB.
# JPEGs shrink while they are decoded, so that they may be as large as Pillow's own limit (179 Mpx).
MAX_DECODED_PIXELS = 64_000_000
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # we refuse by our limit
# Pillow warns of damaged EXIF, which says nothing of the pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")

# A JPEG is decoded to at least this many times the input's height and width: the antialiasing
# filter then still has enough to average, at a fraction of the time.
OVERSAMPLING = 2

Size = tuple[int, int]  # (height, width)
Pixels = NDArray[np.uint8]  # (height, width, 3) RGB, upright
Picture = (
    Pixels | Path | bytes
)  # decoded (a camera frame), or still encoded (a file's path or content)


@dataclass(frozen=True)
class Normalization:
    """What a model wants done to pixels 0..255: `(pixel - mean) / std`."""

    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class InputSpec(TensorSpec):
    """A model's input tensor, (1, height, width, 3), and how pixels get into it.

    Without a normalization, quantized pixels go in as they are (int8: shifted by 128), which is the
    convention of all TFLite image tools.
    """

    normalization: Normalization | None = None

    @property
    def size(self) -> Size:
        """(height, width) of the picture that the model sees."""
        return self.shape[1], self.shape[2]

    @functools.cached_property
    def pixel_table(self) -> NDArray[Any]:
        """What each pixel value 0..255 becomes: (256,) of the input's dtype.

        A pixel has only 256 values, so that normalization and quantization are one table look-up.
        """
        pixels = np.arange(256)
        if self.dtype == np.uint8:
            return pixels.astype(np.uint8)
        if self.normalization is None:
            return (pixels - 128 if self.dtype == np.int8 else pixels).astype(self.dtype)
        real = (pixels - self.normalization.mean) / self.normalization.std
        return quantize(real, self)

    @functools.cached_property
    def takes_pixels(self) -> bool:
        """Whether pixels go in unchanged, except for their dtype."""
        return bool(np.array_equal(self.pixel_table, np.arange(256)))


def preprocess(picture: Picture, input: InputSpec, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Make the input tensor of a picture.

    Args:
        picture: (H, W, 3) uint8 RGB upright, or a path or the content of an image file.
        input: the model's input.
        out: where to write, (1, h, w, 3) of the input's dtype; a new array where it is None.

    Returns: (1, h, w, 3) of the input's dtype.
    Raises: ImageError.
    """
    tensor = np.empty(input.shape, input.dtype) if out is None else out
    pixels = resized(picture, input.size)
    if input.takes_pixels:
        tensor[0] = pixels
    else:
        # mode="clip" lets numpy write into `out` directly; no index can be out of range.
        np.take(input.pixel_table, pixels, out=tensor[0], mode="clip")
    return tensor


def resized(picture: Picture, size: Size) -> Pixels:
    """Decode a picture where it is encoded, and resize it: (*size, 3) uint8."""
    if isinstance(picture, np.ndarray):
        return resize(picture, size)
    with _opened(picture, at_least=(OVERSAMPLING * size[0], OVERSAMPLING * size[1])) as image:
        return np.asarray(_resize(image, size))


def resize(pixels: Pixels, size: Size) -> Pixels:
    """Resize (H, W, 3) uint8 to (*size, 3) uint8, antialiased, whatever the aspect."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ImageError(
            "a frame",
            f"must be (height, width, 3) uint8. Received: {pixels.shape} {pixels.dtype}",
            "give RGB pixels",
        )
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(_resize(Image.fromarray(pixels), size))


def read_image(picture: Picture, at_least: Size | None = None) -> Pixels:
    """Decode a picture to upright RGB.

    Args:
        picture: a path, the content of an image file, or pixels, which are returned as they are.
        at_least: (height, width) that suffices: a JPEG is then decoded at a smaller scale that
            still covers it. All of its pixels where it is None.

    Returns: (height, width, 3) uint8 RGB.
    Raises: ImageError.
    """
    if isinstance(picture, np.ndarray):
        return picture
    with _opened(picture, at_least) as image:
        return np.asarray(image)


def _resize(image: Image.Image, size: Size) -> Image.Image:
    height, width = size
    return image.resize((width, height), Image.Resampling.BILINEAR)


@contextmanager
def _opened(source: Path | bytes, at_least: Size | None) -> Iterator[Image.Image]:
    """Yield the upright RGB picture; every way in which a file can be bad becomes ImageError."""
    subject = "the given bytes" if isinstance(source, bytes) else source
    try:
        with _stream(source) as stream, _identify(stream, subject) as image:
            yield _upright_rgb(image, at_least, subject)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(subject, "no such file", "check the path") from error
    except PermissionError as error:
        raise ImageError(subject, "may not be read", "change its permissions") from error
    except Image.DecompressionBombError as error:
        raise _too_large(subject) from error
    except UnidentifiedImageError as error:  # its text would be the stream's address in memory
        raise ImageError(subject, "is damaged (unreadable header)", "replace the file") from error
    # A decoder meets damaged data in any of its own ways; Pillow names no common base for them.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ImageError(subject, f"is damaged ({reason})", "replace the file") from error


def _stream(source: Path | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    mode = source.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ImageError(source, "is a folder", "give an image file")
    if not stat.S_ISREG(mode):  # opening a FIFO would wait for ever
        raise ImageError(source, "is not a regular file", "give an image file")
    return open(source, "rb")


# First bytes -> Pillow's name of the format and the plugin that reads it. Only these are tried:
# fast to import, and no exotic decoder (PostScript runs a program) is ever reached by a stray file.
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\xff\xd8\xff", "JPEG", "JpegImagePlugin"),
    (b"\x89PNG\r\n\x1a\n", "PNG", "PngImagePlugin"),
    (b"GIF8", "GIF", "GifImagePlugin"),
    (b"BM", "BMP", "BmpImagePlugin"),
    (b"II*\0", "TIFF", "TiffImagePlugin"),
    (b"MM\0*", "TIFF", "TiffImagePlugin"),
    *((b"P%d" % kind, "PPM", "PpmImagePlugin") for kind in range(1, 7)),
)


def _identify(stream: BinaryIO, subject: object) -> Image.Image:
    """Open the picture without decoding it: its format, size and mode are then known."""
    head = stream.read(16)
    stream.seek(0)
    if not head:
        raise ImageError(subject, "is empty", "replace the file")
    format_name, plugin = _format_of(head)
    if not plugin:
        raise ImageError(subject, "is not an image of a known format", "give a JPEG, PNG or WebP")
    try:
        import_module(plugin)
    except ImportError as error:
        raise ImageError(
            subject, f"is {format_name}, which needs another package", "pip install pillow-heif"
        ) from error
    if plugin == "pillow_heif":
        import_module(plugin).register_heif_opener()
    return Image.open(stream, formats=(format_name,))


def _format_of(head: bytes) -> tuple[str, str]:
    """The format's name and the module that reads it, by its first bytes; ("", "") if unknown."""
    for signature, name, plugin in _SIGNATURES:
        if head.startswith(signature):
            return name, f"PIL.{plugin}"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP", "PIL.WebPImagePlugin"
    if head[4:8] == b"ftyp":
        return ("AVIF", "PIL.AvifImagePlugin") if head[8:11] == b"avi" else ("HEIF", "pillow_heif")
    return "", ""


def _upright_rgb(image: Image.Image, at_least: Size | None, subject: object) -> Image.Image:
    if image.format in ("JPEG", "MPO") and at_least is not None:
        height, width = at_least if _orientation(image) < 5 else at_least[::-1]
        image.draft(None, (width, height))  # None: keep the colours
    if image.width * image.height > MAX_DECODED_PIXELS:
        raise _too_large(subject)
    image.load()
    # After load(): a PNG's EXIF may follow its pixels. Pillow turns a TIFF while it loads.
    turn = None if image.format == "TIFF" else _TURNS.get(_orientation(image))
    rgb = _to_rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


# EXIF 2.32, tag 0x0112: what turns a stored picture upright.
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 where there is none, or none that can be read."""
    exif = Image.Exif()  # image.getexif() would, in newer Pillow only, also take a JPEG's XMP
    try:
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(_ORIENTATION_TAG, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1  # damaged EXIF says nothing of the pixels
    return orientation if orientation in _TURNS else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    opaque = _without_alpha(_eight_bit(image))
    if profile:
        opaque = _to_srgb(opaque, profile)
    return opaque if opaque.mode == "RGB" else opaque.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey becomes "L" (Pillow's own conversion clips at 255); other modes stay."""
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _without_alpha(image: Image.Image) -> Image.Image:
    """Lay transparency over white; a palette becomes RGB."""
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if transparent:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB") if image.mode == "P" else image


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    from PIL import ImageCms  # costs a shared library; most pictures do not need it

    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(embedded):
            return image  # the common case; converting would only add rounding
        converted = ImageCms.profileToProfile(image, embedded, _srgb(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a broken or foreign profile says nothing of the pixels
    return converted or image


@functools.cache
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _too_large(subject: object) -> ImageError:
    limit = MAX_DECODED_PIXELS // 1_000_000
    return ImageError(
        subject, f"is too large to decode (more than {limit} megapixels)", "make it smaller first"
    )


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """Encode (H, W, 3) uint8 RGB as the content of a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()
