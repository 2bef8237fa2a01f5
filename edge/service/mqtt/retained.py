"""Which messages a broker keeps for us, so that what is switched off can be taken back.

A retained image or configuration outlives the service that sent it: it is remembered in a file,
and an empty retained message removes it from the broker (MQTT 3.1.1, 3.3.1.3).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from pathlib import Path

from edge.files import replace_file

MAX_TOPICS = 1000


class Retained:
    """The retained topics of one broker; in memory alone where there is no file."""

    def __init__(self, path: Path | None, broker: str) -> None:
        """Args: the file; which broker, since another one keeps other topics."""
        self._path, self._broker = path, broker
        self._all = _read(path)
        self.topics = set(self._all.get(broker, []))

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
        self._all = {of: known for of, known in self._all.items() if of != self._broker and known}
        if self.topics:
            self._all[self._broker] = sorted(self.topics)
        if self._path:
            with contextlib.suppress(OSError):  # a full disk: the messages matter more
                replace_file(self._path, json.dumps(self._all, indent=1).encode())


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
