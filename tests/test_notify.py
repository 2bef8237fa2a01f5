"""What systemd hears, over real datagram sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.notify import Notifier


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A datagram socket without an address yet; a recv that waits too long fails."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5)
        yield bound


def heard(listener: socket.socket) -> dict[str, str]:
    lines = listener.recv(4096).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_each_message_arrives_as_one_datagram(listener: socket.socket, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    listener.bind(address)
    with closing(Notifier(address)) as notifier:
        notifier.ready("frame 1: cup 0.98")
        notifier.alive("frame 2: clé = 0.51")
        notifier.stopping()
    assert heard(listener) == {"READY": "1", "STATUS": "frame 1: cup 0.98"}
    assert heard(listener) == {"WATCHDOG": "1", "STATUS": "frame 2: clé = 0.51"}
    assert heard(listener) == {"STOPPING": "1"}


def test_a_status_stays_one_field(listener: socket.socket, tmp_path: Path) -> None:
    listener.bind(str(tmp_path / "notify"))
    with closing(Notifier(str(tmp_path / "notify"))) as notifier:
        notifier.alive("frame 1: hot\nSTOPPING=1 \udc80")
    assert heard(listener) == {
        "WATCHDOG": "1",
        "STATUS": "frame 1: hot\\nSTOPPING=1 \\udc80",
    }


def test_the_address_comes_from_the_environment(
    listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with closing(Notifier()) as notifier:
        notifier.ready("up")
    assert heard(listener)["READY"] == "1"


def test_an_abstract_address(listener: socket.socket) -> None:
    name = f"edge-test-{os.getpid()}"
    listener.bind(f"\0{name}")
    with closing(Notifier(f"@{name}")) as notifier:
        notifier.stopping()
    assert heard(listener) == {"STOPPING": "1"}


@pytest.mark.parametrize("value", [None, ""])
def test_outside_of_systemd_nothing_happens(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if value is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", value)
    with closing(Notifier()) as notifier:
        notifier.ready("up")
        notifier.alive("still up")
        notifier.stopping()


def test_a_listener_that_is_away_stops_nothing_and_is_found_again(
    listener: socket.socket, tmp_path: Path
) -> None:
    address = tmp_path / "notify"
    with closing(Notifier(str(address))) as notifier:
        notifier.ready("nobody listens")
        listener.bind(str(address))
        notifier.alive("somebody does")
    assert heard(listener)["STATUS"] == "somebody does"


def test_closing_twice_and_speaking_after_it_are_harmless(
    listener: socket.socket, tmp_path: Path
) -> None:
    listener.bind(str(tmp_path / "notify"))
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.close()
    notifier.close()
    notifier.alive("late")
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(4096)
