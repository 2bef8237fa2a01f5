"""Which part of an image a model sees, by which filter, turned how, in how many channels."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import encoded, max_difference, mean_difference, quadrants, scene, turned
from PIL import Image

from edge.classifier import golden
from edge.errors import ConfigurationError
from edge.image.framing import Framing
from edge.image.preprocess import InputSpec, Normalization, preprocess, read_image, resize, resized

HOTDOG = Path(__file__).parent / "data" / "hotdog.jpg"
SIZE = (64, 96)

Pixels = NDArray[np.uint8]


def input_of(*shape: int, **framing: Any) -> InputSpec:
    return InputSpec(0, shape, np.dtype(np.uint8), framing=Framing(**framing))


def seen(picture: Any, size: tuple[int, int] = SIZE, **framing: Any) -> Pixels:
    """What a model of an input's size sees of an image."""
    return preprocess(picture, input_of(1, *size, 3, **framing))[0]


@pytest.fixture(scope="module")
def large_jpeg() -> bytes:
    """12 megapixels, as a phone takes them."""
    return encoded(scene(3000, 4000), "JPEG", quality=90)


# The default --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("picture", "begins"),
    [
        (golden.draw(0, (480, 640)), "53131c00f13c00abc64be6893552fdf2"),
        (encoded(golden.draw(0, (480, 640)), "PNG"), "53131c00f13c00abc64be6893552fdf2"),
        (golden.draw(1, (50, 40)), "7429ec5bf7f87e468c2f7652eb505702"),
        (HOTDOG, "7ee5e8b5ed5212045202fa71e8b3ab5b"),
    ],
    ids=["frame", "png", "smaller", "jpeg"],
)
def test_the_tensors_are_those_of_version_2(picture: Any, begins: str) -> None:
    """Where this fails, PREPROCESSING_VERSION must rise, and the models be trained again."""
    tensor = preprocess(picture, input_of(1, 96, 96, 3))
    assert hashlib.sha256(tensor.tobytes()).hexdigest().startswith(begins)


# Which part ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (300, 600, slice(None), slice(75, 525)),  # wider than the input
        (400, 300, slice(100, 300), slice(None)),  # higher
        (200, 300, slice(None), slice(None)),  # as it
        (20, 60, slice(None), slice(15, 45)),  # smaller
    ],
)
def test_a_crop_is_the_centre_that_fills_the_input(
    height: int, width: int, rows: slice, columns: slice
) -> None:
    frame = scene(height, width)
    np.testing.assert_array_equal(seen(frame, resize="crop"), seen(frame[rows, columns]))


def test_a_crop_may_lie_between_pixels() -> None:
    """Half a pixel to either side: what both neighbours give, in the mean."""
    frame = scene(100, 151)
    sides = [seen(frame[:, start : start + 150]).astype(int) for start in (0, 1)]
    assert max_difference(seen(frame, resize="crop"), sum(sides) / 2) <= 3


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (300, 600, slice(8, 56), slice(0, 96)),
        (600, 300, slice(0, 64), slice(32, 64)),
        (200, 300, slice(0, 64), slice(0, 96)),
        (10, 4000, slice(31, 32), slice(0, 96)),  # never nothing
    ],
)
def test_a_padded_picture_is_whole_and_centred_on_black(
    height: int, width: int, rows: slice, columns: slice
) -> None:
    frame = np.maximum(scene(height, width), 1)
    pixels = seen(frame, resize="pad")
    inner = pixels[rows, columns]
    np.testing.assert_array_equal(inner, resize(frame, inner.shape[:2]))
    assert inner.min() > 0
    assert pixels.astype(int).sum() == inner.astype(int).sum()


def test_padding_is_normalized_as_black_is() -> None:
    spec = InputSpec(
        0, (1, 64, 96, 3), np.dtype(np.float32), 0.0, 0, Normalization(127.5, 127.5), Framing("pad")
    )
    assert preprocess(scene(300, 600), spec)[0, 0, 0].tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("roi", "rows", "columns"),
    [
        ((0, 0, 0.5, 0.5), slice(0, 150), slice(0, 300)),
        ((0.5, 0.5, 0.5, 0.5), slice(150, 300), slice(300, 600)),
        ((1 / 3, 0.1, 1 / 3, 0.9), slice(30, 300), slice(200, 400)),
        ((0, 0, 1, 1), slice(None), slice(None)),
        ((0.5, 0.5, 1 / 600, 1 / 300), slice(150, 151), slice(300, 301)),
    ],
)
@pytest.mark.parametrize("filter", ["antialias", "bilinear", "nearest"])
@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_a_region_is_seen_as_if_it_were_the_picture(
    roi: Any, rows: slice, columns: slice, filter: str, resize: str
) -> None:
    frame = scene(300, 600)
    pixels = seen(frame, roi=roi, filter=filter, resize=resize)
    expected = seen(frame[rows, columns], filter=filter, resize=resize)
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("roi", [(0.5, 0.5, 1e-9, 1e-9), (1 - 1e-9, 1 - 1e-9, 1e-9, 1e-9)])
@pytest.mark.parametrize("filter", ["antialias", "bilinear", "nearest"])
def test_a_region_smaller_than_a_pixel_is_that_pixel(roi: Any, filter: str) -> None:
    frame = scene(10, 10)
    row = int(10 * roi[1])
    pixels = seen(frame, roi=roi, filter=filter, resize="crop")
    assert max_difference(pixels, np.broadcast_to(frame[row, row], pixels.shape)) <= 1


def test_nothing_beside_a_region_bleeds_into_it() -> None:
    assert (seen(quadrants(), roi=(0, 0, 0.5, 0.5)) == (220, 30, 30)).all()
    assert (seen(encoded(quadrants(), "PNG"), roi=(0.5, 0, 0.5, 0.5)) == (30, 200, 30)).all()


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_region_is_one_of_the_upright_picture(orientation: int) -> None:
    jpeg = turned(quadrants(), orientation, "JPEG")
    pixels = seen(jpeg, roi=(0.5, 0.5, 0.5, 0.5))
    assert mean_difference(pixels, np.full((*SIZE, 3), (220, 220, 40))) < 3


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("framing", [{}, {"resize": "crop"}, {"resize": "pad"}])
def test_a_picture_is_turned_clockwise(rotate: int, framing: Any) -> None:
    frame = scene(300, 500)
    upright = np.ascontiguousarray(np.rot90(frame, -rotate // 90))
    np.testing.assert_array_equal(seen(frame, rotate=rotate, **framing), seen(upright, **framing))
    jpeg = encoded(scene(1000, 1600), "JPEG", quality=95)
    full = np.rot90(read_image(jpeg), -rotate // 90)
    assert mean_difference(seen(jpeg, rotate=rotate, **framing), seen(full, **framing)) < 1.5


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_a_region_is_cut_out_before_it_is_turned(rotate: int) -> None:
    frame = scene(300, 600)
    roi = (0.25, 0.1, 0.5, 0.4)
    region = np.ascontiguousarray(np.rot90(frame[30:150, 150:450], -rotate // 90))
    np.testing.assert_array_equal(seen(frame, rotate=rotate, roi=roi), seen(region))


# Filters ------------------------------------------------------------------------------------------


def neighbours(length: int, wanted: int) -> tuple[Any, Any, Any]:
    """For each wanted pixel the two nearest ones, and the second's share; centres at halves."""
    place = (np.arange(wanted) + 0.5) * length / wanted - 0.5
    first = np.floor(place)
    pair = (np.clip(first + step, 0, length - 1).astype(int) for step in (0, 1))
    return *pair, place - first


@pytest.mark.parametrize(
    ("height", "width"), [(300, 500), (64, 96), (20, 30), (65, 97), (1, 1), (1000, 96)]
)
def test_bilinear_weighs_the_four_nearest_pixels_and_rounds_down(height: int, width: int) -> None:
    frame = scene(height, width)
    top, bottom, down = neighbours(height, SIZE[0])
    left, right, along = neighbours(width, SIZE[1])
    down, along = down[:, None, None], along[None, :, None]
    upper = frame[top][:, left] * (1 - along) + frame[top][:, right] * along
    lower = frame[bottom][:, left] * (1 - along) + frame[bottom][:, right] * along
    exact = upper * (1 - down) + lower * down
    pixels = seen(frame, filter="bilinear")
    assert max_difference(pixels, np.floor(exact + 1e-9)) <= 1
    assert (exact - pixels).min() > -1e-3
    assert (exact - pixels).max() < 1.001


@pytest.mark.parametrize(("height", "width"), [(300, 500), (20, 30), (65, 97)])
def test_nearest_takes_the_pixel_under_the_centre(height: int, width: int) -> None:
    frame = scene(height, width)
    rows = ((np.arange(SIZE[0]) + 0.5) * height / SIZE[0]).astype(int)
    columns = ((np.arange(SIZE[1]) + 0.5) * width / SIZE[1]).astype(int)
    np.testing.assert_array_equal(seen(frame, filter="nearest"), frame[rows][:, columns])


# JPEGs at a DCT scale -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        ({}, 8),
        ({"roi": (0.25, 0.25, 0.25, 0.5)}, 4),  # 1000 of 4000 columns are seen
        ({"roi": (0, 0, 0.11, 1)}, 1),
        ({"resize": "crop"}, 8),
        ({"resize": "pad"}, 16),  # it fills 168 rows
        ({"resize": "pad", "rotate": 90}, 16),
        ({"roi": (0.5, 0, 0.5, 1), "rotate": 90}, 8),
        ({"filter": "bilinear"}, 1),
        ({"filter": "nearest"}, 1),
    ],
)
def test_the_part_that_is_seen_still_covers_the_input(framing: Any, expected: int) -> None:
    assert Framing(**framing).reduction((3000, 4000), (224, 224)) == expected


@pytest.mark.parametrize("times", [1, 2, 4, 8, 16, 32, 64])
def test_a_picture_is_halved_as_often_as_it_covers_the_input_exactly(times: int) -> None:
    size = (64, 96)
    exact = (64 * times, 96 * times)
    for share in (1 / 3, 1 / 7, 1.0):  # which no float holds
        picture = (round(exact[0] / share), round(exact[1] / share))
        roi = (0, 0, exact[1] / picture[1], exact[0] / picture[0])
        assert Framing(roi=roi).reduction(picture, size) == times
    assert Framing().reduction((exact[0] - 1, 10 * exact[1]), size) == max(1, times // 2)


@pytest.mark.parametrize(
    ("times", "orientation"), [(3, 1), (20, 1), *((9, turn) for turn in range(1, 9))]
)
def test_files_and_frames_are_shrunk_alike(times: int, orientation: int) -> None:
    frame = scene(64 * times + 5, 96 * times + 3)
    for format, most in (("PNG", 0.5), ("JPEG", 2.5)):
        picture = turned(frame, orientation, format)
        assert mean_difference(seen(picture), seen(frame)) <= most
    whole = np.asarray(Image.fromarray(frame).resize((96, 64), Image.Resampling.BILINEAR))
    assert mean_difference(seen(frame), whole) < 2


@pytest.mark.parametrize("roi", [None, (0.1, 0.2, 0.61, 0.73)], ids=["whole", "region"])
@pytest.mark.parametrize("size", [(481, 643), (1003, 777), (720, 1280), (1081, 1922)])
def test_a_frame_that_is_shrunk_in_strips_is_what_its_file_is(size: Any, roi: Any) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    for _ in range(2):  # a thread keeps the images of a frame
        assert np.array_equal(seen(frame, roi=roi), seen(encoded(frame, "PNG"), roi=roi))


@pytest.mark.parametrize(
    "framing",
    [
        {"roi": (0.3, 0.2, 0.1, 0.13)},
        {"roi": (0.3, 0.2, 0.6, 0.7)},
        {"resize": "crop"},
        {"resize": "pad", "rotate": 270},
        {"filter": "bilinear"},
        {"filter": "nearest", "roi": (0.1, 0.2, 0.3, 0.4)},
    ],
)
def test_a_dct_scale_shows_the_same_part(large_jpeg: bytes, framing: Any) -> None:
    pixels = seen(large_jpeg, (224, 224), **framing)
    assert mean_difference(pixels, seen(read_image(large_jpeg), (224, 224), **framing)) < 1


# Channels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 28, 20, 1), (1, 28, 20), (28, 20)])
def test_grey_is_pillows_of_the_upright_rgb_whatever_the_shape(shape: tuple[int, ...]) -> None:
    frame = scene(120, 160)
    expected = np.asarray(Image.fromarray(frame).convert("L").reduce(4).resize((20, 28), 2))
    spec = input_of(*shape)
    assert (spec.size, spec.channels) == ((28, 20), 1)
    for picture in (frame, encoded(frame, "PNG")):
        tensor = preprocess(picture, spec)
        assert tensor.shape == shape
        np.testing.assert_array_equal(tensor.reshape(28, 20), expected)


def test_a_grey_frame_of_the_inputs_size_is_not_resized() -> None:
    frame = scene(28, 28)
    expected = np.asarray(Image.fromarray(frame).convert("L"))
    np.testing.assert_array_equal(preprocess(frame, input_of(1, 28, 28))[0], expected)
    np.testing.assert_array_equal(resized(frame, (28, 28), channels=1), expected)


def test_a_grey_input_is_normalized_into_out() -> None:
    spec = InputSpec(0, (1, 28, 28), np.dtype(np.int8), 0.5, 3, Normalization(100.0, 2.0))
    out = np.zeros((1, 28, 28), np.int8)
    tensor = preprocess(scene(50, 60), spec, out)
    assert tensor is out
    grey = preprocess(scene(50, 60), input_of(1, 28, 28))
    np.testing.assert_array_equal(out, spec.pixel_table[grey])


def test_an_rgb_input_has_three_channels() -> None:
    assert input_of(1, 28, 20, 3).channels == 3


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "says"),
    [
        ({"resize": "stretch"}, "resize: must be one of squash, crop, pad. Received: stretch"),
        ({"filter": "bicubic"}, "filter: must be one of antialias, bilinear, nearest. Received"),
        ({"rotate": 45}, "rotate: must be one of 0, 90, 180, 270. Received: 45"),
        ({"roi": (0, 0, 1.1, 1)}, "roi: must be x, y, width, height as shares 0..1"),
        ({"roi": (0.5, 0.5, 0.6, 0.5)}, "roi: must be"),
        ({"roi": (-0.1, 0, 1, 1)}, "roi: must be"),
        ({"roi": (0, 0, 0, 1)}, "roi: must be"),
        ({"roi": (0, 0, 1, float("nan"))}, "roi: must be"),
    ],
)
def test_a_wrong_setting_is_one_line(framing: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Framing(**framing)
    assert str(caught.value).startswith(says)
    assert str(caught.value).endswith("; change it")
