"""Read EXIF: the orientation of an image, and when it was taken."""

from __future__ import annotations

import struct
from typing import Any, cast

from PIL import Image

# EXIF 2.32, tag 0x0112: what turns a stored image upright.
_ORIENTATION_TAG = 0x0112
_EXIF_IFD, _TAKEN_TAG = 0x8769, 0x9003
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 where there is none, or none that can be read."""
    if image.format == "TIFF":  # the tag is its own
        stored = cast(Any, image).tag_v2.get(_ORIENTATION_TAG, 1)
        return stored if stored in TURNS else 1
    exif = Image.Exif()  # image.getexif() would, in newer Pillow only, also take a JPEG's XMP
    try:
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(_ORIENTATION_TAG, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1  # damaged EXIF does not affect the pixels
    return orientation if orientation in TURNS else 1


def taken_of(image: Image.Image) -> str:
    """Return DateTimeOriginal, as it is stored; "" where there is none."""
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return str(exif.get_ifd(_EXIF_IFD).get(_TAKEN_TAG, "")).strip("\0 ")
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return ""  # damaged EXIF does not affect the pixels
