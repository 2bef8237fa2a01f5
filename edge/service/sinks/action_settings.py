"""The [[action]] tables: what to do on a change of state, without a broker."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edge.errors import ConfigurationError, checked

GPIO = re.compile(r"(?:GPIO|BCM|BOARD|J8:)?\d{1,2}")  # as gpiozero names a pin
MAX_S = 86400.0


@dataclass(frozen=True)
class ActionSettings:
    """One [[action]] table of the configuration, whose keys `edge.commands.keys` describes."""

    to: tuple[str, ...] = ()
    from_: tuple[str, ...] = ()
    zone: str = ""
    every_s: float = 0.0
    command: tuple[str, ...] = ()
    deadline_s: float = 10.0
    image: bool = False
    gpio: str = ""
    gpio_s: float = 1.0
    active_low: bool = False

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        if bool(self.command) == bool(self.gpio):
            fault = "is set together with action.gpio" if self.gpio else "is missing"
            remedy = "set either action.command or action.gpio"
            raise ConfigurationError("action.command", fault, remedy)
        if self.command and not self.command[0].startswith("/"):
            fault = f"must begin with an absolute path. Received: {self.command[0]!r}"
            remedy = f"use an absolute path; to find it: which {self.command[0] or 'NAME'}"
            raise ConfigurationError("action.command", fault, remedy)
        if self.gpio and not GPIO.fullmatch(self.gpio):
            fault = f"must be a pin. Received: {self.gpio!r}"
            raise ConfigurationError("action.gpio", fault, 'for example "GPIO17" or "BOARD11"')
        if self.image and not self.command:
            raise ConfigurationError("action.image", "needs action.command", "remove the key")
        checked("action.every_s", self.every_s, 0.0, MAX_S)
        checked("action.deadline_s", self.deadline_s, 0.1, 3600.0)
        checked("action.gpio_s", self.gpio_s, 0.01, 3600.0)

    @property
    def name(self) -> str:
        """What it does, in a few words."""
        return f"action {self.gpio or self.command[0].rpartition('/')[2]}"


def check_actions(actions: Sequence[ActionSettings], zones: Collection[str]) -> None:
    """Check that the zones that actions name exist. Raises: ConfigurationError."""
    for action in actions:
        if action.zone and action.zone not in zones:
            named = ", ".join(zones) or "none"
            fault = f"must be a zone's name ({named}). Received: {action.zone!r}"
            raise ConfigurationError("action.zone", fault, "change or remove it")
