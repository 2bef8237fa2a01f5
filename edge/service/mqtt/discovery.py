"""What Home Assistant wants to know of a device and its entities, in one message each.

Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery (device discovery)
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from edge import __version__
from edge.service.control import CLASSIFY, COMMANDS, KEEP, PAUSE, SNAPSHOT, THRESHOLD
from edge.service.health import Vitals
from edge.service.mqtt.messages import Topics, encoded, entity_state

MAX_OPTIONS = 200  # labels that Home Assistant lists; more are too many to choose from
MAX_LIMITS = 16  # labels whose threshold is a number of its own; of more, all have one together
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


def discovery(topics: Topics, zones: Sequence[Vitals], described: Described) -> dict[str, bytes]:
    """The messages, by what names each below the prefix of all devices.

    A zone that has a name is a device of its own, by way of the one with the camera: a group of
    its own, which goes from Home Assistant as a whole when its message is taken back.

    Args:
        topics: the device's.
        zones: each with its name, model and labels.
        described: what the entities depend on.
    """
    identity, first = f"edge_classify_{topics.device}", zones[0]
    device = _device(identity, described.name, first, described)
    of_device, of_first = _of_device(topics, first, described), _of_zone(topics, first, described)
    off = set() if not first.name else set(of_first)
    found = {topics.device: _message(device, of_device | of_first, _off(described) | off)}
    for zone in zones if first.name else ():
        card = _device(f"{identity}_{zone.name}", f"{described.name} {zone.name}", zone, described)
        card["via_device"] = identity
        entities = _of_zone(topics, zone, described)
        found[f"{topics.device}/{zone.name}"] = _message(card, entities, _off(described))
    return found


def _device(identity: str, name: str, vitals: Vitals, described: Described) -> dict[str, Any]:
    device = {
        "identifiers": [identity],
        "name": name,
        "model": vitals.model,
        "manufacturer": "edge-classify",
        "sw_version": __version__,
    }
    return device | ({"configuration_url": described.url} if described.url else {})


def _message(device: dict[str, Any], entities: dict[str, Entity], off: Collection[str]) -> bytes:
    """One device; an entity that is left out stays: one with a platform alone is removed."""
    (identity,) = device["identifiers"]
    components = {
        key: {"platform": entity["platform"]}
        if key in off or len(entity) == 1
        else entity | {"unique_id": f"{identity}_{key}"}
        for key, entity in entities.items()
    }
    origin = {"name": "edge-classify", "sw_version": __version__}
    return encoded({"device": device, "origin": origin, "components": components})


def _off(described: Described) -> set[str]:
    """The keys of optional entities that are off."""
    off = {f"{command}_command" for command in COMMANDS if command not in described.commands}
    off |= set() if described.celsius else {"temperature"}
    return off | (set() if described.images else {"snapshot"})


def _of_device(topics: Topics, first: Vitals, described: Described) -> dict[str, Entity]:
    """The entities of the device by key; its temperature comes with the first zone's state."""
    temperature = _temperature() | {"state_topic": topics.of("state", first.name)}
    temperature |= {"platform": "sensor", "expire_after": round(described.expire_after_s)}
    commands = {
        f"{command}_command": entity | _online(topics)
        for command, entity in _commands(topics).items()
    }
    return {
        "temperature": temperature | _availability(topics),
        "connectivity": _connectivity(topics),
        **commands,
    }


def _of_zone(topics: Topics, vitals: Vitals, described: Described) -> dict[str, Entity]:
    """The entities of a zone by key."""
    commands = {
        f"{command}_command": entity | _online(topics)
        for command, entity in _zone_commands(topics, vitals, described).items()
    }
    return {
        **_sensors(topics, vitals, described),
        "problem": _problem(topics, vitals.name),
        "event": _event(topics, vitals.name) | _online(topics),
        "snapshot": _image(topics, vitals.name) | _online(topics),
        **commands,
        **_limits(topics, vitals, described),
    }


def _online(topics: Topics) -> Entity:
    return {"availability": [{"topic": topics.of("availability")}]}


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
    for sensor in sensors.values():
        sensor |= {"platform": "sensor", "state_topic": topics.of("state", vitals.name)}
        sensor["expire_after"] = round(described.expire_after_s)
        sensor |= _availability(topics, topics.of("health", vitals.name))
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


def _availability(topics: Topics, health: str = "") -> Entity:
    """Of what depends on a zone: while it is lost its last label must not be taken for news.

    Args: the device's topics; that of the zone's health, "" for what does not depend on one.
    """
    sources: list[Entity] = [{"topic": topics.of("availability")}]
    if health:
        template = "{{ 'offline' if value_json.state == 'lost' else 'online' }}"
        sources.append({"topic": health, "value_template": template})
    return {"availability": sources, "availability_mode": "all"}


def _problem(topics: Topics, zone: str) -> Entity:
    """It has no availability, and keeps its state while a new run is too young to know.

    A service without its camera exits and is started again every half minute: an alarm for each
    would be one too many.
    """
    template = "{{ {true: 'ON', false: 'OFF'}.get(value_json.problem, '') }}"
    return {
        "platform": "binary_sensor",
        "device_class": "problem",
        "name": "Problem",
        "state_topic": topics.of("health", zone),
        "value_template": template,
        "json_attributes_topic": topics.of("health", zone),
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


def _event(topics: Topics, zone: str) -> Entity:
    return {
        "platform": "event",
        "name": "State change",
        "state_topic": topics.of("event", zone),
        "event_types": ["change"],
        "icon": "mdi:tag-arrow-right",
    }


def _image(topics: Topics, zone: str) -> Entity:
    return {
        "platform": "image",
        "image_topic": topics.of("snapshot", zone),
        "content_type": "image/jpeg",
        "name": "Last change",
    }


def _command(topics: Topics, zone: str, command: str, platform: str, **more: Any) -> Entity:
    to = {"command_topic": topics.of(f"command/{command}", zone)}
    if "value_template" in more:
        to["state_topic"] = topics.of("controls", zone)
    return {"platform": platform, **to, **more}


def _commands(topics: Topics) -> dict[str, Entity]:
    """The entities of commands to the device, by the command's name."""
    return {
        PAUSE: _command(
            topics, "", PAUSE, "switch", name="Pause", icon="mdi:pause",
            value_template="{{ 'ON' if value_json.paused else 'OFF' }}",
        ),
        SNAPSHOT: _command(
            topics, "", SNAPSHOT, "button", name="Take a snapshot", icon="mdi:camera"
        ),
        CLASSIFY: _command(
            topics, "", CLASSIFY, "button", name="Classify now", icon="mdi:image-search"
        ),
    }  # fmt: skip


def _zone_commands(topics: Topics, vitals: Vitals, described: Described) -> dict[str, Entity]:
    """The entities of commands to a zone, by the command's name."""
    options = _options(vitals.labels, described.nothing)[:-1]
    return {
        KEEP: _command(
            topics, vitals.name, KEEP, "select", name="Save the next frame as",
            icon="mdi:content-save", value_template="{{ value_json.keep or 'None' }}",
            options=options,
        ),
        THRESHOLD: _threshold(topics, vitals.name, "Threshold", "threshold"),
    }  # fmt: skip


def _limits(topics: Topics, vitals: Vitals, described: Described) -> dict[str, Entity]:
    """The thresholds of single labels, by number, so that another model's replace them."""
    is_on = THRESHOLD in described.commands and len(vitals.thresholds) <= MAX_LIMITS
    labels = list(vitals.thresholds) if is_on else []
    of_label = {
        f"threshold_{number}_command": _limit(topics, vitals.name, label) | _online(topics)
        for number, label in enumerate(labels)
    }
    none = {f"threshold_{number}_command": {"platform": "number"} for number in range(MAX_LIMITS)}
    return none | of_label


def _limit(topics: Topics, zone: str, label: str) -> Entity:
    text = json.dumps(label)  # a text of Jinja's as well
    return _threshold(topics, zone, f"Threshold of {label}", f"thresholds[{text}]") | {
        "command_template": f"{{{{ {json.dumps(label + '=')} ~ value }}}}"
    }


def _threshold(topics: Topics, zone: str, name: str, key: str) -> Entity:
    return _command(
        topics, zone, THRESHOLD, "number", name=name, icon="mdi:tune",
        value_template=f"{{{{ value_json.{key} }}}}",
        min=0, max=1, step=0.01, mode="box", entity_category="config",
    )  # fmt: skip
