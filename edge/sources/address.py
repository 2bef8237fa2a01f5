"""The one grammar of sources: what a text on a command line or in watch.toml stands for."""

from __future__ import annotations

import re
from typing import NamedTuple

from edge.errors import ConfigurationError, one_line

CAMERA = "camera"  # picamera2: `camera`, `camera:ID`
DEVICE = "device"  # V4L2: /dev/video0, /dev/v4l/by-id/...
RTSP = "rtsp"
HTTP = "http"  # MJPEG or snapshots, by the server's Content-Type
CLIP = "clip"  # a video file
FILES = "files"  # a file, folder or glob pattern of images
LIVE = (CAMERA, DEVICE, RTSP, HTTP)
NETWORK = (RTSP, HTTP)

GRAMMAR = "camera, camera:ID, /dev/video0, rtsp://, http(s)://, a video file, a folder or a pattern"
CLIPS = frozenset(".mp4 .m4v .mov .mkv .webm .avi .ts .mts .m2ts .mpg .mpeg .3gp".split())
_SCHEMES = {"rtsp": RTSP, "rtsps": RTSP, "http": HTTP, "https": HTTP}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_NODE = re.compile(r"/dev/(video\d+$|v4l/)")
_PLAYLISTS = (".m3u8", ".m3u", ".mpd", ".pls", ".sdp")


class Address(NamedTuple):
    """A source by kind."""

    kind: str
    text: str  # a path, a URL, or a camera's ID
    name: str  # for people: without user and query, which may hold a secret

    @property
    def is_live(self) -> bool:
        """Whether frames come by the clock."""
        return self.kind in LIVE


def parse(text: str) -> Address:
    """Read a source. Raises: ConfigurationError, which shows no password."""
    if text == CAMERA or text.startswith(f"{CAMERA}:"):
        return _camera(text)
    if _NODE.match(text):
        return Address(DEVICE, text, text)
    if found := _URL.match(text):
        return _url(text, found[1].lower())
    if not text:
        raise ConfigurationError("source", f"must be {GRAMMAR}", "see edge-watch --help")
    kind = CLIP if is_clip_name(text) and not set("*?[") & set(text) else FILES
    return Address(kind, text, text)


def is_clip_name(name: str) -> bool:
    """Whether a file's name is that of a video; hidden ones are not meant."""
    stem, dot, suffix = name.rpartition(".")
    hidden = stem.rpartition("/")[2].startswith(".") or not stem.rpartition("/")[2]
    return bool(dot) and not hidden and f".{suffix}".lower() in CLIPS


def may_be_address(text: str) -> bool:
    """Whether it may be other than a path: a quick look, for the many that are none."""
    return text.startswith(("camera", "/dev/")) or "://" in text


def _camera(text: str) -> Address:
    identity = text.partition(":")[2]
    if text != CAMERA and not identity:
        raise ConfigurationError(text, "names no camera", "see rpicam-hello --list-cameras")
    return Address(CAMERA, identity, text)


def _url(text: str, scheme: str) -> Address:
    from urllib.parse import urlsplit  # for URLs alone

    if scheme not in _SCHEMES:
        remedy = f"use {GRAMMAR}"
        raise ConfigurationError(f"{scheme}://", "is not a supported kind of source", remedy)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(
            f"{scheme}://", f"is not a URL ({error})", f"use {GRAMMAR}"
        ) from error
    if not host or not text.isprintable() or " " in text:
        raise ConfigurationError(
            f"{scheme}://", "has no valid host", f"use an address such as {scheme}://cam/path"
        )
    place = f"[{host}]" if ":" in host else host
    name = one_line(f"{scheme}://{place}{f':{port}' if port else ''}{parts.path}")
    if parts.password is not None:
        raise ConfigurationError(
            name,
            "must not hold the password: it would be visible in process lists and logs",
            "put it into a file (camera.password_file) or $EDGE_CAMERA_PASSWORD",
        )
    if parts.path.lower().endswith(_PLAYLISTS):
        fault = "is a playlist, not a camera's stream"
        raise ConfigurationError(name, fault, "use the camera's rtsp:// or MJPEG address")
    return Address(_SCHEMES[scheme], text, name)


def with_password(address: Address, password: str) -> str:
    """Return a URL that holds the password: for what opens it, never for a log.

    It takes the place of `{password}`, or else joins the user's name.
    """
    from urllib.parse import quote, unquote, urlsplit

    if "{password}" in address.text:
        return address.text.replace("{password}", quote(password, safe=""))
    parts = urlsplit(address.text)
    if parts.username is None or not password:
        return address.text
    user, place = unquote(parts.username), parts.netloc.rpartition("@")[2]
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{login}@{place}").geturl()
