"""What edge-doctor finds of the network: real listeners on loopback, a real broker with TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from brokers import MOSQUITTO, Broker, free_port, required
from conftest import ROOT

from edge.doctor import network
from edge.doctor.finding import FAULT, NOT_HERE, OK, WARNING, Context, Finding

BROKER_NEEDED = pytest.mark.skipif(
    not MOSQUITTO and not required("EDGE_MQTT_REQUIRED"),
    reason="no broker: sudo apt install mosquitto",
)


def context(root: Path, toml: str) -> Context:
    folder = root / "etc" / "edge-classify"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "watch.toml").write_text(toml)
    return Context(root=root)


class Health(BaseHTTPRequestHandler):
    """Answers /healthz alone, as the server was told to."""

    def do_GET(self) -> None:
        status, text = self.server.answer if self.path == "/healthz" else (404, "")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(status: int, text: str) -> Iterator[int]:
    """A server of health on a free port, which is given."""
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        server.answer = (status, text)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("toml", ["", 'web = "no table"', "[web]\nlisten = 8080", "[[broken"])
def test_what_is_off_or_unreadable_is_not_here(tmp_path: Path, toml: str) -> None:
    for check in (network.parts, network.secrets, network.live_page, network.broker):
        assert check(context(tmp_path, toml)).status == NOT_HERE
        assert check(Context(root=tmp_path / "nowhere")).status == NOT_HERE


# --- parts


BOTH = '[web]\nlisten = "8080"\n[mqtt]\nurl = "mqtt://127.0.0.1/shed"\n'


def test_parts_that_are_there_are_told(tmp_path: Path) -> None:
    assert network.parts(context(tmp_path, BOTH)) == Finding(OK, "web and mqtt")


def test_a_part_that_is_missing_stops_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # no packages at all
    for name in ("tornado", "paho"):
        for module in [m for m in sys.modules if m.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
    found = network.parts(context(tmp_path, BOTH))
    assert (found.status, found.found) == (FAULT, "[web] needs tornado, which is not installed")
    assert "edge-classify[web,mqtt]" in found.remedy
    monkeypatch.setattr(sys, "prefix", "/opt/edge-classify/versions/1-2")
    found = network.parts(context(tmp_path, '[mqtt]\nurl = "mqtt://broker/shed"\n'))
    assert found.found == "[mqtt] needs paho.mqtt.client, which is not installed"
    assert found.remedy == "sudo deploy/install.sh --with mqtt"


def test_a_unit_without_a_network_stops_the_work(tmp_path: Path) -> None:
    units = tmp_path / "etc" / "systemd" / "system"
    dropins = units / "edge-watch.service.d"
    dropins.mkdir(parents=True)
    (units / "edge-watch.service").touch()
    (dropins / "mine.conf").write_text("[Service]\nRestartSec=2\n")
    found = network.parts(context(tmp_path, BOTH))
    assert (found.status, found.found) == (FAULT, "web and mqtt, but the unit has no network")
    shipped = ROOT / "deploy" / "network.conf"
    shutil.copy(shipped, dropins / "network.conf")
    assert network.parts(context(tmp_path, BOTH)).status == OK


# --- secrets


def test_secrets_are_roots_alone(tmp_path: Path) -> None:
    looked_at = context(tmp_path, BOTH)
    assert network.secrets(looked_at).status == NOT_HERE
    token = tmp_path / "etc" / "edge-classify" / "web-token"
    token.write_text("secret\n")
    token.chmod(0o644)
    found = network.secrets(looked_at)
    assert (found.status, found.remedy) == (WARNING, f"sudo chmod 600 {token}")
    token.chmod(0o600)
    assert network.secrets(looked_at) == Finding(OK, str(token))


# --- the live page


def test_a_page_that_answers_says_for_whom(tmp_path: Path) -> None:
    with listening(200, "ok\n") as port:
        here = network.live_page(context(tmp_path, f'[web]\nlisten = "{port}"\n'))
        token = tmp_path / "etc" / "edge-classify" / "web-token"
        token.write_text("\n")
        toml = f'[web]\nlisten = "0.0.0.0:{port}"\n'
        empty = network.live_page(context(tmp_path, toml))
        token.write_text("secret\n")
        everywhere = network.live_page(context(tmp_path, toml))
    assert here.status == empty.status == everywhere.status == OK
    assert here.found.endswith("for this machine alone; no token, so no controls")
    assert empty.found.endswith("no controls")
    assert everywhere.found.endswith("for anyone who can reach this machine; controls by token")


def test_a_page_that_is_not_fresh_says_why(tmp_path: Path) -> None:
    with listening(503, "camera 0: no frame\nfor 12 s") as port:
        found = network.live_page(context(tmp_path, f'[web]\nlisten = "localhost:{port}"\n'))
    assert found.status == WARNING
    assert found.found.endswith("but with status 503: camera 0: no frame\\nfor 12 s")


def test_nobody_listens(tmp_path: Path) -> None:
    port = free_port()
    found = network.live_page(context(tmp_path, f'[web]\nlisten = "127.0.0.1:{port}"\n'))
    assert (found.status, found.found) == (
        WARNING,
        f"no response at 127.0.0.1:{port} (Connection refused)",
    )
    assert f":{port}" in found.remedy


@pytest.mark.parametrize("listen", ["here", "127.0.0.1:", "1:99999"])
def test_a_port_that_is_none(tmp_path: Path, listen: str) -> None:
    assert network.live_page(context(tmp_path, f'[web]\nlisten = "{listen}"\n')).status == FAULT


def test_what_is_no_web_server_is_a_finding(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.close()

        thread = threading.Thread(target=speak)
        thread.start()
        toml = f'[web]\nlisten = "{server.getsockname()[1]}"\n'
        found = network.live_page(context(tmp_path, toml))
        thread.join()
    assert found.status == WARNING
    assert "no response" in found.found


# --- the broker


@BROKER_NEEDED
def test_a_broker_that_listens(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        toml = f'[mqtt]\nurl = "mqtt://shed@127.0.0.1:{broker.port}/home"\n'
        found = network.broker(context(tmp_path, toml))
    assert found == Finding(OK, f"127.0.0.1:{broker.port} accepts this device's login")


@BROKER_NEEDED
def test_a_broker_that_refuses_the_password(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "pi", "right-one"], check=True)
    passwords.chmod(0o600)
    settings = ("allow_anonymous false", f"password_file {passwords}")
    with Broker(tmp_path / "broker", *settings) as broker:
        made = context(tmp_path, f'[mqtt]\nurl = "mqtt://pi@127.0.0.1:{broker.port}"\n')
        secret = tmp_path / "etc" / "edge-classify" / "mqtt-password"
        secret.write_text("wrong-one\n")
        refused = network.broker(made)
        secret.write_text("right-one\n")
        taken = network.broker(made)
    assert refused.status == FAULT and "not authorized" in refused.found
    assert str(secret) in refused.remedy and "wrong-one" not in str(refused)
    assert taken.status == OK


@BROKER_NEEDED
def test_a_brokers_certificate_must_hold(tmp_path: Path) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words.split(), *names, *files], check=True, capture_output=True)
    with Broker(tmp_path / "broker", f"certfile {certificate}", f"keyfile {key}") as broker:
        toml = f'[mqtt]\nurl = "mqtts://localhost:{broker.port}/home"\n'
        unknown = network.broker(context(tmp_path, toml))
        trusted = network.broker(context(tmp_path, f'{toml}ca_file = "{certificate}"\n'))
        absent = network.broker(context(tmp_path, f'{toml}ca_file = "{tmp_path / "no.pem"}"\n'))
    assert unknown.status == WARNING
    assert "CERTIFICATE_VERIFY_FAILED" in unknown.found
    assert "ca_file" in unknown.remedy
    assert trusted == Finding(OK, f"localhost:{broker.port} by TLS accepts this device's login")
    assert "ca_file" in absent.remedy


@pytest.mark.parametrize(
    "url, told, remedy",
    [
        ("mqtt://127.0.0.1:{port}/x", "Connection refused", "broker runs there"),
        ("mqtt://no-such-host.invalid/x", "gaierror", "getent hosts no-such-host.invalid"),
    ],
)
def test_a_broker_that_is_away(tmp_path: Path, url: str, told: str, remedy: str) -> None:
    toml = f'[mqtt]\nurl = "{url.format(port=free_port())}"\n'
    found = network.broker(context(tmp_path, toml))
    assert found.status == WARNING
    assert told in found.found
    assert remedy in found.remedy


@pytest.mark.parametrize("url", ["broker", "http://broker/x", "mqtt://broker:port/x", "mqtt://[::"])
def test_a_url_that_names_no_broker(tmp_path: Path, url: str) -> None:
    assert network.broker(context(tmp_path, f'[mqtt]\nurl = "{url}"\n')).status == FAULT
