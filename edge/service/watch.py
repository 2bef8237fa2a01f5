"""The service's loop: source -> classify each zone -> steady -> sinks; systemd hears of it."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from edge.service.control import Control
from edge.service.process.guard import MemoryGuard
from edge.service.process.pace import Pace
from edge.service.process.systemd import Notifier
from edge.service.sighting import Sink
from edge.service.zones.zone import Zone, look
from edge.sources.frame import Frame, Waiting

MAX_REPORTED = 1000  # images whose fault is remembered
LONGEST_PAUSE_S = 1.0  # after images that cannot be read


class Unreadable:
    """Counts images that cannot be read, and reports each once.

    A damaged image in a folder that repeats filled 427 MB of the journal in a day.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        """Args: what takes one line."""
        self.count = 0
        self._report = report
        self._reported: OrderedDict[str, str] = OrderedDict()  # by source: as the file then was

    def __call__(self, source: str, line: str) -> None:
        """Note an image; a line about it where the file is another one than before."""
        self.count += 1
        state = f"{_signature(source)} {line}"
        if self._reported.get(source) != state:
            self._reported[source] = state
            self._report(line)
        self._reported.move_to_end(source)
        if len(self._reported) > MAX_REPORTED:
            self._reported.popitem(last=False)


def _signature(source: str) -> str:
    with contextlib.suppress(OSError, ValueError):
        status = Path(source).stat()
        return f"{status.st_mtime_ns} {status.st_size}"
    return ""


def watch(
    source: Iterable[Frame | Waiting],
    zones: Sequence[Zone],
    sinks: Sequence[Sink],
    notifier: Notifier,
    pace: Pace,
    *,
    control: Control,
    guard: MemoryGuard,
    asked: Callable[[], bool] = bool,
    unreadable: Unreadable,
    helper: Executor | None = None,
) -> int:
    """Classify frames until they end, and return how many were classified.

    The watchdog is fed by classified frames, and by a source that is on its way back for a time
    that has an end: a loop that turns without either is not alive.

    Args:
        source: a camera, or a folder.
        zones: each classifies its part of a frame; one without a name is all of it.
        sinks: receive each `Sighting`; `delivery.py` handles one that fails.
        notifier: notifies systemd.
        pace: how often.
        control: what commands have changed.
        guard: ends the service before it takes too much memory.
        asked: whether the next frame's image was requested.
        unreadable: counts and reports images that cannot be read.
        helper: prepares the next zones' parts of a frame meanwhile; None: each has to wait.
    """
    number, bad = 0, 0
    for item in source:
        for command in control.taken():
            for sink in sinks:
                sink.note(command)
        if isinstance(item, Waiting):
            for zone in zones:
                zone.forget(rests=bool(item.rest))
            notifier.waiting(item.reason)
            if item.rest:
                pace.start_over()
            turns = pace.pause()  # the source itself has waited
        else:
            pace.begin()
            every, was_seen = control.takes_now(), False
            for sighting in look(
                zones, item, number + 1, unreadable, asked=asked, every=every, helper=helper
            ):
                was_seen = True
                for sink in sinks:
                    sink(sighting)
            if was_seen:
                number, bad = number + 1, 0
                notifier.alive(_status(zones, pace, sinks))
                turns = pace.rest()
            else:  # the next one is due at once, for this one was none
                bad += 1
                turns = pace.pause(_pause_s(bad))
        for _ in turns:
            guard.poll()
            for zone in zones:
                zone.follow()
    return number


def _status(zones: Sequence[Zone], pace: Pace, sinks: Sequence[Sink]) -> str:
    """One line: the states, the rate, the heat, and the `trouble` of each part that has any."""
    states = ", ".join(
        f"{zone.name and f'{zone.name}: '}{zone.state} {zone.score:.2f}" for zone in zones
    )
    heat = "" if pace.celsius is None else f", {pace.celsius:.0f} Celsius"
    troubles = dict.fromkeys((*(z.models.trouble for z in zones), *(s.trouble for s in sinks)))
    said = "".join(f"; {trouble}" for trouble in troubles if trouble)
    return f"{states}, {pace.fps:.1f} frames a second{heat}{said}"


def _pause_s(bad: int) -> float:
    """Return the pause after consecutive bad images: a bad source must not spin."""
    return min(LONGEST_PAUSE_S, 0.01 * 2.0 ** min(bad, 7))
