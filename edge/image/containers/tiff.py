"""TIFF files that Pillow (as of 13.0) reads wrongly without a word, and what they mean."""

from __future__ import annotations

import contextlib
import struct
from typing import Any, BinaryIO

from PIL import Image

from edge.errors import ImageError

BITS, PHOTOMETRIC, PLANAR, COLOURS, SAMPLE_FORMAT = 258, 262, 284, 320, 339  # tags
SUBFILE_TYPE, SUB_DIRECTORIES, DNG_VERSION = 254, 330, 50706
SENSOR = (32803, 34892)  # photometric: a colour filter's mosaic, and what was made of it (DNG)
WHITE_IS_ZERO, YCBCR, SEPARATE_PLANES, SIGNED, FLOAT = 0, 6, 2, 2, 3


def check_raw(stream: BinaryIO, subject: object, plugin: Any) -> None:
    """Reject a raw photo, of which Pillow reads the preview if anything. Raises: ImageError."""
    head = stream.read(16)
    tags = plugin.ImageFileDirectory_v2(head if head[2:3] == b"+" else head[:8])
    # What is wrong with a file is reported by who reads it.
    with contextlib.suppress(SyntaxError, OSError, IndexError, TypeError, ValueError, struct.error):
        stream.seek(tags.next)
        tags.load(stream)
    stream.seek(0)
    is_preview = bool(tags.get(SUBFILE_TYPE, 0) & 1) and SUB_DIRECTORIES in tags
    of_sensor = DNG_VERSION in tags or tags.get(PHOTOMETRIC) in SENSOR
    if is_preview or of_sensor or head[8:10] == b"CR":
        raise ImageError(subject, "is a raw photo, which is not supported", "export it as JPEG")


def check(image: Image.Image, subject: object) -> None:
    """Reject pixels of unknown range. Raises: ImageError."""
    formats = _numbers(image, SAMPLE_FORMAT, 1)
    is_signed = SIGNED in formats
    if is_signed or (max(_numbers(image, BITS, 1)) >= 32 and FLOAT not in formats):
        kind = "signed" if is_signed else "32-bit"
        fault = f"has {kind} pixels of unknown range"
        raise ImageError(subject, fault, "save it with 8 or 16 bits")


def corrected(image: Image.Image, stream: BinaryIO, plugin: Any) -> Image.Image:
    """Return an image of the file that decodes rightly; before it is loaded."""
    is_raw = any(tile[0] == "raw" for tile in getattr(image, "tile", ()))
    has_planes = SEPARATE_PLANES in _numbers(image, PLANAR, 1)
    if is_raw and (
        (has_planes and 16 in _numbers(image, BITS, 1)) or YCBCR in _numbers(image, PHOTOMETRIC, 1)
    ):
        # Pillow takes every plane's samples for 8 bits, and YCbCr for the full range without
        # subsampling; libtiff does not.
        stream.seek(0)
        plugin.READ_LIBTIFF = True
        try:
            image = plugin.TiffImageFile(stream, "")
        finally:
            plugin.READ_LIBTIFF = False
    colours = _numbers(image, COLOURS, 0)
    if image.mode == "P" and 0 < max(colours) < 256:
        from PIL import ImagePalette

        # Old writers kept 8 bits where the standard wants 16, of which Pillow takes the upper 8.
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))
    return image


def grey_range(image: Image.Image) -> tuple[int, bool]:
    """Return the highest value of 16-bit grey, and whether that is black."""
    bits = max(_numbers(image, BITS, 16))
    return 2**bits - 1, WHITE_IS_ZERO in _numbers(image, PHOTOMETRIC, 1)


def _numbers(image: Image.Image, tag: int, default: int) -> tuple[int, ...]:
    """A tag's numbers."""
    found = image.tag_v2.get(tag, default)  # type: ignore[attr-defined]
    values = found if isinstance(found, tuple) else (found,)
    return tuple(value for value in values if isinstance(value, int)) or (default,)
