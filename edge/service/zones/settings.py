"""The [[zone]] tables: parts of the camera's view with a model, labels and a state of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

from edge.errors import ConfigurationError, checked
from edge.service.zones.steady import SteadySettings

MAX_ZONES = 32
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")  # in topics, file names and URLs
RESERVED = {"command"}  # commands to the device have this topic
MAX_CORNERS = 100
SLACK = 1e-6  # sums of shares are not exact

Roi = tuple[float, float, float, float]  # x, y, width, height, as shares of the frame


@dataclass(frozen=True)
class ZoneSettings:
    """Part of the frame with a model, labels and a state of its own."""

    name: str = ""
    roi: tuple[float, ...] = ()
    model: str = ""
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    fps: float | None = None
    steady: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        if self.name and (not NAME.fullmatch(self.name) or self.name in RESERVED):
            fault = "must be 1 to 32 letters, digits, - and _"
            fault += (
                f", not {self.name!r}" if self.name in RESERVED else f". Received: {self.name!r}"
            )
            raise ConfigurationError("zone.name", fault, 'for example name = "door"')
        if self.threshold is not None:
            checked("zone.threshold", self.threshold, 0.0, 1.0)
        if self.fps is not None:
            checked("zone.fps", self.fps, 0.001, 1000.0)
        _ = self.box, self.steady_within(SteadySettings())

    @property
    def box(self) -> Roi | None:
        """The rectangle that is classified; None for all of the frame. Raises: ConfigurationError.

        A polygon is classified by its box, since a model sees a rectangle.
        """
        return box_of(self.roi, "zone.roi")

    def steady_within(self, common: SteadySettings) -> SteadySettings:
        """Return the zone's settings; what it leaves open is as in [steady].

        Raises: ConfigurationError.
        """
        known = {each.name for each in fields(SteadySettings)}
        for name in self.steady:
            if name not in known:
                near = get_close_matches(name, known, 1)
                remedy = f"did you mean {near[0]}?" if near else f"use {', '.join(sorted(known))}"
                raise ConfigurationError(f"zone.steady.{name}", "is an unknown key", remedy)
        own: dict[str, Any] = {
            n: None if value == "auto" else value for n, value in self.steady.items()
        }
        try:
            return replace(common, **own)
        except ConfigurationError as error:
            raise ConfigurationError(f"zone.{error.subject}", error.fault, error.remedy) from error


def box_of(roi: Sequence[float], key: str) -> Roi | None:
    """Return the box of a rectangle or polygon; None for all. Raises: ConfigurationError."""
    if not roi:
        return None
    wrong = ConfigurationError(
        key,
        f"must be x, y, width, height as shares of the frame, or a polygon's corners x, y, x, y, "
        f"x, y, within it. Received: {list(roi)}",
        "draw it on the live page, which prints it",
    )
    inside = all(0.0 <= share <= 1.0 for share in roi)
    if not inside or len(roi) % 2 or not 4 <= len(roi) <= 2 * MAX_CORNERS:
        raise wrong
    x, y, width, height = roi[:4]
    if len(roi) > 4:
        x, y = min(roi[::2]), min(roi[1::2])
        width, height = max(roi[::2]) - x, max(roi[1::2]) - y
    if not (width > 0 and height > 0 and x + width <= 1 + SLACK and y + height <= 1 + SLACK):
        raise wrong
    return float(x), float(y), float(width), float(height)


def check_zones(zones: Sequence[ZoneSettings], steady: SteadySettings) -> None:
    """Check tables against each other and the rest. Raises: ConfigurationError."""
    if len(zones) > MAX_ZONES:
        fault = f"must be at most {MAX_ZONES} tables. Received: {len(zones)}"
        raise ConfigurationError("zone", fault, "remove some")
    for number, zone in enumerate(zones, 1):
        if not zone.name:
            remedy = 'add one, such as name = "door"'
            raise ConfigurationError(f"zone.name ([[zone]] {number})", "is missing", remedy)
        for other in zones[: number - 1]:
            _check_pair(zone, other)
        zone.steady_within(steady)


def _check_pair(zone: ZoneSettings, other: ZoneSettings) -> None:
    if zone.name == other.name:
        fault = f"{zone.name!r} is the name of two zones"
        raise ConfigurationError("zone.name", fault, "use a different name")
    if (zone.model, zone.labels, zone.box) == (other.model, other.labels, other.box):
        fault = f"has the same region, model and labels as zone {other.name}"
        remedy = "use another region, model or labels, or remove one of the zones"
        raise ConfigurationError(f"zone.roi ({zone.name})", fault, remedy)


def overlaps(zones: Sequence[ZoneSettings]) -> list[str]:
    """Name the regions that overlap: each is classified, but it may not be intended."""
    lines = []
    for index, zone in enumerate(zones):
        for other in zones[:index]:
            share = _common(zone.box or (0, 0, 1, 1), other.box or (0, 0, 1, 1))
            if share > SLACK:
                lines.append(f"zone.roi ({zone.name}): overlaps zone {other.name} by {share:.0%}")
    return lines


def _common(one: Roi, other: Roi) -> float:
    """The share of the smaller rectangle that both have."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    smaller = min(one[2] * one[3], other[2] * other[3])
    return max(0.0, width) * max(0.0, height) / smaller
