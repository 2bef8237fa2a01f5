"""The [history] settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.errors import checked

FILE = "history.sqlite"  # in the state folder


@dataclass(frozen=True)
class HistorySettings:
    """The configuration's [history] section, whose keys `edge.commands.keys` describes."""

    on: bool = False
    file: str = ""
    max_days: int = 366
    max_mb: float = 50.0

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("history.max_days", self.max_days, 1, 36_500)
        checked("history.max_mb", self.max_mb, 5.0, 1e5)

    def path(self, state: str) -> Path:
        """Return the file; `state` is the state folder, "" where there is none."""
        return Path(self.file) if self.file else Path(state or ".") / FILE
