"""Writes results as JSON lines."""

from __future__ import annotations

import json
from typing import TextIO

from edge.classify import Result


class JsonLines:
    """One line for each result, flushed, so that a reader sees it at once."""

    def __init__(self, stream: TextIO) -> None:
        """Args: where to write; it stays open."""
        self._stream = stream

    def __call__(self, result: Result) -> None:
        """Write one result."""
        self._stream.write(json.dumps(result.as_dict()) + "\n")
        self._stream.flush()
