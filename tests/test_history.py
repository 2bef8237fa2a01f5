"""The history: what is written when, kept how long, and read back."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from conftest import run
from live import HOTDOG, Watching, scenes, until, watching
from sightings import sighting

from edge.errors import ConfigurationError
from edge.service.sighting import Sighting
from edge.service.sinks.history import rows
from edge.service.sinks.history import sink as sink_module
from edge.service.sinks.history.export import span
from edge.service.sinks.history.reader import Query, Reader
from edge.service.sinks.history.rows import MAX_WAITING, Batch, Event, Rows, Share
from edge.service.sinks.history.settings import HistorySettings
from edge.service.sinks.history.sink import History
from edge.service.sinks.history.store import HistoryError, Store
from edge.sources.frame import Frame

NOW_S = 1_780_000_000.0
DAY_S = 86_400
JUMPY = ("--steady-frames", 1, "--steady-smoothing", 1, "--steady-hold-s", 0, "-t", 0)


def event(at_s: float = NOW_S, clock: bool | None = True, after: str = "cup") -> Event:
    return Event("", at_s, clock, "plate", after, 0.9, 3.5)


def frame(second: float, state: str = "cup", *, changed: bool = False, zone: str = "") -> Sighting:
    """A `Sighting` of a moment of the monotonic clock."""
    seen = sighting(state=state, changed=changed)
    at = Frame("here", b"", seen.result.captured_at, int(second * 1e9))
    return replace(seen, frame=at, zone=zone, clock_is_set=True)


def reader(path: Path) -> Reader:
    return Reader(path, path.parent)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def store(path: Path) -> Store:
    return Store(path, HistorySettings(on=True))


def write(store: Store, *events: Event, shares: tuple[Share, ...] = (), at_s: float = NOW_S) -> str:
    return store.write(Rows(events, shares), at_s, clock_is_set=True)


# --- when


def test_frames_are_counted_and_written_once_a_minute() -> None:
    batch, writes = Batch(), []
    for second in range(0, 600):
        batch.add(frame(second), NOW_S + second, second, "")
        if batch.due_s is not None and second >= batch.due_s:
            writes.append(batch.take())
    assert len(writes) == 9
    assert sum(share.frames for each in writes for share in each.shares) == 9 * 61
    assert all(each.events == () for each in writes)


def test_a_change_is_written_within_seconds() -> None:
    batch = Batch()
    batch.add(frame(0), NOW_S, 0.0, "")
    assert batch.due_s == 60.0
    batch.add(frame(1, "plate", changed=True), NOW_S + 1, 1.0, "1.jpg")
    batch.add(frame(2, "cup", changed=True), NOW_S + 2, 2.0, "")
    assert batch.due_s == 6.0
    taken = batch.take()
    assert [(each.after, each.image) for each in taken.events] == [("plate", "1.jpg"), ("cup", "")]
    assert batch.due_s is None


def test_time_goes_to_the_state_before_by_zone_and_a_gap_is_bounded() -> None:
    batch = Batch()
    for second, state in ((0, "cup"), (10, "cup"), (20, "plate"), (1000, "cup")):
        batch.add(frame(second, state), NOW_S, second, "")
        batch.add(frame(second, "open", zone="door"), NOW_S, second, "")
    seconds = {(share.zone, share.label): share.seconds for share in batch.take().shares}
    assert seconds == {("", "cup"): 20.0, ("", "plate"): 90.0, ("door", "open"): 110.0}


def test_what_could_not_be_written_waits_within_bounds() -> None:
    batch = Batch()
    batch.put_back(Rows(tuple(event() for _ in range(MAX_WAITING)), ()), 5.0)
    batch.add(frame(0, changed=True), NOW_S, 0.0, "")
    assert batch.lost == 1
    assert len(batch.take().events) == MAX_WAITING


# --- kept


def test_numbers_run_on_over_restarts_and_are_the_order(path: Path) -> None:
    for at_s in (NOW_S, 1000.0, NOW_S + 5):  # the clock was wrong in between
        with closing(Store(path, HistorySettings())) as store:
            write(store, event(at_s, clock=at_s > 2000))
    found = list(reader(path).events(Query()))
    assert [each.number for each in found] == [3, 2, 1]
    assert [each.clock_is_set for each in found] == [True, False, True]
    assert [each.number for each in reader(path).events(Query(from_s=NOW_S - 10))] == [3, 1]


def test_hours_are_summed(store: Store, path: Path) -> None:
    share = Share("door", 400_000, "cup", True, 30.0, 60)
    for _ in range(2):
        write(store, shares=(share, replace(share, label="plate", seconds=15.0)))
    cup, plate = reader(path).shares(Query())
    assert (cup.seconds, cup.frames, cup.zone, plate.seconds) == (60.0, 120, "door", 30.0)
    unknown = replace(share, clock_is_set=None)
    write(store, shares=(unknown, unknown))
    assert len(reader(path).shares(Query())) == 3


def test_old_rows_are_removed_by_a_clock_that_is_set(path: Path) -> None:
    with closing(Store(path, HistorySettings(max_days=10))) as store:
        old, young = event(NOW_S - 11 * DAY_S), event(NOW_S - 9 * DAY_S)
        shares = tuple(Share("", int(e.at_s // 3600), "cup", True, 1, 1) for e in (old, young))
        write(store, old, young, shares=shares, at_s=NOW_S - 9 * DAY_S)
        write(store, event(NOW_S))
    assert [each.number for each in reader(path).events(Query())] == [3, 2]
    assert len(reader(path).shares(Query())) == 1


@pytest.mark.parametrize("is_set", [False, None])
def test_a_clock_that_is_not_set_removes_nothing(path: Path, is_set: bool | None) -> None:
    with closing(Store(path, HistorySettings(max_days=1))) as store:
        for year in (0, 10, 20):
            at_s = NOW_S + year * 365 * DAY_S
            store.write(Rows((event(at_s, clock=is_set),), ()), at_s, clock_is_set=is_set)
        write(store, event(NOW_S))  # and a clock that is set judges no row whose own was not
    assert len(list(reader(path).events(Query()))) == 4


def test_a_row_of_a_wrong_clock_goes_with_those_before_it(path: Path) -> None:
    with closing(Store(path, HistorySettings(max_days=10))) as store:
        write(store, event(0.0, clock=False), event(NOW_S), event(0.0, clock=False))
        write(store, event(NOW_S + 11 * DAY_S), at_s=NOW_S + 11 * DAY_S)
    assert [each.number for each in reader(path).events(Query())] == [4, 3]


def test_the_file_stays_within_its_size_and_the_newest_stay(path: Path) -> None:
    with closing(Store(path, HistorySettings(max_mb=5.0))) as store:
        for batch in range(40):
            write(store, *(event(NOW_S + batch, after=f"label {n % 7}") for n in range(2000)))
            sizes = [each.stat().st_size for each in path.parent.glob(f"{path.name}*")]
            assert sum(sizes) < 5e6
    newest = next(reader(path).events(Query()))
    assert newest.number == 80_000
    assert 10_000 < len(list(reader(path).events(Query()))) < 75_000


def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with closing(Store(path, HistorySettings())) as store:
        assert "history.sqlite.damaged" in write(store, event())
        assert write(store, event()) == ""
    assert len(list(reader(path).events(Query()))) == 2
    assert path.with_name("history.sqlite.damaged").read_bytes().startswith(b"no database")


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with closing(Store(path, HistorySettings())) as store, pytest.raises(HistoryError, match="99"):
        write(store, event())
    assert path.read_bytes() == before


def test_a_failed_write_writes_nothing(store: Store, path: Path) -> None:
    write(store, event())
    wrong = replace(event(after="new"), score=None)
    with pytest.raises(TypeError):
        write(store, event(after="new"), wrong)
    write(store, event(after="new"))
    assert [each.after for each in reader(path).events(Query())] == ["new", "cup"]


# --- the sink


class Clock:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def lines() -> tuple[list[str], Callable[[str], None]]:
    said: list[str] = []
    return said, said.append


def test_the_sink_writes_in_a_thread_and_what_is_left_at_its_end(store: Store, path: Path) -> None:
    said, report = lines()
    sink = History(store, report, lambda seen: f"{seen.number}.jpg", wall=lambda: NOW_S)
    sink(frame(0, changed=True))
    sink.close()
    (kept,) = reader(path).events(Query())
    assert (kept.after, kept.image, kept.clock_is_set) == ("cup", "1.jpg", True)
    assert (said, sink.failures, sink.trouble) == ([], 0, "")


def test_a_folder_that_is_gone_is_one_line_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "EVENT_S", 0.02)
    monkeypatch.setattr(sink_module, "FIRST_PAUSE_S", 0.02)
    folder, (said, report) = tmp_path / "gone", lines()
    store = Store(folder / "history.sqlite", HistorySettings())
    sink = History(store, report)
    try:
        sink(frame(0, changed=True))
        until(lambda: sink.failures >= 2)
        assert sink.trouble == "history cannot be written"
        assert len(said) == 1 and "unable to open database file; retrying" in said[0]
        folder.mkdir()
        until(lambda: not sink.trouble)
    finally:
        sink.close()
    assert len(list(reader(folder / "history.sqlite").events(Query()))) == 1
    assert "works again" in said[1]


def test_the_loop_does_not_wait_for_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "EVENT_S", 0.02)
    blocked = threading.Event()
    store.write = lambda *_, **__: str(blocked.wait(20))[:0]  # type: ignore[method-assign]
    sink = History(store, lambda line: None)
    began = time.monotonic()
    for number in range(1000):
        sink(frame(number, changed=True))
    assert time.monotonic() - began < 2
    blocked.set()
    sink.close()


# --- read


def test_a_query_chooses_by_time_label_zone_and_text(store: Store, path: Path) -> None:
    names = ("Hot dog", "cat", "hot tea")
    events = [event(NOW_S + n, after=names[n % 3]) for n in range(1200)]
    write(store, *events, replace(event(NOW_S), zone="door", before="=cat", after="open"))
    found = reader(path)
    assert len(list(found.events(Query()))) == 1201  # of several chunks
    assert len(list(found.events(Query(limit=700)))) == 700
    assert [e.number for e in found.events(Query(before=3))] == [2, 1]
    assert len(list(found.events(Query(label="cat")))) == 400
    assert len(list(found.events(Query(text="HOT")))) == 800
    assert [e.after for e in found.events(Query(text="=C"))] == ["open"]
    assert [e.after for e in found.events(Query(zone="door"))] == ["open"]
    assert list(found.events(Query(label="fox"))) == list(found.events(Query(zone="no"))) == []
    inside = Query(from_s=NOW_S + 10, to_s=NOW_S + 20)
    assert [e.number for e in found.events(inside)] == list(range(20, 10, -1))


def test_without_a_file_there_is_nothing(path: Path) -> None:
    assert list(reader(path).events(Query())) == reader(path).shares(Query()) == []
    assert not path.exists()


def test_only_images_of_the_snapshots_folder_are_found(path: Path, tmp_path: Path) -> None:
    name = "00000001-20260301T123015.250Z-cup-0.90.jpg"
    (tmp_path / name).write_bytes(b"x")
    assert reader(path).image(replace(event(), image=name)) == tmp_path / name
    for odd in ("", "../history.sqlite", "other.jpg", name.replace("cup", "../cup")):
        assert reader(path).image(replace(event(), image=odd)) is None


@pytest.mark.parametrize(
    "text, hours", [("12h", 12), ("7d", 168), ("2026-03-01", 24), ("2026-03-01..2026-03-03", 72)]
)
def test_times_on_the_terminal(text: str, hours: int) -> None:
    begin, end = span(text, NOW_S)
    assert round((end - begin) / 3600) == hours


@pytest.mark.parametrize("text", ["", "x", "7w", "2026-13-01", "2026-03-02..2026-03-01", "-1d"])
def test_what_is_no_time_is_rejected(text: str) -> None:
    with pytest.raises(ValueError):
        span(text, NOW_S)


@pytest.mark.parametrize(
    "options, line",
    [
        (("--history=7w",), "--history: must be 12h, 7d, DAY or DAY..DAY. Received: '7w'"),
        (("--format", "csv"), "--format: is only for --history"),
    ],
)
def test_wrong_usage_on_the_terminal_is_one_line(options: tuple[str, ...], line: str) -> None:
    done = run("-m", "edge", "watch", *options)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"edge-watch: {line}")


@pytest.mark.parametrize("key, value", [("max_days", 0), ("max_mb", 1.0), ("max_mb", "x")])
def test_a_wrong_setting_names_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"history.{key}: must be "):
        HistorySettings(**{key: value})


# --- a real service


def test_the_service_keeps_it_and_serves_it(tmp_path: Path) -> None:
    options = ("--fps", 8, *JUMPY, "--snapshots-folder", tmp_path / "snapshots", "--history-on")
    with watching(tmp_path, scenes(tmp_path / "scenes", 2), *options) as service:
        assert service.document("/latest.json")["history"] is True
        events = until(lambda: service.document("/history/events.json")["events"])
        check_api(service, events)
        service.end()
    where = {"STATE_DIRECTORY": str(service.state)}
    options = ("--history", "1d", "--snapshots-folder", str(tmp_path / "snapshots"))
    printed = run("-m", "edge", "watch", *options, "--format", "json", env=os.environ | where)
    document = json.loads(printed.stdout)
    assert document["schema"] == 1 and len(document["events"]) >= len(events)
    assert Path(document["events"][0]["image"]).is_file()
    frames = sum(hour["frames"] for hour in document["hours"])
    assert frames >= len(document["events"])
    text = run("-m", "edge", "watch", *options, env=os.environ | where).stdout
    assert text.count("after") == len(document["events"]) and "hotdog" in text


def check_api(service: Watching, events: list[dict[str, object]]) -> None:
    newest = max(e["number"] for e in events)
    assert [e["number"] for e in events] == sorted((e["number"] for e in events), reverse=True)
    answer, image = service.get(f"/{events[-1]['image']}")
    assert answer.status == 200 and image.startswith(b"\xff\xd8")
    rows = list(
        csv.reader(io.StringIO(service.get("/history/events.csv?label=hotdog")[1].decode()))
    )
    assert rows[0][:3] == ["number", "zone", "at"] and {row[5] for row in rows[1:]} == {"hotdog"}
    hours = service.document("/history/hours.json")["hours"]
    assert abs(sum(hour["share"] for hour in hours) - 1) < 0.01
    first = str(events[-1]["at"]).replace("+00:00", "Z")
    early = service.document(f"/history/events.json?to={first}")
    assert early["events"] == [] and "hotdog" in early["labels"] and early["zones"] == [""]
    one = service.document(f"/history/events.json?limit=1&before={newest + 1}")["events"]
    assert [e["number"] for e in one] == [newest]
    for wrong in ("from=yesterday", "limit=x", "before=-1", "to=9" * 40):
        assert service.get(f"/history/events.json?{wrong}")[0].status == 400
    for missing in ("/history/999999.jpg", "/history/1.png", "/history/../latest.json"):
        assert service.get(missing)[0].status == 404


def test_it_is_off_by_default(tmp_path: Path) -> None:
    with watching(tmp_path, HOTDOG, "--fps", 8) as service:
        service.after(2)
        assert service.document("/latest.json")["history"] is False
        for path in ("/history/events.json", "/history/hours.csv", "/history/1.jpg"):
            answer, content = service.get(path)
            assert answer.status == 404 and b"set on = true under [history]" in content
    assert not list(service.state.glob("history*"))


def test_csv_is_protected_against_formulas(store: Store, path: Path) -> None:
    write(store, replace(event(), after='=HYPERLINK("http://x")', zone="@a"))
    done = run("-m", "edge", "watch", "--history=2026-01-01..2027-01-01", "--format", "csv",
               "--history-file", str(path))  # fmt: skip
    _, row = csv.reader(io.StringIO(done.stdout))
    assert row[1] == "'@a" and row[5] == '\'=HYPERLINK("http://x")'
    assert datetime.fromisoformat(row[2]).timestamp() == NOW_S
