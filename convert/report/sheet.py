"""Contact sheets: a grid of images, each with its caption, as a PNG."""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from convert.report.letters import font_for, spelled
from edge.errors import one_line
from edge.image.preprocess import Pixels

GAP = 8  # pixels between tiles, and around them
FRAME = 4  # a mark's frame, within the tile
TEXT_HEIGHT = 13
LINE_HEIGHT = 17
CAPTION_LINES = 2
INK, PAPER, BACKDROP = "#202020", "#ffffff", "#eeeeee"
MARKS = {"right": "#1a7f37", "wrong": "#cf222e"}  # green, red; a tick or a cross marks them as well


def sheet(
    tiles: Sequence[tuple[Pixels, str]],
    *,
    columns: int = 6,
    tile: int = 160,
    marks: Sequence[str] | None = None,
) -> bytes:
    """Lay images out in rows, each whole within a square, with a caption below.

    Args:
        tiles: images, (h, w, 3) uint8 RGB of any size, and captions. A long caption is wrapped,
            and elided after two lines.
        columns: tiles in a row.
        tile: side of the square, in pixels.
        marks: "right", "wrong" or "" for each tile: a green frame with a tick, a red one with a
            cross, none.

    Returns: the content of a PNG file.
    """
    if not tiles:
        raise ValueError("a sheet must have one tile or more. Received: none")
    columns = min(columns, len(tiles))
    captions = [_lines(_spelled(caption), tile) for _, caption in tiles]
    row_height = tile + LINE_HEIGHT * max(map(len, captions)) + GAP
    rows = -(-len(tiles) // columns)
    size = (GAP + columns * (tile + GAP), GAP + rows * row_height)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    for index, (pixels, _) in enumerate(tiles):
        left = GAP + index % columns * (tile + GAP)
        top = GAP + index // columns * row_height
        draw.rectangle((left, top, left + tile - 1, top + tile - 1), fill=BACKDROP)
        picture = _fitted(pixels, tile)
        middle = (left + (tile - picture.width) // 2, top + (tile - picture.height) // 2)
        page.paste(picture, middle)
        if marks is not None and marks[index]:
            _mark(draw, left, top, tile, marks[index])
        for number, line in enumerate(captions[index]):
            below = top + tile + number * LINE_HEIGHT
            draw.text((left, below), line, fill=INK, font=_font(line))
    stream = io.BytesIO()
    page.save(stream, "PNG")
    return stream.getvalue()


def _fitted(pixels: Pixels, tile: int) -> Image.Image:
    """The whole image, as large as the square takes it."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = tile / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _mark(draw: ImageDraw.ImageDraw, left: int, top: int, tile: int, mark: str) -> None:
    """Draw the frame, and a tick or a cross in its upper right corner."""
    colour = MARKS[mark]
    right = left + tile - 1
    draw.rectangle((left, top, right, top + tile - 1), outline=colour, width=FRAME)
    side = max(16, tile // 7)
    x, y = right - side, top
    draw.rectangle((x, y, right, y + side), fill=colour)
    quarter = side / 4
    strokes: dict[str, list[list[tuple[float, float]]]] = {
        "right": [[(1, 2.1), (1.8, 2.9), (3.1, 1.1)]],
        "wrong": [[(1, 1), (3, 3)], [(3, 1), (1, 3)]],
    }
    for stroke in strokes[mark]:
        points = [(x + quarter * across, y + quarter * down) for across, down in stroke]
        draw.line(points, fill=PAPER, width=max(2, side // 8), joint="curve")


def _lines(caption: str, width: int) -> list[str]:
    """Wrap a caption to lines of at most `width` pixels; the last one is elided."""
    lines = [""]
    for word in one_line(caption).split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _length(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > CAPTION_LINES:
        lines[CAPTION_LINES - 1 :] = [" ".join(lines[CAPTION_LINES - 1 :])]
    return [_elided(line, width) for line in lines]


def _elided(line: str, width: int) -> str:
    """Keep both ends: a file's name differs at its end, a path at its beginning."""
    if _length(line) <= width:
        return line
    for kept in range(len(line) - 1, 0, -1):
        short = f"{line[: kept - kept // 2]}…{line[len(line) - kept // 2 :]}"
        if _length(short) <= width:
            return short
    return ""


def _length(text: str) -> float:
    return float(_font(text).getlength(text))


def _spelled(text: str) -> str:
    return spelled(text) if _has_matplotlib() else text


def _font(text: str) -> Any:
    """A font with the letters of a text; Pillow's own knows few beyond Latin."""
    return _opened(font_for(text)) if _has_matplotlib() else _opened(None)


@functools.cache
def _opened(path: Path | None) -> Any:
    if path is None:
        return ImageFont.load_default(TEXT_HEIGHT)
    return ImageFont.truetype(str(path), TEXT_HEIGHT)


@functools.cache
def _has_matplotlib() -> bool:
    return importlib.util.find_spec("matplotlib") is not None
