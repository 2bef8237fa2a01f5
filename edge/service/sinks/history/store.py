"""The file of the history: SQLite, written a batch at a time, bounded by age and size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import EdgeError
from edge.service.sinks.history.rows import HOUR_S, Event, Rows, Share
from edge.service.sinks.history.settings import HistorySettings

VERSION = 1  # of the tables below; PRAGMA user_version
TABLES = """
CREATE TABLE names(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE events(
  number INTEGER PRIMARY KEY AUTOINCREMENT, zone INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  clock INTEGER NOT NULL, before INTEGER NOT NULL, after INTEGER NOT NULL, score REAL NOT NULL,
  lasted_s REAL NOT NULL, image TEXT NOT NULL);
CREATE INDEX events_at ON events(at_ms);
CREATE TABLE shares(
  number INTEGER PRIMARY KEY AUTOINCREMENT, zone INTEGER NOT NULL, hour INTEGER NOT NULL,
  label INTEGER NOT NULL, clock INTEGER NOT NULL, seconds REAL NOT NULL, frames INTEGER NOT NULL,
  UNIQUE(hour, zone, label, clock));
"""
CLOCKS = {True: 1, False: 0, None: -1}  # set by the network, not set, unknown
# A write-ahead log: readers do not wait for a write. FULL: what was written is there after a power
# cut; with NORMAL it is lost until the log moves into the file (benchmarks/history.py).
JOURNAL, SYNCHRONOUS = "WAL", "FULL"
WAL_PAGES = 200  # of 4096 bytes, after which they move into the file
WAL_BYTES = 2 * 10**6  # that the -wal file may take beside it, within the limit
TRIM = 50  # a fiftieth of the rows is removed at a time, the oldest
# What SQLite returns for a file that is damaged or none of its own.
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class HistoryError(EdgeError):
    """The history cannot be used."""


def connect(path: Path, *, write: bool = False) -> sqlite3.Connection:
    """Open the file. Raises: sqlite3.Error."""
    mode = "rwc" if write else "ro"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=5.0
    )


class Store:
    """Writes. For one thread: the one that calls it first."""

    def __init__(self, path: Path, settings: HistorySettings) -> None:
        """Args: the file, which is opened at the first write; its limits."""
        self.path, self._settings = path, settings
        self._connection: sqlite3.Connection | None = None
        self._names: dict[str, int] = {}
        self._trimmed_hour = -1

    def write(self, rows: Rows, now_s: float, *, clock_is_set: bool | None) -> str:
        """Write all or nothing, durably; return what had to be set aside, in a line, or "".

        Args:
            rows: what to write.
            now_s: seconds since 1970.
            clock_is_set: whether the network has set the clock by which that is.

        Raises: sqlite3.Error, OSError, HistoryError.
        """
        try:
            self._write(rows, now_s, clock_is_set)
        except BaseException as error:
            self.close()  # the numbers of names that were not written go with it
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
                raise
            aside = self._set_aside()
            self._write(rows, now_s, clock_is_set)
            return f"{self.path}: is damaged, and was kept as {aside.name}; a new one was started"
        return ""

    def close(self) -> None:
        """Close the file."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _write(self, rows: Rows, now_s: float, clock_is_set: bool | None) -> None:
        connection = self._open()
        # First: if this fails, nothing was written, and nothing is written twice.
        if clock_is_set and int(now_s // HOUR_S) != self._trimmed_hour:
            self._trim_age(connection, now_s - self._settings.max_days * 86_400)
            self._trimmed_hour = int(now_s // HOUR_S)
        self._trim_size(connection)
        with _transaction(connection):
            connection.executemany(
                "INSERT INTO events(zone, at_ms, clock, before, after, score, lasted_s, image)"
                " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                [self._event(event) for event in rows.events],
            )
            connection.executemany(
                "INSERT INTO shares(zone, hour, label, clock, seconds, frames)"
                " VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " seconds = seconds + excluded.seconds, frames = frames + excluded.frames",
                [self._share(share) for share in rows.shares],
            )

    def _open(self) -> sqlite3.Connection:
        """Return the connection, and begin the file where there is none."""
        if self._connection:
            return self._connection
        connection = connect(self.path, write=True)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                fault = f"was written by a newer version of edge-classify (format {version})"
                raise HistoryError(
                    self.path, fault, "install that version, or set another history.file"
                )
            if version == 0:  # before there is a table, else it would have no effect
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute(f"PRAGMA journal_mode = {JOURNAL}")
            connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES // 2}")
            if version == 0:
                connection.executescript(f"BEGIN;{TABLES}PRAGMA user_version = {VERSION}; COMMIT;")
            self._names = {
                text: number for number, text in connection.execute("SELECT id, text FROM names")
            }
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _set_aside(self) -> Path:
        """Rename what is damaged; of several the last one is kept."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return aside

    def _event(self, event: Event) -> tuple[object, ...]:
        at_ms, clock = round(event.at_s * 1000), CLOCKS[event.clock_is_set]
        zone, before, after = map(self._name, (event.zone, event.before, event.after))
        score, lasted_s = round(event.score, 6), round(event.lasted_s, 3)
        return zone, at_ms, clock, before, after, score, lasted_s, event.image

    def _share(self, share: Share) -> tuple[object, ...]:
        zone, label = self._name(share.zone), self._name(share.label)
        clock = CLOCKS[share.clock_is_set]
        return zone, share.hour, label, clock, round(share.seconds, 3), share.frames

    def _name(self, text: str) -> int:
        """Return the number of a zone or label, within the transaction that is under way."""
        assert self._connection
        if text not in self._names:
            cursor = self._connection.execute("INSERT INTO names(text) VALUES(?)", (text,))
            self._names[text] = int(cursor.lastrowid or 0)
        return self._names[text]

    def _trim_age(self, connection: sqlite3.Connection, before_s: float) -> None:
        """Remove what is older, by rows whose clock was set.

        Rows are in the order in which they happened, even if their clock was wrong. So a row is old
        if a later one is, and none before that is young: a clock that was wrong removes nothing.
        """
        for table, column, unit_s in (("events", "at_ms", 0.001), ("shares", "hour", HOUR_S)):
            limit = before_s / unit_s
            young = f"SELECT min(number) FROM {table} WHERE clock = 1 AND {column} >= ?"
            first = connection.execute(young, (limit,)).fetchone()[0]
            old = f"SELECT max(number) FROM {table} WHERE clock = 1 AND {column} < ?"
            old += " AND number < ?"
            last = connection.execute(old, (limit, 2**62 if first is None else first)).fetchone()[0]
            if last is not None:
                connection.execute(f"DELETE FROM {table} WHERE number <= ?", (last,))

    def _trim_size(self, connection: sqlite3.Connection) -> None:
        """Remove the oldest rows until all that is left fits, and give the room back."""
        limit = self._settings.max_mb * 1e6 - WAL_BYTES
        if _pragma(connection, "page_count") * _pragma(connection, "page_size") <= limit:
            return
        while self._used(connection) > 0.98 * limit and self._trim_oldest(connection):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        connection.execute("PRAGMA incremental_vacuum").fetchall()

    def _used(self, connection: sqlite3.Connection) -> int:
        """Return the bytes of the pages that hold something."""
        pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
        return pages * _pragma(connection, "page_size")

    def _trim_oldest(self, connection: sqlite3.Connection) -> int:
        """Remove the oldest rows of each table, and return how many."""
        count = 0
        with _transaction(connection):
            for table in ("events", "shares"):
                bounds = f"SELECT min(number), max(number) FROM {table}"
                first, last = connection.execute(bounds).fetchone()
                if first is not None:
                    upto = first + (last - first) // TRIM
                    removed = connection.execute(f"DELETE FROM {table} WHERE number <= ?", (upto,))
                    count += removed.rowcount
        return count


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. Raises: sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
