"""Notify systemd: ready, alive, stopping. Does nothing outside of systemd.

Source: sd_notify(3), https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

from edge.errors import one_line

LEAST_INTERVAL_S = 0.5  # between two messages: at hundreds of frames a second systemd would be busy
PAUSES = 3  # maximum pauses between frames before the watchdog acts


class Notifier:
    """A datagram socket to `$NOTIFY_SOCKET`; silent where that is unset.

    A status is made one line: a label with a newline in it would be read as another field.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Args: systemd's socket path ("@" for an abstract one) and watchdog interval."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        usec = environment.get("WATCHDOG_USEC", "")
        self._watchdog_s = int(usec) / 1e6 if usec.isdecimal() else 0.0
        self._ready, self._sent_s, self._told = False, 0.0, ""
        self._socket: socket.socket | None = None
        self.besides: Callable[[], str] = str  # what else is wrong, for each status
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)  # a systemd that is busy must not hold up frames

    def allow_for(self, pause_s: float) -> None:
        """Make the watchdog patient enough for frames that are so far apart."""
        if self._watchdog_s and PAUSES * pause_s > self._watchdog_s:
            self._send(f"WATCHDOG_USEC={round(PAUSES * pause_s * 1e6)}")

    def alive(self, status: str) -> None:
        """Notify that a frame was classified: feeds the watchdog; the first one means ready."""
        self._tell("alive", status)

    def waiting(self, reason: str) -> None:
        """Notify what the source waits for, for a limited time: feeds the watchdog too."""
        self._tell("waiting", f"waiting: {reason}")

    def stopping(self) -> None:
        """Notify that the service is stopping."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _tell(self, what: str, status: str) -> None:
        now = time.monotonic()
        if self._ready and what == self._told and now - self._sent_s < LEAST_INTERVAL_S:
            return
        self._told, self._sent_s = what, now
        besides = self.besides()
        status = f"{status}; {besides}" if besides else status
        ready = "" if self._ready else "READY=1\n"
        sent = self._send(f"{ready}WATCHDOG=1\nSTATUS={one_line(status)}")
        self._ready = self._ready or sent  # repeated until it arrives, else it never starts

    def _send(self, message: str) -> bool:
        """Return whether it was sent."""
        if self._socket is None:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # systemd may be restarting; if it stays away, its watchdog acts, as it should.
        with contextlib.suppress(OSError):
            self._socket.sendto(message.encode(), address)
            return True
        return False
