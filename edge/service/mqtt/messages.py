"""The messages: which topic, and what JSON is in it. docs/mqtt.md describes each.

    BASE/DEVICE/availability   online, or offline by the last will: commands depend on it alone
    BASE/DEVICE/health         the zone's state: its sensors depend on it
    BASE/DEVICE/state          label, score and rate, now and then
    BASE/DEVICE/event          a change of state, at least once each
    BASE/DEVICE/snapshot       the image of a change, as JPEG
    BASE/DEVICE/controls       what commands have changed
    BASE/DEVICE/command/NAME   a command, to us

The zone that has no name has these topics; a named one has BASE/DEVICE/ZONE/health and so on. The
availability is the device's, and so are the commands that are not for a zone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from edge.classifier.classify import UNKNOWN
from edge.names import MQTT_SCHEMA, SCORE_DIGITS
from edge.service.control import Control
from edge.service.health import Vitals
from edge.service.mqtt.settings import RESERVED
from edge.service.sighting import Sighting
from edge.service.zones.state import ZoneStatus

ONLINE, OFFLINE = b"online", b"offline"
MAX_STATE = 255  # characters of a state in Home Assistant


@dataclass(frozen=True)
class Topics:
    """Where one device's messages go."""

    base: str
    device: str

    def of(self, kind: str, zone: str = "") -> str:
        """The topic of a kind, of a zone: availability, health, state, event, snapshot."""
        return f"{self.base}/{self.device}/{zone and f'{zone}/'}{kind}"


def event(sighting: Sighting, device: str, identity: str, vitals: Vitals, url: str = "") -> bytes:
    """A change of state.

    Args:
        sighting: with the change.
        device: the device's name in topics.
        identity: another for each, so that one that comes twice is known.
        vitals: with the model.
        url: of the page, where the change's image is; "" for none.
    """
    change = sighting.change
    assert change is not None
    return encoded(
        {
            "schema": MQTT_SCHEMA,
            "event_type": "change",  # as Home Assistant's event entity has it
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
            "image": _image(sighting, url) if url else None,
            "model": vitals.model,
            "model_version": vitals.version,
        }
    )


def _image(sighting: Sighting, url: str) -> str:
    zone = sighting.zone and f"?zone={sighting.zone}"
    return f"{url}events/{sighting.number}.jpg{zone}"


def state(sighting: Sighting, device: str, lost: int, vitals: Vitals, nothing: str) -> bytes:
    """The newest result; `nothing` is the word for unknown towards Home Assistant."""
    throttling = vitals.throttling
    return encoded(
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
    return encoded(
        {
            "schema": MQTT_SCHEMA,
            "device": device,
            "zone": zone,
            "state": status.state,
            "reason": status.reason,
            "problem": status.problem,
            "camera": status.camera,
            "run": run,
        }
    )


def entity_state(state: str, nothing: str) -> str:
    """A state as Home Assistant can have it: its own words for no value are not labels."""
    if state == UNKNOWN:
        return nothing
    return (f"{state} (label)" if state.strip().lower() in RESERVED else state)[:MAX_STATE]


def controls(control: Control, device: str, vitals: Vitals | None, zone: str = "") -> bytes:
    """What commands have changed.

    Args:
        control: what they change.
        device: the device's name in topics.
        vitals: of the zone, with its thresholds; None: of the device, whose zones have names.
        zone: "" for the one that has no name.
    """
    return encoded(
        {
            "schema": MQTT_SCHEMA,
            "device": device,
            "zone": zone,
            "paused": control.paused,
            "threshold": round(vitals.threshold, 4) if vitals else None,
            "thresholds": {
                label: round(limit, 4)
                for label, limit in (vitals.thresholds if vitals else {}).items()
            },
            "keep": control.keep_as.get(zone),
            "ignored": control.ignored,
        }
    )


def encoded(document: dict[str, Any]) -> bytes:
    """A document as JSON."""
    return json.dumps(document, ensure_ascii=False).encode()
