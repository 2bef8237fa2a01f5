"""A camera, or a folder in its place, classified as fast as it goes, or at a rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edge.benchmark.samples import Latency, summarize
from edge.classifier.classify import classify
from edge.classifier.model import Model
from edge.errors import SourceError
from edge.service.process.pace import Pace, PaceSettings
from edge.sources.address import CAMERA, CLIP, parse
from edge.sources.camera_format import CameraSettings, sensor_rate
from edge.sources.frame import Frame, Source, Waiting
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


def open_source(source: str, camera: CameraSettings, fps: float = 0.0) -> Source:
    """Return a camera, or a folder or video that repeats, in its place. Raises: SourceError.

    Args: as --source has it; a camera's settings; the rate of a video or a
        sensor (0: every frame).
    """
    address = parse(source)
    if address.is_live:
        settings = sensor_rate(camera, fps) if address.kind == CAMERA else camera
        return open_camera(address, settings)
    if address.kind == CLIP:
        return ClipSource(Path(source), Sampling(fps=fps), repeat=True)
    return Replay(Path(source), repeat=True)


def stream(
    model: Model,
    source: str,
    camera: CameraSettings,
    seconds: float,
    ended: Callable[[], bool],
) -> Streamed:
    """Classify what a camera or a folder delivers, for this many seconds or until it is ended.

    Raises: SourceError, ImageError, ConfigurationError.
    """
    with closing(open_source(source, camera)) as frames:
        return _streamed(model, frames, parse(source).name, seconds, ended)


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
        raise SourceError(source, "delivered fewer than two frames", "run edge-doctor")
    passed_s = (time.monotonic_ns() - started) / 1e9
    age = summarize(np.array(ages, np.int64))
    rate = len(ages) / passed_s
    return Streamed(source, passed_s, len(ages), dropped, rate, age, passed_s < seconds)


@dataclass(frozen=True)
class Paced:
    """What one turn of a model at a rate has shown, in its own process."""

    seconds: float
    frames: int
    late: int  # their result came after the next frame was due
    waited_s: float  # for the source
    invoke_ms: tuple[float, ...]
    processor_s: float  # of the process, all its threads


def paced(model: Model, source: Source | bytes, fps: float, seconds: float) -> Paced:
    """Classify frames at a rate, as edge-watch does. Raises: ImageError, SourceError.

    Args: the model; where frames come from, or the one image; frames a second; for how long.
    """
    pace = Pace(PaceSettings(fps=fps), lambda: None, lambda line: None)
    invokes: list[float] = []
    late, waited_s = 0, 0.0
    frames = _same(source) if isinstance(source, bytes) else iter(source)
    next((frame for frame in frames if isinstance(frame, Frame)), None)  # the source is open now
    began, cpu = time.monotonic(), time.process_time()
    while (asked := time.monotonic()) < began + seconds:
        frame = next(frames, None)
        started = time.monotonic()
        waited_s += started - asked
        if frame is None:
            break
        if isinstance(frame, Waiting):
            continue
        pace.begin()
        invokes.append(classify(model, frame).invoke_ms)
        late += time.monotonic() - started > 1 / fps
        for _ in pace.rest():
            pass
    passed = time.monotonic() - began
    return Paced(passed, len(invokes), late, waited_s, tuple(invokes), time.process_time() - cpu)


def _same(picture: bytes) -> Iterator[Frame]:
    while True:
        yield Frame("benchmark", picture, datetime.now(UTC), time.monotonic_ns())
