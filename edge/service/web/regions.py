"""The region editor: the zones as they are configured, and a check of others.

Nothing is written: the configuration lies in /etc, which the service may not write to.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.errors import ConfigurationError, EdgeError
from edge.names import PAGE_SCHEMA
from edge.service.configuration import Configuration, values_of
from edge.service.web.handler import Handler, RefusedError
from edge.service.web.station import RegionChecks
from edge.service.zones.opening import model_requirements
from edge.service.zones.settings import ZoneSettings, overlaps
from edge.service.zones.zone import Zone

DRAWN = ("name", "roi")  # what the editor changes


class Regions:
    """What the editor begins with, and whether what it made would do."""

    def __init__(
        self, configuration: Configuration, zones: Sequence[Zone], toml: Callable[[Any], str]
    ) -> None:
        """Args: that the service runs by; its zones, with the models; what writes a value."""
        self._configuration, self._zones, self._toml = configuration, zones, toml

    def document(self) -> dict[str, Any]:
        """Return the tables: the rest of each, which stays, is in lines of TOML."""
        tables = [
            {"name": zone.name, "roi": zone.roi, "rest": self._rest(zone)}
            for zone in self._configuration.zone
        ]
        return {"schema": PAGE_SCHEMA, "zones": tables}

    def check(self, text: str) -> dict[str, Any]:
        """Return what `edge-watch --check` reports about [[zone]] tables: a fault, and notes."""
        fault, notes = "", list[str]()
        try:
            configuration = self._with(text)
            notes = overlaps(configuration.zone)
            models = {zone.settings.model: zone.models.model for zone in self._zones}
            for path in dict.fromkeys(zone.model for zone in configuration.zones):
                if path in models:
                    requirements = model_requirements(configuration, path)
                    requirements.check_labels(models[path].labels)
                else:
                    notes.append(f"{path}: not loaded here; edge-watch --check validates it")
        except EdgeError as error:
            fault = str(error)
        return {"schema": PAGE_SCHEMA, "fault": fault, "notes": notes}

    def _with(self, text: str) -> Configuration:
        """The configuration with other zones. Raises: ConfigurationError."""
        subject = "the tables"
        try:
            content = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            fault = f"are not TOML ({error})"
            raise ConfigurationError(subject, fault, "correct that line") from error
        if set(content) - {"zone"}:
            raise ConfigurationError(
                subject, "must contain only [[zone]] tables", "remove everything else"
            )
        zones = values_of(content, Path("watch.toml")).get("zone", ())
        return dataclasses.replace(self._configuration, zone=zones)

    def _rest(self, zone: ZoneSettings) -> list[str]:
        others = [each for each in dataclasses.fields(zone) if each.name not in DRAWN]
        given = [(each.name, getattr(zone, each.name)) for each in others]
        return [f"{name} = {self._toml(value)}" for name, value in given if value or value == 0.0]


class Configured(Handler):
    """The zones as they are configured."""

    def get(self) -> None:
        """Send them."""
        self.json(self._regions().document())

    def _regions(self) -> RegionChecks:
        if self.station.regions is None:
            raise RefusedError(404, "no such page")
        return self.station.regions


class Check(Configured):
    """Whether [[zone]] tables are valid here."""

    def get(self) -> None:
        """Send 405: it takes the tables."""
        raise RefusedError(405, "send the tables by POST")

    def post(self) -> None:
        """Check the body, TOML, and send what is wrong with it."""
        try:
            text = self.request.body.decode()
        except ValueError as error:
            raise RefusedError(400, "the body must be UTF-8") from error
        self.json(self._regions().check(text))
