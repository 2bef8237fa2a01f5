"""A file of results that a batch is resumed with: what is in it is not classified again."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from hashlib import blake2b
from io import FileIO
from pathlib import Path

from edge.errors import SourceError
from edge.files import lock

BLOCK = 1 << 20  # bytes to read at a time


class EarlierResults:
    """JSON lines that are appended to, each whole or not at all.

    A power cut may leave a part of a line, which is removed here. Of each result a hash of 8 bytes
    is held: a million take 60 MB.
    """

    def __init__(self, path: Path, model: str) -> None:
        """Open the file, and read what it has.

        Args: the file, which is made where there is none; the name of the model in use.
        Raises: SourceError: another process writes it, it holds other things than results, or
            those of another model.
        """
        self.path = path
        self._model = model
        self._done: set[int] = set()
        self._end = 0  # bytes of whole lines
        self.was_cut = False  # whether its last line was a part of one
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise self._error(f"cannot be opened ({error.strerror})", "use another file") from error
        try:
            self._claim()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self._done)

    def has(self, source: str, time_s: float | None = None) -> bool:
        """Whether there is a result, or an error, of an image or of a video's frame."""
        return _hash(source, time_s) in self._done

    def write(self, line: str) -> None:
        """Append a line. Raises: SourceError: the disk is full, for instance; no part remains."""
        content = line.encode()
        try:
            while content:  # where the disk is nearly full, a part is written at first
                content = content[os.write(self._file.fileno(), content) :]
        except OSError as error:
            os.ftruncate(self._file.fileno(), self._end)
            fault = f"cannot be written ({error.strerror})"
            raise self._error(fault, "free some space, and run the command again") from error
        self._end += len(line.encode())

    def flush(self) -> None:
        """Do nothing: a line is written at once."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _claim(self) -> None:
        try:
            lock(self._file)
        except OSError as error:
            fault = "is being written by another process"
            remedy = "wait for it, or use a file for each --shard"
            raise self._error(fault, remedy) from error

    def _read(self) -> None:
        self._file.seek(0)
        for number, line in enumerate(_lines(self._file), start=1):
            if not line.endswith(b"\n"):
                self._file.truncate(self._end)
                self.was_cut = True
                break
            self._end += len(line)
            self._add(number, line)

    def _add(self, number: int, line: bytes) -> None:
        record: object = None
        with contextlib.suppress(ValueError):
            record = json.loads(line)
        if not isinstance(record, dict) or not isinstance(record.get("source"), str):
            fault = f"line {number} is not a result"
            raise self._error(fault, "use a file that --resume has written, or a new one")
        model = record.get("model", self._model)
        if model != self._model:
            fault = f"has results of another model ({model})"
            raise self._error(fault, f"use another file for {self._model}")
        self._done.add(_hash(record["source"], record.get("time_s")))

    def _error(self, fault: str, remedy: str) -> SourceError:
        return SourceError(f"--resume {self.path}", fault, remedy)


def _lines(file: FileIO) -> Iterator[bytes]:
    """Yield the lines; the last one may lack its end."""
    rest = b""
    while block := file.read(BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _hash(source: str, time_s: float | None) -> int:
    key = source if time_s is None else f"{source}\0{time_s:.3f}"
    digest = blake2b(os.fsencode(key), digest_size=8).digest()
    return int.from_bytes(digest, "big")
