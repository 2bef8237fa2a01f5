"""Controls that need the token: snapshots, and frames saved as a label."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from edge.image.preprocess import part_of_jpeg
from edge.service.control import KEEP, SNAPSHOT, Command, CommandError
from edge.service.sinks.dataset import LabelError, QuotaError
from edge.service.web.handler import Handler, RefusedError, or_gone
from edge.service.web.station import Station, View


class Control(Handler):
    """Controls that need the token."""

    def prepare(self) -> None:
        """Let no one else through. The token is in a header, which another site cannot send."""
        super().prepare()
        if self.request.method != "POST":
            return
        if not self.station.has_controls:
            raise RefusedError(404, "controls are off; start edge-watch with --web-token FILE")
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not self.station.admits(token.strip()):
            raise RefusedError(401, "wrong token", "Bearer")


class Snapshot(Control):
    """Keeps the next frame's image."""

    def post(self) -> None:
        """Request it."""
        _follow(self.station, SNAPSHOT, "now")
        self.text("the next frame is saved", 202)


class Commands(Control):
    """Follows a command, as MQTT has them: {"name": "pause", "value": "ON"}."""

    def post(self) -> None:
        """Follow it."""
        fields = fields_of(self.request.body)
        name, value, zone = fields.get("name"), fields.get("value", "now"), fields.get("zone", "")
        is_value = isinstance(value, str | int | float | bool)
        if not (isinstance(name, str) and is_value and isinstance(zone, str)):
            raise RefusedError(400, 'the body must be {"name": "...", "value": "..."}')
        text = {True: "ON", False: "OFF"}[value] if isinstance(value, bool) else str(value)
        command = _follow(self.station, name, text, zone)
        self.json(command.as_dict(), 202)


def _follow(station: Station, name: str, value: str, zone: str = "") -> Command:
    """Follow a command. Raises: RefusedError."""
    try:
        return station.control.do(name, value, "page", zone)
    except CommandError as error:
        raise RefusedError(400, str(error)) from error


def fields_of(body: bytes) -> dict[str, Any]:
    """The fields of a body. Raises: RefusedError where it is not JSON."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "the body must be JSON") from error
    return document if isinstance(document, dict) else {}


class Keep(Control):
    """Keeps a frame as an example of a label."""

    def post(self) -> None:
        """Write it where `python -m convert` will find it."""
        label, number, view = self._wanted()
        pictures, dataset, zone = view.pictures, self.station.dataset, view.zone
        if number is None:
            newest = or_gone(pictures.newest)
            number = newest.number if newest else 0
        shown = pictures.shown(number)
        if shown is None:
            raise RefusedError(409, "that frame is no longer available; use the newest")
        try:
            jpeg = part_of_jpeg(shown.jpeg, zone.settings.box)
            path = dataset.keep(jpeg, label, datetime.now(UTC), number, zone.name)
        except LabelError as error:
            raise RefusedError(400, str(error)) from error
        except QuotaError as error:
            raise RefusedError(507, str(error)) from error
        except OSError as error:
            raise RefusedError(507, f"cannot be written ({error.strerror})") from error
        self.station.control.record(KEEP, label, "page", zone.name)
        self.json({"file": str(path.relative_to(dataset.folder)), "frame": number}, 201)

    def _wanted(self) -> tuple[str, int | None, View]:
        """The label, the frame's number and the zone that the body names."""
        fields = fields_of(self.request.body)
        label, number, zone = fields.get("label"), fields.get("frame"), fields.get("zone", "")
        is_number = isinstance(number, int) and not isinstance(number, bool)
        if not isinstance(label, str) or not label.strip() or not (is_number or number is None):
            raise RefusedError(400, 'the body must be {"label": "...", "frame": NUMBER}')
        return label, number, self.view_of(str(zone))
