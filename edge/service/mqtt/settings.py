"""The [mqtt] settings: the broker, and what to publish."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.errors import ConfigurationError, checked
from edge.files import secret
from edge.service.control import COMMANDS

PASSWORD_VARIABLE, CREDENTIAL = "EDGE_MQTT_PASSWORD", "mqtt-password"
PORTS = {"mqtt": 1883, "mqtts": 8883}
TOPIC = "edge-classify"
INSTANCE_VARIABLE = "EDGE_INSTANCE"  # of the unit, where one machine has several services
RESERVED = {"", "unknown", "unavailable", "none"}  # Home Assistant's own words for no value


@dataclass(frozen=True)
class Broker:
    """Where a broker is, and who we are to it."""

    host: str
    port: int
    tls: bool
    user: str  # "" for none
    topic: str  # above all of ours


@dataclass(frozen=True)
class MqttSettings:
    """The configuration's [mqtt] section, whose keys `edge.commands.keys` describes."""

    url: str = ""
    password_file: str = ""
    ca_file: str = ""
    device: str = ""
    discovery: str = "homeassistant"
    queue: int = 1000
    state_every_s: float = 10.0
    pictures: bool = False
    pictures_max_px: int = 640
    commands: tuple[str, ...] = ()
    unknown: str = "nothing"

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("mqtt.queue", self.queue, 1, 1_000_000)
        checked("mqtt.state_every_s", self.state_every_s, 0.1, 86400.0)
        if self.device and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.device):
            fault = f"must be letters, digits, - and _. Received: {self.device!r}"
            raise ConfigurationError("mqtt.device", fault, "remove the key to use the default")
        checked("mqtt.pictures_max_px", self.pictures_max_px, 32, 10_000)
        for name in self.commands:
            if name not in COMMANDS:
                fault = f"must be one or more of {', '.join(COMMANDS)}. Received: {name!r}"
                raise ConfigurationError(
                    "mqtt.commands", fault, "use only these words, or remove the key"
                )
        is_word = self.unknown.isprintable() and self.unknown == self.unknown.strip()
        if not is_word or self.unknown.lower() in RESERVED or len(self.unknown) > 100:
            fault = (
                f"must be a word that Home Assistant does not reserve. Received: {self.unknown!r}"
            )
            raise ConfigurationError(
                "mqtt.unknown", fault, 'use another word, for example "nothing"'
            )
        if self.discovery and not _is_topic(self.prefix):
            fault = f"must be a topic without + and #. Received: {self.discovery!r}"
            raise ConfigurationError("mqtt.discovery", fault, 'homeassistant is usual; "" is none')
        if self.url:
            self.broker  # noqa: B018  (it is looked at, and rejected where it is none)

    @property
    def broker(self) -> Broker:
        """Parse the URL. Raises: ConfigurationError, which does not show a password."""
        remedy = "for example mqtt://pi@broker.local/edge-classify, mqtts:// for TLS"
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError("mqtt.url", f"is not a URL ({error})", remedy) from error
        if parts.password is not None:
            fault = "must not hold the password: it would be visible in process lists and logs"
            where = f"put it into a file (mqtt.password_file) or ${PASSWORD_VARIABLE}"
            raise ConfigurationError("mqtt.url", fault, where)
        topic = unquote(parts.path).strip("/") or TOPIC
        odd = set("?#") & set(self.url) or port == 0
        if parts.scheme not in PORTS or not parts.hostname or odd or not _is_topic(topic):
            fault = f"must be mqtt[s]://[user@]host[:port][/topic]. Received: {self.url!r}"
            raise ConfigurationError("mqtt.url", fault, remedy)
        tls = parts.scheme == "mqtts"
        user = unquote(parts.username or "")
        return Broker(parts.hostname, port or PORTS[parts.scheme], tls, user, topic)

    @property
    def prefix(self) -> str:
        """Home Assistant's prefix; "" for none."""
        return self.discovery.strip("/")

    @property
    def device_id(self) -> str:
        """The device in topics: unique to this machine, and the same under another host name."""
        return self.device or f"edge-{_machine()}"

    @property
    def name(self) -> str:
        """The device as people call it."""
        own = f"{socket.gethostname()} {os.environ.get(INSTANCE_VARIABLE, '')}"
        return self.device or own.strip()

    def password(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return the password; "" for none. Raises: ConfigurationError."""
        named = ("mqtt.password_file", self.password_file)
        return secret(*named, PASSWORD_VARIABLE, CREDENTIAL, environment)


def _machine(path: Path = Path("/etc/machine-id")) -> str:
    """Eight digits for this machine and this instance of the service.

    The machine's id is secret by itself: a hash is not (man machine-id).
    """
    try:
        machine = path.read_text().strip()
    except (OSError, ValueError):
        machine = ""
    instance = os.environ.get(INSTANCE_VARIABLE, "")
    known = f"edge-classify/{machine or socket.gethostname()}/{instance}"
    return hashlib.sha256(known.encode()).hexdigest()[:8]


def _is_topic(text: str) -> bool:
    """Whether messages can be published below it."""
    is_plain = text.isprintable() and not set("+#") & set(text) and "//" not in text
    return is_plain and 0 < len(text) <= 200 and text[0] != "$"
