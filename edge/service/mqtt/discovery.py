"""What Home Assistant wants to know of the device and its entities, in one message.

Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery (device discovery)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from edge import __version__
from edge.service.control import CLASSIFY, KEEP, PAUSE, SNAPSHOT, THRESHOLD
from edge.service.health import Vitals
from edge.service.mqtt.messages import Topics, encoded, entity_state

ZONE_SENSORS = ("label", "score", "fps")  # which mean nothing while the zone is lost
MAX_OPTIONS = 200  # labels that Home Assistant lists; a model of more is no list to choose from
DIAGNOSTIC = {"entity_category": "diagnostic"}

Entity = dict[str, Any]


@dataclass(frozen=True)
class Described:
    """What the entities depend on."""

    name: str  # that people know the device by
    nothing: str  # the word for unknown
    expire_after_s: float  # a sensor becomes unavailable this long after its last message
    celsius: bool  # whether the machine has a temperature sensor
    images: bool  # whether they are sent
    commands: Collection[str]  # that are accepted
    url: str = ""  # of the page


def discovery(topics: Topics, vitals: Vitals, described: Described) -> bytes:
    """The message.

    Args:
        topics: the device's.
        vitals: with the model's name and labels.
        described: what the entities depend on.
    """
    identity = f"edge_classify_{topics.device}"
    device = {
        "identifiers": [identity],
        "name": described.name,
        "model": vitals.model,
        "manufacturer": "edge-classify",
        "sw_version": __version__,
    }
    if described.url:
        device["configuration_url"] = described.url
    entities, off = _entities(topics, vitals, described)
    named = {key: entity | {"unique_id": f"{identity}_{key}"} for key, entity in entities.items()}
    return encoded(
        {
            "device": device,
            "origin": {"name": "edge-classify", "sw_version": __version__},
            # One that is left out stays: one with a platform alone is removed.
            "components": named | {key: {"platform": platform} for key, platform in off.items()},
        }
    )


def _entities(
    topics: Topics, vitals: Vitals, described: Described
) -> tuple[dict[str, Entity], dict[str, str]]:
    """The entities by key, and the platforms of those that are off."""
    online = {"availability": [{"topic": topics.of("availability")}]}
    entities = {
        **_sensors(topics, vitals, described),
        "problem": _problem(topics),
        "connectivity": _connectivity(topics),
        "event": _event(topics) | online,
    }
    optional = {"snapshot": (_image(topics), described.images)}
    for command, entity in _commands(topics, vitals, described).items():
        optional[f"{command}_command"] = entity, command in described.commands
    off = {} if described.celsius else {"temperature": "sensor"}
    for key, (entity, is_on) in optional.items():
        if is_on:
            entities[key] = entity | online
        else:
            off[key] = entity["platform"]
    return entities, off


def _sensors(topics: Topics, vitals: Vitals, described: Described) -> dict[str, Entity]:
    label: Entity = {
        "name": "Label",
        "icon": "mdi:tag",
        "value_template": "{{ value_json.entity_state }}",
    }
    options = _options(vitals.labels, described.nothing)
    sensors = {
        "label": label | ({"device_class": "enum", "options": options} if options else {}),
        "score": _number("state_score", "Score", 2) | {"icon": "mdi:gauge"},
        "fps": _number("fps", "Frames per second", 1) | {"icon": "mdi:camera-timer"} | DIAGNOSTIC,
    }
    if described.celsius:
        sensors["temperature"] = _temperature()
    for key, sensor in sensors.items():
        sensor |= {"platform": "sensor", "state_topic": topics.of("state")}
        sensor["expire_after"] = round(described.expire_after_s)
        sensor |= _availability(topics, of_zone=key in ZONE_SENSORS)
    return sensors


def _options(labels: Sequence[str], nothing: str) -> list[str]:
    """All states that the label can have; none where they are too many to list."""
    states = dict.fromkeys([*(entity_state(label, nothing) for label in labels), nothing])
    return list(states) if len(states) <= MAX_OPTIONS else []


def _number(key: str, name: str, digits: int) -> Entity:
    return {
        "name": name,
        "value_template": f"{{{{ value_json.{key} }}}}",
        "state_class": "measurement",
        "suggested_display_precision": digits,
    }


def _temperature() -> Entity:
    return _number("temperature_c", "Temperature", 0) | {
        "device_class": "temperature",
        "unit_of_measurement": "°C",
        **DIAGNOSTIC,
    }


def _availability(topics: Topics, *, of_zone: bool) -> Entity:
    """Of what depends on the zone: while it is lost its last label must not be taken for news."""
    sources: list[Entity] = [{"topic": topics.of("availability")}]
    if of_zone:
        template = "{{ 'offline' if value_json.state == 'lost' else 'online' }}"
        sources.append({"topic": topics.of("health"), "value_template": template})
    return {"availability": sources, "availability_mode": "all"}


def _problem(topics: Topics) -> Entity:
    """It has no availability, and keeps its state while a new run is too young to know.

    A service without its camera exits and is started again every half minute: an alarm for each
    would be one too many.
    """
    template = "{{ {true: 'ON', false: 'OFF'}.get(value_json.problem, '') }}"
    return {
        "platform": "binary_sensor",
        "device_class": "problem",
        "name": "Problem",
        "state_topic": topics.of("health"),
        "value_template": template,
        "json_attributes_topic": topics.of("health"),
        **DIAGNOSTIC,
    }


def _connectivity(topics: Topics) -> Entity:
    return {
        "platform": "binary_sensor",
        "device_class": "connectivity",
        "name": "Service",
        "state_topic": topics.of("availability"),
        "payload_on": "online",
        "payload_off": "offline",
        **DIAGNOSTIC,
    }


def _event(topics: Topics) -> Entity:
    return {
        "platform": "event",
        "name": "State change",
        "state_topic": topics.of("event"),
        "event_types": ["change"],
        "icon": "mdi:tag-arrow-right",
    }


def _image(topics: Topics) -> Entity:
    return {
        "platform": "image",
        "image_topic": topics.of("snapshot"),
        "content_type": "image/jpeg",
        "name": "Last change",
    }


def _commands(topics: Topics, vitals: Vitals, described: Described) -> dict[str, Entity]:
    """The entities of commands, by the command's name."""
    state = {"state_topic": topics.of("controls")}

    def entity(command: str, platform: str, name: str, **more: Any) -> Entity:
        to = {"command_topic": topics.of(f"command/{command}")}
        return {"platform": platform, "name": name, **to, **more}

    options = _options(vitals.labels, described.nothing)[:-1]
    return {
        PAUSE: entity(
            PAUSE, "switch", "Pause", icon="mdi:pause", **state,
            value_template="{{ 'ON' if value_json.paused else 'OFF' }}",
        ),
        SNAPSHOT: entity(SNAPSHOT, "button", "Take a snapshot", icon="mdi:camera"),
        CLASSIFY: entity(CLASSIFY, "button", "Classify now", icon="mdi:image-search"),
        KEEP: entity(
            KEEP, "select", "Save the next frame as", icon="mdi:content-save", **state,
            value_template="{{ value_json.keep or 'None' }}", options=options,
        ),
        THRESHOLD: entity(
            THRESHOLD, "number", "Threshold", icon="mdi:tune", **state,
            value_template="{{ value_json.threshold }}",
            min=0, max=1, step=0.01, mode="box", entity_category="config",
        ),
    }  # fmt: skip
