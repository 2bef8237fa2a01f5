"""Reads flatbuffers, every access held within the buffer: what is damaged is a ValueError.

Layout: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

# No classifier has as many tables; offsets gone wrong can make a file seem to have billions.
MOST_ITEMS = 200_000


class Buffer:
    """The bytes of one flatbuffer, and how many more items may be read from it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._left = MOST_ITEMS

    def root(self) -> Table:
        """Return the root table."""
        return Table(self, self.read("<I", 0))

    def read(self, kind: str, at: int) -> int:
        """Read one number; `kind` as in the struct module."""
        try:
            value: int = struct.unpack_from(kind, self.content, at)[0]
        except struct.error as error:
            raise ValueError("an offset points beyond the end of the file") from error
        return value

    def sequence(self, kind: str, at: int, length: int) -> tuple[Any, ...]:
        """Read several numbers; `kind` is a character of the struct module, such as "i"."""
        try:
            return struct.unpack_from(f"<{length}{kind}", self.content, at)
        except struct.error as error:
            raise ValueError("numbers are beyond the end of the file") from error

    def spend(self, items: int) -> None:
        """Count items that are about to be read."""
        self._left -= items
        if self._left < 0:
            raise ValueError("it has more tables than any model")


class Table:
    """One table, read by field number; a field that is absent has its default, or is empty."""

    def __init__(self, buffer: Buffer, position: int) -> None:
        """Look up where its fields are. Raises: ValueError where that is not within the table."""
        self._buffer, self._position = buffer, position
        at = position - buffer.read("<i", position)  # the vtable: two sizes, then the offsets
        vtable_bytes, table_bytes = buffer.read("<H", at), buffer.read("<H", at + 2)
        self._offsets = buffer.sequence("H", at + 4, max(0, vtable_bytes - 4) // 2)
        if at < 0 or position + table_bytes > len(buffer.content):
            raise ValueError("a table is beyond the end of the file")
        if table_bytes <= max(self._offsets, default=0):
            raise ValueError("a table ends before its fields")

    def _field(self, number: int) -> int:
        """Where a field is; 0 where it is absent."""
        offset = self._offsets[number] if number < len(self._offsets) else 0
        return offset and self._position + offset

    def _target(self, at: int) -> int:
        return at + self._buffer.read("<I", at)

    def integer(self, number: int, kind: str = "<I", default: int = 0) -> int:
        """Read an integer field; `kind` as in the struct module."""
        at = self._field(number)
        return self._buffer.read(kind, at) if at else default

    def table(self, number: int) -> Table | None:
        """Read a table field."""
        at = self._field(number)
        return Table(self._buffer, self._target(at)) if at else None

    def vector(self, number: int, item_bytes: int) -> tuple[int, int]:
        """Return (start, length) of a vector, which ends within the buffer."""
        at = self._field(number)
        if not at:
            return 0, 0
        start = self._target(at) + 4
        length = self._buffer.read("<I", start - 4)
        if start + length * item_bytes > len(self._buffer.content):
            raise ValueError("a vector ends beyond the end of the file")
        return start, length

    def tables(self, number: int) -> Iterator[Table]:
        """Read a vector of tables."""
        start, length = self.vector(number, 4)
        self._buffer.spend(length)
        for at in range(start, start + 4 * length, 4):
            yield Table(self._buffer, self._target(at))

    def numbers(self, number: int, kind: str) -> tuple[Any, ...]:
        """Read a vector of numbers; `kind` is a character of the struct module, such as "i"."""
        start, length = self.vector(number, struct.calcsize(f"<{kind}"))
        self._buffer.spend(length)
        return self._buffer.sequence(kind, start, length)

    def data(self, number: int) -> bytes:
        """Read a vector of bytes, or a string."""
        start, length = self.vector(number, 1)
        return self._buffer.content[start : start + length]
