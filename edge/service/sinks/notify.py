"""Notifies people of a change of state, by any service that Apprise knows.

Its URLs are secrets: they are in no line, no status and no exception that leaves this module.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import apprise
from apprise.attachment.memory import AttachMemory

from edge import board
from edge.classifier.classify import UNKNOWN
from edge.errors import ConfigurationError, EdgeError
from edge.image.preprocess import encode_jpeg, read_image
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.notify_settings import NotifySettings
from edge.service.sinks.outbox import Outbox

REMEDY = "see https://appriseit.com/services/ for the form of its URL"


class NotifyError(EdgeError):
    """A service did not take a notification."""


class Notify(Sink):
    """Chooses what people are notified of, and hands it to each service."""

    name = "notify"

    def __init__(
        self,
        settings: NotifySettings,
        report: Callable[[str], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Begin. Raises: ConfigurationError.

        Args: the settings; what takes a line about failures; the time to go by; the local time.
        """
        self._settings, self._monotonic, self._now = settings, monotonic, now
        self._sent_s: dict[tuple[str, str], float] = {}  # by zone and label
        services = services_of(settings)
        self._boxes = [Outbox(service, report, monotonic) for service in services]

    def __call__(self, sighting: Sighting) -> bool:
        """Queue a notification, if there is one to send; never waits for a service."""
        change, settings = sighting.change, self._settings
        if change is None or sighting.frame is None:
            return False
        wanted = change.after in settings.labels if settings.labels else change.after != UNKNOWN
        if not wanted or (settings.is_quiet(self._now()) and board.clock_is_set() is not False):
            return False
        key, now = (sighting.zone, change.after), self._monotonic()
        if now - self._sent_s.get(key, -1e9) < 60 * settings.every_min:
            return False
        self._sent_s[key] = now
        for box in self._boxes:
            box(sighting)
        return True

    @property
    def failures(self) -> int:
        """Notifications that a service did not take."""
        return sum(box.failures for box in self._boxes)

    @property
    def lost(self) -> int:
        """Notifications that could not wait any longer."""
        return sum(box.lost for box in self._boxes)

    @property
    def trouble(self) -> str:
        """Which service fails or hangs; "" for none."""
        return next((box.trouble for box in self._boxes if box.trouble), "")

    def close(self) -> None:
        """Send what waits, as far as that goes."""
        for box in self._boxes:
            box.close()


class Service(Sink):
    """One service. It waits for it, and raises where it fails."""

    def __init__(self, name: str, client: Any, *, image: bool) -> None:
        """Args: what reports call it; Apprise's own; whether the frame is sent."""
        self.name, self._client, self._image = name, client, image

    def __call__(self, sighting: Sighting) -> None:
        """Send a notification. Raises: NotifyError."""
        change = sighting.change
        assert change is not None
        where = f"{sighting.zone}: " if sighting.zone else ""
        at = sighting.result.captured_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        body = f"{socket.gethostname()}, {at}: {change.before} to {change.after}"
        try:
            was_taken = self._client.notify(
                title=f"{where}{change.after}",
                body=f"{body}, score {change.score:.2f}",
                attach=self._attachment(sighting),
            )
        except Exception:  # whose text may have the URL
            was_taken = False
        if not was_taken:
            raise NotifyError(self.name, "did not accept the notification", "check its URL")

    def _attachment(self, sighting: Sighting) -> Any:
        """The frame as JPEG; None where it is not sent, or gone by now."""
        if not self._image or sighting.frame is None:
            return None
        try:
            jpeg = encode_jpeg(read_image(sighting.frame.picture))
        except EdgeError:
            return None
        made: Any = AttachMemory  # it has no types
        return made(content=jpeg, name="frame.jpg", mimetype="image/jpeg")


def services_of(settings: NotifySettings) -> list[Service]:
    """Return the services. Raises: ConfigurationError, which does not show a URL."""
    log = logging.getLogger("apprise")  # it logs URLs
    log.handlers, log.propagate = [logging.NullHandler()], False
    services = []
    for number, url in enumerate(settings.urls(), 1):
        client = apprise.Apprise()
        if not client.add(url):
            raise ConfigurationError(
                "notify.urls_file", f"URL {number} has an unknown service", REMEDY
            )
        kind = str(client[0].service_name or "service").lower()
        services.append(Service(f"notify {number} ({kind})", client, image=settings.image))
    return services
