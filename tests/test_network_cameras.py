"""Network cameras: RTSP by GStreamer's server, MJPEG and snapshots by several servers."""

from __future__ import annotations

import base64
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from brokers import required
from live import HOTDOG, watching
from PIL import Image

from edge.errors import EdgeError
from edge.image.preprocess import read_image
from edge.sources.address import parse
from edge.sources.camera import Camera
from edge.sources.camera_format import CameraSettings
from edge.sources.frame import Frame, Waiting
from edge.sources.opening import open_camera, open_device
from edge.sources.video.rtsp_camera import RtspCamera

SYSTEM_PYTHON = "/usr/bin/python3"
CODE = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
)
HAS_SERVER = (
    Path(SYSTEM_PYTHON).exists()
    and subprocess.run([SYSTEM_PYTHON, "-c", CODE], capture_output=True, check=False).returncode
    == 0
)
needs_rtsp = pytest.mark.skipif(
    not HAS_SERVER and not required("EDGE_SOURCES_REQUIRED"),
    reason="needs Debian's gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good and -ugly",
)
PASSWORD = 'p@ss:w/rd %41#?\\"ö'
LIMIT_S = 60.0


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def rtsp_server(port: int, *options: str, password: str = "") -> Iterator[subprocess.Popen[str]]:
    server = subprocess.Popen(
        [SYSTEM_PYTHON, str(Path(__file__).with_name("rtsp_server.py")), str(port), *options],
        env=os.environ | {"RTSP_PASSWORD": password},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        yield server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def camera(url: str, **settings: Any) -> Camera:
    return open_camera(parse(url), CameraSettings(**({"give_up_s": LIMIT_S} | settings)))


def frames_of(source: Camera, count: int) -> list[Frame]:
    frames: list[Frame] = []
    with closing(source):
        for item in source:
            if isinstance(item, Frame):
                frames.append(item)
            if len(frames) == count:
                break
    return frames


def fault_of(url: str, **settings: Any) -> str:
    with pytest.raises(EdgeError) as caught:
        open_device(parse(url), CameraSettings(**settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def rtsp() -> Iterator[str]:
    port = free_port()
    with rtsp_server(port):
        yield f"rtsp://127.0.0.1:{port}"


@needs_rtsp
@pytest.mark.parametrize(
    ("path", "settings"),
    [("h264", {}), ("h264", {"transport": "udp"}), ("mjpeg", {}), ("h264", {"rotate": 90})],
)
def test_rtsp_gives_fresh_frames(rtsp: str, path: str, settings: dict[str, Any]) -> None:
    frames = frames_of(camera(f"{rtsp}/{path}", **settings), 5)
    shape = (640, 480, 3) if settings.get("rotate") else (480, 640, 3)
    for frame in frames:
        assert np.shape(frame.picture) == shape
        assert np.ptp(frame.picture) > 100  # a white ball on black
        assert 0 <= (time.monotonic_ns() - frame.captured_ns) / 1e9 < LIMIT_S
    stamps = [frame.captured_ns for frame in frames]
    assert stamps == sorted(set(stamps))


@needs_rtsp
def test_a_slow_reader_gets_the_newest_frame_and_a_count_of_the_others(rtsp: str) -> None:
    dropped, ages = 0, []
    with closing(camera(f"{rtsp}/h264")) as source:
        for number, item in enumerate(item for item in source if isinstance(item, Frame)):
            dropped += item.dropped
            ages.append((time.monotonic_ns() - item.captured_ns) / 1e9)
            if number == 4:
                break
            time.sleep(0.5)
    assert dropped >= 20  # 25 a second for 2 s, on a machine that may be busy
    assert min(ages[1:]) < 0.3


@needs_rtsp
def test_a_large_stream_comes_as_small_as_was_configured() -> None:
    port = free_port()
    with rtsp_server(port, "1280x720"):
        (frame,) = frames_of(camera(f"rtsp://127.0.0.1:{port}/h264", width=320, height=180), 1)
    assert np.shape(frame.picture) == (180, 320, 3)


@needs_rtsp
def test_a_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    port = free_port()
    url = f"rtsp://pi@127.0.0.1:{port}/h264"
    with rtsp_server(port, password=PASSWORD):
        assert "wrong user or password" in fault_of(url)
        (tmp_path / "password").write_text(f"{PASSWORD}\n")
        source = camera(url, password_file=str(tmp_path / "password"))
        (frame,) = frames_of(source, 1)
        assert frame.source == f"rtsp://127.0.0.1:{port}/h264"
        monkeypatch.setenv("EDGE_CAMERA_PASSWORD", PASSWORD)
        opened = RtspCamera(parse(url), CameraSettings())
        command = Path(f"/proc/{opened.pid}/cmdline").read_bytes()
        opened.close()
        assert b"ss:w" not in command
        assert b"p%40ss" not in command


def test_a_password_that_ffmpeg_would_cut_off_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_CAMERA_PASSWORD", "#" * 42)  # of three characters each
    said = fault_of("rtsp://pi@127.0.0.1/h264")
    assert "has 129 characters in the URL, with its user; at most 127 fit" in said
    assert "#" not in said


@needs_rtsp
def test_what_is_wrong_with_a_stream_is_one_line(rtsp: str) -> None:
    assert "only sound" in fault_of(f"{rtsp}/sound")
    assert "no such stream" in fault_of(f"{rtsp}/none")
    assert "Connection refused" in fault_of(f"rtsp://127.0.0.1:{free_port()}/a")
    assert "unknown host" in fault_of("rtsp://no-such-host.invalid/a")


@needs_rtsp
def test_it_recovers_from_a_stall_and_from_a_dead_decoder_or_server() -> None:
    port = free_port()
    with closing(camera(f"rtsp://127.0.0.1:{port}/h264", deadline_s=3.0)) as source:
        items = iter(source)
        with rtsp_server(port) as server:
            frame_from(items)
            server.send_signal(signal.SIGSTOP)
            reasons = until_frame(items, lambda: server.send_signal(signal.SIGCONT), after=10)
            assert any("no frame yet" in reason for reason in reasons)
            decoder = source._device.result()  # type: ignore[union-attr]
            assert isinstance(decoder, RtspCamera)
            os.kill(decoder.pid, signal.SIGKILL)
            reasons = until_frame(items)
            assert any("signal 9" in reason for reason in reasons)
        with rtsp_server(port, "320x240"):  # as if changed in the camera's menu
            until_frame(items)
            assert np.shape(frame_from(items).picture) == (240, 320, 3)
    assert source.openings >= 3


@needs_rtsp
def test_a_stream_without_keyframes_is_named() -> None:
    port = free_port()
    url = f"rtsp://127.0.0.1:{port}/h264"
    with rtsp_server(port, "640x480", "100000"):
        first = RtspCamera(parse(url), CameraSettings())  # the server's keyframe was for it
        try:
            first.capture(1.0)
            with pytest.raises(EdgeError, match="no keyframe"):  # in the one attempt that there is
                frames_of(camera(url, deadline_s=5.0, give_up_s=5.0), 1)
        finally:
            first.close()


def frame_from(items: Iterator[Frame | Waiting]) -> Frame:
    return next(item for item in items if isinstance(item, Frame))


def until_frame(items: Iterator[Frame | Waiting], does: Any = None, *, after: int = 0) -> list[str]:
    """The reasons before the next frame that follows a Waiting."""
    reasons = []
    for item in items:
        if isinstance(item, Waiting):
            reasons.append(item.reason)
            if does and len(reasons) == after:
                does()
        elif reasons:
            return reasons
    raise AssertionError("it ended")


class Pages(BaseHTTPRequestHandler):
    """A camera's web server: streams with and without lengths, snapshots, locked pages."""

    frames: ClassVar[list[bytes]] = []
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/locked.jpg" and not self.is_known():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        elif path in ("/length.mjpg", "/bare.mjpg", "/stall.mjpg", "/end.mjpg"):
            self.stream(path)
        elif path in ("/snap.jpg", "/locked.jpg"):
            self.respond("image/jpeg", self.frames[int(time.monotonic() * 10) % 2])
        elif path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://localhost:9/")
            self.end_headers()
        elif path == "/page.html":
            self.respond("text/html", b"<html>")
        else:
            self.send_error(404)

    def is_known(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).decode() == f"pi:{PASSWORD}"

    def respond(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, path: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=--frame")
        self.end_headers()
        for number in range(3 if path == "/end.mjpg" else 1000):
            content = self.frames[number % 2]
            length = b"" if path == "/bare.mjpg" else f"Content-Length: {len(content)}\r\n".encode()
            head = b"----frame\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n"
            try:
                self.wfile.write(head + content + b"\r\n")
            except OSError:
                return
            time.sleep(600 if path == "/stall.mjpg" and number else 0.05)


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    for colour in ("red", "blue"):
        stream = io.BytesIO()
        Image.new("RGB", (64, 48), colour).save(stream, "JPEG")
        Pages.frames.append(stream.getvalue())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["length.mjpg", "bare.mjpg", "snap.jpg", "snap.jpg?a=1"])
def test_http_gives_encoded_frames(pages: str, path: str) -> None:
    frames = frames_of(camera(f"{pages}/{path}"), 4)
    for frame in frames:
        assert isinstance(frame.picture, bytes)
        assert read_image(frame.picture).shape == (48, 64, 3)
        assert frame.source == f"{pages}/{path.partition('?')[0]}"


def test_a_turned_http_camera_is_upright(pages: str) -> None:
    (frame,) = frames_of(camera(f"{pages}/length.mjpg", rotate=90, roi=(0.0, 0.0, 0.5, 1.0)), 1)
    assert np.shape(frame.picture) == (64, 24, 3)


def test_a_locked_snapshot(pages: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = pages.replace("//", "//pi@") + "/locked.jpg"
    assert "wrong user or password" in fault_of(url)
    monkeypatch.setenv("EDGE_CAMERA_PASSWORD", PASSWORD)
    assert len(frames_of(camera(url), 2)) == 2


def test_what_is_wrong_with_a_page_is_one_line(pages: str) -> None:
    assert "neither MJPEG nor an image" in fault_of(f"{pages}/page.html")
    assert "no such page" in fault_of(f"{pages}/none")
    assert "redirects to another host" in fault_of(f"{pages}/away")
    assert "Connection refused" in fault_of(f"http://127.0.0.1:{free_port()}/a.jpg")
    assert "unknown host" in fault_of("http://no-such-host.invalid/a.jpg")


def test_a_stream_that_stalls_or_ends_is_reopened(pages: str) -> None:
    source = camera(f"{pages}/end.mjpg")
    assert len(frames_of(source, 6)) == 6
    assert source.openings >= 2
    source = camera(f"{pages}/stall.mjpg", deadline_s=1.0)
    assert len(frames_of(source, 4)) == 4
    assert source.openings >= 2


def test_closing_ends_the_thread(pages: str) -> None:
    for _ in range(5):
        frames_of(camera(f"{pages}/stall.mjpg"), 1)
    until = time.monotonic() + LIMIT_S
    while readers := [one for one in threading.enumerate() if "_read" in one.name]:
        assert time.monotonic() < until, readers
        time.sleep(0.05)


def test_the_services_own_stream_is_a_source(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 5) as service:
        frames = frames_of(camera(f"http://127.0.0.1:{service.port}/stream.mjpg"), 3)
    with Image.open(HOTDOG) as image:
        aspect = image.width / image.height
    for frame in frames:
        height, width, _ = read_image(frame.picture).shape
        assert width / height == pytest.approx(aspect, rel=0.02)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")
def test_a_second_implementation_of_mjpeg() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/s.mjpg"
    words = "-loglevel error -re -f lavfi -i testsrc=size=320x240:rate=10 -f mpjpeg -listen 1"
    kind = ["-content_type", "multipart/x-mixed-replace;boundary=ffmpeg"]
    server = subprocess.Popen(["ffmpeg", *words.split(), *kind, url], stdin=subprocess.DEVNULL)
    try:
        frames = frames_of(camera(url), 3)
    finally:
        server.kill()
        server.wait()
    assert [read_image(frame.picture).shape for frame in frames] == [(240, 320, 3)] * 3


def test_without_pyav_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    code = (
        "import sys, importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'av' else find(name, *a); "
        "from edge.commands.watch import main; sys.exit(main(sys.argv[1:]))"
    )
    for source in ("rtsp://127.0.0.1/a", str(tmp_path / "clip.mp4")):
        done = subprocess.run(
            [sys.executable, "-c", code, "--source", source, "--check"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "needs PyAV; pip install 'edge-classify[video]'" in done.stderr
        assert len(done.stderr.splitlines()) == 1
