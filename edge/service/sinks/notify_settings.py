"""The [notify] settings: who is notified of a change of state, and how often."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.errors import ConfigurationError, checked
from edge.files import secret_text

VARIABLE, CREDENTIAL = "EDGE_NOTIFY_URLS", "notify-urls"
SPAN = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*")


@dataclass(frozen=True)
class NotifySettings:
    """The configuration's [notify] section, whose keys `edge.commands.keys` describes."""

    on: bool = False
    urls_file: str = ""
    labels: tuple[str, ...] = ()
    every_min: float = 5.0
    quiet: tuple[str, ...] = ()
    image: bool = True

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("notify.every_min", self.every_min, 0.0, 10_000.0)
        _ = self.spans

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The hours without notifications, in minutes of the day. Raises: ConfigurationError."""
        return tuple(map(_span, self.quiet))

    def is_quiet(self, at: datetime) -> bool:
        """Whether a local time is in the hours without notifications."""
        minute = at.hour * 60 + at.minute
        return any(
            begin <= minute < end if begin < end else minute >= begin or minute < end
            for begin, end in self.spans
        )

    @property
    def reads_file(self) -> bool:
        """Whether the URLs are elsewhere than in the file that systemd hands over."""
        has_credential = (Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / CREDENTIAL).is_file()
        return bool(self.urls_file or os.environ.get(VARIABLE) or has_credential)

    def urls(self, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
        """Return the URLs, which are secrets. Raises: ConfigurationError."""
        named = ("notify.urls_file", self.urls_file)
        text = secret_text(*named, VARIABLE, CREDENTIAL, environment)
        lines = (line.strip() for line in text.splitlines())
        urls = tuple(line for line in lines if line and not line.startswith("#"))
        if not urls:
            remedy = f"write Apprise URLs into a file (notify.urls_file) or ${VARIABLE}"
            raise ConfigurationError("notify.urls_file", "has no URL", remedy)
        return urls


def _span(text: str) -> tuple[int, int]:
    if found := SPAN.fullmatch(text):
        hour, minute, to_hour, to_minute = map(int, found.groups())
        begin, end = hour * 60 + minute, to_hour * 60 + to_minute
        if max(minute, to_minute) < 60 and max(begin, end) <= 24 * 60 and begin != end:
            return begin, end
    fault = f"must be spans of a day. Received: {text!r}"
    raise ConfigurationError("notify.quiet", fault, 'such as ["22:00-07:00"]')
