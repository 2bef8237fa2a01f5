"""What is told, and below which topic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from edge import __version__
from edge.service.health import Vitals
from edge.service.sighting import Sighting

ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True)
class Topics:
    """Where one device's messages go."""

    base: str
    device: str

    def of(self, kind: str) -> str:
        """The topic of a kind: availability, state, event, snapshot."""
        return f"{self.base}/{self.device}/{kind}"


def event(sighting: Sighting, device: str, identity: str, vitals: Vitals) -> bytes:
    """A change of state; `identity` is another for each, so that one that comes twice is known."""
    change = sighting.change
    assert change is not None
    return _encoded(
        {
            "id": identity,
            "device": device,
            "at": sighting.result.captured_at.isoformat(timespec="milliseconds"),
            "from": change.before,
            "to": change.after,
            "score": round(change.score, 4),
            "lasted_s": round(change.lasted_s, 3),
            "frame": sighting.number,
            "model": vitals.model,
            "version": vitals.version,
        }
    )


def state(sighting: Sighting, device: str, lost: int, vitals: Vitals) -> bytes:
    """How things are."""
    throttling = vitals.throttling
    return _encoded(
        {
            "device": device,
            "at": sighting.result.captured_at.isoformat(timespec="milliseconds"),
            "state": sighting.state,
            "label": sighting.result.label,
            "score": round(sighting.result.score, 4),
            "frame": sighting.number,
            "fps": round(vitals.fps, 2),
            "age_ms": round(sighting.age_ms, 1),
            "temperature": vitals.celsius,
            "throttling": list(throttling.now) if throttling else None,
            "model": vitals.model,
            "version": vitals.version,
            "runtime": vitals.runtime,
            "events_lost": lost,
        }
    )


def discovery(
    topics: Topics, prefix: str, vitals: Vitals, *, celsius: bool, pictures: bool
) -> dict[str, bytes]:
    """What Home Assistant wants to know of each entity, by topic.

    Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery

    Args:
        topics: the device's.
        prefix: Home Assistant's.
        vitals: with the model's name.
        celsius: whether the machine tells its temperature.
        pictures: whether there are any.
    """
    diagnostic = {"entity_category": "diagnostic"}
    degrees = {"unit_of_measurement": "°C", "device_class": "temperature"}
    entities: dict[str, tuple[str, dict[str, Any]]] = {
        "label": ("sensor", _sensor(topics, "state", "Label", "mdi:tag")),
        "score": ("sensor", _sensor(topics, "score", "Score", "mdi:gauge", digits=2)),
        "fps": (
            "sensor",
            _sensor(topics, "fps", "Frames a second", "mdi:camera-timer", digits=1) | diagnostic,
        ),
    }
    if celsius:
        told = _sensor(topics, "temperature", "Temperature", "mdi:thermometer", digits=0)
        entities["temperature"] = ("sensor", told | degrees | diagnostic)
    if pictures:
        entities["snapshot"] = ("camera", {"topic": topics.of("snapshot"), "name": "Snapshot"})
    shared = _shared(topics, vitals)
    return {
        f"{prefix}/{kind}/{topics.device}/{name}/config": _encoded(
            entity | shared | {"unique_id": f"edge_classify_{topics.device}_{name}"}
        )
        for name, (kind, entity) in entities.items()
    }


def _sensor(
    topics: Topics, key: str, name: str, icon: str, *, digits: int | None = None
) -> dict[str, Any]:
    """A value of the state; a number, where it has digits."""
    number = {"state_class": "measurement", "suggested_display_precision": digits}
    return {
        "state_topic": topics.of("state"),
        "value_template": f"{{{{ value_json.{key} }}}}",
        "name": name,
        "icon": icon,
    } | (number if digits is not None else {})


def _shared(topics: Topics, vitals: Vitals) -> dict[str, Any]:
    """What all entities of a device say."""
    return {
        "availability_topic": topics.of("availability"),
        "device": {
            "identifiers": [f"edge_classify_{topics.device}"],
            "name": topics.device,
            "model": vitals.model,
            "manufacturer": "edge-classify",
            "sw_version": __version__,
        },
        "origin": {"name": "edge-classify", "sw_version": __version__},
    }


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()
