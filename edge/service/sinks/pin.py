"""A pin that is switched on for a time, by gpiozero, which is loaded only for it."""

from __future__ import annotations

import threading
import warnings
from typing import Any

from edge.errors import ConfigurationError, EdgeError, reason_of
from edge.service.sighting import Sighting
from edge.service.sinks.action_settings import ActionSettings

REMEDY = "sudo apt install python3-gpiozero python3-lgpio, and run deploy/install.sh again"


class PinError(EdgeError):
    """A pin cannot be used."""


class Pin:
    """Owns a pin: off, but for a time after a change."""

    failures = 0

    def __init__(self, settings: ActionSettings) -> None:
        """Switch it off. Raises: PinError, ConfigurationError.

        Args: settings: the pin, and for how long it is on.
        """
        self._settings = settings
        self._timer: threading.Timer | None = None
        self._device = _opened(settings)

    def start(self, sighting: Sighting) -> bool:
        """Switch it on; False while it is."""
        if self._timer and self._timer.is_alive():
            return False
        self._device.on()
        self._timer = threading.Timer(self._settings.gpio_s, self._device.off)
        self._timer.daemon = True
        self._timer.start()
        return True

    def close(self) -> None:
        """Switch it off, and give it back."""
        if self._timer:
            self._timer.cancel()
        self._device.off()
        self._device.close()


def _opened(settings: ActionSettings) -> Any:
    """The pin, off. Raises: PinError, ConfigurationError."""
    gpiozero = needed()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about each library that it looks for in vain
            return gpiozero.DigitalOutputDevice(
                settings.gpio, active_high=not settings.active_low, initial_value=False
            )
    except Exception as error:  # the library below it may raise anything
        fault = f"cannot be used ({reason_of(error)})"
        raise PinError(f"action.gpio {settings.gpio}", fault, REMEDY) from error


def needed() -> Any:
    """Return gpiozero. Raises: ConfigurationError."""
    try:
        import gpiozero
    except ModuleNotFoundError as error:
        raise ConfigurationError("action.gpio", f"needs {error.name}", REMEDY) from error
    return gpiozero
