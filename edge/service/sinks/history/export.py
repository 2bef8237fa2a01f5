"""The history as JSON, CSV and text, and the times by which it is requested."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from edge.errors import cell, one_line
from edge.names import HISTORY_SCHEMA
from edge.service.sinks.history.reader import Query, Reader
from edge.service.sinks.history.rows import HOUR_S, Event, Share

EVENT_COLUMNS = (
    "number", "zone", "at", "clock_is_set", "from", "to", "score", "lasted_s", "image"
)  # fmt: skip
HOUR_COLUMNS = ("zone", "hour", "label", "clock_is_set", "seconds", "frames", "share")
FORMATS = ("text", "json", "csv")
UNITS = {"h": 3600, "d": 86_400}


def moment(text: str) -> float:
    """Read ISO 8601 as seconds since 1970; without a zone it is this machine's time.

    Raises: ValueError.
    """
    # In a URL + is a space: 2026-11-30T12:00+01:00.
    return datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text).timestamp()


def span(text: str, now_s: float) -> tuple[float, float]:
    """Read a time such as 7d, 12h, 2026-11-30 or 2026-11-01..2026-11-30; return its ends.

    Args:
        text: days are this machine's, and the last one of two counts whole.
        now_s: seconds since 1970.

    Raises: ValueError.
    """
    if back := re.fullmatch(r"([0-9]{1,5})([dh])", text):
        return now_s - int(back[1]) * UNITS[back[2]], now_s + 1
    first, _, last = text.partition("..")
    begin, end = datetime.fromisoformat(first), datetime.fromisoformat(last or first)
    if re.fullmatch(r"[0-9-]+", last or first):
        end += timedelta(days=1)
    elif not last:
        raise ValueError("a moment has no end")
    if end <= begin:
        raise ValueError("it ends before it begins")
    return begin.timestamp(), end.timestamp()


def event_record(event: Event, image: str | None) -> dict[str, Any]:
    """Return an event as JSON values; `image` is its path or URL, None for none."""
    return event.as_dict() | {"image": image}


def hour_records(shares: Iterable[Share]) -> list[dict[str, Any]]:
    """Return hours as JSON values: each label with its share of the time that was seen."""
    shares = list(shares)
    sums: dict[tuple[str, int], float] = {}
    for share in shares:
        sums[share.zone, share.hour] = sums.get((share.zone, share.hour), 0.0) + share.seconds
    return [
        share.as_dict() | {"share": round(share.seconds / (sums[share.zone, share.hour] or 1.0), 4)}
        for share in shares
    ]


def csv_rows(columns: tuple[str, ...], records: Iterable[dict[str, Any]]) -> str:
    """Return records as CSV lines without a header; protected against formula injection."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for record in records:
        writer.writerow([cell(record[column]) for column in columns])
    return stream.getvalue()


def printed(
    reader: Reader, query: Query, form: str, image: Callable[[Event], str | None]
) -> Iterator[str]:
    """Yield the history in a format, in parts.

    Args:
        reader: of the file.
        query: which part of it.
        form: of FORMATS; CSV has the events alone.
        image: returns the path of an event's image; None for none.

    Raises: HistoryError.
    """
    events = reader.events(query)
    if form == "csv":
        yield ",".join(EVENT_COLUMNS) + "\n"
        for event in events:
            yield csv_rows(EVENT_COLUMNS, [event_record(event, image(event))])
    elif form == "json":
        hours = hour_records(reader.shares(query))
        yield f'{{"schema": {HISTORY_SCHEMA}, "hours": {json.dumps(hours)}, "events": ['
        before = "\n"
        for event in events:
            yield before + json.dumps(event_record(event, image(event)))
            before = ",\n"
        yield "\n]}\n"
    else:
        yield from _as_text(events, reader.shares(query))


def _as_text(events: Iterable[Event], shares: Iterable[Share]) -> Iterator[str]:
    """Yield a line for each event, the newest first, then one for each label."""
    for event in events:
        at = datetime.fromtimestamp(event.at_s).isoformat(" ", "seconds")
        note = "" if event.clock_is_set is not False else "  (clock not set)"
        zone = f"{one_line(event.zone)}: " if event.zone else ""
        after = f"{event.score:.2f}, after {event.lasted_s:.0f} s of {one_line(event.before)}"
        yield f"{at}  {zone}{one_line(event.after)} {after}{note}\n"
    sums: dict[tuple[str, str], float] = {}
    for share in shares:
        key = share.zone, share.label
        sums[key] = sums.get(key, 0.0) + share.seconds
    totals = {zone: sum(s for (of, _), s in sums.items() if of == zone) for zone, _ in sums}
    for (zone, label), seconds in sorted(sums.items(), key=lambda item: (item[0][0], -item[1])):
        name = one_line(f"{zone}: {label}" if zone else label)
        part = seconds / (totals[zone] or 1.0)
        yield f"{part:6.1%}  {seconds / HOUR_S:7.2f} h  {name}\n"
