"""Image files become upright RGB: the decoding half of the one preprocessing, and all of Pillow's.

Version 1 (edge.image.preprocess.PREPROCESSING_VERSION):
- JPEG, PNG, WebP, BMP, GIF, TIFF and PNM (HEIF and AVIF where Pillow can); the first frame of any.
- A JPEG is decoded at the smallest DCT scale that still covers the wanted size in both directions.
- All eight EXIF orientations are turned upright.
- Transparency is laid over white. 16-bit grey keeps its high byte, rounded; what has floating-point
  pixels is refused.
- An embedded ICC profile other than sRGB is converted to sRGB; one that is broken is ignored.
- At most MAX_DECODED_PIXELS are decoded, of a WebP MAX_WEBP_PIXELS, of a progressive JPEG
  MAX_COEFFICIENTS and MAX_SCANS.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from edge.errors import ImageError
from edge.image.framing import Size

# A model sees a few hundred pixels a side; an 8-bit picture of this size already takes 192 MB.
# JPEGs shrink while they are decoded, so that they may be as large as Pillow's own limit.
MAX_DECODED_PIXELS = 64_000_000
MAX_ENCODED_PIXELS = 178_956_970
MAX_WEBP_PIXELS = 40_000_000  # its decoder takes 20 bytes a pixel
# A progressive JPEG is held whole until its last scan, 2 bytes a coefficient: 660 MB, as much as a
# 108-megapixel photo takes. Each scan goes over all of it, and a few bytes make one.
MAX_COEFFICIENTS = 330_000_000
MAX_SCANS = 100  # encoders make about 10
STRIP_PIXELS = 1_000_000

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # we refuse by our limit
# Pillow warns of damaged EXIF and the like, which say nothing of the pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # nor its errors, which we raise

Pixels = NDArray[np.uint8]  # (height, width, 3) RGB, upright
Encoded = str | Path | bytes | bytearray  # an image file's path, or its content
Suffices = Callable[[Size], Size | None]  # upright (height, width) -> what suffices; None: all


@contextlib.contextmanager
def opened(source: Encoded, suffices: Suffices) -> Iterator[Image.Image]:
    """Yield the upright RGB picture of a file or of its content.

    `suffices` is asked to which (height, width) an upright JPEG of a size need only be decoded.

    Raises: ImageError, whichever way the file is bad.
    """
    with _identified(source) as image:
        yield _upright_rgb(image, suffices, _named(source))


@dataclass(frozen=True)
class ImageFacts:
    """What an encoded picture says of itself, as decoding it goes by."""

    format: str  # Pillow's name; what a camera calls MPO is a JPEG
    size: Size  # (height, width), upright
    orientation: int  # EXIF, 1..8


def read_facts(source: Encoded) -> ImageFacts:
    """Read the facts of a picture; only some kinds are decoded for that. Raises: ImageError."""
    with _identified(source) as image:
        kind, orientation = image.format or "", _orientation(image)
        if kind in ("PNG", "TIFF"):  # see _upright_rgb
            image.load()
        if kind != "TIFF":  # which is turned now, and forgets that it was
            orientation = _orientation(image)
        lies = orientation >= 5 and kind != "TIFF"
        size = (image.width, image.height) if lies else (image.height, image.width)
        return ImageFacts("JPEG" if kind == "MPO" else kind, size, orientation)


def read_taken(source: Path | bytes) -> str:
    """Read EXIF's DateTimeOriginal, as "2024:05:31 12:00:00"; "" for none. Raises: ImageError."""
    with _identified(source) as image:
        exif = Image.Exif()
        try:
            exif.load(image.info.get("exif", b""))
            return str(exif.get_ifd(_EXIF_IFD).get(_TAKEN_TAG, "")).strip("\0 ")
        except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
            return ""  # damaged EXIF says nothing of the pixels


@contextlib.contextmanager
def _identified(source: Encoded) -> Iterator[Image.Image]:
    """Yield a picture before it is decoded. Raises: ImageError, whichever way it is bad."""
    subject = _named(source)
    try:
        with _stream(source) as stream, _identify(stream, subject) as image:
            yield image
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(subject, "no such file", "check the path") from error
    except PermissionError as error:
        raise ImageError(subject, "may not be read", "change its permissions") from error
    except Image.DecompressionBombError as error:
        raise _too_large(subject) from error
    # A decoder meets damaged data in any of its own ways; Pillow names no common base for them.
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise ImageError(subject, f"is damaged ({reason})", "replace the file") from error


def _named(source: Encoded) -> object:
    return "the given bytes" if isinstance(source, bytes | bytearray) else Path(source)


def _stream(source: Encoded) -> BinaryIO:
    if isinstance(source, bytes | bytearray):
        return io.BytesIO(source)
    source = Path(source)
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
    (b"II+\0", "TIFF", "TiffImagePlugin"),  # BigTIFF; Pillow reads only that byte order
    *((b"P%d" % kind, "PPM", "PpmImagePlugin") for kind in range(1, 7)),
)

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"mif1", b"msf1")


def is_encoded_picture(head: bytes) -> bool:
    """Whether a file's first 16 bytes are those of a format that is read here."""
    return bool(_format_of(head)[0])


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
    factory, _ = Image.OPEN[format_name]  # Image.open() would first import four plugins more
    try:
        image = factory(stream, "")
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        fault = "is damaged, or of a rare kind (unreadable header)"
        raise ImageError(subject, fault, "replace the file, or save it as JPEG or PNG") from error
    if image.width * image.height > MAX_ENCODED_PIXELS:
        raise _too_large(subject)
    return image


def _format_of(head: bytes) -> tuple[str, str]:
    """The format's name and the module that reads it, by its first bytes; ("", "") if unknown."""
    for signature, name, plugin in _SIGNATURES:
        if head.startswith(signature):
            return name, f"PIL.{plugin}"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP", "PIL.WebPImagePlugin"
    if head[4:8] == b"ftyp":
        if head[8:11] == b"avi":
            return "AVIF", "PIL.AvifImagePlugin"
        if head[8:12] in _HEIF_BRANDS:  # the others are films
            return "HEIF", "pillow_heif"
    return "", ""


def _upright_rgb(image: Image.Image, suffices: Suffices, subject: object) -> Image.Image:
    if image.format in ("JPEG", "MPO"):
        if image.info.get("progressive"):
            _check_progressive(image, subject)
        _reduce(image, suffices)
    if image.mode == "F":
        raise ImageError(
            subject, "has floating-point pixels of unknown range", "save it with 8 or 16 bits"
        )
    most = MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_DECODED_PIXELS
    if image.width * image.height > most:
        raise _too_large(subject, most)
    if image.format == "TIFF":
        _silence_libtiff()
    image.load()
    # After load(): a PNG's EXIF may follow its pixels. Pillow turns a TIFF while it loads.
    turn = None if image.format == "TIFF" else _TURNS.get(_orientation(image))
    rgb = _to_rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


@functools.cache
def _silence_libtiff() -> None:
    """Keep libtiff, which Pillow has loaded, from writing of damaged files to stderr itself."""
    import ctypes  # which few pictures need

    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:  # not Linux: it goes on writing
        return
    for path in {line.split()[-1] for line in maps.splitlines() if "/libtiff" in line}:
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(path)
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


def _check_progressive(image: Image.Image, subject: object) -> None:
    """Refuse what would take more memory than there may be, or minutes."""
    if image.width * image.height * len(image.getbands()) > MAX_COEFFICIENTS:
        raise _too_large(subject)
    stream = cast(ImageFile.ImageFile, image).fp
    assert stream is not None
    stream.seek(0)
    scans = stream.read().count(b"\xff\xda")
    if scans > MAX_SCANS:
        fault = f"has {scans} scans, more than any photo (at most {MAX_SCANS})"
        raise ImageError(subject, fault, "save it again")


def _reduce(image: Image.Image, suffices: Suffices) -> None:
    """Let a JPEG be decoded at the smallest DCT scale that suffices."""
    lies = _orientation(image) >= 5  # as stored, on its side
    wanted = suffices(image.size if lies else image.size[::-1])
    if wanted is not None:
        image.draft(None, wanted if lies else wanted[::-1])  # None: keep the colours


# EXIF 2.32, tag 0x0112: what turns a stored picture upright.
_ORIENTATION_TAG = 0x0112
_EXIF_IFD, _TAKEN_TAG = 0x8769, 0x9003
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
    if image.format == "TIFF":  # the tag is its own
        stored = cast(Any, image).tag_v2.get(_ORIENTATION_TAG, 1)
        return stored if stored in _TURNS else 1
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
    grey = Image.new("L", image.size)
    for top, strip in _strips(image):
        values = np.clip(np.asarray(strip).astype(np.int64), 0, 65535)
        grey.paste(Image.fromarray(((values + 128) // 257).astype(np.uint8)), (0, top))
    return grey


def _without_alpha(image: Image.Image) -> Image.Image:
    """Lay transparency over white; a palette becomes RGB."""
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if not transparent:
        return image.convert("RGB") if image.mode == "P" else image
    rgb = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        white = Image.new("RGBA", strip.size, "white")
        laid = Image.alpha_composite(white, strip.convert("RGBA"))
        rgb.paste(laid.convert("RGB"), (0, top))
    return rgb


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Cut a picture into strips, each with its top row: what is made of one takes little memory."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


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


def _too_large(subject: object, most: int = MAX_DECODED_PIXELS) -> ImageError:
    fault = f"is too large to decode (more than {most // 1_000_000} megapixels)"
    return ImageError(subject, fault, "make it smaller first")


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """Encode (H, W, 3) uint8 RGB as the content of a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W, 3) uint8 RGB, or grey (H, W), as the content of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
