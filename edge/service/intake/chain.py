"""What stands between a camera and the loop, by the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from edge.service.configuration import Configuration
from edge.service.control import Control
from edge.service.intake.gate import Gated, Rest
from edge.service.intake.health import Examined, Health
from edge.service.intake.masks import Masked
from edge.service.intake.motion import Moving
from edge.service.intake.schedule import Schedule
from edge.sources.address import CAMERA, CLIP
from edge.sources.camera_format import CameraSettings, sensor_rate
from edge.sources.frame import Source

Report: TypeAlias = Callable[[str], None]  # takes a line


def open_source(configuration: Configuration, report: Report) -> Source:
    """Where frames come from. Raises: SourceError."""
    address = configuration.address
    if address.is_live:
        from edge.sources.opening import open_camera

        return open_camera(address, _camera_settings(configuration), report)
    if address.kind == CLIP:
        from edge.sources.video.clip import ClipSource, Sampling

        sampling = Sampling(fps=configuration.pace.fps)
        return ClipSource(Path(address.text), sampling, repeat=configuration.repeat)
    from edge.sources.follow import Follow
    from edge.sources.replay import Replay

    path, give_up_s = Path(configuration.source), configuration.give_up_s
    if configuration.repeat:
        return Replay(path, repeat=True, give_up_s=give_up_s)
    return Follow(path, give_up_s=give_up_s) if configuration.follow else Replay(path)


def _camera_settings(configuration: Configuration) -> CameraSettings:
    """The [camera] settings, with the frame rate that its sensor needs."""
    if configuration.address.kind != CAMERA:
        return configuration.camera
    compared = configuration.motion.fps if configuration.motion.on else 0.0
    fps = configuration.pace.fps
    return sensor_rate(configuration.camera, max(fps, compared) if fps else 0.0)


def rests(configuration: Configuration, control: Control) -> Callable[[], Rest | None]:
    """Return what gives the reason for which no frame is to be classified now."""
    schedule = Schedule(configuration.schedule)

    def rest() -> Rest | None:
        return Rest("paused", "paused by a command") if control.paused else schedule.rest()

    return rest


def camera_health(configuration: Configuration, report: Report) -> Health | None:
    """What looks at the camera's view; None where it is not checked."""
    return Health(configuration.health, report) if configuration.health.on else None


def gated(
    configuration: Configuration,
    control: Control,
    rest: Callable[[], Rest | None],
    health: Health | None,
    report: Report,
) -> Source:
    """The source, with all that decides which of its frames are classified."""

    def opened() -> Source:
        source = open_source(configuration, report)
        if health:  # before the masks: it shows nothing, and a masked part has no pattern
            source = Examined(source, health)
        if configuration.privacy.masks:
            roi = configuration.camera.roi if configuration.address.is_live else ()
            source = Masked(source, configuration.privacy, roi)
        if not configuration.motion.on:
            return source
        return Moving(source, configuration.motion, control.sleep, lambda: control.wants_now)

    return Gated(opened, rest, control.sleep)
