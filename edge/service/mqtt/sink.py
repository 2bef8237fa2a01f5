"""MQTT as a sink: what the service's loop has to do with it."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable

from edge import board
from edge.errors import EdgeError
from edge.image.preprocess import encode_jpeg, read_image
from edge.service.health import Vitals
from edge.service.mqtt import messages
from edge.service.mqtt.client import Client
from edge.service.mqtt.settings import MqttSettings
from edge.service.sighting import Sighting, Sink

PICTURE_AT_LEAST = (480, 640)


class Mqtt(Sink):
    """Tells a broker each change of state, and the state itself now and then."""

    def __init__(
        self,
        settings: MqttSettings,
        vitals: Callable[[], Vitals],
        report: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to connect. Raises: ConfigurationError.

        Args:
            settings: the configuration's.
            vitals: how the service fares.
            report: takes a line when the connection changes.
            monotonic: the time to go by.
        """
        self._settings, self._vitals, self._monotonic = settings, vitals, monotonic
        broker = settings.broker
        self._topics = messages.Topics(broker.topic, settings.device_id)
        self._client = Client(
            broker,
            settings.password(),
            ca_file=settings.ca_file,
            availability=self._topics.of("availability"),
            queue=settings.queue,
            report=report,
        )
        self.name = self._client.name
        self._run, self._events = uuid.uuid4().hex[:8], 0  # this run's, in an event's id
        self._newest: Sighting | None = None
        self._told_s = -settings.state_every_s
        self._birth = f"{settings.discovery}/status"  # where Home Assistant says that it is back
        self._client.greet, self._client.heard = self._introduce, self._hear
        self._client.start((self._birth,) if settings.discovery else ())

    def __call__(self, sighting: Sighting) -> None:
        """Take a sighting: nothing here waits for the broker."""
        if sighting.frame is not None:
            self._newest = sighting
        if sighting.change:
            self._events += 1
            identity = f"{self._run}-{self._events}"
            told = messages.event(sighting, self._topics.device, identity, self._vitals())
            self._client.event(self._topics.of("event"), told)
            if self._settings.pictures and sighting.frame is not None:
                self._client.soon(lambda: self._tell_picture(sighting))
        now = self._monotonic()
        if sighting.change or now - self._told_s >= self._settings.state_every_s:
            self._told_s = now
            self._client.soon(self._tell_state)

    @property
    def trouble(self) -> str:
        """Why there is no connection; "" while there is one."""
        return self._client.trouble

    @property
    def failures(self) -> int:
        """Connections that were lost, or not made."""
        return self._client.failures

    @property
    def lost(self) -> int:
        """Events that could not wait any longer."""
        return self._client.lost

    def close(self) -> None:
        """Publish what waits, as far as that goes in a second, and say good-bye."""
        self._client.close()

    # --- in the client's threads

    def _introduce(self) -> None:
        """Tell all that a broker, or a house that comes back, has not heard."""
        settings = self._settings
        if settings.discovery:
            told = messages.discovery(
                self._topics,
                settings.discovery,
                self._vitals(),
                celsius=board.temperature() is not None,
                pictures=settings.pictures,
            )
            for topic, payload in told.items():
                self._client.tell(topic, payload)
        self._tell_state()

    def _hear(self, topic: str, payload: bytes) -> None:
        if topic == self._birth and payload == messages.ONLINE:
            self._client.soon(self._introduce)

    def _tell_state(self) -> None:
        if self._newest:
            device, lost = self._topics.device, self._client.lost
            told = messages.state(self._newest, device, lost, self._vitals())
            self._client.tell(self._topics.of("state"), told)

    def _tell_picture(self, sighting: Sighting) -> None:
        assert sighting.frame is not None
        with contextlib.suppress(EdgeError):  # a file that is gone
            pixels = read_image(sighting.frame.picture, PICTURE_AT_LEAST)
            self._client.tell(self._topics.of("snapshot"), encode_jpeg(pixels))
