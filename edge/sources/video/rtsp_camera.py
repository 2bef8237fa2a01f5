"""A network camera by RTSP: its newest frame, decoded in a process of its own."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from edge.errors import ConfigurationError, SourceError
from edge.sources.address import Address, with_password
from edge.sources.camera_format import CameraSettings
from edge.sources.device import Device, Shot, framed
from edge.sources.video.process import Decoder, ensure_pyav

MAX_LOGIN = 127  # characters of user and password in a URL: ffmpeg cuts off what follows
START_S = 8.0  # for Python and PyAV to load: 4 s on a Pi Zero 2


class RtspCamera(Device):
    """An open stream."""

    has_fixed_size = False  # whoever changes it in the camera's menu means it

    def __init__(self, address: Address, settings: CameraSettings) -> None:
        """Connect. Raises: SourceError; ConfigurationError, without PyAV."""
        ensure_pyav(address.name)
        self._name, self._settings = address.name, settings
        self._packets = 0
        self._is_asked = False
        limit_s = settings.deadline_s
        request = {
            "open": _url(address, settings.password()),
            "is_file": False,
            "transport": settings.transport,
            "open_s": limit_s,
            "read_s": limit_s,
        }
        self._decoder = Decoder(address.name, request)
        try:
            if self._decoder.reply(limit_s + START_S) is None:
                fault = f"does not respond within {limit_s:g} s"
                raise SourceError(self._name, fault, "check the address and the network")
        except BaseException:
            self._decoder.close()
            raise

    @property
    def pid(self) -> int:
        """The decoder's process."""
        return self._decoder.pid

    def capture(self, timeout_s: float) -> Shot | None:
        """Return the newest frame; None where none came in time. Raises: SourceError."""
        if not self._is_asked:
            self._decoder.ask((self._settings.height, self._settings.width))
            self._is_asked = True
        until = time.monotonic() + timeout_s
        while reply := self._decoder.reply(max(0.0, until - time.monotonic())):
            if "frame" in reply:
                self._is_asked = False
                return self._shot(reply)
            self._packets = reply.get("packets", self._packets)
        return None

    def _shot(self, reply: dict[str, Any]) -> Shot:
        picture = framed(self._decoder.pixels(reply["frame"]), self._settings)
        return Shot(picture, {"SensorTimestamp": reply["ns"]}, reply["dropped"])

    def close(self) -> None:
        """Kill the decoder."""
        self._decoder.close()

    def silent(self, name: str, seconds: float) -> SourceError:
        """Return why no frame came: nothing was sent, or nothing that can be decoded."""
        if self._packets:
            fault = f"no keyframe could be decoded within {seconds:.1f} s"
            remedy = "in the camera's settings choose H.264 and a shorter keyframe interval"
            return SourceError(name, fault, remedy)
        remedy = 'check camera and network; with transport = "udp", try "tcp"'
        return SourceError(name, f"sent nothing for {seconds:.1f} s", remedy)


def _url(address: Address, password: str) -> str:
    """The URL with the password. Raises: ConfigurationError where ffmpeg would cut it off."""
    url = with_password(address, password)
    length = len(urlsplit(url).netloc.rpartition("@")[0])
    if length > MAX_LOGIN:
        fault = f"has {length} characters in the URL, with its user; at most {MAX_LOGIN} fit"
        remedy = "set a shorter password in the camera, or one of letters and digits"
        raise ConfigurationError("the camera's password", fault, remedy)
    return url
