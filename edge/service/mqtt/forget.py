"""Takes back what a broker keeps of a service that is removed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from paho.mqtt import MQTTException, publish

from edge.errors import EdgeError
from edge.service.mqtt.client import trusting
from edge.service.mqtt.retained import Retained
from edge.service.mqtt.settings import MqttSettings


class ForgetError(EdgeError):
    """The broker could not be reached."""


def forget(settings: MqttSettings, remembered: Path, password: str) -> int:
    """Remove every retained message of this device, and return how many there were.

    Args:
        settings: with the broker that the messages went to.
        remembered: the file that names their topics.
        password: "" for none.

    Raises: ForgetError.
    """
    retained = Retained(remembered, settings.url)
    topics = retained.but()
    if not topics:
        return 0
    broker = settings.broker
    empty: list[Any] = [
        {"topic": topic, "payload": b"", "qos": 1, "retain": True} for topic in topics
    ]
    auth: Any = {"username": broker.user, "password": password} if broker.user else None
    # It logs an error for the connection that it has closed itself.
    logging.getLogger("paho.mqtt.client").setLevel(logging.CRITICAL)
    try:
        publish.multiple(
            empty,
            hostname=broker.host,
            port=broker.port,
            auth=auth,
            tls=trusting(settings.ca_file) if broker.tls else None,  # type: ignore[arg-type]
        )
    except (OSError, MQTTException, ValueError) as error:
        fault = f"{len(topics)} retained messages ({topics[0]}) cannot be removed ({error})"
        remedy = "run edge-watch --forget again when the broker is reachable"
        raise ForgetError(f"mqtt {broker.host}:{broker.port}", fault, remedy) from error
    for topic in topics:
        retained.discard(topic)
    return len(topics)
