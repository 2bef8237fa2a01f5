"""Hours: outside of them no frame is classified, and the camera is closed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from edge import board
from edge.errors import ConfigurationError
from edge.service.intake.gate import Rest

EDGE = re.compile(r"(?:(\d{1,2}):(\d{2})|(sunrise|sunset)(?:([+-])(\d{1,3}))?)")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOK_S = 1.0  # between two looks at the clock


@dataclass(frozen=True)
class Edge:
    """The beginning or the end of a span: a time of day, or minutes from sunrise or sunset."""

    minutes: int
    sun: str = ""  # "sunrise", "sunset"; "": minutes are those of the day


@dataclass(frozen=True)
class ScheduleSettings:
    """The configuration's [schedule] section, whose keys `edge.commands.keys` describes."""

    hours: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    latitude: float | None = None
    longitude: float | None = None

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        for day in self.days:
            if day not in DAYS:
                fault = f"must be one or more of {', '.join(DAYS)}. Received: {day!r}"
                raise ConfigurationError("schedule.days", fault, "use these, or remove the key")
        for name, most in (("latitude", 90.0), ("longitude", 180.0)):
            value = getattr(self, name)
            if value is not None and not -most <= value <= most:
                fault = f"must be from -{most:g} to {most:g}. Received: {value!r}"
                raise ConfigurationError(f"schedule.{name}", fault, "use degrees")
        if self.has_sun and (self.latitude is None or self.longitude is None):
            fault = "needs schedule.latitude and schedule.longitude for sunrise and sunset"
            raise ConfigurationError("schedule.hours", fault, "set both, in degrees")
        if self.days and not self.hours:
            fault = "needs schedule.hours"
            raise ConfigurationError("schedule.days", fault, 'for example hours = ["00:00-24:00"]')

    @property
    def has_sun(self) -> bool:
        """Whether sunrise or sunset is among the hours."""
        return any(edge.sun for span in self.spans for edge in span)

    @property
    def spans(self) -> tuple[tuple[Edge, Edge], ...]:
        """The hours. Raises: ConfigurationError."""
        return tuple(map(_span, self.hours))


class Schedule:
    """Whether it is time to look."""

    def __init__(
        self,
        settings: ScheduleSettings,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        is_set: Callable[[], bool | None] = board.clock_is_set,
    ) -> None:
        """Args: the hours, the local time with its zone, and whether the clock is right."""
        self._settings, self._now, self._is_set = settings, now, is_set
        self._looked: datetime | None = None
        self._rest: Rest | None = None
        self._zone: tzinfo | None = None

    def rest(self) -> Rest | None:
        """Why it is not to look now; None where it is.

        A clock that is not set yet decides nothing.
        """
        if not self._settings.hours:
            return None
        now = self._now()
        looked = self._looked
        if looked is None or not timedelta(0) <= now - looked < timedelta(seconds=LOOK_S):
            self._looked = now
            self._rest = None
            if self._is_set() is not False and not self._is_on(now):
                self._rest = Rest(
                    "asleep", f"outside its hours ({', '.join(self._settings.hours)})"
                )
        return self._rest

    def _is_on(self, at: datetime) -> bool:
        """Whether a span has begun today, or yesterday, and has not ended."""
        # As a clock on the wall shows it: a day on which the clock is changed has 24 hours here.
        now = at.replace(tzinfo=None)
        self._zone = at.tzinfo
        for day in (now - timedelta(days=1), now):
            if self._settings.days and DAYS[day.weekday()] not in self._settings.days:
                continue
            for begin, end in self._settings.spans:
                first, last = self._at(begin, day), self._at(end, day)
                if first is None or last is None:  # no sunrise there today: never or always light
                    continue
                if last <= first:  # past midnight
                    last = self._at(end, day + timedelta(days=1)) or last + timedelta(days=1)
                if first <= now < last:
                    return True
        return False

    def _at(self, edge: Edge, day: datetime) -> datetime | None:
        """When a span begins or ends on a day; None where the sun does neither."""
        if not edge.sun:
            return datetime.combine(day.date(), time()) + timedelta(minutes=edge.minutes)
        place = _Place(self._settings.latitude or 0.0, self._settings.longitude or 0.0)
        at = _sun_at(edge.sun, place, day.date(), self._zone)
        return at and at + timedelta(minutes=edge.minutes)


@dataclass(frozen=True)
class _Place:
    """What astral takes for an observer."""

    latitude: float
    longitude: float
    elevation: float = 0.0


def _sun_at(which: str, place: _Place, day: date, zone: tzinfo | None) -> datetime | None:
    """When the sun rises or sets, on the clock there; None in a polar day or night."""
    find: Any = getattr(needed(), which)
    try:
        at: datetime = find(place, day, tzinfo=zone)
    except ValueError:
        return None
    return at.replace(tzinfo=None)


def needed() -> Any:
    """Return astral's sun. Raises: ModuleNotFoundError."""
    from astral import sun

    return sun


def _span(text: str) -> tuple[Edge, Edge]:
    """A span of a day. Raises: ConfigurationError."""
    found = re.fullmatch(rf"\s*({EDGE.pattern})\s*-\s*({EDGE.pattern})\s*", text)
    if found:
        groups = found.groups()
        begin, end = _edge(groups[1:6]), _edge(groups[7:12])
        if begin and end and begin != end:
            return begin, end
    fault = f"must be spans of a day. Received: {text!r}"
    remedy = 'for example "07:00-19:30", "22:00-06:00", "sunrise-30-sunset+30" (minutes)'
    raise ConfigurationError("schedule.hours", fault, remedy)


def _edge(groups: tuple[str | None, ...]) -> Edge | None:
    """An edge of the groups that EDGE matches; None where it is not a time."""
    hour, minute, sun, sign, offset = groups
    if sun:
        return Edge(int(f"{sign or ''}{offset or 0}"), sun)
    minutes = int(hour or 0) * 60 + int(minute or 0)
    return Edge(minutes) if int(minute or 0) < 60 and minutes <= 24 * 60 else None
