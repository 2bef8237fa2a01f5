"""What a video file or a stream is opened as, within limits, and what its faults are called.

A part of the decoder's process (`edge.sources.video.decoder`).
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import av

MAX_PIXELS = 40_000_000  # 8K has 33 million; a hostile file may claim 20,000 x 20,000
MAX_STREAMS = 64
# What a file or a stream may be. Playlists are not among them: they open other files and hosts.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,asf,flv,ogg"
RTSP_FORMATS = "rtsp,rtp,sdp,mpegts,h264,hevc"
RTSP_PROTOCOLS = "rtsp,rtsps,rtp,udp,tcp,tls,crypto"


class UnusableError(Exception):
    """Why there is no image: the fault and the remedy."""


def open_video(request: dict[str, Any]) -> tuple[Any, Any]:
    """Open what is requested; return the container and its video stream. Raises: UnusableError."""
    path, is_file = request["open"], request["is_file"]
    if is_file:
        options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
        path = f"file:{path}"  # ffmpeg takes "a:b.mp4" for a protocol
    else:
        _resolve(path)
        options = {
            "rtsp_transport": request["transport"],
            "protocol_whitelist": RTSP_PROTOCOLS,
            "format_whitelist": RTSP_FORMATS,
            "fflags": "nobuffer+discardcorrupt",
            "analyzeduration": "1000000",
        }
    # Those of the decoders, too: opening looks into the first frames.
    options |= {"max_streams": str(MAX_STREAMS), "max_pixels": str(MAX_PIXELS)}
    limits = (request["open_s"], request["read_s"])
    container = av.open(path, options=options, timeout=limits)
    streams = [one for one in container.streams.video if one.codec_context]
    if not streams:
        has_sound = len(container.streams.audio) > 0
        raise UnusableError(
            "has no images, only sound" if has_sound else "has no video", "use a video"
        )
    stream = streams[0]
    context = stream.codec_context
    if context.width * context.height > MAX_PIXELS:
        size = f"{context.width} x {context.height}"
        raise UnusableError(
            f"is {size} pixels, too large", f"use at most {MAX_PIXELS // 10**6} megapixels"
        )
    context.options = {**dict(context.options or {}), "max_pixels": str(MAX_PIXELS)}
    context.thread_type = "AUTO" if is_file else "SLICE"  # by frames, each comes later
    return container, stream


def _resolve(url: str) -> None:
    """Find the host, which ffmpeg would only call an I/O error."""
    parts = urlsplit(url)
    try:
        socket.getaddrinfo(parts.hostname, parts.port or 554)
    except OSError as error:
        raise UnusableError(
            "unknown host", "check the name, or use the camera's IP address"
        ) from error


def explained(error: BaseException, is_file: bool) -> list[str]:
    """Name a fault and its remedy, whatever was raised."""
    if isinstance(error, UnusableError):
        return [str(part) for part in error.args]
    for kind, fault, remedy in _FILE_FAULTS if is_file else _STREAM_FAULTS:
        if isinstance(error, kind):
            return [fault, remedy]
    return [f"cannot be read ({error})", "check it with ffprobe"]


_E = av.error
_COMMON: list[tuple[type[BaseException], str, str]] = [
    (MemoryError, "needs more memory than the decoder may use", "use a smaller resolution"),
    (_E.DecoderNotFoundError, "has a codec that cannot be decoded here", "use H.264 or MJPEG"),
]
_FILE_FAULTS: list[tuple[type[BaseException], str, str]] = [
    *_COMMON,
    (FileNotFoundError, "no such file", "check the path"),
    (PermissionError, "cannot be read (Permission denied)", "change its permissions"),
    (IsADirectoryError, "is a folder", "use a video file"),
    (_E.InvalidDataError, "is not a readable video, or it is cut off", "copy it again"),
    (EOFError, "contains no frames: it is empty or cut off", "copy it again"),
]
_STREAM_FAULTS: list[tuple[type[BaseException], str, str]] = [
    *_COMMON,
    (
        _E.HTTPUnauthorizedError,
        "wrong user or password",
        "put the user into the URL, and the password in camera.password_file or "
        "$EDGE_CAMERA_PASSWORD",
    ),
    (
        _E.HTTPForbiddenError,
        "the camera denies access (403)",
        "check the user's permissions in the camera",
    ),
    (_E.HTTPNotFoundError, "has no such stream (404)", "look up the path in the camera's manual"),
    (_E.HTTPClientError, "the camera rejects the request", "check path and transport"),
    (ConnectionRefusedError, os.strerror(errno.ECONNREFUSED), "check the port; enable RTSP in it"),
    (TimeoutError, "does not respond", "check the address and the network"),
    (_E.ExitError, "does not respond", "check the address and the network"),
    (_E.InvalidDataError, "sends nothing that can be decoded", "set H.264 or MJPEG in the camera"),
    (EOFError, "the stream ended", "it will be reopened"),
]
