"""edge-watch --check: the page's port and host name, and the broker, beside real ones."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from brokers import MOSQUITTO, Broker, free_port, required
from conftest import ROOT, run
from live import HOTDOG, watching

from edge.commands.watch_check import check
from edge.service.configuration import build

SMALL = ROOT / "models" / "hotdog-scratch.tflite"
BROKER_NEEDED = pytest.mark.skipif(
    not MOSQUITTO and not required("EDGE_MQTT_REQUIRED"),
    reason="no broker: sudo apt install mosquitto",
)


def checked(*options: object) -> CompletedProcess[str]:
    return run("-m", "edge", "watch", "--check", "-m", str(SMALL), *map(str, options))


def of_settings(**values: object) -> int:
    """The check's exit status, in this process: a second less."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    return check(build({"source": str(HOTDOG), "model": str(SMALL), **named}))


def test_a_port_that_another_program_has(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_greet, args=(other,), daemon=True).start()
        port = other.getsockname()[1]
        assert of_settings(web__listen=str(port)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"edge-watch: web.listen {port}: is not available (")
    assert "Address already in use" in said and said.count("\n") == 1


def _greet(server: socket.socket) -> None:
    """Answer as a mail server does: the check asks whether it is an edge-watch."""
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"220 mail.example.org\r\n")


def test_a_port_that_an_edge_watch_has_is_no_fault(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 2, "-m", SMALL) as running:
        done = checked("--source", HOTDOG, "--web", running.port)
    assert done.returncode == 0 and done.stdout.startswith("configuration: good\n")
    line = f"edge-watch: web.listen {running.port}: a running edge-watch uses this port\n"
    assert done.stderr == line


@pytest.mark.parametrize(
    "host, why", [("no-such-host.invalid", "Name or service"), ("192.0.2.7", "assign requested")]
)
def test_a_host_that_is_not_this_machine(
    capsys: pytest.CaptureFixture[str], host: str, why: str
) -> None:
    assert of_settings(web__listen=f"{host}:8080") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"edge-watch: web.listen {host}:8080: is not available (")
    assert said.count("\n") == 1
    assert why in said or "name resolution" in said  # where there is no DNS at all


@pytest.mark.parametrize(
    "text, subject",
    [
        ('[web]\nhosts = ["https://cam.example.org"]', "web.hosts"),
        ("[web]\nhosts = 5", "web.hosts"),
        ('[web]\nurl = "cam.example.org"', "web.url"),
        ('[web]\nlisten = "[::1"', "web.listen"),
        ("[web]\nproxy_kbit_s = -1.0", "web.proxy_kbit_s"),
        ('[mqtt]\ndevice = "a/b"', "mqtt.device"),
        ('[mqtt]\ndiscovery = "home//assistant"', "mqtt.discovery"),
        ('[mqtt]\npictures = "no"', "mqtt.pictures"),
        ("[mqtt]\npictures_max_px = 8", "mqtt.pictures_max_px"),
        ('[mqtt]\nunknown = "unavailable"', "mqtt.unknown"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, text: str, subject: str) -> None:
    (tmp_path / "watch.toml").write_text(text)
    done = checked("--config", tmp_path / "watch.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"edge-watch: {subject}: ") and done.stderr.count("\n") == 1


@BROKER_NEEDED
def test_a_broker_that_refuses_the_login(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "passwords").write_text("")
    (tmp_path / "passwords").chmod(0o600)
    (tmp_path / "password").write_text("wrong\n")
    settings = ("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    with Broker(tmp_path / "broker", *settings) as broker:
        url = f"mqtt://pi@127.0.0.1:{broker.port}"
        assert of_settings(mqtt__url=url, mqtt__password_file=str(tmp_path / "password")) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"edge-watch: mqtt.url 127.0.0.1:{broker.port}: rejects the login (")
    assert said.count("\n") == 1


@BROKER_NEEDED
def test_a_broker_that_takes_it_and_one_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Broker(tmp_path / "broker") as broker:
        assert of_settings(mqtt__url=broker.url) == 0
        assert capsys.readouterr().err == ""
    url = f"mqtt://127.0.0.1:{free_port()}"
    assert of_settings(mqtt__url=url) == 0  # it may come later, as the service's start does
    said = capsys.readouterr().err
    assert "cannot be reached (Connection refused); the service will try again" in said


def test_the_exposure_of_the_unit_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "Overall exposure level for edge-watch.service: 1.4 OK"
    for content, printed in ((f"echo '{line}'", True), ("exit 1", False)):
        program = tmp_path / "systemd-analyze"
        program.write_text(f"#!/bin/sh\n{content}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        assert of_settings() == 0
        said = capsys.readouterr().out
        assert ("exposure 1.4 of 10" in said) is printed


def test_a_program_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "watch.toml").write_text('[[action]]\ncommand = ["/nowhere/bell"]\n')
    done = checked("--config", tmp_path / "watch.toml", "--source", HOTDOG)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("edge-watch: action.command: /nowhere/bell cannot be run; ")
