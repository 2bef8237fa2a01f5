"""The [history] settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.errors import checked

FILE = "history.sqlite"  # in the state folder


@dataclass(frozen=True)
class HistorySettings:
    """The configuration's [history] section."""

    on: bool = False
    file: str = ""  # "": FILE in the state folder
    max_days: int = 366  # older rows are removed, once the clock is set from the network
    max_mb: float = 50.0  # of the file; the oldest rows are removed first

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("history.max_days", self.max_days, 1, 36_500)
        checked("history.max_mb", self.max_mb, 5.0, 1e5)

    def path(self, state: str) -> Path:
        """Return the file; `state` is the state folder, "" where there is none."""
        return Path(self.file) if self.file else Path(state or ".") / FILE
