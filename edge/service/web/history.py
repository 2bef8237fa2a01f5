"""The history over HTTP: events and hours of a time, as JSON and CSV, and the images of events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

from tornado.iostream import StreamClosedError

from edge.names import HISTORY_SCHEMA
from edge.service.sinks.history.export import (
    EVENT_COLUMNS,
    HOUR_COLUMNS,
    csv_rows,
    event_record,
    hour_records,
    moment,
)
from edge.service.sinks.history.reader import CHUNK, Query, Reader
from edge.service.sinks.history.rows import Event
from edge.service.sinks.history.store import HistoryError
from edge.service.web.handler import Handler, RefusedError

MAX_TEXT = 200  # characters of a label, a zone or a search

T = TypeVar("T")


class _History(Handler):
    """Base of what reads the history."""

    @property
    def reader(self) -> Reader:
        """Return what reads it. Raises: RefusedError where it is off."""
        if self.station.history is None:
            raise RefusedError(404, "there is no history; set on = true under [history]")
        return self.station.history

    def query(self) -> Query:
        """Read the request's arguments. Raises: RefusedError."""
        zone = self.get_query_argument("zone", None)
        return Query(
            from_s=self._moment("from"),
            to_s=self._moment("to"),
            zone=None if zone is None else zone[:MAX_TEXT],
            label=self.get_query_argument("label", "")[:MAX_TEXT],
            text=self.get_query_argument("text", "")[:MAX_TEXT],
            before=self.frame_number("before"),
            limit=self.frame_number("limit"),
        )

    def _moment(self, name: str) -> float | None:
        text = self.get_query_argument(name, "")
        try:
            return moment(text) if text else None
        except (ValueError, OverflowError) as error:
            line = f"{name} must be a time such as 2026-11-30 or 2026-11-30T12:00:00Z"
            raise RefusedError(400, line) from error

    def csv(self, text: str) -> None:
        """Begin a CSV file."""
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.write(text)


class Events(_History):
    """State changes, the newest first."""

    async def get(self, kind: str) -> None:
        """Send them, as many at a time as the client takes."""
        reader, query = self.reader, self.query()
        events = _or_gone(lambda: reader.events(query))
        first = _or_gone(lambda: list(islice(events, CHUNK)))
        if kind == "csv":
            self.csv(",".join(EVENT_COLUMNS) + "\n")
        else:
            self.set_header("Content-Type", "application/json; charset=utf-8")
            names = {"labels": _or_gone(reader.labels), "zones": _or_gone(reader.zones)}
            self.write(json.dumps({"schema": HISTORY_SCHEMA, **names})[:-1] + ', "events": [')
        try:
            await self._send(kind, first, events)
        except StreamClosedError:
            return
        except HistoryError:  # in the middle: the client sees that it is not whole
            self.detach().close()
            return
        self.finish("" if kind == "csv" else "\n]}\n")

    async def _send(self, kind: str, chunk: list[Event], events: Iterable[Event]) -> None:
        before = "\n"
        while chunk:
            records = [event_record(event, self._image(event)) for event in chunk]
            if kind == "csv":
                self.write(csv_rows(EVENT_COLUMNS, records))
            else:
                self.write(before + ",\n".join(map(json.dumps, records)))
                before = ",\n"
            await self.flush()
            chunk = list(islice(events, CHUNK))

    def _image(self, event: Event) -> str | None:
        """Return the path of the image, relative to the page's."""
        return f"history/{event.number}.jpg" if self.reader.image(event) else None


class Hours(_History):
    """How much of each hour each label was the state."""

    def get(self, kind: str) -> None:
        """Send them, in order."""
        records = hour_records(_or_gone(lambda: self.reader.shares(self.query())))
        if kind == "csv":
            self.csv(",".join(HOUR_COLUMNS) + "\n" + csv_rows(HOUR_COLUMNS, records))
        else:
            self.json({"schema": HISTORY_SCHEMA, "hours": records})


class Image(_History):
    """The snapshot of an event."""

    def get(self, number: str) -> None:
        """Send it."""
        query = Query(before=int(number) + 1, limit=1)
        found = _or_gone(lambda: list(self.reader.events(query)))
        is_it = found and found[0].number == int(number)
        path = self.reader.image(found[0]) if is_it else None
        # An image of an event never changes: pages may keep it, behind the password too.
        self.set_header("Cache-Control", "private, max-age=86400")
        self.picture(_content(path))


def _content(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError:  # removed just now
        return None


def _or_gone(read: Callable[[], T]) -> T:
    """Return what is read. Raises: RefusedError where that is not possible."""
    try:
        return read()
    except HistoryError as error:
        raise RefusedError(503, f"the history {error.fault}") from error
