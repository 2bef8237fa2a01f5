"""The messages: which topic, and what JSON is in it. docs/mqtt.md describes each.

    BASE/DEVICE/availability   online, or offline by the last will: commands depend on it alone
    BASE/DEVICE/health         the zone's state: its sensors depend on it
    BASE/DEVICE/state          label, score and rate, now and then
    BASE/DEVICE/event          a change of state, at least once each
    BASE/DEVICE/snapshot       the image of a change, as JPEG

The zone that has no name has these topics; a named one has BASE/DEVICE/ZONE/health and so on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge import __version__
from edge.classifier.classify import UNKNOWN
from edge.names import MQTT_SCHEMA, SCORE_DIGITS
from edge.service.health import Vitals
from edge.service.mqtt.settings import RESERVED
from edge.service.sighting import Sighting
from edge.service.zone import ZoneStatus

ONLINE, OFFLINE = b"online", b"offline"
ZONE_SENSORS = ("label", "score", "fps")  # which mean nothing while the zone is lost
MAX_STATE = 255  # characters of a state in Home Assistant
MAX_OPTIONS = 200  # labels that Home Assistant lists; a model of more is no list to choose from


@dataclass(frozen=True)
class Topics:
    """Where one device's messages go."""

    base: str
    device: str

    def of(self, kind: str) -> str:
        """The topic of a kind: availability, health, state, event, snapshot."""
        return f"{self.base}/{self.device}/{kind}"


def event(sighting: Sighting, device: str, identity: str, vitals: Vitals) -> bytes:
    """A change of state; `identity` is another for each, so that one that comes twice is known."""
    change = sighting.change
    assert change is not None
    return _encoded(
        {
            "schema": MQTT_SCHEMA,
            "id": identity,
            "device": device,
            "zone": sighting.zone,
            "at": sighting.result.captured_at.isoformat(timespec="milliseconds"),
            "clock_is_set": sighting.clock_is_set,
            "from": change.before,
            "to": change.after,
            "score": round(change.score, SCORE_DIGITS),
            "lasted_s": round(change.lasted_s, 3),
            "frame": sighting.number,
            "model": vitals.model,
            "model_version": vitals.version,
        }
    )


def state(sighting: Sighting, device: str, lost: int, vitals: Vitals, nothing: str) -> bytes:
    """The newest result; `nothing` is the word for unknown towards Home Assistant."""
    throttling = vitals.throttling
    return _encoded(
        {
            "schema": MQTT_SCHEMA,
            "device": device,
            "zone": sighting.zone,
            "at": sighting.result.captured_at.isoformat(timespec="milliseconds"),
            "state": sighting.state,
            "state_score": round(sighting.state_score, SCORE_DIGITS),
            "entity_state": entity_state(sighting.state, nothing),
            "label": sighting.result.label,
            "score": round(sighting.result.score, SCORE_DIGITS),
            "frame": sighting.number,
            "fps": round(vitals.fps, 2),
            "age_ms": round(sighting.age_ms, 1),
            "temperature_c": vitals.celsius,
            "throttling": list(throttling.now) if throttling else None,
            "model": vitals.model,
            "model_version": vitals.version,
            "runtime": vitals.runtime,
            "model_problem": vitals.trouble,
            "events_lost": lost,
        }
    )


def health(status: ZoneStatus, device: str, run: str, zone: str = "") -> bytes:
    """The zone's state; `run` is another for each run of a service."""
    return _encoded(
        {
            "schema": MQTT_SCHEMA,
            "device": device,
            "zone": zone,
            "state": status.state,
            "reason": status.reason,
            "problem": status.problem,
            "run": run,
        }
    )


def entity_state(state: str, nothing: str) -> str:
    """A state as Home Assistant can have it: its own words for no value are not labels."""
    if state == UNKNOWN:
        return nothing
    return (f"{state} (label)" if state.lower() in RESERVED else state)[:MAX_STATE]


def discovery(
    topics: Topics,
    name: str,
    vitals: Vitals,
    *,
    nothing: str,
    expire_after_s: float,
    celsius: bool,
    pictures: bool,
) -> bytes:
    """What Home Assistant wants to know of the device and its entities, in one message.

    Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery (device discovery)

    Args:
        topics: the device's.
        name: that people know the device by.
        vitals: with the model's name and labels.
        nothing: the word for unknown.
        expire_after_s: a sensor becomes unavailable this long after its last message.
        celsius: whether the machine has a temperature sensor.
        pictures: whether there are any.
    """
    entities = _entities(topics, _sensors(vitals, nothing) | (_temperature() if celsius else {}))
    for entity in entities.values():
        if entity["platform"] == "sensor":
            entity["expire_after"] = round(expire_after_s)
    if pictures:
        entities["snapshot"] = _image(topics)
    identity = f"edge_classify_{topics.device}"
    return _encoded(
        {
            "device": {
                "identifiers": [identity],
                "name": name,
                "model": vitals.model,
                "manufacturer": "edge-classify",
                "sw_version": __version__,
            },
            "origin": {"name": "edge-classify", "sw_version": __version__},
            "availability": [{"topic": topics.of("availability")}],
            "components": {
                key: entity | {"unique_id": f"{identity}_{key}"} for key, entity in entities.items()
            },
        }
    )


def _entities(topics: Topics, sensors: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The sensors with where their values are, and whether the zone is a problem."""
    of_state = {"platform": "sensor", "state_topic": topics.of("state")}
    entities = {key: of_state | sensor for key, sensor in sensors.items()}
    for key in ZONE_SENSORS:
        entities[key] |= _zone_availability(topics)
    return entities | {"problem": _problem(topics)}


def _image(topics: Topics) -> dict[str, Any]:
    return {
        "platform": "image",
        "image_topic": topics.of("snapshot"),
        "content_type": "image/jpeg",
        "name": "Last change",
    }


def _sensors(vitals: Vitals, nothing: str) -> dict[str, dict[str, Any]]:
    label = {"name": "Label", "icon": "mdi:tag", "value_template": "{{ value_json.entity_state }}"}
    options = _options(vitals.labels, nothing)
    return {
        "label": label | ({"device_class": "enum", "options": options} if options else {}),
        "score": _number("state_score", "Score", 2) | {"icon": "mdi:gauge"},
        "fps": _number("fps", "Frames per second", 1)
        | {"icon": "mdi:camera-timer", "entity_category": "diagnostic"},
    }


def _options(labels: Sequence[str], nothing: str) -> list[str]:
    """All states that the label can have; none where they are too many to list."""
    states = dict.fromkeys([*(entity_state(label, nothing) for label in labels), nothing])
    return list(states) if len(states) <= MAX_OPTIONS else []


def _number(key: str, name: str, digits: int) -> dict[str, Any]:
    return {
        "name": name,
        "value_template": f"{{{{ value_json.{key} }}}}",
        "state_class": "measurement",
        "suggested_display_precision": digits,
    }


def _temperature() -> dict[str, dict[str, Any]]:
    return {
        "temperature": _number("temperature_c", "Temperature", 0)
        | {
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "entity_category": "diagnostic",
        }
    }


def _zone_availability(topics: Topics) -> dict[str, Any]:
    """Of what depends on the zone: while it is lost its last label must not be taken for news."""
    template = "{{ 'offline' if value_json.state == 'lost' else 'online' }}"
    return {
        "availability": [
            {"topic": topics.of("availability")},
            {"topic": topics.of("health"), "value_template": template},
        ],
        "availability_mode": "all",
    }


def _problem(topics: Topics) -> dict[str, Any]:
    template = "{{ {true: 'ON', false: 'OFF'}.get(value_json.problem, 'None') }}"
    return {
        "platform": "binary_sensor",
        "device_class": "problem",
        "name": "Problem",
        "state_topic": topics.of("health"),
        "value_template": template,
        "json_attributes_topic": topics.of("health"),
        "entity_category": "diagnostic",
    }


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()
