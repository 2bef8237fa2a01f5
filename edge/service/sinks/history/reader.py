"""Reads the history, for the live page and the terminal, while the service may be writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.errors import reason_of
from edge.service.sinks.history.rows import HOUR_S, Event, Share
from edge.service.sinks.history.store import CLOCKS, HistoryError, connect
from edge.service.sinks.snapshots import OURS

CHUNK = 500  # events of one query: a slow reader holds no version of the file back
SET = {number: is_set for is_set, number in CLOCKS.items()}


@dataclass(frozen=True)
class Query:
    """Which events, or hours."""

    from_s: float | None = None  # seconds since 1970; None: from the first one
    to_s: float | None = None  # not including this moment; None: to the last one
    zone: str | None = None  # None: all
    label: str = ""  # the state that it changed to; "": any
    text: str = ""  # part of the state before or after, or of the zone, in any case; "": any
    before: int | None = None  # events with lower numbers than this
    limit: int | None = None


class Reader:
    """Reads a file that may not be there yet."""

    def __init__(self, path: Path, images: Path) -> None:
        """Args: the file; the folder with the snapshots."""
        self._path, self._images = path, images

    def check(self) -> None:
        """See whether there is a history. Raises: HistoryError."""
        try:
            self._path.stat()
        except OSError as error:
            remedy = "set on = true under [history]; the first write comes after a minute"
            if isinstance(error, PermissionError):
                remedy = "read it as root: sudo"
            raise HistoryError(self._path, f"no history ({error.strerror})", remedy) from error
        self.labels()

    def events(self, query: Query) -> Iterator[Event]:
        """Yield the newest first. Raises: HistoryError."""
        left = query.limit
        while left is None or left > 0:
            size = CHUNK if left is None else min(CHUNK, left)
            chunk = self._chunk(replace(query, limit=size))
            yield from chunk
            if len(chunk) < size:
                return
            query = replace(query, before=chunk[-1].number)
            left = None if left is None else left - size

    def shares(self, query: Query) -> list[Share]:
        """Return the hours that begin in the time of a query, in order. Raises: HistoryError."""
        names = self._names()
        where, values = _where(query, names, "hour", HOUR_S, ("label", "zone"))
        if query.label:
            where.append("label = ?")
            values.append(_number(names, query.label))
        sql = "SELECT zone, hour, label, clock, seconds, frames FROM shares"
        sql += f" WHERE {' AND '.join(where)} ORDER BY hour, zone, label"
        return [
            Share(names[zone], hour, names[label], SET[clock], seconds, frames)
            for zone, hour, label, clock, seconds, frames in self._rows(sql, values)
        ]

    def labels(self) -> list[str]:
        """Return every state that there was. Raises: HistoryError."""
        return self._distinct("label")

    def zones(self) -> list[str]:
        """Return the zones. Raises: HistoryError."""
        return self._distinct("zone")

    def image(self, event: Event) -> Path | None:
        """Return the snapshot of an event; None where there is none, or it is gone."""
        if not OURS.fullmatch(event.image) or "/" in event.image:
            return None
        path = self._images / event.image
        return path if path.is_file() else None

    def _chunk(self, query: Query) -> list[Event]:
        names = self._names()
        where, values = _where(query, names, "at_ms", 0.001, ("before", "after", "zone"))
        if query.label:
            where.append("after = ?")
            values.append(_number(names, query.label))
        if query.before is not None:
            where.append("number < ?")
            values.append(query.before)
        sql = "SELECT zone, at_ms, clock, before, after, score, lasted_s, image, number FROM events"
        sql += f" WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT ?"
        return [
            Event(names[zone], at_ms / 1000, SET[clock], names[before], names[after], *rest)
            for zone, at_ms, clock, before, after, *rest in self._rows(sql, [*values, query.limit])
        ]

    def _names(self) -> dict[int, str]:
        return dict(self._rows("SELECT id, text FROM names", []))

    def _distinct(self, column: str) -> list[str]:
        sql = f"SELECT text FROM names WHERE id IN (SELECT {column} FROM shares) ORDER BY text"
        return [text for (text,) in self._rows(sql, [])]

    def _rows(self, sql: str, values: list[object]) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        try:
            with closing(connect(self._path)) as connection:
                return connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if "no such table" in str(error):  # it is being made
                return []
            fault = f"cannot be read ({reason_of(error)})"
            raise HistoryError(self._path, fault, f"see ls -l {self._path}") from error


def _where(
    query: Query, names: dict[int, str], column: str, unit_s: float, texts: tuple[str, ...]
) -> tuple[list[str], list[object]]:
    """Return the conditions of a query, and their values."""
    where, values = ["1"], list[object]()
    for value, sign in ((query.from_s, ">="), (query.to_s, "<")):
        if value is not None:
            where.append(f"{column} {sign} ?")
            values.append(value / unit_s)
    if query.zone is not None:
        where.append("zone = ?")
        values.append(_number(names, query.zone))
    if query.text:
        text = query.text.casefold()
        numbers = [str(number) for number, name in names.items() if text in name.casefold()]
        among = f"IN ({', '.join(numbers)})"
        where.append(f"({' OR '.join(f'{each} {among}' for each in texts)})")
    return where, values


def _number(names: dict[int, str], text: str) -> int:
    """Return a name's number; -1 if there is no such name."""
    return next((number for number, name in names.items() if name == text), -1)
