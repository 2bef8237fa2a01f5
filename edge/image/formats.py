"""Which image formats are read, and what a file is by its first bytes. Imports no decoder."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import NamedTuple

HEAD_BYTES = 64  # of a file, enough to recognize its format


class Format(NamedTuple):
    """A format that is read, by a plugin of Pillow or another package."""

    name: str  # as Pillow has it
    plugin: str
    suffixes: tuple[str, ...]
    signatures: tuple[bytes, ...] = ()
    install: str = ""  # how to get the plugin, where Pillow may lack it


# Only these are used: fast to import, and no exotic decoder (PostScript runs a program) is ever
# reached by a stray file.
FORMATS = (
    Format(
        "JPEG",
        "PIL.JpegImagePlugin",
        (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        (b"\xff\xd8\xff",),
    ),
    Format("PNG", "PIL.PngImagePlugin", (".png", ".apng"), (b"\x89PNG\r\n\x1a\n",)),
    Format("WEBP", "PIL.WebPImagePlugin", (".webp",)),
    Format("GIF", "PIL.GifImagePlugin", (".gif",), (b"GIF8",)),
    Format("BMP", "PIL.BmpImagePlugin", (".bmp", ".dib"), (b"BM",)),
    Format(  # the last is BigTIFF, of which Pillow reads that byte order alone
        "TIFF", "PIL.TiffImagePlugin", (".tif", ".tiff"), (b"II*\0", b"MM\0*", b"II+\0")
    ),
    Format(
        "PPM",
        "PIL.PpmImagePlugin",
        (".ppm", ".pgm", ".pbm", ".pnm"),
        tuple(b"P%d" % kind for kind in range(1, 7)),
    ),
    Format(
        "HEIF",
        "pillow_heif",
        (".heic", ".heif", ".heics", ".heifs", ".hif"),
        install="pip install pillow-heif",
    ),
    Format(
        "AVIF",
        "PIL.AvifImagePlugin",
        (".avif", ".avifs"),
        install="pip install -U 'pillow>=11.3'",
    ),
)
BY_NAME = {known.name: known for known in FORMATS}
SUFFIXES = frozenset(suffix for known in FORMATS for suffix in known.suffixes)

# Brands of ISO base media files (ISO/IEC 14496-12, 23008-12; https://mp4ra.org), and what they are.
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset(
    (
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
        b"hevm",
        b"hevs",
        b"mif1",
        b"mif2",
        b"msf1",
    )
)
_NO_IMAGES = {
    b"crx ": "a raw photo (Canon CR3)",
    b"qt  ": "a QuickTime video",
    b"M4A ": "sound (M4A)",
    b"M4B ": "sound (M4B)",
    b"M4P ": "sound (M4P)",
    b"F4A ": "sound (F4A)",
}
# First bytes of files that are often taken for images.
_OTHERS = (
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop file"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\1\0", "an icon"),
    (b"FUJIFILMCCD-RAW", "a raw photo (Fujifilm RAF)"),
    (b"IIRO", "a raw photo (Olympus ORF)"),
    (b"IIU\0", "a raw photo (Panasonic RW2)"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI", "a PNG for iOS alone (CgBI)"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file, such as an SVG drawing"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)


def format_of(head: bytes) -> Format | None:
    """Return the format of a file by its first HEAD_BYTES; None where it is none of FORMATS."""
    if head[12:16] == b"CgBI":
        return None
    for known in FORMATS:
        if head.startswith(known.signatures or (b"\0no signature",)):
            return known
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return BY_NAME["WEBP"]
    brands = _brands(head)
    if brands[:1] == [b"crx "] or not brands:
        return None
    if _AVIF_BRANDS.intersection(brands):
        return BY_NAME["AVIF"]
    return BY_NAME["HEIF"] if brands[0] in _HEIF_BRANDS else None


def is_encoded_picture(head: bytes) -> bool:
    """Whether a file's first HEAD_BYTES are those of a format that is read here."""
    return format_of(head) is not None


def other_kind(head: bytes) -> str:
    """Return what a file is that is none of FORMATS; "" if unknown."""
    brands = _brands(head)
    if brands:
        return _NO_IMAGES.get(brands[0], "a video (MP4)")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, kind in _OTHERS:
        if head.startswith(signature) or text.startswith(signature):
            return kind
    return ""


def _brands(head: bytes) -> list[bytes]:
    """The major brand of an ISO base media file, then those that it is compatible with."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def is_installed(known: Format) -> bool:
    """Whether this installation reads a format."""
    if not importlib.util.find_spec(known.plugin.partition(".")[0]):
        return False
    try:
        plugin = import_module(known.plugin)
    except ImportError:
        return False
    return bool(getattr(plugin, "SUPPORTED", True))
