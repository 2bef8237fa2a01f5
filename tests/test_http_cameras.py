"""Other people's cameras by HTTP: odd multipart streams, redirects, methods of passwords."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import quote, unquote

import pytest
from conftest import ROOT
from PIL import Image

from edge.errors import EdgeError
from edge.image.preprocess import read_image
from edge.sources.address import parse
from edge.sources.camera_format import CameraSettings
from edge.sources.frame import Frame
from edge.sources.opening import open_camera, open_device

USER, PASSWORD, REALM = "me@home", 'p@ss:"w/ö #%\\', "IP Camera(C1234)"
SIZE = (47, 63)  # height and width: no multiple of anything


def _jpeg() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise(SIZE[::-1], 60).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


JPEG = _jpeg()
LENGTH = b"Content-Length: %d\r\n" % len(JPEG)
TYPE = b"Content-Type: image/jpeg\r\n"
X = "multipart/x-mixed-replace"
# By name the response's Content-Type, what begins a part, and what ends it.
STREAMS = {
    "no boundary named": (X, b"--frame\r\n" + TYPE + LENGTH + b"\r\n", b"\r\n"),
    "another one named": (f"{X};boundary=other", b"--frame\r\n" + TYPE + LENGTH + b"\r\n", b"\r\n"),
    "quoted": (f'{X}; boundary="a b=c"', b"--a b=c\r\n" + TYPE + b"\r\n", b"\r\n"),
    "a space and dashes": (
        f"{X}; boundary=--video boundary--", b"--video boundary--\r\n" + TYPE + b"\r\n", b"\r\n",
    ),
    "named with its dashes": (f"{X};boundary=--frame", b"--frame\r\n" + LENGTH + b"\r\n", b""),
    "no line end before it": (f"{X};boundary=frame", b"--frame\r\n" + TYPE + b"\r\n", b""),
    "and four dashes": (f"{X};boundary=--frame", b"----frame\r\n" + TYPE + b"\r\n", b""),
    "line feeds alone": (f"{X};boundary=frame", b"--frame\n" + TYPE[:-2] + b"\n\n", b"\n"),
    "small letters, more headers": (
        f"{X};boundary=frame",
        b"--frame\r\nx-timestamp: 12.5\r\ncontent-type:image/jpeg\r\ncontent-length:%d \r\n\r\n"
        % len(JPEG),
        b"\r\n\r\n",
    ),
    "closed after each": (f"{X};boundary=frame", b"--frame\r\n\r\n", b"\r\n--frame--\r\n"),
}  # fmt: skip
EMPTY = {"an empty part first": b"--frame\r\nContent-Length: 0\r\n\r\n\r\n"}
HALVES = {"with": b"--frame\r\n" + LENGTH + b"\r\n", "without": b"--frame\r\n\r\n"}  # a length
DIGEST = f'Digest realm="{REALM}", nonce="4e61/="'
OFFERS = {
    "md5": [f'{DIGEST}, qop="auth", algorithm=MD5'],
    "old": [f"{DIGEST}, algorithm=md5"],
    "opaque": [f'{DIGEST}, qop="auth,auth-int", opaque="5ccc"'],
    "sha256": [f'{DIGEST}, algorithm=SHA-256, qop="auth"'],
    "new": [
        f'{DIGEST}, algorithm=SHA-512-256, qop="auth"',
        f'{DIGEST}, algorithm=SHA-256, qop="auth"',
        f'{DIGEST}, algorithm=MD5, qop="auth"',
    ],
    "basic first": [f'Basic realm="{REALM}"', f'{DIGEST}, qop="auth"'],
    "unknown first": [f'Digest realm="{REALM}", nonce="1", algorithm=X', f'Basic realm="{REALM}"'],
}


class Pages(BaseHTTPRequestHandler):
    """A camera's web server."""

    protocol_version = "HTTP/1.1"
    tried: ClassVar[list[str]] = []  # passwords that were sent

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        kind, _, name = self.path[1:].partition("/")
        name = unquote(name)
        if kind == "stream":
            self.stream(name)
        elif kind == "moved":
            self.respond(302, Location=f"/locked/{name}")
        elif kind == "locked":
            self.locked(name)
        elif kind == "negotiate":
            self.respond(401, WWW_Authenticate="Negotiate")
        else:
            self.respond(200, JPEG, Content_Type=name)

    def respond(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            if value:
                self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, name: str) -> None:
        """Some images in chunks, as newer cameras send them; the last of them is not ended."""
        begin = EMPTY.get(name, b"")
        kind, head, tail = STREAMS.get(name, STREAMS["another one named"])
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = [begin, *[head + JPEG + tail] * 4]
        if name in HALVES:
            pieces = [HALVES[name] + JPEG + b"\r\n", HALVES[name] + JPEG[:1000]]
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def locked(self, name: str) -> None:
        given = self.headers.get("Authorization", "")
        if given:
            self.tried.append(given)
        method, _, rest = given.partition(" ")
        if (method == "Digest" and self.is_known(rest)) or (
            method == "Basic" and name.startswith("unknown")
        ):
            self.respond(200, JPEG, Content_Type="image/jpeg")
        else:
            self.send_response(401)
            for offer in OFFERS[name]:
                self.send_header("WWW-Authenticate", offer)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def is_known(self, given: str) -> bool:
        """Whether it is RFC 7616's response to the password."""
        parts = urllib.request.parse_keqv_list(urllib.request.parse_http_list(given))
        made = hashlib.sha256 if parts.get("algorithm") == "SHA-256" else hashlib.md5

        def digest(*texts: str) -> str:
            return made(":".join(texts).encode()).hexdigest()

        more = [parts[key] for key in ("nc", "cnonce", "qop") if key in parts]
        secret = digest(USER, REALM, PASSWORD)
        wanted = digest(secret, parts["nonce"], *more, digest("GET", parts["uri"]))
        return parts["uri"] == self.path and parts["response"] == wanted


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def frames_of(url: str, count: int = 2) -> list[Frame]:
    with closing(open_camera(parse(url), CameraSettings(give_up_s=20.0))) as source:
        frames = (item for item in source if isinstance(item, Frame))
        return [frame for frame, _ in zip(frames, range(count), strict=False)]


def fault_of(url: str) -> str:
    with pytest.raises(EdgeError) as caught:
        open_device(parse(url), CameraSettings())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", [*STREAMS, *EMPTY])
def test_a_stream_is_read_as_cameras_send_it(pages: str, name: str) -> None:
    (frame,) = frames_of(f"http://{pages}/stream/{quote(name)}", 1)
    assert isinstance(frame.picture, bytes)
    assert frame.picture.strip() == JPEG.strip()
    assert read_image(frame.picture).shape == (*SIZE, 3)


@pytest.mark.parametrize("name", HALVES)
def test_half_an_image_is_none(pages: str, name: str) -> None:
    frames = frames_of(f"http://{pages}/stream/{name}")  # of two connections
    assert [frame.picture for frame in frames] == [JPEG, JPEG]


@pytest.mark.parametrize("kind", ["image/jpg", "application/octet-stream", ""])
def test_an_image_is_one_whatever_it_is_called(pages: str, kind: str) -> None:
    assert frames_of(f"http://{pages}/called/{kind}")[1].picture == JPEG


@pytest.mark.parametrize(
    "words", ["classify --format json", "benchmark --threads 1 --seconds 2 --format json --source"]
)
def test_commands_take_a_camera_as_a_source(pages: str, words: str) -> None:
    url, model = f"http://{pages}/called/image/jpeg", "models/hotdog-small.tflite"
    options = [*words.split(), url] if "--source" in words else [*words.split(), "-m", model, url]
    command = [sys.executable, "-m", "edge", *options, *([model] if "--source" in words else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert url in done.stdout
    json.loads(done.stdout)


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_CAMERA_PASSWORD", PASSWORD)


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize("name", OFFERS)
@pytest.mark.parametrize("kind", ["locked", "moved"])
def test_a_password_is_given_as_the_camera_asks_for_it(pages: str, kind: str, name: str) -> None:
    url = f"http://{quote(USER)}@{pages}/{kind}/{quote(name)}"
    assert [frame.picture for frame in frames_of(url)] == [JPEG, JPEG]


@pytest.mark.parametrize("name", ["md5", "sha256", "basic first"])
def test_a_wrong_password_is_sent_once(
    pages: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_CAMERA_PASSWORD", "wrong")
    Pages.tried.clear()
    url = f"http://{quote(USER)}@{pages}/locked/{quote(name)}"
    assert "wrong user or password" in fault_of(url)
    assert len(Pages.tried) == 1  # cameras lock the user after some


@pytest.mark.usefixtures("password")
def test_what_cannot_be_given_is_one_line(pages: str) -> None:
    said = fault_of(f"http://pi@{pages}/negotiate/a")
    assert "requires a password by Negotiate, which is not supported" in said
    assert PASSWORD not in said
