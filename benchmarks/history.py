"""What the history costs and keeps: python benchmarks/history.py [--only PARTS] [--count COUNT].

replay  frames and events through the sink's own batch and file, by a clock of its own: size of the
        file, writes in minutes in which nothing changes, processor time of a frame
modes   a minute's write by journal and synchronous: time, bytes that the disk is sent
page    a real service with that file: the page of a day over HTTP, and in Chromium
writes  a real service on a still scene: writes by minute
kill    a process that writes is killed (SIGKILL): what is lost, whether the file can be read
power   the same on ext4, cloned without what is not synced; as root, needs loop devices and XFS

For kill and power a minute is shortened to MINUTE_S, so that fifty of each take minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


from edge.service.sinks.history import rows, store  # noqa: E402
from edge.service.sinks.history.reader import Query, Reader  # noqa: E402
from edge.service.sinks.history.rows import Batch  # noqa: E402
from edge.service.sinks.history.settings import HistorySettings  # noqa: E402
from edge.service.sinks.history.sink import History  # noqa: E402
from edge.service.sinks.history.store import Store  # noqa: E402
from edge.service.zones.steady import Change  # noqa: E402
from edge.sources.frame import Frame  # noqa: E402

PARTS = ("replay", "modes", "page", "writes", "kill", "power")
BEGIN_S = 1_767_225_600  # 2026-01-01
FPS = 5.0
ACTIVE_HOURS = range(7, 13)  # of each day, in which the states change
LABELS = ("cat", "dog", "fox", "hedgehog", "postman", "crow", "empty", "unknown")
MINUTE_S = 3.0  # instead of 60, for kill and power
EVENT_S = 0.25  # instead of 5
GRACE_S = 0.2  # of MINUTE_S: a write itself, on a busy machine
CHILD_FPS = 50


@dataclass
class Drawn:
    """A frame as the sink sees it, changed in place: ten million objects take minutes."""

    number: int = 0
    state: str = LABELS[-1]
    change: Change | None = None
    zone: str = ""
    clock_is_set: bool | None = True
    frame: Frame = field(default_factory=lambda: Frame("drawn", b"", datetime.now(UTC), 0))

    def at(self, number: int, second: float, state: str) -> Drawn:
        """Become the frame of a moment."""
        self.change = Change(self.state, state, 0.9, 5.0) if state != self.state else None
        self.number, self.state = number, state
        object.__setattr__(self.frame, "captured_ns", int(second * 1e9))
        return self


# --- replay


def replay(path: Path, frames: int, events: int) -> None:
    """Write frames and events, and print the time and space that they take."""
    store.SYNCHRONOUS = "OFF"  # the size is the same, and the card's time is measured elsewhere
    seconds, drawn, batch = frames / FPS, Drawn(), Batch()
    kept = Store(path, HistorySettings(on=True))
    every = max(1, int(0.95 * frames * len(ACTIVE_HOURS) / 24 / events))
    writes: dict[int, int] = {}
    active: set[int] = set()
    planned = changed = 0
    began = time.process_time()
    for number in range(frames):
        second = number / FPS
        if int(second // 3600) % 24 in ACTIVE_HOURS:
            planned += 1
            if planned % every == 0 and changed < events:
                changed += 1
                active.add(int(second // 60))
                drawn.at(number, second, LABELS[changed % len(LABELS)])
        drawn.at(number, second, drawn.state) if drawn.change is None else None
        batch.add(drawn, BEGIN_S + second, second, "0" * 45 + ".jpg" if drawn.change else "")
        drawn.change = None
        if batch.due_s is not None and second >= batch.due_s:
            kept.write(batch.take(), BEGIN_S + second, clock_is_set=True)
            writes[int(second // 60)] = writes.get(int(second // 60), 0) + 1
    kept.write(batch.take(), BEGIN_S + seconds, clock_is_set=True)
    used_s = time.process_time() - began
    kept.close()
    still = [count for minute, count in writes.items() if minute not in active]
    found = sum(1 for _ in Reader(path, path.parent).events(Query()))
    counted = sum(share.frames for share in Reader(path, path.parent).shares(Query()))
    size = sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
    print(
        f"replay: {counted:,} of {frames:,} frames and {found:,} of {changed:,} events in the "
        f"file, {seconds / 86_400:.1f} days at {FPS:g} a second: {size / 1e6:.1f} MB; "
        f"{sum(writes.values()):,} writes; at most {max(still, default=0)} in each of "
        f"{len(still):,} minutes without a change; {used_s / frames * 1e6:.1f} us of processor "
        f"time a frame, with the writes"
    )


# --- modes


def modes(folder: Path) -> None:
    """Print what a write costs by journal and synchronous."""
    for journal, synchronous in (
        ("WAL", "NORMAL"), ("WAL", "FULL"), ("DELETE", "FULL"), ("DELETE", "EXTRA"),
        ("TRUNCATE", "FULL"),
    ):  # fmt: skip
        store.JOURNAL, store.SYNCHRONOUS = journal, synchronous
        kept, times = Store(folder / f"{journal}-{synchronous}", HistorySettings(on=True)), []
        before = written_bytes(os.getpid())
        for minute in range(200):
            batch, drawn = Batch(), Drawn()
            for second in range(60):
                batch.add(drawn.at(second, second, drawn.state), BEGIN_S + minute * 60, second, "")
            began = time.perf_counter()
            kept.write(batch.take(), BEGIN_S + minute * 60, clock_is_set=True)
            times.append((time.perf_counter() - began) * 1000)
        kept.close()
        sent = (written_bytes(os.getpid()) - before) / len(times)
        print(
            f"modes: {journal} {synchronous}: {statistics.median(times):.2f} ms (median), "
            f"{max(times):.1f} ms (maximum), {sent / 1000:.1f} kB a write, {len(times)} writes"
        )
    store.JOURNAL, store.SYNCHRONOUS = "WAL", "FULL"


def written_bytes(pid: int) -> int:
    """What a process has had written to disks."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


# --- page


def page(path: Path, count: int) -> None:
    """Print how soon the page of a day is there."""
    from live import HOTDOG, watching

    days = sorted({int(share.hour // 24) for share in Reader(path, path.parent).shares(Query())})
    choose = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        options = ("--fps", 2, "--history-on", "--history-file", path)
        with watching(Path(folder), HOTDOG, *options) as service:
            service.after(2)
            shown = [
                day_over_http(service.port, service.process.pid, choose.choice(days))
                for _ in range(count)
            ]
            took_ms = [each.took_ms for each in shown]
            print(
                f"page: a day of {len(days)}, five requests over HTTP: "
                f"{statistics.median(took_ms):.0f} ms (median), {max(took_ms):.0f} ms (maximum) of "
                f"{count}; {statistics.median(each.size for each in shown) / 1000:.0f} kB; "
                f"in two of the slowest: {slowest(shown, 2)}"
            )
            day_in_browser(service.port, choose, days, min(count, 10))


@dataclass(frozen=True)
class Shown:
    """What the page of a day took."""

    each_ms: dict[str, float]  # by request
    size: int  # bytes
    waited_ms: tuple[float, float]  # in which the service's threads, and this one, had no processor

    @property
    def took_ms(self) -> float:
        """All of it."""
        return sum(self.each_ms.values())


def slowest(shown: list[Shown], count: int) -> str:
    """Where the time went in the slowest ones."""
    lines = []
    for each in sorted(shown, key=lambda one: -one.took_ms)[:count]:
        name, most_ms = max(each.each_ms.items(), key=lambda item: item[1])
        service, here = each.waited_ms
        lines.append(
            f"number {shown.index(each) + 1} {each.took_ms:.0f} ms, {most_ms:.0f} for {name}, "
            f"{service:.0f} and {here:.0f} without a processor (service, this program)"
        )
    return "; ".join(lines)


def waited_ms(pid: int) -> float:
    """How long the threads of a process have been ready to run, and did not."""
    waited_ns = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # it has ended
            waited_ns += int(thread.read_text().split()[1])
    return waited_ns / 1e6


def day_over_http(port: int, pid: int, day: int) -> Shown:
    """Request what the page of a day needs."""
    begin, end = (
        datetime.fromtimestamp(at * 86_400, UTC).isoformat().replace("+00:00", "Z")
        for at in (day, day + 1)
    )
    wanted = ("history.html", "page.css", "history.js")
    asked = f"from={begin}&to={end}"
    wanted += (f"history/events.json?{asked}&limit=61", f"history/hours.json?{asked}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    size, each_ms, before = 0, {}, (waited_ms(pid), waited_ms(os.getpid()))
    for each in wanted:
        began = time.perf_counter()
        connection.request("GET", f"/{each}")
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        size += len(content)
        each_ms[each.partition("?")[0]] = (time.perf_counter() - began) * 1000
    connection.close()
    return Shown(each_ms, size, (waited_ms(pid) - before[0], waited_ms(os.getpid()) - before[1]))


def day_in_browser(port: int, choose: random.Random, days: list[int], count: int) -> None:
    """Print how soon a day's events are on the page of a real browser, from its choice on."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        chromium = None
    if not chromium:
        print("page: no Chromium here")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown, times = browser.new_page(), []
        shown.goto(f"http://127.0.0.1:{port}/history.html")
        for _ in range(count):
            day = datetime.fromtimestamp(choose.choice(days) * 86_400, UTC).date().isoformat()
            times.append(
                shown.evaluate(
                    """async (day) => { $("day").value = day; const began = performance.now();
                    await show(); await new Promise(requestAnimationFrame);
                    return performance.now() - began; }""",
                    day,
                )
            )
        browser.close()
    print(
        f"page: a day in Chromium, from its choice to its rows: {statistics.median(times):.0f} ms "
        f"(median), {max(times):.0f} ms (maximum) of {count}"
    )


# --- writes


def writes(minutes: float) -> None:
    """Print how often a real service writes while nothing changes."""
    from live import HOTDOG, watching

    with (
        tempfile.TemporaryDirectory() as folder,
        watching(Path(folder), HOTDOG, "--fps", FPS, "--history-on") as service,
    ):
        service.after(20)  # after the first change of state
        time.sleep(10)
        files = [service.state / f"history.sqlite{suffix}" for suffix in ("", "-wal")]
        before = written_bytes(service.process.pid)
        seen, moments, end = None, 0, time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            now = tuple(each.stat().st_mtime_ns for each in files)
            moments += seen is not None and now != seen
            seen = now
            time.sleep(0.2)
        sent = written_bytes(service.process.pid) - before
        frames = service.document("/latest.json")["result"]["frame"]
    print(
        f"writes: {moments} in {minutes:g} minutes of {frames} frames without a change, "
        f"{sent / minutes / 1000:.1f} kB a minute to the disk by the whole service"
    )


# --- kill and power


def child(path: Path, synchronous: str) -> None:
    """Write for ever, and print a line for each frame: frames and events until then."""
    rows.WRITE_S, rows.EVENT_S, store.SYNCHRONOUS = MINUTE_S, EVENT_S, synchronous
    sink = History(Store(path, HistorySettings(on=True)), lambda line: print(line, file=sys.stderr))
    drawn, events = Drawn(), 0
    for number in range(1, 10**9):
        state = LABELS[number // 70 % len(LABELS)]
        sighting = drawn.at(number, time.monotonic(), state)
        events += sighting.change is not None
        sink(sighting)
        print(number, events, time.monotonic(), flush=True)
        time.sleep(1 / CHILD_FPS)


class Writing:
    """A process that writes, and what it had taken when."""

    def __init__(self, path: Path, synchronous: str = "FULL") -> None:
        """Args: the file; SQLite's synchronous."""
        words = [sys.executable, __file__, "--child", path, "--synchronous", synchronous]
        self.process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True)
        self.taken: list[tuple[int, int, float]] = []  # frames, events, when
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # the last line may be half
                number, events, at = line.split()
                self.taken.append((int(number), int(events), float(at)))

    def wait_for(self, frames: int) -> None:
        """Wait until it has taken that number."""
        while len(self.taken) < frames:
            assert self.process.poll() is None
            time.sleep(0.01)

    def kill(self) -> float:
        """Kill it, and return when."""
        self.process.send_signal(signal.SIGKILL)
        at = time.monotonic()
        self.process.wait()
        self._reading.join(5)
        assert self.process.stdout
        self.process.stdout.close()
        return at


@dataclass(frozen=True)
class Kept:
    """What is in a file."""

    frames: int
    events: int

    @classmethod
    def of(cls, path: Path) -> Kept:
        """Read it, whole. Raises: sqlite3.Error, ValueError where it is damaged."""
        if not path.exists():
            return cls(0, 0)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check").fetchone()
            if said != "ok":
                raise ValueError(said)
        reader = Reader(path, path.parent)
        frames = sum(share.frames for share in reader.shares(Query()))
        return cls(frames, sum(1 for _ in reader.events(Query())))


@dataclass
class Judged:
    """Kills or cuts, and what they lost."""

    tried: int = 0
    readable: int = 0
    lost_s: list[float] = field(default_factory=list)  # from the first frame that is lost on
    lost_event_s: list[float] = field(default_factory=list)

    def judge(
        self, path: Path, taken: list[tuple[int, int, float]], at: float, before: Kept
    ) -> None:
        """Look at what is left of a file whose writer was stopped at a moment."""
        self.tried += 1
        try:
            kept = Kept.of(path)
        except (sqlite3.Error, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return
        self.readable += 1
        frames, events = kept.frames - before.frames, kept.events - before.events
        lost = next((when for number, _, when in taken if number > frames and when <= at), at)
        lost_event = next((when for _, count, when in taken if count > events and when <= at), at)
        self.lost_s.append(at - lost)
        self.lost_event_s.append(at - lost_event)

    def holds(self) -> bool:
        """Whether all could be read, and lost no more than the time between two writes."""
        is_readable = self.readable == self.tried
        return is_readable and max(self.lost_s, default=0.0) <= MINUTE_S + GRACE_S

    def text(self, what: str) -> str:
        """Return the result in a line; seconds of a minute, which was shortened."""
        scale = 60 / MINUTE_S
        lost, event = sorted(self.lost_s), sorted(self.lost_event_s)
        if not lost:
            return f"{what}: none of {self.tried} readable"
        return (
            f"{what}: {self.readable} of {self.tried} readable; of a minute of 60 s lost "
            f"{statistics.median(lost) * scale:.0f} s (median), "
            f"{lost[-1] * scale:.0f} s (maximum); "
            f"events of {statistics.median(event) * scale:.0f} s, {event[-1] * scale:.0f} s; "
            f"within the minute: {sum(s <= MINUTE_S + GRACE_S for s in lost)}"
        )


def kills(path: Path, count: int, seed: int = 1) -> Judged:
    """Kill the writer of one file again and again."""
    judged, choose = Judged(), random.Random(seed)
    for _ in range(count):
        before = Kept.of(path)
        writing = Writing(path)
        writing.wait_for(1)
        time.sleep(choose.uniform(0.0, 2.2 * MINUTE_S))
        at = writing.kill()
        judged.judge(path, writing.taken, at, before)
    return judged


class RigError(RuntimeError):
    """This machine cannot cut the power of a disk."""


class Disk:
    """An ext4 disk that can be cloned as a power cut would leave it: deploy/testbed/disk.sh."""

    def __init__(self, work: Path) -> None:
        """Args: an empty folder."""
        self.work, self.mounted = work, work / "disk"

    def call(self, command: str, check: bool = True) -> str:
        """Run functions of disk.sh."""
        script = f'work={self.work}; . {ROOT}/deploy/testbed/disk.sh; store="$work/store"; '
        script += f'mounted="$work/disk"; {command}'
        done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True)
        if check and done.returncode:
            raise RigError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def attached(self, name: str) -> Iterator[Path]:
        """Have a disk mounted for a while."""
        self.call(f"attach {name}")
        try:
            yield self.mounted
        finally:
            self.call("detach || { sleep 1; detach; }")


@contextlib.contextmanager
def disk() -> Iterator[Disk]:
    """Make a disk named `main`, on a rig that loses what was not synced. Raises: RigError."""
    with tempfile.TemporaryDirectory() as folder:
        made = Disk(Path(folder))
        try:
            made.call("make_store; loses_unsynced; make_disk main")
            yield made
        finally:
            made.call("remove_store", check=False)


def cuts(made: Disk, count: int, synchronous: str = "FULL", seed: int = 1) -> Judged:
    """Cut the power of one run of a writer at random moments; each clone is looked at."""
    judged, choose, moments = Judged(), random.Random(seed), []
    with made.attached("main") as place:
        writing = Writing(place / "history.sqlite", synchronous)
        writing.wait_for(1)
        for number in range(count):
            time.sleep(choose.uniform(0.0, 1.2 * MINUTE_S))
            made.call(f"clone main cut-{number}")
            moments.append(time.monotonic())
        writing.kill()
    for number, at in enumerate(moments):
        with made.attached(f"cut-{number}") as place:
            judged.judge(place / "history.sqlite", writing.taken, at, Kept(0, 0))
    return judged


def main() -> int:
    """Print what was measured; exit 1 if a kill or a cut lost more than it may."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    options.add_argument("--count", type=int, default=50, help="kills, cuts and pages")
    options.add_argument("--frames", type=int, default=10_000_000)
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--minutes", type=float, default=10.0, help="of writes")
    options.add_argument("--synchronous", default="FULL", help="of power: NORMAL shows a loss")
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.child:
        child(args.child, args.synchronous)
    parts, held = args.only.split(","), True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        if {"replay", "page"} & set(parts):
            replay(path, args.frames, args.events)
        if "modes" in parts:
            modes(Path(folder))
        if "page" in parts:
            page(path, args.count)
        if "writes" in parts:
            writes(args.minutes)
        if "kill" in parts:
            judged = kills(Path(folder) / "killed.sqlite", args.count)
            print(judged.text("kill -9"))
            held &= judged.holds()
        if "power" in parts:
            with disk() as made:
                judged = cuts(made, args.count, args.synchronous)
            print(judged.text(f"power cut, synchronous {args.synchronous}"))
            held &= judged.holds()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
