"""Tells systemd how the service is: ready, alive, stopping. Does nothing outside of systemd.

Source: sd_notify(3), https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import contextlib
import os
import socket

from edge.errors import one_line


class Notifier:
    """A datagram socket to `$NOTIFY_SOCKET`; silent where that is unset.

    A status is made one line: a label with a newline in it would be read as another field.
    """

    def __init__(self, address: str | None = None) -> None:
        """Args: the socket's path, "@" for an abstract one; None takes `$NOTIFY_SOCKET`."""
        self._address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def ready(self, status: str) -> None:
        """Say that the service works."""
        self._send(f"READY=1\nSTATUS={one_line(status)}")

    def alive(self, status: str) -> None:
        """Feed the watchdog."""
        self._send(f"WATCHDOG=1\nSTATUS={one_line(status)}")

    def stopping(self) -> None:
        """Say that the service ends by itself."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # systemd may be restarting; if it stays away, its watchdog acts, as it should.
        with contextlib.suppress(OSError):
            self._socket.sendto(message.encode(), address)
