"""Image files become upright RGB: the decoding half of the one preprocessing, and all of Pillow's.

Version 2 (edge.image.preprocess.PREPROCESSING_VERSION):
- The first frame of what is in formats.py: JPEG, PNG, WebP, BMP, GIF, TIFF and PNM; HEIF and AVIF
  where they are installed.
- A JPEG is decoded at the smallest DCT scale that still covers the wanted size in both directions:
  the same rule as for pixels, edge.image.framing.covering.
- All eight EXIF orientations are turned upright.
- Transparency is laid over white. 16-bit grey is scaled by its number of bits, and rounded; pixels
  of unknown range (floating-point, signed, 32-bit) are rejected.
- An embedded ICC profile other than sRGB is converted to sRGB; one that is broken is ignored.
- At most MAX_DECODED_PIXELS are decoded, or MAX_PIXELS_OF a format; of a JPEG with several scans
  MAX_COEFFICIENTS and MAX_SCANS. Large images are decoded one after the other (memory.py).
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self, TypeAlias, cast

import numpy as np
from PIL import Image, ImageFile

from edge.errors import ImageError
from edge.image.colour import to_rgb
from edge.image.exif import TURNS, orientation_of, taken_of
from edge.image.framing import Box, Size
from edge.image.memory import BUDGET
from edge.image.opening import (
    MAX_DECODED_PIXELS,
    Encoded,
    content,
    identified,
    reading,
    too_large,
)
from edge.image.shared import image_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Bytes that some decoders take of a pixel, measured; others take 4 for the pixels.
BYTES_A_PIXEL = {"WEBP": 20, "AVIF": 12, "HEIF": 9}
SMALL_PIXELS = 1_000_000  # which never wait
MAX_PIXELS_OF = {"WEBP": 28_000_000, "AVIF": 48_000_000}
# A JPEG of several scans, as a progressive one is, is held whole until its last: 2 bytes a
# coefficient, 500 MB; a 108-megapixel photo takes 324. Each scan goes over all of it, and a few
# bytes make one.
MAX_COEFFICIENTS = 250_000_000
MIN_CHECKED_COEFFICIENTS = 20_000_000  # of a JPEG that is not progressive: its scans are counted
MAX_SCANS = 100  # encoders make about 10
MAX_DCT_REDUCTION = 8  # libjpeg's

# What a turn does to coordinates: first it swaps them, then it mirrors.
_TURN = Image.Transpose
SWAPPING = (_TURN.TRANSPOSE, _TURN.TRANSVERSE, _TURN.ROTATE_90, _TURN.ROTATE_270)
MIRRORING_X = (_TURN.FLIP_LEFT_RIGHT, _TURN.ROTATE_180, _TURN.ROTATE_270, _TURN.TRANSVERSE)
MIRRORING_Y = (_TURN.FLIP_TOP_BOTTOM, _TURN.ROTATE_180, _TURN.ROTATE_90, _TURN.TRANSVERSE)

Pixels: TypeAlias = "NDArray[np.uint8]"  # (height, width, 3) RGB, upright
Reduction = Callable[[Size], int]  # upright (height, width) -> a power of two that divides it


class Decoded(NamedTuple):
    """An RGB image, and which part of its pixels it covers: of a shrunk one, the last in part."""

    image: Image.Image
    area: Box

    @classmethod
    def all_of(cls, image: Image.Image, by: int = 1, size: Size | None = None) -> Self:
        """Return an image that was shrunk by a number, from (height, width)."""
        height, width = size or (image.height, image.width)
        return cls(image, (0.0, 0.0, width / by, height / by))

    def turned(self, turn: Image.Transpose) -> Self:
        """Return it turned or mirrored."""
        image, (left, top, right, bottom) = self.image.transpose(turn), self.area
        if turn in SWAPPING:
            left, top, right, bottom = top, left, bottom, right
        if turn in MIRRORING_X:
            left, right = image.width - right, image.width - left
        if turn in MIRRORING_Y:
            top, bottom = image.height - bottom, image.height - top
        return type(self)(image, (left, top, right, bottom))


@contextlib.contextmanager
def opened(source: Encoded, reduction: Reduction) -> Iterator[Decoded]:
    """Yield the upright RGB image of a file or of its content.

    `reduction` returns by how much to shrink an upright JPEG of a size as it is decoded.

    Raises: ImageError, whichever way the file is bad.
    """
    with reading(source) as (stream, subject), contextlib.ExitStack() as held:

        def decoded(image: Image.Image, stream: BinaryIO) -> Decoded:
            held.close()  # of an attempt that failed
            return _upright_rgb(image, stream, reduction, subject, held)

        yield identified(stream, subject, decoded)


class ImageFacts(NamedTuple):
    """Facts about an encoded image that decoding needs."""

    format: str  # Pillow's name; what a camera calls MPO is a JPEG
    size: Size  # (height, width), upright
    orientation: int  # EXIF, 1..8


def read_facts(source: Encoded) -> ImageFacts:
    """Read the facts of an image; only some kinds are decoded for that. Raises: ImageError."""
    with reading(source) as (stream, subject):
        return identified(stream, subject, _facts)


def _facts(image: Image.Image, stream: BinaryIO) -> ImageFacts:
    kind, orientation = image.format or "", orientation_of(image)
    if kind in ("PNG", "TIFF"):  # see _upright_rgb
        image.load()
    if kind != "TIFF":  # which is turned now, and forgets that it was
        orientation = orientation_of(image)
    width, height = image.size
    if part := _aperture(image, stream):
        width, height = part[2] - part[0], part[3] - part[1]
    lies = orientation >= 5 and kind != "TIFF"
    size = (width, height) if lies else (height, width)
    return ImageFacts("JPEG" if kind == "MPO" else kind, size, orientation)


def read_taken(source: Encoded) -> str:
    """Read EXIF's DateTimeOriginal, as "2024:05:31 12:00:00"; "" for none. Raises: ImageError."""
    with reading(source) as (stream, subject):
        return identified(stream, subject, lambda image, _: taken_of(image))


def _upright_rgb(
    image: Image.Image,
    stream: BinaryIO,
    reduction: Reduction,
    subject: object,
    held: contextlib.ExitStack,
) -> Decoded:
    by, size, coefficients = 1, (image.height, image.width), 0
    if image.format in ("JPEG", "MPO"):
        coefficients = _check_coefficients(image, subject)
        by = _reduce(image, reduction)
    if image.mode == "F":
        raise ImageError(
            subject, "has floating-point pixels of unknown range", "save it with 8 or 16 bits"
        )
    most = MAX_PIXELS_OF.get(image.format or "", MAX_DECODED_PIXELS)
    if image.width * image.height > most:
        raise too_large(subject, most)
    if coefficients or image.width * image.height > SMALL_PIXELS:
        held.enter_context(BUDGET.hold(_bytes_of(image) + 2 * coefficients))
    if image.format == "TIFF":
        _silence_libtiff()
    tiles = getattr(image, "tile", [])
    part = tiles[0][1] if image.format == "GIF" and len(tiles) == 1 else None
    image.load()
    # After load(): a PNG's EXIF may follow its pixels. Pillow turns a TIFF while it loads.
    turn = None if image.format == "TIFF" else TURNS.get(orientation_of(image))
    rgb = to_rgb(image, content(stream) if _has_key(image) else b"")
    if part and tuple(part) != (0, 0, *image.size):
        rgb = _on_white(rgb, part)
    elif part := _aperture(image, stream):
        rgb = rgb.crop(part)
    if turn is not None and rgb is not image:
        image.close()  # its pixels would lie beside those of both
    decoded = Decoded.all_of(rgb, by, size if by > 1 else None)
    return decoded if turn is None else decoded.turned(turn)


def _aperture(image: Image.Image, stream: BinaryIO) -> tuple[int, int, int, int] | None:
    """Which part of an AVIF, as it is stored, is to be seen; None is all."""
    if image.format != "AVIF":
        return None
    from edge.image.containers.bmff import clean_aperture

    return clean_aperture(content(stream), image.size)


def _has_key(image: Image.Image) -> bool:
    """Whether one grey or RGB value is transparent in a PNG."""
    return image.format == "PNG" and image.mode != "P" and "transparency" in image.info


def _on_white(rgb: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Lay the part that a GIF's first frame covers over white: the rest is transparent."""
    canvas = Image.new("RGB", rgb.size, "white")
    canvas.paste(rgb.crop(box), box[:2])
    return canvas


@functools.cache
def _silence_libtiff() -> None:
    """Keep libtiff, which Pillow has loaded, from writing of damaged files to stderr itself."""
    import ctypes  # which few images need

    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:  # not Linux: it goes on writing
        return
    for path in {line.split()[-1] for line in maps.splitlines() if "/libtiff" in line}:
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(path)
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


def _bytes_of(image: Image.Image) -> int:
    """How much memory decoding takes at most: 4 bytes a pixel, as much again while it changes."""
    plain = image.mode in ("1", "L", "P", "RGB") and "transparency" not in image.info
    changes = not plain or "icc_profile" in image.info or orientation_of(image) > 1
    a_pixel = BYTES_A_PIXEL.get(image.format or "", 9 if changes else 5)
    return image.width * image.height * a_pixel


def _check_coefficients(image: Image.Image, subject: object) -> int:
    """Return how many coefficients a JPEG is held as until its last scan; 0 if it has one scan.

    Raises: ImageError if that would take more memory than there may be, or minutes.
    """
    layers = cast(Any, image).layer  # of each component: identifier, sampling across and down
    across, down = (max(layer[place] for layer in layers) for place in (1, 2))
    shares = sum(layer[1] * layer[2] for layer in layers) / (across * down)
    count = int(image.width * image.height * shares)
    is_progressive = bool(image.info.get("progressive"))
    if not is_progressive and (len(layers) == 1 or count <= MIN_CHECKED_COEFFICIENTS):
        return 0
    stream = cast(ImageFile.ImageFile, image).fp
    assert stream is not None
    stream.seek(0)
    scans = _scans(stream.read())
    if scans == 1:
        return 0
    if count > MAX_COEFFICIENTS:
        raise too_large(subject, int(MAX_COEFFICIENTS / shares), "progressive, ")
    if scans > MAX_SCANS:
        fault = f"has {scans} scans, more than any photo (at most {MAX_SCANS})"
        raise ImageError(subject, fault, "save it again")
    return count


# What ends the entropy-coded data of a scan: a marker other than an escaped 0xFF, restart or fill.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SCAN, _END = 0xDA, 0xD9


def _scans(content: bytes) -> int:
    """Count the scans of a JPEG (ITU-T T.81, B.1) up to its end: another image may follow."""
    scans, at = 0, 2
    while found := _MARKER.search(content, at):
        kind, at = content[found.end() - 1], found.end()
        if kind == _END:
            break
        scans += kind == _SCAN
        at += int.from_bytes(content[at : at + 2], "big")
    return scans


def _reduce(image: Image.Image, reduction: Reduction) -> int:
    """Let a JPEG be decoded at a DCT scale; return by what that divides it.

    Pillow takes the largest of 1, 2, 4 and 8 at which the wanted size is covered. What is left of
    the reduction is done with the pixels.
    """
    width, height = image.size
    lies = orientation_of(image) >= 5  # as stored, on its side
    by = min(reduction((width, height) if lies else (height, width)), MAX_DCT_REDUCTION)
    if by > 1:
        image.draft(None, (width // by, height // by))  # None: keep the colours
    return by


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """Encode (H, W, 3) uint8 RGB as the content of a JPEG file."""
    stream = io.BytesIO()
    image_of(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W, 3) uint8 RGB, or grey (H, W), as the content of a PNG file."""
    stream = io.BytesIO()
    image_of(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
