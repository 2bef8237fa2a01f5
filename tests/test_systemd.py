"""What systemd hears, over real datagram sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.service.process.systemd import LEAST_INTERVAL_S, PAUSES, Notifier


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A datagram socket without an address yet; a recv that waits too long fails."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5)
        yield bound


@pytest.fixture
def environment(listener: socket.socket, tmp_path: Path) -> dict[str, str]:
    """What systemd sets, with someone who listens there."""
    listener.bind(str(tmp_path / "notify"))
    return {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def heard(listener: socket.socket) -> dict[str, str]:
    lines = listener.recv(4096).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def silent(listener: socket.socket) -> bool:
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(4096)
    listener.settimeout(5)
    return True


def later(notifier: Notifier) -> None:
    """As if the last message were long ago."""
    notifier._sent_s -= LEAST_INTERVAL_S


def test_the_first_frame_means_ready_and_each_feeds_the_watchdog(
    listener: socket.socket, environment: dict[str, str]
) -> None:
    with closing(Notifier(environment)) as notifier:
        notifier.alive("cup 0.98")
        later(notifier)
        notifier.alive("clé = 0.51")
        notifier.stopping()
    assert heard(listener) == {"READY": "1", "WATCHDOG": "1", "STATUS": "cup 0.98"}
    assert heard(listener) == {"WATCHDOG": "1", "STATUS": "clé = 0.51"}
    assert heard(listener) == {"STOPPING": "1"}


def test_a_source_that_is_waited_for_means_ready_as_well(
    listener: socket.socket, environment: dict[str, str]
) -> None:
    with closing(Notifier(environment)) as notifier:
        notifier.waiting("camera 0: not found")
    status = "waiting: camera 0: not found"
    assert heard(listener) == {"READY": "1", "WATCHDOG": "1", "STATUS": status}


def test_hundreds_of_frames_a_second_are_not_hundreds_of_messages(
    listener: socket.socket, environment: dict[str, str]
) -> None:
    with closing(Notifier(environment)) as notifier:
        for number in range(1000):
            notifier.alive(f"frame {number}")
        assert heard(listener)["STATUS"] == "frame 0"
        assert silent(listener)


def test_that_frames_come_again_is_said_at_once(
    listener: socket.socket, environment: dict[str, str]
) -> None:
    with closing(Notifier(environment)) as notifier:
        for _ in range(2):
            notifier.waiting("camera 0: being opened")
            notifier.alive("cup 0.98")
    found = [heard(listener)["STATUS"] for _ in range(4)]
    assert found == ["waiting: camera 0: being opened", "cup 0.98"] * 2


def test_a_status_stays_one_field(listener: socket.socket, environment: dict[str, str]) -> None:
    with closing(Notifier(environment)) as notifier:
        notifier.alive("hot\nSTOPPING=1 \udc80")
    assert heard(listener)["STATUS"] == "hot\\nSTOPPING=1 \\udc80"


def test_the_environment_is_the_process_s_own_unless_given(
    listener: socket.socket, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", environment["NOTIFY_SOCKET"])
    with closing(Notifier()) as notifier:
        notifier.alive("up")
    assert heard(listener)["READY"] == "1"


def test_an_abstract_address(listener: socket.socket) -> None:
    name = f"edge-test-{os.getpid()}"
    listener.bind(f"\0{name}")
    with closing(Notifier({"NOTIFY_SOCKET": f"@{name}"})) as notifier:
        notifier.stopping()
    assert heard(listener) == {"STOPPING": "1"}


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"WATCHDOG_USEC": "30000000"}])
def test_outside_of_systemd_nothing_happens(environment: dict[str, str]) -> None:
    with closing(Notifier(environment)) as notifier:
        notifier.allow_for(100)
        notifier.alive("up")
        notifier.waiting("for a frame")
        notifier.stopping()


@pytest.mark.parametrize(
    "usec, pause_s, asked",
    [
        ("30000000", 1.0, None),  # patient enough
        ("30000000", 100.0, PAUSES * 100_000_000),
        ("0", 100.0, None),  # no watchdog
        ("", 100.0, None),
        ("soon", 100.0, None),
    ],
)
def test_the_watchdog_is_made_patient_enough_for_the_rate(
    listener: socket.socket,
    environment: dict[str, str],
    usec: str,
    pause_s: float,
    asked: int | None,
) -> None:
    with closing(Notifier(environment | {"WATCHDOG_USEC": usec})) as notifier:
        notifier.allow_for(pause_s)
        notifier.alive("up")
    if asked:
        assert heard(listener) == {"WATCHDOG_USEC": str(asked)}
    assert heard(listener)["READY"] == "1"


def test_a_listener_that_is_away_stops_nothing_and_hears_ready_when_it_is_there(
    listener: socket.socket, tmp_path: Path
) -> None:
    address = str(tmp_path / "notify")
    with closing(Notifier({"NOTIFY_SOCKET": address})) as notifier:
        notifier.alive("no one listens")
        listener.bind(address)
        notifier.alive("someone does")
    assert heard(listener) == {"READY": "1", "WATCHDOG": "1", "STATUS": "someone does"}


def test_a_listener_that_reads_nothing_holds_nobody_up(
    listener: socket.socket, environment: dict[str, str]
) -> None:
    with closing(Notifier(environment)) as notifier:
        for _ in range(10_000):
            later(notifier)
            notifier.alive("up")
    assert heard(listener)["READY"] == "1"


def test_closing_twice_and_speaking_after_it_are_harmless(
    listener: socket.socket, environment: dict[str, str]
) -> None:
    notifier = Notifier(environment)
    notifier.close()
    notifier.close()
    notifier.alive("late")
    assert silent(listener)
