"""A camera, or a folder in its place, classified as fast as it goes: rate, age, frames let go."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.benchmark.samples import Latency, summarize
from edge.classifier.classify import classify
from edge.classifier.model import Model
from edge.errors import SourceError
from edge.sources.address import CLIP, parse
from edge.sources.camera_format import CameraSettings
from edge.sources.frame import Source, Waiting
from edge.sources.opening import open_camera
from edge.sources.replay import Replay
from edge.sources.video.clip import ClipSource, Sampling


@dataclass(frozen=True)
class Streamed:
    """What became of the frames of a source."""

    source: str
    seconds: float
    frames: int  # classified
    dropped: int  # delivered by the source, and let go because a newer one was there
    frames_per_second: float
    age: Latency  # of a frame when its result was there, since the source had it
    partial: bool  # it was ended before its time


def stream(model: Model, source: str, seconds: float, ended: Callable[[], bool]) -> Streamed:
    """Classify what a camera or a folder delivers, for a number of seconds or until it ends.

    Raises: SourceError, ImageError, ConfigurationError.
    """
    address = parse(source)
    opened: Source
    if address.is_live:
        opened = open_camera(address, CameraSettings())
    elif address.kind == CLIP:
        opened = ClipSource(Path(source), Sampling(fps=0.0), repeat=True)
    else:
        opened = Replay(Path(source), repeat=True)
    with closing(opened) as frames:
        return _streamed(model, frames, address.name, seconds, ended)


def _streamed(
    model: Model,
    frames: Source,
    source: str,
    seconds: float,
    ended: Callable[[], bool],
) -> Streamed:
    ages: list[int] = []
    dropped = 0
    started = until = time.monotonic_ns()
    for frame in frames:
        if ended():
            break
        if isinstance(frame, Waiting):
            if ages and time.monotonic_ns() >= until:
                break
            continue
        classify(model, frame)
        now = time.monotonic_ns()
        if until == started:  # the first frame came after the camera was opened: it begins here
            started, until = now, now + round(seconds * 1e9)
            continue
        ages.append(now - frame.captured_ns)
        dropped += frame.dropped
        if now >= until:
            break
    if not ages:
        raise SourceError(source, "delivered less than two frames", "see edge-doctor")
    passed_s = (time.monotonic_ns() - started) / 1e9
    age = summarize(np.array(ages, np.int64))
    rate = len(ages) / passed_s
    return Streamed(source, passed_s, len(ages), dropped, rate, age, passed_s < seconds)
