"""Video files for tests, written by PyAV: each second has a colour of its own."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

COLOURS = ((220, 30, 30), (30, 30, 220), (30, 200, 30), (220, 200, 30))  # of the seconds, in turn
CORNER = (255, 255, 255)  # the upper left quarter's quarter: shows how a frame is turned


def colour_at(seconds: float) -> tuple[int, int, int]:
    """The colour of a moment."""
    return COLOURS[int(seconds + 1e-6) % len(COLOURS)]


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (120, 160),
    seconds: int = 3,
    fps: int = 10,
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    space: int = 0,
    times_s: list[float] | None = None,
    created: str = "",
    sound_only: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write one; `times_s`: the frames' times where the rate varies; `space`: as in swscale."""
    container = av.open(str(path), "w")
    if created:
        container.metadata["creation_time"] = created
    if sound_only:
        _write_sound(container)
    else:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.height, stream.width = size
        stream.pix_fmt = pix_fmt
        stream.options = options or {}
        if times_s:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for at_s in times_s or [number / fps for number in range(seconds * fps)]:
            frame = av.VideoFrame.from_ndarray(_image(size, at_s), "rgb24")
            if space:
                frame = frame.reformat(format=pix_fmt, dst_colorspace=space)
            frame.pts, frame.time_base = round(at_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    container.close()
    return path


def _image(size: tuple[int, int], at_s: float) -> np.ndarray[Any, Any]:
    image = np.empty((*size, 3), np.uint8)
    image[:] = colour_at(at_s)
    image[: size[0] // 4, : size[1] // 4] = CORNER
    return image


def _write_sound(container: Any) -> None:
    stream = container.add_stream("aac", rate=44100)
    for number in range(40):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 44100, number * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
