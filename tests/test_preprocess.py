"""Every kind of image becomes the same upright RGB, and every bad file one line."""

from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAMS, run
from numpy.typing import NDArray
from pictures import (
    ORIENTATION,
    encoded,
    max_difference,
    mean_difference,
    png,
    png_chunk,
    quadrants,
    scene,
    stored,
    turned,
)
from PIL import Image, ImageCms

from edge.errors import ImageError
from edge.image.decode import read_facts
from edge.image.framing import Size
from edge.image.memory import Budget
from edge.image.preprocess import InputSpec, Normalization, preprocess, read_image, resize, resized
from edge.image.tensor import quantize

ROOT = Path(__file__).resolve().parent.parent
UINT8 = InputSpec(0, (1, 96, 96, 3), np.dtype(np.uint8))

Pixels = NDArray[np.uint8]


# Images -----------------------------------------------------------------------------------------


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def p3_profile() -> bytes:
    """Display P3: the sRGB profile with other primaries (adapted to D50) under another name."""
    profile = bytearray(srgb_profile())
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for tag, xyz in primaries.items():
        (offset,) = struct.unpack_from(">I", profile, profile.index(tag) + 4)
        struct.pack_into(">3i", profile, offset + 8, *(round(65536 * value) for value in xyz))
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "P3-D".encode("utf-16-be"))


def p3_to_srgb(pixels: Pixels) -> Pixels:
    """Convert by the formulas, without a colour management system."""
    coded = pixels / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    matrix = [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]]
    linear = np.clip(linear @ np.array(matrix).T, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * coded).astype(np.uint8)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + header + data + png_chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def large_jpeg() -> bytes:
    """12 megapixels, as a phone takes them."""
    return encoded(scene(3000, 4000), "JPEG", quality=90)


# Orientation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_exif_orientation_is_turned_upright(format: str, orientation: int) -> None:
    pixels = read_image(turned(quadrants(), orientation, format))
    assert mean_difference(pixels, quadrants()) < (1.5 if format == "JPEG" else 1e-9)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_at_a_dct_scale_is_turned_upright(orientation: int) -> None:
    pixels = read_image(turned(quadrants(), orientation, "JPEG"), at_least=(80, 120))
    assert mean_difference(pixels, quadrants(80, 120)) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_dct_scale_covers_the_wanted_size_after_turning(orientation: int) -> None:
    jpeg = turned(quadrants(), orientation, "JPEG")
    assert read_image(jpeg, at_least=(40, 60)).shape == (40, 60, 3)
    assert read_image(jpeg, at_least=(41, 60)).shape == (80, 120, 3)
    assert read_image(jpeg, at_least=(160, 61)).shape == (160, 240, 3)
    assert read_image(jpeg, at_least=(400, 60)).shape == (320, 480, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_compressed_tiff_is_turned_once(orientation: int) -> None:
    tiff = encoded(
        stored(quadrants(), orientation),
        "TIFF",
        tiffinfo={ORIENTATION: orientation},
        compression="tiff_lzw",
    )
    np.testing.assert_array_equal(read_image(tiff), quadrants())


@pytest.mark.parametrize("orientation", [0, 9, 1000])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    np.testing.assert_array_equal(read_image(encoded(quadrants(), "PNG", exif=exif)), quadrants())


def test_damaged_exif_turns_nothing() -> None:
    jpeg = encoded(quadrants(), "JPEG", quality=95, exif=b"Exif\0\0not EXIF at all", dpi=(72, 72))
    assert mean_difference(read_image(jpeg), quadrants()) < 1.5


def with_xmp_orientation(jpeg: bytes) -> bytes:
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><d tiff:Orientation="6"/></x:xmpmeta>'
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + jpeg[2:]


def test_an_orientation_in_xmp_alone_turns_nothing() -> None:
    """Pillow's versions differ in whether they look there; ours is EXIF's."""
    jpeg = with_xmp_orientation(encoded(quadrants(), "JPEG", quality=95))
    assert mean_difference(read_image(jpeg), quadrants()) < 1.5


# Colour -------------------------------------------------------------------------------------------


def grey_scene() -> Pixels:
    return scene(60, 80)[..., 0]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM"])
def test_grey_becomes_three_equal_channels(format: str) -> None:
    pixels = read_image(encoded(Image.fromarray(grey_scene()), format))
    assert pixels.shape == (60, 80, 3)
    assert np.ptp(pixels, axis=2).max() == 0
    assert mean_difference(pixels[..., 0], grey_scene()) < (2.5 if format == "JPEG" else 1e-9)


def test_black_and_white_becomes_0_and_255() -> None:
    bits = Image.fromarray(grey_scene()).convert("1")
    assert set(np.unique(read_image(encoded(bits, "PNG")))) == {0, 255}


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_becomes_its_colours(format: str) -> None:
    palette = Image.fromarray(quadrants()).quantize(4)
    expected = np.asarray(palette.convert("RGB"))
    pixels = read_image(encoded(palette, format))
    np.testing.assert_array_equal(pixels, expected)
    assert mean_difference(pixels, quadrants()) < 2


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_becomes_white(format: str) -> None:
    indices = np.repeat(np.array([[0, 1]], np.uint8), 8, axis=0).repeat(8, axis=1)
    palette = Image.fromarray(indices)
    palette = palette.convert("P")
    palette.putdata(indices.ravel().tolist())
    palette.putpalette([10, 20, 30, 200, 100, 50])
    pixels = read_image(encoded(palette, format, transparency=0))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, -1].tolist() == [200, 100, 50]


def test_half_transparent_palette_entries_are_laid_over_white() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    pixels = read_image(encoded(palette, "PNG", transparency=bytes([255, 128])))
    assert max_difference(pixels, np.full((4, 4, 3), (227, 177, 152))) <= 1


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_over_white(format: str) -> None:
    rgba = np.zeros((8, 32, 4), np.uint8)
    rgba[..., :3] = (200, 100, 50)
    rgba[..., 3] = np.repeat([0, 64, 128, 255], 8)
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    pixels = read_image(encoded(rgba, format, **options))
    alpha = rgba[..., 3:] / 255
    expected = np.rint(alpha * rgba[..., :3] + (1 - alpha) * 255)
    assert max_difference(pixels, expected) <= 1
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, -1].tolist() == [200, 100, 50]


def test_transparent_grey_is_laid_over_white() -> None:
    alpha = np.array([[0, 128, 255]], np.uint8)
    grey = Image.merge("LA", [Image.new("L", (3, 1), 100), Image.fromarray(alpha)])
    pixels = read_image(encoded(grey, "PNG"))
    assert max_difference(pixels[0, :, 0], np.array([255, 177, 100])) <= 1
    assert np.ptp(pixels, axis=2).max() == 0


def test_a_transparent_colour_becomes_white() -> None:
    png = encoded(quadrants(), "PNG", transparency=(220, 30, 30))
    pixels = read_image(png)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, -1].tolist() == [30, 200, 30]


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_its_colours(format: str) -> None:
    """Pillow writes a JPEG's CMYK inverted, as Adobe does."""
    cmyk = Image.fromarray(quadrants()).convert("CMYK")
    options = {"quality": 95} if format == "JPEG" else {}
    assert mean_difference(read_image(encoded(cmyk, format, **options)), quadrants()) < 1.5


def test_cmyk_without_adobes_marker_is_read_as_adobes() -> None:
    """Pillow, like browsers, takes every CMYK JPEG to be inverted."""
    cmyk = Image.fromarray(quadrants()).convert("CMYK")
    jpeg = encoded(cmyk, "JPEG", quality=95)
    start = jpeg.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", jpeg, start + 2)
    plain = jpeg[:start] + jpeg[start + 2 + length :]
    assert b"Adobe" in jpeg
    assert b"Adobe" not in plain
    np.testing.assert_array_equal(read_image(plain), read_image(jpeg))


def sixteen_bit(dtype: str) -> tuple[Image.Image, Pixels]:
    """A ramp over all 65536 values, and the high bytes, rounded, that it stands for."""
    values = np.arange(65536).reshape(256, 256)
    mode = "I;16B" if dtype == ">u2" else "I;16"
    image = Image.frombytes(mode, (256, 256), values.astype(dtype).tobytes())
    return image, np.rint(values / 257).astype(np.uint8)


def test_16_bit_grey_png_keeps_its_high_byte() -> None:
    image, expected = sixteen_bit("<u2")
    pixels = read_image(encoded(image, "PNG"))
    np.testing.assert_array_equal(pixels, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("dtype", "compression"), [("<u2", None), ("<u2", "tiff_lzw"), (">u2", None)]
)
def test_16_bit_grey_tiff_keeps_its_high_byte(dtype: str, compression: str | None) -> None:
    image, expected = sixteen_bit(dtype)
    pixels = read_image(encoded(image, "TIFF", compression=compression))
    np.testing.assert_array_equal(pixels[..., 1], expected)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_display_p3_picture_is_converted_to_srgb(format: str) -> None:
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}
    file = encoded(scene(64, 96), format, icc_profile=p3_profile(), **options.get(format, {}))
    pixels = read_image(file)
    assert mean_difference(pixels, p3_to_srgb(scene(64, 96))) < 2
    assert mean_difference(pixels, scene(64, 96)) > 5


def test_an_srgb_profile_leaves_the_pixels_alone() -> None:
    png = encoded(scene(64, 96), "PNG", icc_profile=srgb_profile())
    np.testing.assert_array_equal(read_image(png), scene(64, 96))


@pytest.mark.parametrize("profile", [b"not a profile", srgb_profile()[:200], b"\0" * 600])
def test_a_broken_profile_is_ignored(profile: bytes) -> None:
    png = encoded(scene(64, 96), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(read_image(png), scene(64, 96))


def test_a_profile_of_another_colour_space_is_ignored() -> None:
    png = encoded(Image.fromarray(grey_scene()), "PNG", icc_profile=p3_profile())
    np.testing.assert_array_equal(read_image(png)[..., 0], grey_scene())


# Formats ------------------------------------------------------------------------------------------


def test_a_progressive_jpeg_equals_its_baseline() -> None:
    baseline = encoded(scene(300, 400), "JPEG", quality=90)
    progressive = encoded(scene(300, 400), "JPEG", quality=90, progressive=True)
    np.testing.assert_array_equal(read_image(progressive), read_image(baseline))
    np.testing.assert_array_equal(preprocess(progressive, UINT8), preprocess(baseline, UINT8))


def test_a_12_megapixel_jpeg_is_decoded_at_a_dct_scale(large_jpeg: bytes) -> None:
    assert read_image(large_jpeg, at_least=(192, 192)).shape == (375, 500, 3)


def test_the_dct_scale_hardly_changes_the_tensor(large_jpeg: bytes) -> None:
    full = resize(read_image(large_jpeg), UINT8.size)
    tensor = preprocess(large_jpeg, UINT8)
    assert mean_difference(tensor[0], full) < 1
    assert max_difference(tensor[0], full) <= 8


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(format: str) -> None:
    first, second = Image.new("RGB", (32, 24), "red"), Image.new("RGB", (32, 24), "blue")
    options = {"lossless": True} if format == "WEBP" else {}
    file = encoded(first, format, save_all=True, append_images=[second], **options)
    np.testing.assert_array_equal(read_image(file), np.asarray(first))


@pytest.mark.parametrize("colour", [2, 6])
def test_an_interlaced_png_equals_its_pixels(colour: int) -> None:
    frame = scene(61, 83)
    pixels = frame if colour == 2 else np.dstack([frame, np.full((61, 83), 255, np.uint8)])
    np.testing.assert_array_equal(read_image(png(pixels, colour, interlaced=True)), frame)


@pytest.mark.parametrize("colour", [0, 2, 4, 6], ids=["grey", "rgb", "grey, alpha", "rgba"])
def test_a_16_bit_png_keeps_its_high_bytes(colour: int) -> None:
    """Over white where it has alpha: half of 0x8000 is 191."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    pixels = read_image(png(np.full((5, 7, channels), 0x8000, np.uint16), colour))
    assert max_difference(pixels, np.full((5, 7, 3), 191 if colour >= 4 else 128)) <= 1


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBX", "YCbCr", "LAB"])
def test_a_tiff_of_another_mode_becomes_its_colours(mode: str) -> None:
    if mode == "YCbCr" and Image.__version__ < "10":
        pytest.skip("Pillow reads no YCbCr TIFF of its own before 10")
    rgb = Image.fromarray(quadrants()).convert("L" if mode == "LA" else "RGB")
    image = (rgb.quantize(4) if mode == "PA" else rgb).convert(mode)
    pixels = read_image(encoded(image, "TIFF"))
    assert mean_difference(pixels, np.asarray(rgb.convert("RGB"))) < 4


def test_a_bigtiff_is_read() -> None:
    np.testing.assert_array_equal(read_image(bigtiff(scene(20, 30))), scene(20, 30))


def bigtiff(pixels: Pixels) -> bytes:
    """An uncompressed BigTIFF: 8-byte offsets, entries of 20 bytes; the pixels come last."""
    height, width = pixels.shape[:2]
    strip = 16 + 8 + 20 * 9 + 8
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 2, 273: strip, 277: 3, 278: height}
    tags[279] = pixels.nbytes
    head = b"II" + struct.pack("<HHHQQ", 43, 8, 0, 16, 9)
    entries = b"".join(struct.pack("<HHQQ", tag, 16, 1, tags[tag]) for tag in sorted(tags))
    bits = struct.pack("<HHQHHHH", 258, 3, 3, 8, 8, 8, 0)  # three values within the entry
    entries = entries[:40] + bits + entries[60:]
    return head + entries + struct.pack("<Q", 0) + pixels.tobytes()


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "tiff_deflate", "packbits"])
def test_a_compressed_tiff_is_read(compression: str) -> None:
    pixels = read_image(encoded(scene(60, 80), "TIFF", compression=compression))
    assert mean_difference(pixels, scene(60, 80)) < (4 if compression == "jpeg" else 1e-9)


def test_floating_point_pixels_are_refused_for_nothing_says_their_range() -> None:
    tiff = encoded(Image.fromarray(grey_scene()).convert("F"), "TIFF")
    assert "has floating-point pixels of unknown range; save it with" in refusal(tiff)


def test_an_animated_png_may_show_another_picture_first() -> None:
    first, second = Image.new("RGB", (32, 24), "red"), Image.new("RGB", (32, 24), "blue")
    file = encoded(first, "PNG", save_all=True, append_images=[second], default_image=True)
    np.testing.assert_array_equal(read_image(file), np.asarray(first))


def test_a_half_transparent_animation_is_laid_over_white() -> None:
    first, second = Image.new("RGBA", (32, 24), (255, 0, 0, 128)), Image.new("RGBA", (32, 24))
    file = encoded(first, "WEBP", save_all=True, append_images=[second], lossless=True)
    assert max_difference(read_image(file), np.full((24, 32, 3), (255, 127, 127))) <= 1


def test_of_a_jpeg_with_more_pictures_the_first_is_taken() -> None:
    file = encoded(quadrants(), "MPO", save_all=True, append_images=[Image.new("RGB", (480, 320))])
    assert mean_difference(read_image(file), quadrants()) < 2
    assert read_image(file, at_least=(80, 120)).shape == (80, 120, 3)


@pytest.mark.parametrize(("format", "lost"), [("PNG", 12), ("GIF", 1)])
def test_a_file_that_lacks_only_its_end_mark_is_read(format: str, lost: int) -> None:
    whole = encoded(scene(60, 80), format)
    np.testing.assert_array_equal(read_image(whole[:-lost]), read_image(whole))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_what_follows_a_picture_is_ignored(format: str) -> None:
    whole = encoded(scene(60, 80), format)
    np.testing.assert_array_equal(read_image(whole + b"more" * 99), read_image(whole))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heif_is_turned_upright_once(orientation: int) -> None:
    """libheif turns it, and pillow-heif takes the EXIF orientation away."""
    pytest.importorskip("pillow_heif", reason="HEIF needs pillow-heif").register_heif_opener()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = encoded(stored(quadrants(), orientation), "HEIF", exif=exif.tobytes(), quality=95)
    assert mean_difference(read_image(file), quadrants()) < 1.5


def test_a_heif_without_its_package_names_it() -> None:
    if importlib.util.find_spec("pillow_heif"):
        pytest.skip("pillow-heif is installed")
    assert "pip install pillow-heif" in refusal(b"\0\0\0\x1cftypheic" + b"\0" * 16)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_path_its_content_and_its_pixels_are_one_tensor(tmp_path: Path, format: str) -> None:
    frame = scene(240, 320)
    path = tmp_path / "picture"
    path.write_bytes(encoded(frame, format))
    expected = preprocess(frame, UINT8)
    np.testing.assert_array_equal(preprocess(path, UINT8), expected)
    np.testing.assert_array_equal(preprocess(path.read_bytes(), UINT8), expected)


def test_a_jpeg_below_twice_the_input_is_one_tensor_with_its_pixels() -> None:
    height, width = UINT8.size
    jpeg = encoded(scene(2 * height - 1, 3 * width), "JPEG")
    np.testing.assert_array_equal(preprocess(jpeg, UINT8), preprocess(read_image(jpeg), UINT8))


# Bad files ----------------------------------------------------------------------------------------


def refusal(picture: Any) -> str:
    """The one line with which an image is rejected, within two seconds."""
    started_s = time.process_time()
    with pytest.raises(ImageError) as caught:
        preprocess(picture, UINT8)
    assert time.process_time() - started_s < 2
    message = str(caught.value)
    assert message.isprintable()  # hence one line
    assert caught.value.fault
    assert caught.value.remedy
    assert message.endswith(f"{caught.value.fault}; {caught.value.remedy}")
    assert " at 0x" not in message
    return message


@pytest.mark.parametrize("side", [8001, 13_000, 20_000, 60_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    assert "too large to decode" in refusal(png_claiming(side, side))


def peak_megabytes(content: bytes) -> int:
    """The most memory that a fresh process takes which preprocesses an image twice at a time."""
    code = (
        "import sys, threading, numpy as np\n"
        "from edge.image.preprocess import InputSpec, preprocess\n"
        "content = sys.stdin.buffer.read()\n"
        "spec = InputSpec(0, (1, 96, 96, 3), np.dtype(np.uint8))\n"
        "other = threading.Thread(target=preprocess, args=(content, spec))\n"
        "other.start(), preprocess(content, spec), other.join()\n"
        "status = open('/proc/self/status').read().partition('VmHWM:')[2]\n"
        "print(int(status.split()[0]) // 1000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=content, capture_output=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_the_largest_images_take_less_than_600_megabytes_two_at_a_time() -> None:
    png = encoded(Image.new("RGBA", (8000, 8000)), "PNG", compress_level=1)
    assert peak_megabytes(png) < 600


def test_large_images_wait_for_each_other_and_small_ones_do_not() -> None:
    budget, events = Budget(100), []

    def take(name: str, count: int) -> None:
        with budget.hold(count):
            events.append(name)

    with budget.hold(1000):  # more than there is: all of it
        waiting = threading.Thread(target=take, args=("large", 60))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join(60)
    with budget.hold(60):
        take("small", 40)
    with pytest.raises(ZeroDivisionError), budget.hold(100):
        raise ZeroDivisionError
    take("after", 100)
    assert events == ["large", "small", "after"]


def test_a_jpeg_of_several_scans_is_held_whole_also_if_it_is_not_progressive() -> None:
    plain = encoded(scene(16, 16), "JPEG", subsampling=0)
    several = plain[:-2] + plain[plain.index(b"\xff\xda") :]
    large = bytearray(several)
    struct.pack_into(">HH", large, large.index(b"\xff\xc0") + 5, 9600, 9600)
    assert "too large to decode (progressive, more than 83 megapixels)" in refusal(bytes(large))


def test_a_webp_has_a_lower_limit() -> None:
    webp = encoded(Image.new("RGB", (5300, 5300)), "WEBP", lossless=True, method=0)
    assert "is too large to decode (more than 28 megapixels)" in refusal(webp)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_huge_jpeg_is_decoded_only_where_a_dct_scale_makes_it_small() -> None:
    jpeg = encoded(Image.new("L", (9000, 9000), 77), "JPEG")
    np.testing.assert_array_equal(preprocess(jpeg, UINT8), np.full(UINT8.shape, 77))
    with pytest.raises(ImageError, match="too large to decode"):
        read_image(jpeg)


def jpeg_claiming(width: int, height: int) -> bytes:
    """A small JPEG whose frame header claims a size."""
    jpeg = bytearray(encoded(Image.new("L", (16, 16), 77), "JPEG"))
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, height, width)
    return bytes(jpeg)


def test_a_phones_200_megapixels_are_read_and_a_larger_limit_is_named() -> None:
    assert read_facts(jpeg_claiming(16320, 12240)).size == (12240, 16320)
    assert "(more than 250 megapixels)" in refusal(jpeg_claiming(20000, 20000))


def many_scans(number: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times more."""
    jpeg = encoded(scene(60, 80), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * number + jpeg[-2:]


def test_a_progressive_jpeg_of_very_many_scans_is_refused() -> None:
    assert read_image(many_scans(5)).shape == (60, 80, 3)
    assert "more than any photo" in refusal(many_scans(200))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_progressive_jpeg_whose_coefficients_fill_the_memory_is_refused() -> None:
    jpeg = bytearray(encoded(scene(60, 80), "JPEG", progressive=True, subsampling=0))
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc2") + 5, 12_000, 13_000)
    assert "too large to decode" in refusal(bytes(jpeg))


def read_apart(content: bytes) -> tuple[bytes, bytes]:
    """Read an image in a fresh process, without pytest's own warning filters: its outputs."""
    code = (
        "import sys\n"
        "from edge.image.preprocess import read_image\n"
        "try: print(read_image(sys.stdin.buffer.read()).shape)\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=content, capture_output=True, cwd=ROOT, timeout=60
    )
    return done.stdout, done.stderr


def test_a_bomb_is_refused_without_pillows_own_warning() -> None:
    stdout, stderr = read_apart(png_claiming(13_000, 13_000))
    assert b"too large to decode" in stdout
    assert stderr == b""


def test_cut_off_exif_is_ignored_without_a_warning() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0"
    stdout, stderr = read_apart(encoded(quadrants(), "JPEG", exif=exif, dpi=(72, 72)))
    assert stdout.strip() == b"(320, 480, 3)"
    assert stderr == b""


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "absent.jpg"
    assert refusal(path) == f"{path}: no such file; check the path"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    assert "is empty" in refusal(path)
    assert "is empty" in refusal(b"")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("kept", [0.02, 0.5])
def test_a_truncated_file_is_refused(tmp_path: Path, format: str, kept: float) -> None:
    content = encoded(scene(200, 300), format)
    path = tmp_path / "cut"
    path.write_bytes(content[: int(kept * len(content))])
    assert "is damaged" in refusal(path)


@pytest.mark.parametrize(
    "head", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"BM"]
)
def test_a_signature_followed_by_nothing_or_noise_is_refused(head: bytes) -> None:
    noise = np.random.RandomState(0).bytes(4000)
    assert "is damaged" in refusal(head)
    assert "is damaged" in refusal(head + noise)


@pytest.mark.parametrize("content", [b"x", b"%!PS-Adobe-3.0 EPSF", b"\0" * 100])
def test_a_file_that_is_no_image_is_refused(content: bytes) -> None:
    assert "is not an image of a known format" in refusal(content)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    assert "is not a regular file" in refusal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.touch(mode=0)
    assert "permission denied" in refusal(path)


@pytest.mark.parametrize("name", ["two\nlines.jpg", "red\x1b[31m.jpg", "\udcff.jpg"])
def test_a_strange_file_name_yields_one_printable_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert "no such file" in refusal(path)
    path.write_bytes(b"\xff\xd8\xff\xe0")
    assert "is damaged" in refusal(path)


# The tensor ---------------------------------------------------------------------------------------


def input_of(dtype: type, *quantization: Any) -> InputSpec:
    return InputSpec(0, (1, 96, 96, 3), np.dtype(dtype), *quantization)


def test_a_float_input_gets_its_normalization() -> None:
    table = input_of(np.float32, 0.0, 0, Normalization(127.5, 127.5)).pixel_table
    assert table.dtype == np.float32
    np.testing.assert_allclose(table, (np.arange(256) - 127.5) / 127.5, rtol=1e-6)


def test_a_float_input_without_normalization_gets_pixels_as_they_are() -> None:
    table = input_of(np.float32).pixel_table
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table, np.arange(256))


def test_a_uint8_input_gets_pixels_as_they_are() -> None:
    spec = input_of(np.uint8, 1 / 128, 128, Normalization(127.5, 127.5))
    np.testing.assert_array_equal(spec.pixel_table, np.arange(256))
    assert spec.takes_pixels


def test_an_int8_input_without_normalization_gets_pixels_shifted() -> None:
    table = input_of(np.int8, 1 / 255, -128).pixel_table
    assert table.dtype == np.int8
    np.testing.assert_array_equal(table, np.arange(256) - 128)


def test_an_int8_input_is_quantized_by_its_scale_and_zero_point() -> None:
    spec = input_of(np.int8, 0.02, 5, Normalization(127.5, 127.5))
    real = (np.arange(256) - 127.5) / 127.5
    expected = np.clip(np.rint(real / 0.02) + 5, -128, 127)
    np.testing.assert_array_equal(spec.pixel_table, expected)
    np.testing.assert_array_equal(spec.pixel_table, quantize(real, spec))


def test_an_int8_input_rounds_half_to_even_and_clips() -> None:
    table = input_of(np.int8, 2.0, 0, Normalization(0.0, 1.0)).pixel_table
    assert table[[1, 3, 5, 254, 255]].tolist() == [0, 2, 2, 127, 127]
    table = input_of(np.int8, 0.5, 0, Normalization(100.0, 1.0)).pixel_table
    assert table[[0, 36, 100, 163, 164, 255]].tolist() == [-128, -128, 0, 126, 127, 127]


@pytest.mark.parametrize(
    "spec",
    [
        UINT8,
        input_of(np.int8, 1 / 128, 0, Normalization(127.5, 127.5)),
        input_of(np.int8, 1.0, -128),
        input_of(np.float32, 0.0, 0, Normalization(127.5, 127.5)),
        input_of(np.float32, 0.0, 0, Normalization(0.0, 255.0)),
        input_of(np.float32, 0.0, 0, Normalization(123.68, 58.4)),  # rounds otherwise in float32
        input_of(np.float32),
    ],
    ids=["uint8", "int8", "shifted", "float32", "to 1", "by the table", "as they are"],
)
def test_preprocess_writes_the_table_of_the_resized_pixels_into_out(spec: InputSpec) -> None:
    frame = scene(120, 160)
    out = np.zeros(spec.shape, spec.dtype)
    tensor = preprocess(frame, spec, out)
    assert tensor is out
    np.testing.assert_array_equal(out[0], spec.pixel_table[resize(frame, spec.size)])
    np.testing.assert_array_equal(preprocess(frame, spec), out)
    assert preprocess(frame, spec).dtype == spec.dtype


def test_an_input_need_not_be_square() -> None:
    spec = InputSpec(0, (1, 48, 80, 3), np.dtype(np.uint8))
    assert spec.size == (48, 80)
    tensor = preprocess(encoded(quadrants(), "JPEG", quality=95), spec)
    assert tensor.shape == (1, 48, 80, 3)
    assert mean_difference(tensor[0], quadrants(48, 80)) < 5


@pytest.mark.parametrize("size", [(96, 96), (10, 300), (400, 20)])
def test_resizing_gives_the_size_whatever_the_aspect(size: tuple[int, int]) -> None:
    pixels = resize(scene(120, 160), size)
    assert pixels.shape == (*size, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(resized(scene(120, 160), size), pixels)


def test_resizing_is_antialiased() -> None:
    """Every other column black: a filter without support would keep one of both."""
    stripes = np.zeros((96, 960, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = resize(stripes, (96, 96))
    assert max_difference(pixels, np.full((96, 96, 3), 128)) <= 8


def test_a_frame_of_the_wanted_size_is_returned_as_it_is() -> None:
    frame = scene(96, 96)
    assert resize(frame, (96, 96)) is frame


def test_a_strided_frame_equals_its_copy() -> None:
    frame = scene(120, 160)[::-1, ::2, ::-1]
    expected = preprocess(np.ascontiguousarray(frame), UINT8)
    np.testing.assert_array_equal(preprocess(frame, UINT8), expected)


def test_frames_of_several_threads_and_sizes_keep_their_own_pixels() -> None:
    sizes = ((120, 160), (90, 100), (80, 120))
    frames = [np.roll(scene(*size), 7 * step, axis=1) for size in sizes for step in range(4)]
    expected = [
        np.asarray(Image.fromarray(frame).reduce(2).resize((48, 36), 2)) for frame in frames
    ]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda frame: resize(frame, (36, 48)), 20 * frames))
    for pixels, same in zip(found, 20 * expected, strict=True):
        np.testing.assert_array_equal(pixels, same)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["grey", "four channels", "float", "empty"],
)
def test_a_frame_that_is_not_rgb_bytes_is_refused(frame: Any) -> None:
    assert "must be (height, width, 3) uint8" in refusal(frame)


def test_read_image_returns_a_frame_as_it_is() -> None:
    frame = scene(8, 8)
    assert read_image(frame) is frame


# The oldest supported environment -----------------------------------------------------------------


@pytest.fixture
def oldest_python() -> Path:
    """The Python of the environment with the oldest supported Pillow and numpy."""
    name = os.environ.get("EDGE_OLDEST_PYTHON")
    if not name:
        pytest.skip("EDGE_OLDEST_PYTHON is not set: no environment with the oldest Pillow to ask")
    path = Path(name) if Path(name).is_absolute() else ROOT / name
    if not path.exists():
        pytest.skip(f"no environment with the oldest Pillow: EDGE_OLDEST_PYTHON={name} is absent")
    return path


def kinds(large: bytes) -> dict[str, bytes]:
    """One file or more of each kind, by file name."""
    picture, small = scene(480, 640), quadrants()
    rgba = np.dstack([picture, grey_scene().repeat(8, axis=0).repeat(8, axis=1)])
    palette = Image.fromarray(picture).quantize(64)
    return {
        **{f"exif-{n}.jpg": turned(small, n, "JPEG") for n in range(1, 9)},
        **{f"exif-large-{n}.jpg": turned(scene(900, 1200), n, "JPEG") for n in (3, 6)},
        **{f"exif-{n}.png": turned(small, n, "PNG") for n in (6,)},
        **{f"exif-{n}.webp": turned(small, n, "WEBP") for n in (6,)},
        **{f"exif-{n}.tif": turned(small, n, "TIFF") for n in range(1, 9)},
        "alpha.png": encoded(rgba, "PNG"),
        "alpha.webp": encoded(rgba, "WEBP", quality=90),
        "animated.gif": encoded(
            palette, "GIF", save_all=True, append_images=[Image.new("P", (640, 480))]
        ),
        "bitmap.bmp": encoded(picture, "BMP"),
        "black-and-white.png": encoded(Image.fromarray(picture).convert("1"), "PNG"),
        "cmyk.jpg": encoded(Image.fromarray(picture).convert("CMYK"), "JPEG"),
        "cmyk.tif": encoded(Image.fromarray(picture).convert("CMYK"), "TIFF"),
        "grey.jpg": encoded(picture[..., 0], "JPEG"),
        "grey.png": encoded(picture[..., 0], "PNG"),
        "grey-alpha.png": encoded(Image.fromarray(rgba).convert("LA"), "PNG"),
        "grey-16.png": encoded(sixteen_bit("<u2")[0], "PNG"),
        "grey-16.tif": encoded(sixteen_bit("<u2")[0], "TIFF"),
        "grey-16-big-endian.tif": encoded(sixteen_bit(">u2")[0], "TIFF"),
        "icc-broken.jpg": encoded(picture, "JPEG", icc_profile=b"not a profile"),
        "icc-p3.jpg": encoded(picture, "JPEG", icc_profile=p3_profile()),
        "icc-p3.png": encoded(picture, "PNG", icc_profile=p3_profile()),
        "icc-srgb.jpg": encoded(picture, "JPEG", icc_profile=srgb_profile()),
        "large.jpg": large,
        "xmp-orientation.jpg": with_xmp_orientation(encoded(small, "JPEG")),
        "odd-sides.jpg": encoded(scene(487, 653), "JPEG"),
        "palette.gif": encoded(palette, "GIF"),
        "palette.png": encoded(palette, "PNG"),
        "palette-alpha.png": encoded(palette, "PNG", transparency=bytes(range(0, 256, 4))),
        "pixels.ppm": encoded(picture, "PPM"),
        "progressive.jpg": encoded(scene(1500, 2000), "JPEG", progressive=True),
        "subsampled-not.jpg": encoded(picture, "JPEG", subsampling=0),
        "webp-lossless.webp": encoded(picture, "WEBP", lossless=True),
        "webp-lossy.webp": encoded(picture, "WEBP", quality=80),
    }


def tensors(python: Path, folder: Path, out: Path) -> dict[str, NDArray[np.uint8]]:
    """What an environment makes of a folder, with this checkout's code."""
    done = subprocess.run(
        [python, PROGRAMS / "tensors.py", folder, out],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as saved:
        return dict(saved)


def test_the_oldest_and_the_newest_environment_make_the_same_tensors(
    oldest_python: Path, large_jpeg: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, content in kinds(large_jpeg).items():
        (folder / name).write_bytes(content)
    test_data = Path(os.environ.get("EDGE_TEST_DATA", ROOT.parent / "shared"))
    for path in sorted(test_data.glob("hotdog/test/*/*.jpg"))[::40][:5]:
        (folder / f"photo-{path.name}").write_bytes(path.read_bytes())

    newest = tensors(Path(sys.executable), folder, tmp_path / "newest.npz")
    oldest = tensors(oldest_python, folder, tmp_path / "oldest.npz")

    assert list(newest) == list(oldest) == sorted(path.name for path in folder.iterdir())
    largest = {name: max_difference(newest[name], oldest[name]) for name in newest}
    print("\n".join(f"{difference:3} {name}" for name, difference in largest.items()))
    differing = {name: difference for name, difference in largest.items() if difference > 1}
    assert not differing, f"images that differ by more than 1: {differing}"


FRAMES = ((480, 640), (720, 1280), (480, 333), (962, 640), (333, 640), (1080, 1920))
INPUTS = ((224, 224), (96, 96), (300, 300), (225, 224), (600, 600), (480, 640))


@pytest.mark.parametrize("size", INPUTS)
@pytest.mark.parametrize("frame", FRAMES)
def test_a_large_frame_is_averaged_and_then_resized_by_pillow(frame: Size, size: Size) -> None:
    random = np.random.default_rng(sum(frame))
    pixels = random.integers(0, 256, (*frame, 3), np.uint8)
    by = 1
    while min(frame[0] / size[0], frame[1] / size[1]) >= 2 * by:
        by *= 2
    box = (0, 0, frame[1] / by, frame[0] / by)
    expected = averaged(pixels, by).resize(size[::-1], Image.Resampling.BILINEAR, box)
    assert max_difference(resize(pixels, size), np.asarray(expected)) <= 1


def averaged(pixels: np.ndarray, by: int) -> Image.Image:
    """The mean of each square of so many pixels a side; those at the ends may be cut."""
    sums, counts = pixels.astype(float), np.ones((*pixels.shape[:2], 1))
    for axis in (0, 1):
        starts = np.arange(0, pixels.shape[axis], by)
        sums, counts = (np.add.reduceat(values, starts, axis) for values in (sums, counts))
    return Image.fromarray(np.floor(sums / counts + 0.5).astype(np.uint8))


def test_a_large_frame_is_resized_in_a_forked_process_too() -> None:
    script = """
import os, warnings
import numpy as np
from edge.image.preprocess import resize
warnings.simplefilter("ignore")
pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
expected = resize(pixels, (224, 224))
child = os.fork()
same = np.array_equal(resize(pixels, (224, 224)), expected)
if not child:
    os._exit(0 if same else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and same
"""
    done = run("-c", script, timeout=60)
    assert done.returncode == 0, done.stderr
