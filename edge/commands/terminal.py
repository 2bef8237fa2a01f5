"""What a terminal can show."""

from __future__ import annotations

import os
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Whether someone looks at it, on a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def columns_of(stream: TextIO) -> int:
    """Return the width of the stream's terminal in columns; 80 if unknown."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def is_coloured(stream: TextIO) -> bool:
    """Whether to colour: a terminal whose owner does not mind. Source: https://no-color.org"""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def width_of(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def clock(seconds: float, *, digits: int = 0) -> str:
    """Write a time or a duration: 0:16, 1:02:03, with this number of decimals of a second."""
    whole = round(seconds * 10**digits)
    left, fraction = divmod(whole, 10**digits)
    minutes, rest = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{text}.{fraction:0{digits}}" if digits else text
