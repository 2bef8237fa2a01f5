"""Images of kinds that Pillow reads wrongly, or gives up on, decode rightly or are named."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import (
    ORIENTATION,
    aperture,
    boxed,
    encoded,
    max_difference,
    mean_difference,
    packed,
    packed_png,
    png,
    png_chunk,
    quadrants,
    scene,
    tiff,
    with_property,
)
from PIL import Image, ImageCms, features

from edge.errors import ImageError
from edge.image.formats import FORMATS, SUFFIXES
from edge.image.preprocess import read_image
from edge.sources.photos import files

GREY_RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def ramp(bits: int) -> np.ndarray:
    return np.rint(GREY_RAMP * (2**bits - 1)).astype(np.int64)


# JPEG ---------------------------------------------------------------------------------------------


def progressive() -> bytes:
    return encoded(scene(96, 128), "JPEG", progressive=True)


def test_what_follows_a_progressive_jpeg_counts_no_scans() -> None:
    alone = read_image(progressive())
    for tail in (progressive() * 12, b"\xff\xda" * 1000, b"\0" * 100):
        np.testing.assert_array_equal(read_image(progressive() + tail), alone)


def test_metadata_that_holds_a_jpeg_counts_no_scans() -> None:
    content = progressive()
    inside = b"\xff\xda" * 20_000
    segment = b"\xff\xe5" + struct.pack(">H", len(inside) + 2) + inside
    np.testing.assert_array_equal(
        read_image(content[:2] + segment * 3 + content[2:]), read_image(content)
    )


def test_a_webcams_jpeg_without_huffman_tables_has_the_standards() -> None:
    """MJPEG may leave them out, and many webcams do."""
    whole = encoded(quadrants(), "JPEG")
    tables = [found.start() for found in re.finditer(rb"\xff\xc4", whole)]
    bare = whole
    for place in reversed(tables):
        length = int.from_bytes(whole[place + 2 : place + 4], "big")
        bare = bare[:place] + bare[place + 2 + length :]
    assert len(bare) < len(whole) - 300
    assert np.array_equal(read_image(bare), read_image(whole))


def test_too_many_scans_are_still_rejected() -> None:
    content = progressive()
    scan = content.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match=r"has 1\d\d scans"):
        read_image(content[:-2] + content[scan:-2] * 150 + b"\xff\xd9")


# PNG ----------------------------------------------------------------------------------------------


def with_chunk(kind: bytes, data: bytes, *, after: bool = False, broken: bool = False) -> bytes:
    """A PNG with one chunk more, before its pixels or after, with a wrong checksum."""
    content = encoded(scene(40, 60), "PNG")
    chunk = png_chunk(kind, data)
    if broken:
        chunk = chunk[:-1] + bytes([chunk[-1] ^ 1])
    at = content.index(b"IEND") - 4 if after else 33
    return content[:at] + chunk + content[at:]


LARGE = b"large text " * 200_000


@pytest.mark.parametrize(
    "content",
    [
        with_chunk(b"tEXt", b"Comment\0" + LARGE),
        with_chunk(b"tEXt", b"Comment\0" + LARGE, after=True),
        with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LARGE)),
        with_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LARGE)),
        with_chunk(b"tEXt", b"Comment\0short", broken=True),
        with_chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"none"), broken=True),
        with_chunk(b"gAMA", b"\0\0\xb1\x8f", broken=True),
        with_chunk(b"tIME", b"\0" * 7, after=True, broken=True),
        with_chunk(b"prVt", b"anything", broken=True),
    ],
)
def test_chunks_that_carry_no_pixels_do_not_matter(content: bytes) -> None:
    np.testing.assert_array_equal(read_image(content), scene(40, 60))


def test_damaged_pixels_of_a_png_are_still_an_error() -> None:
    content = bytearray(with_chunk(b"tEXt", b"Comment\0" + LARGE))
    content[content.index(b"IDAT") + 40] ^= 0xFF
    with pytest.raises(ImageError, match="damaged"):
        read_image(bytes(content))


def key(*values: int) -> bytes:
    return png_chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_one_grey_of_a_few_bits_is_transparent(bits: int) -> None:
    values = np.arange(64).reshape(8, 8).astype(np.uint8) % 2**bits
    shown = values.astype(int) * 255 // (2**bits - 1)
    for chosen in {0, 1, 2**bits - 1}:
        expected = np.where(values == chosen, 255, shown)
        found = read_image(packed_png(values, bits, key(chosen)))
        np.testing.assert_array_equal(found, np.dstack([expected] * 3))


def test_one_grey_of_16_bits_is_transparent_and_no_other() -> None:
    values = np.uint16([[0x1234, 0x1235, 0x80FF, 0]])
    found = read_image(png(values[..., None], 0, chunks=key(0x1234)))
    assert found[0, :, 0].tolist() == [255, 0x12, 0x80, 0]


def test_one_colour_of_16_bits_is_transparent() -> None:
    pixels = np.uint16([[[0x1234, 0x5678, 0x9ABC], [0x5678, 0x1234, 0x9ABC]]])
    found = read_image(png(pixels, 2, chunks=key(0x1234, 0x5678, 0x9ABC)))
    assert found.tolist() == [[[255, 255, 255], [0x56, 0x12, 0x9A]]]


def encoded_as_srgb(linear: np.ndarray) -> np.ndarray:
    """0..1 of light as values 0..255 (IEC 61966-2-1)."""
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_linear_profile_that_is_called_srgb_is_converted(format: str) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    curve = profile.index(b"para\0\0\0\0\0\3") + 12
    struct.pack_into(">5i", profile, curve, 65536, 65536, 0, 65536, 0)
    grey = np.repeat(np.arange(0, 256, 5, np.uint8), 48).reshape(52, 16, 3)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}
    content = encoded(grey, format, icc_profile=bytes(profile), **options.get(format, {}))
    assert mean_difference(read_image(content), encoded_as_srgb(grey / 255)) < 2


@pytest.mark.parametrize("gamma", [1.0, 0.55556, 0.45455])
def test_the_gamma_of_a_png_is_applied(gamma: float) -> None:
    """ISO/IEC 15948, 13.13, as browsers do; beside an sRGB chunk it does not count."""
    pixels = scene(40, 60)
    chunk = png_chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    expected = 255 * (pixels / 255) ** (1 / (2.2 * gamma))
    assert max_difference(read_image(png(pixels, 2, chunks=chunk)), np.rint(expected)) <= 1
    other = png_chunk(b"sRGB", b"\0")
    np.testing.assert_array_equal(read_image(png(pixels, 2, chunks=other + chunk)), pixels)


# TIFF ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tags",
    [
        {"subfile": (1,), "directories": (8,)},  # a preview before the raw image, as in NEF and ARW
        {"dng": (1, 4)},
        {"photometric": (32803,), "samples": (1,)},  # a colour filter's mosaic
    ],
)
def test_a_raw_photo_in_a_tiff_is_named(tags: dict[str, tuple[int, ...]]) -> None:
    colours = {"photometric": (2,), "samples": (3,)}
    with pytest.raises(ImageError, match="is a raw photo, which is not supported; export it"):
        read_image(tiff((8, 8), 8, bytes(192), **colours | tags))


@pytest.mark.parametrize("bits", [12, 16])
def test_grey_is_scaled_by_its_bits(bits: int) -> None:
    values = ramp(bits)
    data = packed(values, 12).tobytes() if bits == 12 else values.astype("<u2").tobytes()
    found = read_image(tiff((8, 8), bits, data))
    assert max_difference(found[..., 0], np.rint(GREY_RAMP * 255)) <= 1


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_where_white_is_zero_grey_is_inverted(bits: int) -> None:
    values = ramp(bits)
    data = values.astype("<u2").tobytes() if bits == 16 else packed(values, bits).tobytes()
    found = read_image(tiff((8, 8), bits, data, photometric=(0,)))
    expected = 255 - values * 255 / (2**bits - 1)
    assert max_difference(found[..., 0], np.rint(expected)) <= 1


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
def test_planes_may_be_separate(planar: int, bits: int) -> None:
    pixels = scene(40, 60)
    stored = pixels.astype("<u2") * 257 if bits == 16 else pixels
    ordered = stored.transpose(2, 0, 1) if planar == 2 else stored
    content = tiff(
        (40, 60), bits, ordered.tobytes(), photometric=(2,), samples=(3,), planar=(planar,)
    )
    np.testing.assert_array_equal(read_image(content), pixels)


def test_colours_of_a_palette_may_have_8_bits() -> None:
    indices = np.uint8([[0, 1, 2, 3]])
    colours = np.zeros((3, 256), int)
    colours[:, :4] = [[0, 200, 100, 50], [0, 10, 20, 30], [0, 90, 80, 70]]
    for scale in (1, 257):
        flat = tuple((colours * scale).reshape(-1).tolist())
        content = tiff((1, 4), 8, indices.tobytes(), photometric=(3,), colours=flat)
        assert read_image(content)[0].tolist() == colours[:, :4].T.tolist()


def test_colour_of_a_tiff_may_be_subsampled_without_compression() -> None:
    units = np.uint8([[81] * 4 + [90, 240], [145] * 4 + [54, 34]])  # red and green of ITU-R 601
    tags = {"photometric": (6,), "samples": (3,), "subsampling": (2, 2)}
    found = read_image(tiff((2, 4), 8, units.tobytes(), **tags))
    for columns, (y, blue, red) in ((slice(2), (81, 90, 240)), (slice(2, 4), (145, 54, 34))):
        green = y - 0.344 * (blue - 128) - 0.714 * (red - 128)
        expected = [y + 1.402 * (red - 128), green, y + 1.772 * (blue - 128)]
        assert max_difference(found[:, columns], np.full((2, 2, 3), np.clip(expected, 0, 255))) <= 2


def test_premultiplied_grey_lies_over_white_or_is_named() -> None:
    data = bytes([100, 128, 0, 0, 255, 255])  # grey times alpha, alpha
    content = tiff((1, 3), 8, data, samples=(2,), extra=(1,))
    try:
        found = read_image(content)
    except ImageError as error:  # Pillow 9.4 knows no such TIFF
        assert "or an unusual file" in str(error)
    else:
        assert np.abs(found[0, :, 0].astype(int) - [100 + 127, 255, 255]).max() <= 1


@pytest.mark.parametrize(
    "bits, kind, fault",
    [(32, 1, "32-bit"), (32, 2, "signed"), (16, 2, "signed"), (8, 2, "signed|unusual file")],
)
def test_pixels_of_unknown_range_are_named(bits: int, kind: int, fault: str) -> None:
    data = ramp(bits - 1).astype(f"<u{bits // 8}").tobytes()
    with pytest.raises(ImageError, match=fault):
        read_image(tiff((8, 8), bits, data, format=(kind,)))


# Others -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alphas", [(0, 0), (0, 255)])
def test_a_bitmap_whose_alpha_is_0_everywhere_is_opaque(alphas: tuple[int, int]) -> None:
    """So Windows writes screenshots, and browsers show them."""
    bgra = bytes([30, 20, 200, alphas[0], 90, 80, 70, alphas[1]])
    header = struct.pack("<IiiHHIIiiII", 108, 2, 1, 1, 32, 3, 0, 0, 0, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"sRGB" + bytes(48)
    content = b"BM" + struct.pack("<IHHI", 130, 0, 0, 122) + header + bgra
    first = [200, 20, 30] if alphas == (0, 0) else [255, 255, 255]
    assert read_image(content)[0].tolist() == [first, [70, 80, 90]]


def test_what_a_decoder_does_not_support_may_be_of_a_rare_kind() -> None:
    header = struct.pack("<IiiHHIIiiII", 108, 1, 1, 1, 32, 3, 0, 0, 0, 0, 0)
    header += struct.pack("<4I", 0x3FF00000, 0xFFC00, 0x3FF, 0) + b"sRGB" + bytes(48)
    with pytest.raises(ImageError, match=r"or an unusual file \(Unsupp.*; .*save it as JPEG"):
        read_image(b"BM" + struct.pack("<IHHI", 126, 0, 0, 122) + header + bytes(4))


def test_what_a_gifs_first_frame_leaves_uncovered_is_white() -> None:
    part = Image.new("P", (4, 4), 1)
    part.putpalette([0, 0, 255, 255, 0, 0] + [0] * 762)
    content = bytearray(encoded(part, "GIF"))
    at = content.index(b",\0\0\0\0")
    content[6:10] = struct.pack("<HH", 8, 8)  # of the canvas
    content[at + 1 : at + 5] = struct.pack("<HH", 2, 3)  # where the frame is
    expected = np.full((8, 8, 3), 255)
    expected[3:7, 2:6] = (255, 0, 0)
    np.testing.assert_array_equal(read_image(bytes(content)), expected)


HAS_AVIF = "avif" in features.get_supported_modules()
needs_avif = pytest.mark.skipif(not HAS_AVIF, reason="this Pillow reads no AVIF")


@needs_avif
@pytest.mark.parametrize(
    "numbers, box",
    [
        ((30, 1, 20, 1, 0, 1, 0, 1), (15, 10, 45, 30)),
        ((60, 2, 20, 1, -15, 1, 10, 1), (0, 20, 30, 40)),
        ((60, 1, 40, 1, 0, 1, 0, 1), (0, 0, 60, 40)),
    ],
)
def test_an_avif_is_cut_to_its_clean_aperture(
    numbers: tuple[int, ...], box: tuple[int, int, int, int]
) -> None:
    plain = encoded(scene(40, 60), "AVIF", quality=100, subsampling="4:4:4")
    left, top, right, bottom = box
    found = read_image(with_property(plain, aperture(*numbers)))
    np.testing.assert_array_equal(found, read_image(plain)[top:bottom, left:right])


@needs_avif
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_and_mirrored_by_irot_and_imir(orientation: int) -> None:
    exifs = [Image.Exif(), Image.Exif()]  # Pillow takes the tag out of what it is given
    for exif in exifs:
        exif[ORIENTATION] = orientation
    plain = encoded(quadrants(64, 96), "AVIF")
    turned = encoded(quadrants(64, 96), "AVIF", exif=exifs[0])
    assert (b"irot" in turned or b"imir" in turned) == (orientation > 1)
    png_turned = encoded(Image.fromarray(read_image(plain)), "PNG", exif=exifs[1])
    np.testing.assert_array_equal(read_image(turned), read_image(png_turned))


@pytest.mark.parametrize(
    "box, turn",
    [
        (boxed(b"irot", b"\1"), lambda pixels: np.rot90(pixels, 1)),
        (boxed(b"irot", b"\3"), lambda pixels: np.rot90(pixels, 3)),
        (boxed(b"imir", b"\0"), lambda pixels: pixels[::-1]),
        (boxed(b"imir", b"\1"), lambda pixels: pixels[:, ::-1]),
        (aperture(60, 1, 40, 1, 0, 1, 0, 1), lambda pixels: pixels[12:52, 18:78]),
    ],
    ids=["irot-1", "irot-3", "imir-0", "imir-1", "clap"],
)
def test_a_heif_is_turned_mirrored_and_cut(
    box: bytes, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    heif.from_pillow(Image.fromarray(quadrants(64, 96))).save(stream, quality=100)
    plain = stream.getvalue()
    found = read_image(with_property(plain, box))
    assert mean_difference(found, turn(read_image(plain))) < 2  # libheif cuts before colours


@pytest.mark.parametrize(
    "head, kind",
    [
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", r"is a video \(MP4\)"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", r"is a video \(MP4\)"),
        (b"\0\0\0\x18ftypqt  \0\0\2\0qt  mif1", "is a QuickTime video"),
        (b"\0\0\0\x18ftypM4A \0\0\2\0M4A mp42", r"is sound \(M4A\)"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", r"is a raw photo \(Canon CR3\)"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF|unusual file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF|unusual file|damaged"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "is JPEG XL"),
        (b"%PDF-1.7\n", "is a PDF"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"IIRO\x08\0\0\0", r"is a raw photo \(Olympus ORF\)"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI", r"is a PNG for iOS alone \(CgBI\)"),
        (b"hello", "is not an image of a known format"),
    ],
)
def test_other_files_are_called_what_they_are(head: bytes, kind: str) -> None:
    with pytest.raises(ImageError, match=kind) as caught:
        read_image(head.ljust(300, b"\0"))
    if not re.search("HEIF", kind):
        assert "pillow-heif" not in str(caught.value)


def test_every_suffix_of_a_format_that_is_read_counts(tmp_path: Path) -> None:
    wanted = {".jfif", ".jpe", ".mpo", ".hif", ".apng", ".pnm", ".dib", ".heics", ".avifs"}
    assert wanted <= SUFFIXES
    for suffix in (*SUFFIXES, ".txt", ".mp4"):
        (tmp_path / f"picture{suffix}").touch()
        (tmp_path / f"upper{suffix.upper()}").touch()
    found = [path.suffix.lower() for path in files(tmp_path)]
    assert sorted(found) == sorted([*SUFFIXES, *SUFFIXES])
    assert len({known.name for known in FORMATS}) == len(FORMATS)
