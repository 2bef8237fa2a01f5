"""Logs in to a broker once, to see whether it takes us."""

from __future__ import annotations

import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.service.mqtt.client import trusting
from edge.service.mqtt.settings import MqttSettings


class RefusedError(PermissionError):
    """The broker was reached, and does not let us in."""


def try_login(settings: MqttSettings, password: str, timeout_s: float) -> None:
    """Connect, log in and take leave.

    Args:
        settings: with the broker's address.
        password: "" for none.
        timeout_s: for the connection, and for the reply.

    Raises: OSError where it cannot be reached; RefusedError if it rejects the login;
        TimeoutError if it does not reply.
    """
    broker = settings.broker
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect_timeout = timeout_s
    if broker.user:
        client.username_pw_set(broker.user, password or None)
    if broker.tls:
        client.tls_set_context(trusting(settings.ca_file))
    answered, reasons = threading.Event(), list[Any]()

    def on_connect(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        reasons.append(reason)
        answered.set()

    client.on_connect = on_connect
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        if not answered.wait(timeout_s):
            raise TimeoutError("no reply to the login")
        if reasons[0].is_failure:
            raise RefusedError(str(reasons[0]).lower())
    finally:
        client.disconnect()
        client.loop_stop()
