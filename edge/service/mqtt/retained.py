"""Which messages a broker keeps for us, so that what is switched off can be taken back.

A retained image or configuration outlives the service that sent it: it is remembered in a file,
and an empty retained message removes it from the broker (MQTT 3.1.1, 3.3.1.3).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from edge.files import replace_file

MAX_TOPICS = 1000


class Retained:
    """The retained topics of one broker; in memory alone where there is no file."""

    def __init__(self, path: Path | None, url: str) -> None:
        """Args: the file; the broker's URL, since another broker keeps other topics."""
        self._path, self._url = path, url
        known = _read(path)
        # By the host alone: another user, topic, port or TLS is still the same broker.
        ours = [other for other in known if _host(other) == _host(url)]
        self.topics = {topic for other in ours for topic in known.pop(other)}
        self.elsewhere = {other: topics for other, topics in known.items() if topics}

    def but(self, topics: Collection[str] = ()) -> list[str]:
        """Return the others, in the order in which they are taken back.

        What describes the others goes first: Home Assistant logs an error for each entity that
        receives an empty state.
        """
        left = self.topics - set(topics)
        return sorted(left, key=lambda topic: (not topic.endswith("/config"), topic))

    def add(self, topic: str) -> None:
        """Remember a topic before its first message is sent."""
        if topic not in self.topics and len(self.topics) < MAX_TOPICS:
            self.topics.add(topic)
            self._write()

    def discard(self, topic: str) -> None:
        """Forget a topic whose message was taken back."""
        if topic in self.topics:
            self.topics.discard(topic)
            self._write()

    def _write(self) -> None:
        own = {self._url: sorted(self.topics)} if self.topics else {}
        if self._path:
            with contextlib.suppress(OSError):  # a full disk: the messages matter more
                replace_file(self._path, json.dumps(self.elsewhere | own, indent=1).encode())


def _host(url: str) -> str:
    """The host of a broker's URL; "" where there is none."""
    with contextlib.suppress(ValueError):
        return urlsplit(url).hostname or ""
    return ""


def _read(path: Path | None) -> dict[str, list[str]]:
    """What the file holds; nothing where it is missing or damaged."""
    try:
        content = json.loads(path.read_bytes()) if path else {}
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        str(broker): [topic for topic in topics if isinstance(topic, str)]
        for broker, topics in content.items()
        if isinstance(topics, list)
    }
