"""The grammar of sources."""

from __future__ import annotations

import pytest

from edge.errors import ConfigurationError
from edge.sources.address import CAMERA, CLIP, DEVICE, FILES, HTTP, RTSP, parse, with_password


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("camera", CAMERA, "camera"),
        ("camera:1", CAMERA, "camera:1"),
        ("camera:imx219", CAMERA, "camera:imx219"),
        ("camera/", FILES, "camera/"),
        ("cameras", FILES, "cameras"),
        ("/dev/video0", DEVICE, "/dev/video0"),
        ("/dev/v4l/by-id/usb-x", DEVICE, "/dev/v4l/by-id/usb-x"),
        ("/dev/shm/photos", FILES, "/dev/shm/photos"),
        ("rtsp://10.0.0.2/main", RTSP, "rtsp://10.0.0.2/main"),
        ("RTSP://pi@cam:8554/a?token=secret", RTSP, "rtsp://cam:8554/a"),
        ("http://cam/stream.mjpg", HTTP, "http://cam/stream.mjpg"),
        ("https://[fe80::1]/snap.jpg", HTTP, "https://[fe80::1]/snap.jpg"),
        ("clip.MP4", CLIP, "clip.MP4"),
        ("/media/card/a.b.mkv", CLIP, "/media/card/a.b.mkv"),
        ("*.mp4", FILES, "*.mp4"),
        ("photos/", FILES, "photos/"),
        (".mp4", FILES, ".mp4"),
    ],
)
def test_a_source_is_known_by_its_text(text: str, kind: str, name: str) -> None:
    address = parse(text)
    assert (address.kind, address.name) == (kind, name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be camera"),
        ("camera:", "names no camera"),
        ("rtmp://host/a", "is not a supported kind of source"),
        ("file:///etc/passwd", "is not a supported kind of source"),
        ("rtsp://", "has no valid host"),
        ("rtsp://host:99999/a", "is not a URL"),
        ("http://host/live.m3u8", "is a playlist"),
    ],
)
def test_what_is_no_source_is_one_line(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_in_a_url_is_rejected_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("rtsp://pi:hunter2@cam/main")
    assert "hunter2" not in str(caught.value)
    assert "password_file" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("rtsp://pi@cam/a", "rtsp://pi:p%40s%2Fs@cam/a"),
        ("rtsp://cam/a", "rtsp://cam/a"),
        ("http://cam/a?pwd={password}", "http://cam/a?pwd=p%40s%2Fs"),
        ("http://cam/a@b", "http://cam/a@b"),
    ],
)
def test_a_password_joins_the_user(text: str, becomes: str) -> None:
    assert with_password(parse(text), "p@s/s") == becomes
