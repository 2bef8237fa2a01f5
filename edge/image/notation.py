"""How normalization, regions and sizes are written in options and configuration files.

Nothing heavy is imported: a wrong option is reported before numpy is loaded.
"""

from __future__ import annotations

import math

Numbers = float | tuple[float, ...]

# By channel, of pixels 0..255: what PyTorch's models of ImageNet want.
# https://pytorch.org/vision/stable/models.html
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
MAX_SIDE = 10_000  # pixels of an input
MAX_PIXELS = 1_000_000  # of a region's side


def normalization(text: str) -> tuple[Numbers, Numbers]:
    """Read what becomes of pixels 0..255; return (mean, std): (pixel - mean) / std.

    Args: "[LOW,HIGH]" (inverted where LOW is above HIGH), "MEAN,STD", "MEAN,MEAN,MEAN/STD,STD,STD"
        for red, green and blue, or "imagenet".

    Raises: ValueError.
    """
    if text.strip().lower() == "imagenet":
        return IMAGENET
    if text.startswith("[") and text.endswith("]"):
        ends = numbers(text[1:-1])
        if len(ends) == 2 and ends[0] != ends[1]:
            std = 255 / (ends[1] - ends[0])
            return 0.0 - ends[0] * std, std
    elif "/" in text:
        means, stds = (numbers(part) for part in text.split("/", 1))
        if len(means) == len(stds) == 3 and min(stds) > 0:
            return _in_pixels(means, stds, text)
    else:
        values = numbers(text)
        if len(values) == 2 and values[1] > 0:
            (mean,), (std,) = _in_pixels(values[:1], values[1:], text)
            return mean, std
    raise ValueError(
        "must be a range, such as [-1,1], [0,1] or [0,255], or imagenet, or MEAN,STD or "
        "MEAN,MEAN,MEAN/STD,STD,STD in pixels 0..255, such as 127.5,127.5, which is [-1,1]. "
        f"Received: {text}"
    )


def _in_pixels(
    means: tuple[float, ...], stds: tuple[float, ...], text: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return them, unless they are for pixels 0..1. Raises: ValueError."""
    if min(stds) >= 1:
        return means, stds
    scaled = [",".join(f"{255 * value:g}" for value in values) for values in (means, stds)]
    meant = ("/" if len(means) > 1 else ",").join(scaled)
    raise ValueError(f"MEAN and STD are in pixels 0..255, not 0..1; use {meant}. Received: {text}")


def region(text: str) -> tuple[float, float, float, float]:
    """Read x, y, width, height: shares of an image, or whole pixels where one is above 1.

    Raises: ValueError.
    """
    values = numbers(text)
    shares = max(values, default=0.0) <= 1
    limit = 1 + 1e-9 if shares else MAX_PIXELS
    if (
        len(values) != 4
        or min(values) < 0
        or min(values[2:]) <= 0
        or max(values[0] + values[2], values[1] + values[3]) > limit
        or not (shares or all(value.is_integer() for value in values))
    ):
        raise ValueError(
            "must be X,Y,WIDTH,HEIGHT within the image, as shares 0..1, such as 0.25,0,0.5,1, "
            f"or as whole pixels. Received: {text}"
        )
    return values[0], values[1], values[2], values[3]


def input_size(text: str) -> tuple[int, int]:
    """Read "SIDE" or "HEIGHTxWIDTH" in pixels; return (height, width). Raises: ValueError."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(s.isdecimal() and 2 <= int(s) <= MAX_SIDE for s in sides):
        raise ValueError(
            f"must be SIDE or HEIGHTxWIDTH, 2 to {MAX_SIDE} pixels, such as 224 or 192x256. "
            f"Received: {text}"
        )
    return int(sides[0]), int(sides[-1])


def numbers(text: str) -> tuple[float, ...]:
    """Read numbers between commas; none where one of them is not a finite number."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        return ()
    return values if all(map(math.isfinite, values)) else ()
