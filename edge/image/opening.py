"""Image files are opened and identified: format, size and mode are known, no pixel is decoded."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from PIL import Image

from edge.errors import ImageError
from edge.image.formats import HEAD_BYTES, format_of, other_kind

# A model sees a few hundred pixels a side; an 8-bit image of this size already takes 192 MB.
# JPEGs shrink while they are decoded, so that they may be larger: phones take 200 megapixels.
MAX_DECODED_PIXELS = 64_000_000
MAX_ENCODED_PIXELS = 250_000_000

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # we reject by our limit
# Pillow warns of damaged EXIF and the like, which do not affect the pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # nor its errors, which we raise

# Errors of Pillow for files that it does not decode, though they may be sound.
_UNSUPPORTED = "unsupported|not supported|unknown|cannot handle|decoder error|^-2$"
RARE, RARE_REMEDY = "is damaged, or an unusual file", "replace the file, or save it as JPEG or PNG"

T = TypeVar("T")
Encoded = str | Path | bytes | bytearray  # an image file's path, or its content


@contextlib.contextmanager
def reading(source: Encoded) -> Iterator[tuple[BinaryIO, object]]:
    """Yield a file's stream, and what errors call it.

    Raises: ImageError, whichever way what is done with it fails.
    """
    is_content = isinstance(source, bytes | bytearray)
    subject = "the given bytes" if is_content else Path(cast(str, source))
    try:
        with _stream(source) as stream:
            yield stream, subject
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(subject, "no such file", "check the path") from error
    except PermissionError as error:
        raise ImageError(subject, "permission denied", "change its permissions") from error
    except Image.DecompressionBombError as error:
        raise too_large(subject) from error
    # A decoder meets damaged data in any of its own ways; Pillow names no common base for them.
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        if re.search(_UNSUPPORTED, reason, re.IGNORECASE):
            fault, remedy = f"{RARE} ({reason})", RARE_REMEDY
        else:
            fault, remedy = f"is damaged ({reason})", "replace the file"
        raise ImageError(subject, fault, remedy) from error


def _stream(source: Encoded) -> BinaryIO:
    if isinstance(source, bytes | bytearray):
        return io.BytesIO(source)
    source = Path(source)
    mode = source.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ImageError(source, "is a folder", "use an image file")
    if not stat.S_ISREG(mode):  # opening a FIFO would wait forever
        raise ImageError(source, "is not a regular file", "use an image file")
    return open(source, "rb")


def identified(stream: BinaryIO, subject: object, use: Callable[[Image.Image, BinaryIO], T]) -> T:
    """Return what is made of an image that is not decoded yet, and of its stream.

    Once more without what carries no pixels, where that is in the way.

    Raises: ImageError, and whatever a decoder does.
    """
    try:
        return use(_identify(stream, subject), stream)
    except Exception:
        from edge.image.containers import png  # which few images need

        encoded = content(stream)
        plain = png.without_texts(encoded) if encoded.startswith(png.SIGNATURE) else None
        if plain is None:
            raise
    again = io.BytesIO(plain)
    return use(_identify(again, subject), again)


def _identify(stream: BinaryIO, subject: object) -> Image.Image:
    """Open the image without decoding it: its format, size and mode are then known."""
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    if not head:
        raise ImageError(subject, "is empty", "replace the file")
    known = format_of(head)
    if known is None:
        kind = other_kind(head)
        fault = (
            f"is {kind}, which is not supported" if kind else "is not an image of a known format"
        )
        raise ImageError(subject, fault, "use a JPEG, PNG or WebP")
    try:
        plugin = import_module(known.plugin)
    except ImportError as error:
        fault = f"is {known.name}, which needs another package"
        raise ImageError(subject, fault, known.install or "pip install -U pillow") from error
    if known.plugin == "pillow_heif":
        plugin.register_heif_opener()
    if known.name not in Image.OPEN:  # a Pillow that was built without it
        fault = f"is {known.name}, which this Pillow does not read"
        raise ImageError(subject, fault, known.install or "pip install -U pillow")
    factory, _ = Image.OPEN[known.name]  # Image.open() would first import four plugins more
    if known.name == "TIFF":
        from edge.image.containers import tiff

        tiff.check_raw(stream, subject, plugin)
    try:
        image: Image.Image = factory(stream, "")
        if known.name == "TIFF":
            tiff.check(image, subject)
            image = tiff.corrected(image, stream, plugin)
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        raise ImageError(subject, f"{RARE} (unreadable header)", RARE_REMEDY) from error
    most = MAX_ENCODED_PIXELS if known.name == "JPEG" else MAX_DECODED_PIXELS
    if image.width * image.height > most:
        raise too_large(subject, most)
    return image


def content(stream: BinaryIO) -> bytes:
    """Return all that a stream holds, from its beginning."""
    stream.seek(0)
    return stream.read()


def too_large(subject: object, most: int = MAX_DECODED_PIXELS, kind: str = "") -> ImageError:
    """Return the error of an image with too many pixels."""
    fault = f"is too large to decode ({kind}more than {most // 1_000_000} megapixels)"
    return ImageError(subject, fault, "make it smaller first")
