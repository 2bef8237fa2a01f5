"""The live page's server: a real edge-watch, asked as browsers, programs and strangers ask."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run
from live import HOTDOG, TOKEN, Watching, scenes, until, watching
from PIL import Image
from sightings import sighting

from convert.data.examine import examine
from edge.classifier.model import Model
from edge.errors import ConfigurationError
from edge.image.heat import SIDE
from edge.image.preprocess import seen
from edge.service.sinks.dataset import Dataset, LabelError, QuotaError, folder_name
from edge.service.web import server as serving
from edge.service.web.memory import EVENTS, HISTORY_S, POINT_S, Memory
from edge.service.web.pictures import SHOWN, THUMBNAILS, Pictures
from edge.service.web.server import try_listen
from edge.service.web.settings import WebSettings
from edge.service.web.station import LOCAL_DOMAINS, network_domains

MACHINE = socket.gethostname().partition(".")[0].lower()
AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """One that sees a hot dog for ever, ten times a second."""
    folder = tmp_path_factory.mktemp("web")
    with watching(folder, HOTDOG, "--fps", 10) as running:
        running.after(3)
        yield running


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


# --- what is answered


def test_the_newest_result_and_how_the_service_fares(service: Watching) -> None:
    latest = until(lambda: (told := service.after(20))["result"]["state"] == "hotdog" and told)
    result = latest["result"]
    assert (result["label"], result["state"], result["source"]) == ("hotdog", "hotdog", str(HOTDOG))
    assert latest["fresh"] and latest["controls"] and latest["dropped"] == 0
    assert latest["threshold"] == pytest.approx(0.918, abs=0.001)
    for times in latest["latency_ms"].values():
        assert 0 < times["p50"] <= times["p90"] <= times["p99"]
    vitals = latest["health"]
    assert vitals["labels"] == ["hotdog", "nothotdog"] and vitals["model"] == "hotdog.tflite"
    assert 1 < vitals["fps"] < 12 and re.fullmatch(r"[0-9a-f]{12}", vitals["model_version"])
    assert vitals["sinks"][f"web page on {0}"] == {"failures": 0, "lost": 0}


def test_history_goes_on_from_a_frame(service: Watching) -> None:
    service.after(20)
    points = service.document("/history.json")["points"]
    assert [p["frame"] for p in points] == sorted({p["frame"] for p in points})
    gaps = np.diff([p["unix_s"] for p in points])
    assert len(points) >= 3 and gaps.min() > 0.3  # at most two a second
    assert points[-1]["scores"]["hotdog"] > 0.9 and points[-1]["state"] == "hotdog"
    later = service.document(f"/history.json?since={points[1]['frame']}")["points"]
    assert later[: len(points) - 2] == points[2:]


def test_changes_come_with_their_pictures(service: Watching) -> None:
    service.after(5)
    event = until(
        lambda: next((e for e in service.document("/events.json")["events"] if e["image"]), None)
    )
    assert (event["from"], event["to"]) == ("unknown", "hotdog")
    answer, content = service.get(f"/{event['image']}")
    assert answer.getheader("Content-Type") == "image/jpeg"
    assert pixels(content).shape == (240, 320, 3)
    assert service.get("/events/999999.jpg")[0].status == 404


def test_the_frame_and_what_the_model_sees_of_it(service: Watching) -> None:
    answer, content = service.get("/frame.jpg")
    assert int(answer.getheader("X-Frame") or 0) > 0
    assert np.abs(pixels(content).astype(int) - np.asarray(Image.open(HOTDOG))).mean() < 3
    _, content = service.get("/input.png")
    with Model() as model:
        np.testing.assert_array_equal(pixels(content), seen(HOTDOG, model.input))


def test_health(service: Watching) -> None:
    answer, content = service.get("/healthz")
    assert (answer.status, content) == (200, b"ok\n")


def test_health_is_bad_while_nothing_comes(tmp_path: Path) -> None:
    gone = tmp_path / "nowhere"
    with watching(tmp_path, gone, "--give-up-s", 60) as service:
        line = rf"no result for \d+ s: {gone}: no such file or folder\n"
        until(lambda: re.fullmatch(line, service.get("/healthz")[1].decode()))
        assert service.get("/healthz")[0].status == 503
        latest = service.document("/latest.json")
        assert latest["result"] is None and latest["latency_ms"] is None


def test_a_folder_without_a_new_picture_is_healthy(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    options = ("--no-repeat", "--follow")
    with watching(tmp_path, tmp_path / "incoming", *options) as service:
        until(lambda: service.get("/healthz")[0].status == 200)
        vitals = service.document("/latest.json")["health"]
        assert (vitals["waiting"], vitals["idle"]) == ("no new image", True)
        assert service.get("/frame.jpg")[0].status == service.get("/input.png")[0].status == 404


def test_the_page_gives_commands_with_its_token(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 10) as service:
        service.after(2)
        assert service.control("/command", {"name": "pause", "value": True}, "wrong")[0] == 401
        assert service.control("/command", {"name": "pause", "value": True})[0] == 202
        until(lambda: service.document("/latest.json")["zone"]["state"] == "paused")
        assert service.document("/latest.json")["paused"] is True
        assert service.get("/healthz")[0].status == 200  # as intended: no alarm
        assert service.control("/command", {"name": "pause", "value": "OFF"})[0] == 202
        until(lambda: service.document("/latest.json")["zone"]["state"] == "live")
        assert service.control("/command", {"name": "threshold", "value": 0.875})[0] == 202
        assert service.document("/latest.json")["threshold"] == 0.875
        for body in ({}, [], {"name": 1}, {"name": "pause", "value": "x"}, {"name": "reboot"}):
            assert service.control("/command", body)[0] == 400, body
        until(lambda: (tmp_path / "stdout").read_text().count('"command"') == 3)


def test_the_stream_gives_every_viewer_the_same_pictures(service: Watching) -> None:
    streams = [viewer(service.port) for _ in range(3)]
    seen_parts = [[part(stream) for _ in range(4)] for stream in streams]
    shared = set(seen_parts[0]) & set(seen_parts[1]) & set(seen_parts[2])
    assert shared and all(p.startswith(b"\xff\xd8") for p in shared)
    assert service.document("/latest.json")["viewers"] == 3
    for stream in streams:
        stream.close()
    until(lambda: service.document("/latest.json")["viewers"] == 0)


def viewer(port: int) -> io.BufferedReader:
    """A connection that has asked for the stream, past its head."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    reader = connection.makefile("rb")
    connection.close()  # once the reader is
    assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
    return reader


def part(stream: io.BufferedReader) -> bytes:
    """The next image: the parts lie in chunks, which a length in the middle of none cuts."""
    while not (line := stream.readline()).startswith(b"Content-Length:"):
        assert line
    stream.readline()
    return stream.read(int(line.split(b":")[1]))


# --- what is rejected


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/nothing", 404),
        ("GET", "/page.js/", 404),
        ("GET", "/../settings.py", 404),
        ("GET", "/%2e%2e/settings.py", 404),
        ("GET", "//etc/passwd", 404),
        ("GET", "/events/../../x.jpg", 404),
        ("GET", "/history.json?since=-1", 400),
        ("GET", "/history.json?since=%D9%A1x", 400),
        ("POST", "/latest.json", 405),
        ("DELETE", "/", 405),
        ("GET", "/keep", 405),
        ("GET", "/explain", 405),
        ("POST", "/nothing", 404),
    ],
)
def test_other_paths_and_methods(service: Watching, method: str, path: str, status: int) -> None:
    answer, content = service.get(path, method)
    assert answer.status == status
    assert content.count(b"\n") == 1 and b"Traceback" not in content


def test_every_answer_says_how_it_may_be_used(service: Watching) -> None:
    for path in ("/", "/page.js", "/latest.json", "/frame.jpg", "/metrics", "/nothing"):
        answer, _ = service.get(path)
        policy = answer.getheader("Content-Security-Policy") or ""
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
        assert answer.getheader("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "evil.example:80", ""),
        # Anyone can have a name that begins with this machine's.
        *(f"{MACHINE}.evil.example", f"{MACHINE}.local.evil.example"),
    ],
)
def test_a_name_that_is_not_ours_is_refused(service: Watching, host: str) -> None:
    answer, content = service.get("/frame.jpg", Host=host)
    assert answer.status in (400, 421) and b"\xff\xd8" not in content


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "127.0.0.1:1", "[::1]:80", "192.168.0.7", socket.gethostname()),
        *(f"{MACHINE}.local", f"{MACHINE.upper()}.lan:8080", f"{MACHINE}.home.arpa."),
    ],
)
def test_names_and_addresses_of_ours_are_answered(service: Watching, host: str) -> None:
    assert service.get("/healthz", Host=host)[0].status == 200


def test_the_domains_of_this_network_are_ours(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# search evil\nnameserver ::1\nsearch Fritz.box corp.example.\noptions x\n")
    assert set(network_domains(path)) - set(LOCAL_DOMAINS) == {"fritz.box", "corp.example"}
    assert list(network_domains(tmp_path / "none")) == list(LOCAL_DOMAINS)


def test_further_names_are_answered_where_the_configuration_has_them(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 5, "--web-hosts", "cam.example.org,cam") as service:
        for host, status in (("cam.example.org", 200), ("CAM:8080", 200), ("x.example.org", 421)):
            answer, content = service.get("/metrics", Host=host)
            assert answer.status == status
        assert b'[web] hosts = ["x.example.org"]' in content


@pytest.mark.parametrize("path", ["/", "/latest.json", "/frame.jpg", "/stream.mjpg", "/metrics"])
def test_head_is_get_without_the_body(service: Watching, path: str) -> None:
    service.after(1)
    answer, content = service.get(path, "HEAD")
    assert (answer.status, content) == (200, b"")
    if path != "/stream.mjpg":
        kind = service.get(path)[0].getheader("Content-Type")
        assert answer.getheader("Content-Type") == kind


def test_picture_scores_and_input_are_of_one_frame(tmp_path: Path) -> None:
    folder = scenes(tmp_path / "scenes", 3)
    with watching(tmp_path, folder, "--fps", 8) as service, Model() as model:
        number = 0
        for _ in range(6):
            record = service.document(f"/frame.json?after={number}")
            assert record["frame"] != number
            number, path = record["frame"], Path(record["source"])
            time.sleep(0.2)  # others have come meanwhile
            jpeg = service.get(f"/frame.jpg?frame={number}")[1]
            shown = pixels(service.get(f"/input.png?frame={number}")[1])
            np.testing.assert_array_equal(shown, seen(path, model.input))
            assert np.abs(pixels(jpeg).astype(int) - np.asarray(Image.open(path))).mean() < 12
            assert record["label"] == ("hotdog" if path.name[0] == "a" else "nothotdog")
        assert service.get("/frame.jpg?frame=999999")[0].status == 404
        assert service.get("/frame.json?after=x")[0].status == 400


def test_one_host_with_half_sent_requests_starves_nobody(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 5) as service:
        service.after(1)
        half = []
        for _ in range(170):
            each = socket.create_connection(("127.0.0.1", service.port), 5, ("127.0.0.2", 0))
            each.sendall(b"GET /latest.json HTTP/1.1\r\nHost: localhost\r\n")
            half.append(each)
        statuses = [service.get("/latest.json")[0].status for _ in range(40)]
        assert statuses == [200] * 40
        for each in half:
            each.close()


def test_a_request_that_comes_byte_by_byte_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "IDLE_S", 1.0)
    server = serving.Server(None)  # type: ignore[arg-type]  # no request is read to its end
    server.start("127.0.0.1", 0)
    began, taken = time.monotonic(), True
    with socket.create_connection(("127.0.0.1", server.port), 5) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        while taken and time.monotonic() - began < 10:
            time.sleep(0.1)
            with contextlib.suppress(ConnectionError):
                slow.sendall(b"x")
            taken = not select.select([slow], [], [], 0)[0]  # closed
    server.close()
    assert 0.9 < time.monotonic() - began < 3


def test_all_addresses_of_both_families(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with watching(tmp_path, HOTDOG, "--fps", 5, "--web", f"*:{port}", port=port) as service:
        service.said(rf"live page: http://\S+:{port}/")
        assert service.get("/healthz")[0].status in (200, 503)
        with socket.create_connection(("::1", port), timeout=10) as six:
            six.sendall(b"GET /icon.svg HTTP/1.0\r\nHost: [::1]\r\n\r\n")
            assert b" 200 " in six.recv(100)


@pytest.mark.parametrize(
    "listen, line",
    [
        (f"{'x' * 70}.example:8080", "no such host"),
        ("no-such-host.invalid:8080", "web page on no-such-host.invalid:8080: "),
    ],
)
def test_a_host_that_is_none_is_one_line(tmp_path: Path, listen: str, line: str) -> None:
    done = run("-m", "edge", "watch", "--source", str(HOTDOG), "--web", listen)
    assert line in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"]
)
def test_controls_want_the_token(service: Watching, header: str) -> None:
    for path in ("/keep", "/snapshot", "/explain"):
        answer, content = service.get(path, "POST", '{"label": "x"}', Authorization=header)
        assert (answer.status, content) == (401, b"wrong token\n")
    assert not (service.state / "dataset").exists()


def test_without_a_token_there_are_no_controls(tmp_path: Path) -> None:
    running = Watching(tmp_path, HOTDOG)
    try:
        latest = running.after(1)
        assert not latest["controls"]
        assert running.control("/keep", {"label": "x"}) == (
            404,
            "controls are off; start edge-watch with --web-token FILE",
        )
    finally:
        running.process.kill()
        running.process.wait()


# --- keeping frames


def test_kept_frames_are_a_data_set(tmp_path: Path) -> None:
    with watching(tmp_path, scenes(tmp_path / "scenes", 2), "--fps", 5) as service:
        kept = []
        for label in ("hotdog", "grass and sky"):
            for _ in range(2):
                service.after(1 + (kept[-1]["frame"] if kept else 0))
                answer, jpeg = service.get("/frame.jpg")
                frame = int(answer.getheader("X-Frame") or 0)
                status, text = service.control("/keep", {"label": label, "frame": frame})
                assert status == 201
                kept.append(json.loads(text))
                assert (service.state / "dataset" / kept[-1]["file"]).read_bytes() == jpeg
        status, text = service.control("/keep", {"label": "hotdog"})
        assert status == 201 and json.loads(text)["file"].startswith("hotdog/")
    photos = examine(service.state / "dataset").photos  # as convert check does
    assert {photo.label for photo in photos} == {"grass and sky", "hotdog"}
    assert [photo.fault for photo in photos if photo.fault] == []


@pytest.mark.parametrize(
    "body, status",
    [
        ({"label": "../../etc"}, 400),
        ({"label": "/tmp/x"}, 400),
        ({"label": ".hidden"}, 400),
        ({"label": "a\nb"}, 400),
        ({"label": "x" * 61}, 400),
        ({"label": " "}, 400),
        ({"label": 5}, 400),
        ({"label": "x", "frame": True}, 400),
        ({"label": "x", "frame": "1"}, 400),
        ({"label": "x", "frame": 10**12}, 409),
        ({"label": "x" * 5000}, 400),
        ([], 400),
        ("x", 400),
    ],
)
def test_what_cannot_be_kept(service: Watching, body: object, status: int) -> None:
    got, text = service.control("/keep", body)
    assert got == status and "\n" not in text
    assert not (service.state / "dataset").exists()


def test_a_frame_is_explained(service: Watching) -> None:
    frame = service.document("/frame.json")["frame"]
    wanted = {"frame": frame, "label": "hotdog"}
    answer, content = service.get(
        "/explain", "POST", json.dumps(wanted), Authorization=f"Bearer {TOKEN}"
    )
    assert (answer.status, answer.getheader("Content-Type")) == (200, "image/jpeg")
    shown = pixels(content).astype(int)
    assert shown.shape == (SIDE, SIDE, 3)
    red = shown[:, :, 0] - shown[:, :, 1:].max(axis=2) > 60
    assert 0.02 < red.mean() < 0.7
    assert service.document("/latest.json")["fresh"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"frame": True, "label": "hotdog"}, 400),
        ({"frame": 1, "label": 3}, 400),
        ({"frame": 1, "label": "cat"}, 400),
        ({"frame": 10**12, "label": "hotdog"}, 409),
        ({"frame": 1, "label": "hotdog", "zone": "none"}, 404),
    ],
)
def test_what_cannot_be_explained(service: Watching, body: object, status: int) -> None:
    assert service.control("/explain", body)[0] == status


def test_a_full_folder_is_left_as_it_is(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 5, "--web-dataset-max-files", 1) as service:
        service.after(1)
        assert service.control("/keep", {"label": "x"})[0] == 201
        status, text = service.control("/keep", {"label": "x"})
        assert status == 507 and "move them to the workstation" in text
        assert len(list((service.state / "dataset" / "x").iterdir())) == 1


def test_a_snapshot_is_taken(service: Watching) -> None:
    assert service.control("/snapshot") == (202, "the next frame is saved")
    until(lambda: list((service.state / "snapshots").glob("*.jpg")))


# --- many, slow, and in the way


def test_a_hundred_viewers(service: Watching) -> None:
    viewers = [viewer(service.port) for _ in range(100)]
    before = service.document("/latest.json")
    for _ in range(2):
        assert all(len(part(each)) > 1000 for each in viewers)
    after = service.after(before["result"]["frame"] + 10)
    assert before["viewers"] == 100 and after["fresh"]
    for each in viewers:
        each.close()


def test_more_connections_than_are_allowed(service: Watching) -> None:
    idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(200)]
    time.sleep(0.5)
    refused = 0
    for each in idle:
        each.settimeout(0.05)
        try:
            refused += each.recv(1) == b""
        except TimeoutError:
            pass
        except ConnectionResetError:
            refused += 1
    assert refused >= 40
    for each in idle:
        each.close()
    until(lambda: service.get("/healthz")[0].status == 200)


def test_a_viewer_that_takes_nothing_is_let_go(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (960, 1280, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")  # whose JPEG no socket's buffer holds
    with watching(tmp_path, tmp_path / "noise.png", "--fps", 5) as service:
        service.after(1)
        lazy = viewer(service.port)
        assert service.document("/latest.json")["viewers"] == 1
        until(lambda: service.document("/latest.json")["viewers"] == 0)
        lazy.close()


def test_a_viewer_that_reads_late_finds_few_old_frames(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 10) as service:
        service.after(1)
        length = len(service.get("/frame.jpg")[1])
        with socket.socket() as late:
            late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # the kernel doubles it
            late.connect(("127.0.0.1", service.port))
            late.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(3)  # 30 frames of the camera
            late.setblocking(False)
            waiting = 0
            with contextlib.suppress(BlockingIOError):
                while found := late.recv(1 << 20):
                    waiting += len(found)
    assert 0 < waiting < 2 * length  # not one that is newer than what it has not read


def test_a_port_that_is_roots_is_explained() -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("any user may listen on port 80 here")
    read, write = os.pipe()
    process = os.fork()
    if not process:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            try_listen("127.0.0.1", 80)
        except OSError as error:
            os.write(write, str(error.strerror).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(process, 0)
    said = os.read(read, 1000).decode()
    os.close(read)
    assert said == "port 80 is reserved for root; use one above 1023, or a proxy in front"


def test_a_taken_port_does_not_end_the_loop(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with watching(
            tmp_path, HOTDOG, "--fps", 5, "--latest", tmp_path / "latest.json", port=port
        ) as service:
            service.said(rf"web page on {port}: Address already in use; next attempt in 1 s")
            until(lambda: (tmp_path / "latest.json").exists())
            taken.close()
            service.said(r"web page on \d+: works again")
            assert service.after(2)["health"]["sinks"][f"web page on {port}"]["failures"] >= 1


def test_it_ends_in_time_while_somebody_looks(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 5) as service:
        stream = viewer(service.port)
        part(stream)
        began = time.monotonic()
        assert service.end() == 0
        assert time.monotonic() - began < 5
        stream.close()
        assert "Traceback" not in service.stderr.read_text()


# --- settings


@pytest.mark.parametrize(
    "listen, address",
    [
        ("8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("pi.local:8080", ("pi.local", 8080)),
        ("[::]:8080", ("::", 8080)),
    ],
)
def test_addresses(listen: str, address: tuple[str, int]) -> None:
    assert WebSettings(listen=listen).address == address


@pytest.mark.parametrize(
    "listen", ["x", "1:2:3", "::1:80", "localhost:", "80:x", "-1", "65536", "٨٠", "[]:80"]
)
def test_what_is_no_address(listen: str) -> None:
    with pytest.raises(ConfigurationError, match=r"web.listen: must be \[HOST:\]PORT"):
        WebSettings(listen=listen)


def test_the_token_is_a_files_first_line_or_the_environments(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\nmore\n")
    assert WebSettings(token_file=str(tmp_path / "token")).token({}) == "0123456789abcdef"
    assert WebSettings().token({"EDGE_WEB_TOKEN": "0123456789"}) == "0123456789"
    assert WebSettings().token({}) == ""
    (tmp_path / "web-token").write_text("handed-over-by-systemd\n")
    handed = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert WebSettings().token(handed) == "handed-over-by-systemd"
    assert WebSettings().token(handed | {"EDGE_WEB_TOKEN": "0123456789"}) == "0123456789"


@pytest.mark.parametrize("content", [b"", b"short\n", b"with a space in it\n", b"\xff\xfe\n"])
def test_what_is_no_token(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"openssl rand -hex 16|is not text"):
        WebSettings(token_file=str(tmp_path / "token")).token({})


@pytest.mark.parametrize(
    "options, said",
    [
        (("--web", "nowhere:x"), "web.listen: must be [HOST:]PORT"),
        (
            ("--web", "8080", "--web-token", "none"),
            "web.token_file none: cannot be read (No such file or directory)",
        ),
        (
            ("--web", "8080", "--web-stream-fps", "0"),
            "web.stream_fps: must be a number from 0.1 to 60",
        ),
        (
            ("--web", "8080", "--web-proxy-kbit-s", "-1"),
            "web.proxy_kbit_s: must be a number from 0 to 1000000",
        ),
    ],
)
@pytest.mark.parametrize("check", [(), ("--check",)])
def test_wrong_settings_are_one_line(
    options: tuple[str, ...], said: str, check: tuple[str, ...]
) -> None:
    done = run("-m", "edge", "watch", "--source", HOTDOG, *options, *check)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"edge-watch: {said}") and done.stderr.count("\n") == 1


@pytest.mark.skipif(
    not os.environ.get("EDGE_OLDEST_PYTHON"),
    reason="make test names an environment without the extra",
)
def test_a_missing_package_is_named() -> None:
    words = [os.environ["EDGE_OLDEST_PYTHON"], "-m", "edge", "watch", "--source", HOTDOG]
    for option, value, needs in (
        ("web", "8080", "tornado"),
        ("mqtt", "mqtt://broker.invalid", "paho"),
    ):
        done = subprocess.run(
            [*words, f"--{option}", value], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        remedy = f"pip install 'edge-classify[{option}]', or sudo deploy/install.sh --with {option}"
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"edge-watch: --{option}: needs {needs}; {remedy}\n"


# --- the parts


def test_memory_is_bounded() -> None:
    now = 0.0
    memory = Memory(lambda: now)
    for number in range(1, 5001):
        now += 0.25
        memory(sighting(number, changed=number % 10 == 0))
    assert memory.newest and memory.newest.number == 5000
    points = memory.points()
    assert len(points) == round(HISTORY_S / POINT_S) and points[-1].number == 4999
    events = memory.events()
    assert len(events) == EVENTS and events[0].number == 5000


def test_the_history_goes_by_a_clock_that_is_never_set() -> None:
    now = 0.0
    memory = Memory(lambda: now)
    for number in range(1, 4):  # the wall clock goes back by a day each time
        now += POINT_S
        memory(sighting(number, at=AT - timedelta(days=number)))
    points = [point.as_dict() for point in memory.points()]
    assert [point["up_s"] for point in points] == [POINT_S, 2 * POINT_S, 3 * POINT_S]
    assert points[0]["unix_s"] > points[1]["unix_s"] > points[2]["unix_s"]


def test_a_late_sighting_tells_of_its_change_alone() -> None:
    memory = Memory()
    memory(sighting(7))
    memory(sighting(3, changed=True).late())
    assert memory.newest and memory.newest.number == 7
    assert [event.number for event in memory.events()] == [3]


def test_a_frame_is_encoded_once_and_not_too_often() -> None:
    now, newest = 0.0, sighting(1)
    pictures = Pictures(lambda: newest, 10.0, lambda: now)
    first = pictures.newest()
    assert first and pictures.newest() is first and pictures.encoded == 1
    newest, now = sighting(2), 0.05  # a tenth of a second has not passed
    assert pictures.newest() is first
    now = 0.11
    second = pictures.newest()
    assert second and second.number == 2 and pictures.encoded == 2
    for number in range(3, 3 + SHOWN):
        newest, now = sighting(number), now + 1
        pictures.newest()
    assert pictures.shown(2) is None and pictures.shown(3) is not None


def test_of_the_last_changes_there_are_small_pictures() -> None:
    pictures = Pictures(lambda: None, 10.0)
    for number in range(THUMBNAILS + 1):
        pictures.keep_thumbnail(sighting(number, picture=np.zeros((600, 900, 3), np.uint8)))
    assert pictures.thumbnail(0) is None
    assert pixels(pictures.thumbnail(1) or b"").shape == (213, 320, 3)
    pictures.keep_thumbnail(sighting(99, picture=Path("gone.jpg")))
    assert pictures.thumbnail(99) is None


@pytest.mark.parametrize(
    "label", ["hotdog", "Nudel & Brot (warm)", "näher", "St. Anne's", "７", "a-b_c+d"]
)
def test_labels_that_are_folders(tmp_path: Path, label: str) -> None:
    assert folder_name(f" {label} ") == label
    path = Dataset(tmp_path, max_files=2, max_bytes=1e6).keep(b"jpeg", label, AT, 17)
    assert path == tmp_path / label / "20260301T123015.250Z-000017.jpg"


@pytest.mark.parametrize(
    "label",
    ["", "..", ".", "/etc", "-rf", "a\0b", "x.", "\u202egpj.exe", "a\tb", "*", "a:b", ".a/b"],
)
def test_labels_that_are_none(label: str) -> None:
    with pytest.raises(LabelError, match="cannot be a folder name"):
        folder_name(label)


@pytest.mark.parametrize(
    "label, folder",
    [("cat, tabby", "cat, tabby"), ("fox/squirrel", "fox_squirrel"), ("a\\b", "a_b")],
)
def test_labels_with_commas_and_slashes_are_kept(label: str, folder: str) -> None:
    assert folder_name(label) == folder


def test_the_data_sets_quota(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path, max_files=10, max_bytes=100)
    dataset.keep(bytes(60), "a", AT, 1)
    with pytest.raises(QuotaError, match=r"quota reached \(1 photos"):
        dataset.keep(bytes(60), "b", AT, 2)
    assert not (tmp_path / "b").exists()
