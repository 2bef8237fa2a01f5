"""Keep all results in a file of JSON lines, which is rotated."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from edge.errors import checked
from edge.service.control import Command
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.folders import Folder

CHUNK_BYTES = 65536


@dataclass(frozen=True)
class ResultsSettings:
    """The configuration's [results] section, whose keys `edge.commands.keys` describes."""

    file: str = ""
    max_mb: float = 10.0
    keep: int = 3

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("results.max_mb", self.max_mb, 0.001, 1e6)
        checked("results.keep", self.keep, 0, 1000)


class Results(Sink):
    """A rotating file; each line is written whole."""

    def __init__(self, settings: ResultsSettings) -> None:
        """Args: which file, and how large. It is opened when there is something to write."""
        self.name = settings.file
        self._path, self._settings = Path(settings.file), settings
        self.folder = Folder("results.file", self._path.parent)
        self._file: int | None = None  # descriptor

    def __call__(self, sighting: Sighting) -> None:
        """Write one result. Raises: OSError, after which the next call opens the file again."""
        self._add(sighting.line)

    def note(self, command: Command) -> None:
        """Write a command. Raises: OSError."""
        self._add(json.dumps(command.as_dict()))

    def _add(self, text: str) -> None:
        line = text.encode() + b"\n"
        try:
            size = self._open()
            if size and size + len(line) > self._settings.max_mb * 1e6:
                self._rotate()
                size = self._open()
            self._write(line, size)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        """Have the file open, also where someone has taken it away; return its bytes."""
        if self._file is not None and not os.fstat(self._file).st_nlink:
            self.close()
        if self._file is None:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o640)
            self._repair_end()
        return os.fstat(self._file).st_size

    def _repair_end(self) -> None:
        """Remove the NULs that a power cut left at the end, and end the line that it halved.

        ext4 keeps a file's new size and loses what was appended: up to 95,754 NULs were seen.
        """
        assert self._file is not None
        size = end = os.fstat(self._file).st_size
        while end:
            start = max(0, end - CHUNK_BYTES)
            end = start + len(os.pread(self._file, end - start, start).rstrip(b"\0"))
            if end > start:
                break
        if end < size:
            os.ftruncate(self._file, end)
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            self._write(b"\n", end)

    def _write(self, line: bytes, size: int) -> None:
        """Append a line; one that a full disk cuts short is taken back."""
        assert self._file is not None
        if os.write(self._file, line) < len(line):
            os.ftruncate(self._file, size)
            raise OSError(28, os.strerror(28), str(self._path))

    def _rotate(self) -> None:
        self.close()
        names = [
            self._path,
            *(Path(f"{self._path}.{n}") for n in range(1, self._settings.keep + 1)),
        ]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
