"""A source is opened by its address: the same for the service, the benchmark and edge-classify."""

from __future__ import annotations

from collections.abc import Callable

from edge.errors import ConfigurationError
from edge.sources.address import CAMERA, DEVICE, HTTP, RTSP, Address
from edge.sources.camera import Camera
from edge.sources.camera_format import CameraSettings
from edge.sources.device import Device
from edge.sources.picamera import open_picamera


def open_device(
    address: Address, settings: CameraSettings, report: Callable[[str], None] = lambda _: None
) -> Device:
    """Open the device that an address names; the arguments are those of `open_camera`.

    Raises: SourceError, ConfigurationError, what picamera2 does.
    """
    if address.kind == RTSP:
        from edge.sources.video.rtsp_camera import RtspCamera

        return RtspCamera(address, settings)
    if address.kind == HTTP:
        from edge.sources.video.http_camera import HttpCamera

        return HttpCamera(address, settings)
    if address.kind == DEVICE:
        from edge.sources.v4l2.camera import V4l2Camera

        return V4l2Camera(address.text, settings, report)
    return open_picamera(settings, address.text)


def open_camera(
    address: Address, settings: CameraSettings, report: Callable[[str], None] = lambda _: None
) -> Camera:
    """Return a live source; it is opened by iterating.

    Args:
        address: of a live source.
        settings: the configuration's [camera] section.
        report: takes a line about what was negotiated with a V4L2 device.

    Raises: ConfigurationError: the password cannot be read, or PyAV is missing.
    """
    check_camera(address, settings)
    name = address.name if address.text else f"camera {settings.number}"
    return Camera(settings, lambda _: open_device(address, settings, report), name=name)


def check_camera(address: Address, settings: CameraSettings) -> None:
    """See whether a live source has what it needs here. Raises: ConfigurationError."""
    if not address.is_live:
        raise ConfigurationError(address.name, "is not a live source", "use a camera")
    if address.kind in (RTSP, HTTP):
        settings.password()
    if address.kind == RTSP:
        from edge.sources.video.process import ensure_pyav

        ensure_pyav(address.name)
    settings.check_tuning_file()
    for key in ("controls", "zoom", "tuning_file", "frame_rate"):
        if address.kind != CAMERA and getattr(settings, key):
            fault = f"works only with a picamera2 camera, not with {address.name}"
            raise ConfigurationError(f"camera.{key}", fault, "remove the key, or use camera.roi")
