"""The contact sheet: where its tiles and captions lie, and that it takes anything."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from convert.report.sheet import CAPTION_LINES, GAP, _length, _lines, sheet

RED = np.full((50, 100, 3), (255, 0, 0), np.uint8)
BLUE = np.full((100, 40, 3), (0, 0, 255), np.uint8)


def pixels_of(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image)


def middle(page: np.ndarray, row: int, column: int, tile: int, height: int) -> list[int]:
    """The colour in the middle of a tile."""
    across = GAP + column * (tile + GAP) + tile // 2
    return page[GAP + row * height + tile // 2, across].tolist()


def test_tiles_are_laid_out_in_rows() -> None:
    page = pixels_of(sheet([(RED, "a"), (BLUE, "b"), (RED, "c")], columns=2, tile=100))
    height = (page.shape[0] - GAP) // 2
    assert page.shape[1] == GAP + 2 * (100 + GAP)
    assert middle(page, 0, 0, 100, height) == [255, 0, 0]
    assert middle(page, 0, 1, 100, height) == [0, 0, 255]
    assert middle(page, 1, 0, 100, height) == [255, 0, 0]
    assert middle(page, 1, 1, 100, height) == [255, 255, 255]  # no fourth tile


def test_a_picture_is_shown_whole_and_keeps_its_shape() -> None:
    page = pixels_of(sheet([(RED, "")], tile=100))
    red = np.argwhere((page == (255, 0, 0)).all(axis=2))
    assert np.ptp(red, axis=0).tolist() == [49, 99]


@pytest.mark.parametrize("count", [1, 5, 6, 7, 200])
def test_any_number_of_tiles_fits(count: int) -> None:
    tiles = [(BLUE, f"image {index}") for index in range(count)]
    page = pixels_of(sheet(tiles, tile=40))
    assert page.shape[1] == GAP + min(count, 6) * (40 + GAP)


def test_no_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="one tile or more"):
        sheet([])


def test_pictures_of_any_size_are_taken() -> None:
    tiny, wide = np.zeros((1, 1, 3), np.uint8), np.zeros((2, 3000, 3), np.uint8)
    assert pixels_of(sheet([(tiny, "tiny"), (wide, "wide")])).shape[1] == GAP + 2 * (160 + GAP)
    assert pixels_of(sheet([(RED[:, ::-1], "a view into another array")])).size


def test_captions_are_written_below() -> None:
    plain, written = (pixels_of(sheet([(RED, text)])) for text in ("", "hotdog 0.98"))
    assert np.array_equal(plain[: GAP + 160], written[: GAP + 160])
    assert (written[GAP + 160 :] < 100).any()


@pytest.mark.parametrize(
    "caption",
    ["x" * 500, "many words " * 40, "a/long/folder/of/photos/IMG_20240101_121212_HDR.jpg", "", " "],
)
def test_a_long_caption_is_wrapped_and_elided(caption: str) -> None:
    lines = _lines(caption, 160)
    assert 1 <= len(lines) <= CAPTION_LINES
    assert all(_length(line) <= 160 for line in lines)


def test_elision_keeps_both_ends() -> None:
    (line,) = _lines("train/hotdog/IMG_20240101_121212_HDR_3.jpg", 160)
    assert line.startswith("train/")
    assert line.endswith("_3.jpg")
    assert "…" in line


def test_a_newline_in_a_label_stays_one_line() -> None:
    assert _lines("hot\ndog", 160) == ["hot\\ndog"]


def test_marks_are_told_by_shape_as_well_as_by_colour() -> None:
    tiles = [(BLUE, "")] * 3
    page = pixels_of(sheet(tiles, columns=3, tile=80, marks=["right", "wrong", ""])).astype(int)
    right, wrong, none = (page[GAP : GAP + 80, GAP + 88 * n : GAP + 88 * n + 80] for n in range(3))
    assert right[40, 0].argmax() == 1
    assert wrong[40, 0].argmax() == 0
    assert none[40, 0].tolist() == [238, 238, 238]
    white_right, white_wrong = ((part > 250).all(axis=2) for part in (right, wrong))
    assert white_right.any()
    assert white_wrong.any()
    assert not np.array_equal(white_right, white_wrong)


def test_a_label_of_other_letters_is_shown_in_letters_of_its_own() -> None:
    one, other = (sheet([(RED, text)]) for text in ("сосиска", "бургер"))
    assert one != other
