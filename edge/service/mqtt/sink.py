"""MQTT as a sink: what the service's loop has to do with it."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from edge import board
from edge.errors import EdgeError
from edge.image.preprocess import Picture, encode_jpeg, read_image, resize
from edge.service.control import COMMANDS, KEEP, OF_ZONE, CommandError, Control
from edge.service.health import Vital
from edge.service.mqtt import messages
from edge.service.mqtt.client import Client
from edge.service.mqtt.discovery import Described, discovery
from edge.service.mqtt.retained import Retained
from edge.service.mqtt.settings import MqttSettings
from edge.service.sighting import Sighting, Sink
from edge.service.zones.state import ZoneStatus

MAX_PICTURE_BYTES = 100_000  # brokers and their cloud relatives limit a packet to 128 kB and more
QUALITIES = (85, 70, 50, 30)
LEAST_PX = 32
MIN_EXPIRY_S = 60.0


class Mqtt(Sink):
    """Publishes each change of state, the state now and then, and whether it can be relied on."""

    def __init__(
        self,
        settings: MqttSettings,
        vitals: Vital,
        report: Callable[[str], None],
        retained: Path | None = None,
        *,
        control: Control | None = None,
        zones: Sequence[str] = ("",),
        url: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to connect. Raises: ConfigurationError.

        Args:
            settings: the configuration's.
            vitals: reads the health of the service.
            report: takes a line when the connection changes.
            retained: the file that remembers what the broker keeps; None: it is not remembered.
            control: follows commands; None: there are none.
            zones: their names.
            url: of the live page; "" where no other machine reaches it.
            monotonic: the time to go by.
        """
        self._settings, self._vitals, self._monotonic = settings, vitals, monotonic
        self._report, self._zones, self._url = report, zones, url
        self._control = (control or Control()) if settings.commands else None
        broker = settings.broker
        self._topics = messages.Topics(broker.topic, settings.device_id)
        self._availability = self._topics.of("availability")
        self._health = self._topics.of("health", zones[0])  # which shows another run of our name
        self._client = Client(
            broker,
            settings.password(),
            ca_file=settings.ca_file,
            availability=self._availability,
            queue=settings.queue,
            retained=Retained(retained, settings.url),
            report=report,
        )
        self.name = self._client.name
        self._run, self._events = uuid.uuid4().hex[:8], 0  # this run's, in an event's id
        self._newest: dict[str, Sighting] = {}  # by zone, as the next two are
        self._told_s = dict.fromkeys(zones, -settings.state_every_s)
        self._status: dict[str, ZoneStatus] = {}  # as last published
        self._kept: dict[str, str] = {}  # the label of the next frame, as last published
        self._models: list[str] = []  # as last introduced
        self._rival = self._warned = False  # whether another service has our name, or had it
        self._birth = f"{settings.prefix}/status"  # where Home Assistant announces its start
        client = self._client
        client.before_online, client.greet = self._tell_all_health, self._introduce
        client.tick, client.heard = self._look, self._hear
        # From the topic of a command to its name and zone.
        self._commands = {
            self._topics.of(f"command/{name}", zone): (name, zone)
            for name in COMMANDS
            for zone in (zones if name in OF_ZONE else ("",))
        }
        listened = [self._availability, self._health]
        listened += [self._birth] if settings.prefix else []
        if self._control:
            self._control.changed.append(lambda: client.soon(self._tell_controls))
            listened += [self._topics.of("command/+", zone) for zone in {"", *zones}]
        client.start(tuple(listened))

    def __call__(self, sighting: Sighting) -> None:
        """Queue a result; never waits for the broker."""
        zone = sighting.zone
        if sighting.frame is not None:
            self._newest[zone] = sighting
        if sighting.change:
            self._events += 1
            identity = f"{self._run}-{self._events}"
            vitals = self._vitals(zone)
            told = messages.event(sighting, self._topics.device, identity, vitals, self._url)
            self._client.event(self._topics.of("event", zone), told)
            if self._settings.pictures and sighting.frame is not None:
                picture = sighting.frame.picture
                self._client.soon(lambda: self._tell_picture(picture, zone))
        if sighting.change or self._is_due(zone):
            self._told_s[zone] = self._monotonic()
            self._client.soon(lambda: self._tell_state(zone))

    def _is_due(self, zone: str) -> bool:
        return self._monotonic() - self._told_s[zone] >= self._settings.state_every_s

    @property
    def trouble(self) -> str:
        """Why there is no connection, or who has our name; "" for neither."""
        rival = f"{self.name}: another service has the name {self._topics.device}"
        return self._client.trouble or (rival if self._rival else "")

    @property
    def failures(self) -> int:
        """Connections that were lost, or not made."""
        return self._client.failures

    @property
    def lost(self) -> int:
        """Events that could not wait any longer."""
        return self._client.lost

    def close(self) -> None:
        """Publish what is queued, for at most a second, and disconnect."""
        self._client.close()

    # --- in the client's threads

    def _introduce(self) -> None:
        """Publish all retained messages again, for a broker or Home Assistant that restarted."""
        self._models = [self._vitals(zone).version for zone in self._zones]
        kinds = ["health", "state"] + ["snapshot"] * self._settings.pictures
        kinds += ["controls"] if self._control else []
        topics = [self._topics.of(kind, zone) for kind in kinds for zone in self._zones]
        topics += [self._topics.of("controls")] if self._control else []
        for topic, described in self._discovery().items():
            topics.append(topic)
            self._client.tell(topic, described)
        self._client.take_back([self._availability, *topics])
        self._tell_controls()
        for zone in self._zones:
            self._tell_health(zone)
            self._tell_state(zone)

    def _discovery(self) -> dict[str, bytes]:
        """Home Assistant's messages by topic; none where there is no discovery."""
        settings = self._settings
        if not settings.prefix:
            return {}
        described = Described(
            settings.name,
            settings.unknown,
            expire_after_s=max(MIN_EXPIRY_S, 3 * settings.state_every_s),
            celsius=board.temperature() is not None,
            images=settings.pictures,
            commands=settings.commands,
            url=self._url,
        )
        found = discovery(self._topics, list(map(self._vitals, self._zones)), described)
        return {f"{settings.prefix}/device/{of}/config": content for of, content in found.items()}

    def _hear(self, topic: str, payload: bytes) -> None:
        if topic == self._birth and payload == messages.ONLINE:
            self._client.soon(self._introduce)
        elif self._control and topic in self._commands:
            self._follow(self._control, *self._commands[topic], payload)
        elif self._control and "/command/" in topic:
            self._control.ignored += 1
        elif topic == self._availability and payload == messages.OFFLINE:
            self._rival = False
            self._client.soon(self._contradict)  # another's last will, or our own late one
        elif topic == self._health and _run_of(payload) not in ("", self._run):
            self._warn()

    def _warn(self) -> None:
        """Report another service of our name: in STATUS as long as it is there, once in the log."""
        self._rival = True
        if not self._warned:
            self._warned = True
            line = "another service uses this device's name; set another one (mqtt.device)"
            self._report(f"{self.name}: {self._topics.device}: {line}")

    def _follow(self, control: Control, name: str, zone: str, payload: bytes) -> None:
        """Follow a command; one that is rejected is counted there."""
        if name not in self._settings.commands:
            control.ignored += 1
            return
        if name == KEEP:  # as Home Assistant has the labels
            known = {
                messages.entity_state(label, self._settings.unknown): label
                for label in control.labels[zone]()
            }
            payload = known.get(payload.decode(errors="replace"), "").encode() or payload
        with contextlib.suppress(CommandError):
            control.do(name, payload, "mqtt", zone)

    def _tell_controls(self) -> None:
        """Publish what commands have changed: for the device, and for each zone that has a name."""
        if not self._control:
            return
        self._kept = dict(self._control.keep_as)
        for zone in dict.fromkeys(("", *self._zones)):
            vitals = self._vitals(zone) if zone in self._zones else None
            told = messages.controls(self._control, self._topics.device, vitals, zone)
            self._client.tell(self._topics.of("controls", zone), told)
        for zone in self._zones:
            if self._status.get(zone) != self._vitals(zone).zone:
                self._tell_health(zone)

    def _contradict(self) -> None:
        """Publish "online" again after another client's last will published "offline"."""
        self._client.say_online()
        for zone in self._zones:
            self._tell_health(zone)
            self._tell_state(zone)

    def _look(self) -> None:
        """Publish changes that come without a frame, such as a lost camera."""
        if self._models and self._models != [self._vitals(zone).version for zone in self._zones]:
            self._introduce()  # another model has other labels
        if self._control and self._control.keep_as != self._kept:  # it is saved
            self._tell_controls()
        for zone in self._zones:
            status = self._vitals(zone).zone
            if status != self._status.get(zone):
                self._tell_health(zone)
            if status.is_available and self._is_due(zone):
                self._told_s[zone] = self._monotonic()  # nothing is new, and it still holds
                self._tell_state(zone)

    def _tell_all_health(self) -> None:
        for zone in self._zones:
            self._tell_health(zone)

    def _tell_health(self, zone: str) -> None:
        status = self._status[zone] = self._vitals(zone).zone
        told = messages.health(status, self._topics.device, self._run, zone)
        self._client.tell(self._topics.of("health", zone), told)

    def _tell_state(self, zone: str) -> None:
        if newest := self._newest.get(zone):
            vitals, nothing = self._vitals(zone), self._settings.unknown
            told = messages.state(newest, self._topics.device, self._client.lost, vitals, nothing)
            self._client.tell(self._topics.of("state", zone), told)
            if self._status.get(zone) != vitals.zone:
                self._tell_health(zone)

    def _tell_picture(self, picture: Picture, zone: str) -> None:
        if self._client.takes_pictures:
            with contextlib.suppress(EdgeError):  # a file that is gone
                jpeg = small_jpeg(picture, self._settings.pictures_max_px)
                self._client.tell(self._topics.of("snapshot", zone), jpeg)


def small_jpeg(picture: Picture, max_px: int, max_bytes: int = MAX_PICTURE_BYTES) -> bytes:
    """An image as a JPEG that every broker takes.

    Args:
        picture: a path, encoded bytes or (height, width, 3) uint8 pixels.
        max_px: of the longer side.
        max_bytes: of the file; the quality is lowered until it fits, then the size.

    Raises: EdgeError where it cannot be read.
    """
    pixels = read_image(picture, (max_px, max_px))
    while True:
        height, width = pixels.shape[:2]
        scale = min(1.0, max_px / max(height, width))
        if scale < 1:
            pixels = resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))
        for quality in QUALITIES:
            jpeg = encode_jpeg(pixels, quality)
            if len(jpeg) <= max_bytes or max_px <= LEAST_PX:
                return jpeg
        max_px = max(LEAST_PX, max(pixels.shape[:2]) // 2)


def _run_of(payload: bytes) -> str:
    """Which run of a service sent a health message; "" where it is none of ours."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return ""
    return str(document.get("run", "")) if isinstance(document, dict) else ""
