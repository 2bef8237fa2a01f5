"""Writes changes of state, and every Nth result, as JSON lines: for the journal, or a program."""

from __future__ import annotations

import json
from typing import TextIO

from edge.service.control import Command
from edge.service.sighting import Sighting, Sink
from edge.service.sinks import ReaderGoneError


class JsonLines(Sink):
    """One line for each, flushed, so that a reader sees it at once."""

    name = "stdout"

    def __init__(self, stream: TextIO, every: int = 1) -> None:
        """Args: an open stream; print every Nth result (0: none)."""
        self._stream, self._every = stream, every

    def __call__(self, sighting: Sighting) -> bool:
        """Write one result if it is due; return whether. Raises: ReaderGoneError, OSError."""
        if not sighting.change and (not self._every or sighting.number % self._every):
            return False
        self._write(sighting.line)
        return True

    def note(self, command: Command) -> None:
        """Write a command. Raises: ReaderGoneError, OSError."""
        self._write(json.dumps(command.as_dict()))

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except BrokenPipeError as error:
            raise ReaderGoneError(*error.args) from error
