"""Whatever an image's pixels are, they become opaque 8-bit RGB in sRGB."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from edge.image.containers.png import ColourKey

STRIP_PIXELS = 1_000_000
# Profiles called sRGB differ by roundings; those that are linear differ by up to 80.
MAX_SRGB_DIFFERENCE = 4
DISPLAY_GAMMA = 2.2


def to_rgb(image: Image.Image, content: bytes) -> Image.Image:
    """Return an image as RGB; `content` is that of a PNG with a transparent value."""
    profile = image.info.get("icc_profile")
    key = None
    if content:
        from edge.image.containers.png import colour_key  # which few images need

        key = colour_key(content)
    opaque = _without_alpha(_eight_bit(image, key))
    if profile:
        opaque = _to_srgb(opaque, profile)
    elif image.format == "PNG":
        opaque = _without_gamma(opaque, image.info)
    return opaque if opaque.mode == "RGB" else opaque.convert("RGB")


def _eight_bit(image: Image.Image, key: ColourKey | None) -> Image.Image:
    """16-bit grey becomes "L" or "LA" (Pillow's own conversion clips at 255); other modes stay.

    `key` is the value that is transparent, as it is stored; Pillow compares it to 8-bit pixels.
    """
    if image.mode != "I" and not image.mode.startswith("I;16"):
        if key and key.bits == 16:  # of which Pillow keeps the upper 8
            image.info["transparency"] = tuple(value >> 8 for value in key.values)
        elif key and key.bits < 8:
            image.info["transparency"] = key.values[0] * 255 // (2**key.bits - 1)
        return image
    highest, is_black = 65535, False
    if image.format == "TIFF":
        from edge.image.containers.tiff import grey_range

        highest, is_black = grey_range(image)
    grey = Image.new("LA" if key else "L", image.size)
    for top, strip in _strips(image):
        stored = np.asarray(strip).astype(np.int64)
        values = np.clip(stored, 0, highest)
        if is_black:
            values = highest - values
        bytes_ = ((values * 255 + highest // 2) // highest).astype(np.uint8)
        if key:
            alpha = np.where(stored == key.values[0], 0, 255).astype(np.uint8)
            bytes_ = np.dstack([bytes_, alpha])
        grey.paste(Image.fromarray(bytes_), (0, top))
    return grey


def _without_alpha(image: Image.Image) -> Image.Image:
    """Lay transparency over white; a palette becomes RGB."""
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        return image.convert("RGB")  # Windows keeps 0 there, and shows the colours
    if not transparent:
        return image.convert("RGB") if image.mode == "P" else image
    rgb = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        white = Image.new("RGBA", strip.size, "white")
        straight = strip.convert("LA") if strip.mode == "La" else strip
        laid = Image.alpha_composite(white, straight.convert("RGBA"))
        rgb.paste(laid.convert("RGB"), (0, top))
    return rgb


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Cut an image into strips, each with its top row: what is made of one takes little memory."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    from PIL import ImageCms  # costs a shared library; most images do not need it

    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(embedded) and _is_srgb(profile):
            return image  # the common case; converting would only add rounding
        in_place = image.mode == "RGB"  # half the memory
        converted = ImageCms.profileToProfile(
            image, embedded, _srgb(), outputMode="RGB", inPlace=in_place
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a broken or foreign profile: the pixels can still be used
    return converted or image


@functools.lru_cache(maxsize=8)
def _is_srgb(profile: bytes) -> bool:
    """Whether a profile that is called sRGB keeps grey what it is: linear ones are called so, too.

    Raises: PyCMSError.
    """
    from PIL import ImageCms

    ramp = Image.frombytes("RGB", (16, 1), bytes(17 * step for step in range(16) for _ in "rgb"))
    embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(ramp, embedded, _srgb(), outputMode="RGB")
    pairs = zip(ramp.tobytes(), converted.tobytes() if converted else b"", strict=False)
    return max(abs(one - other) for one, other in pairs) <= MAX_SRGB_DIFFERENCE


def _without_gamma(image: Image.Image, info: dict[Any, Any]) -> Image.Image:
    """Bring the pixels of a PNG with a gamma of its own (gAMA) to that of sRGB (ISO/IEC 15948)."""
    gamma = info.get("gamma")
    if not gamma or "srgb" in info or abs(gamma * DISPLAY_GAMMA - 1) < 0.05:
        return image
    exponent = 1 / (gamma * DISPLAY_GAMMA)
    table = [round(255 * (value / 255) ** exponent) for value in range(256)]
    return image.convert("RGB").point(table * 3)


@functools.cache
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
