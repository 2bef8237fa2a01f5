"""The service's loop: source -> classify -> steady -> sinks; systemd hears of it."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge import board
from edge.classifier.classify import Result, classify
from edge.classifier.model import Model
from edge.errors import ImageError
from edge.service.control import Control
from edge.service.models import ModelStore
from edge.service.process.guard import MemoryGuard
from edge.service.process.pace import Pace
from edge.service.process.systemd import Notifier
from edge.service.sighting import Sighting, Sink
from edge.service.steady import Steady, SteadySettings
from edge.sources.frame import Frame, Waiting

TOP_K = 5  # categories in a record
MAX_REPORTED = 1000  # images whose fault is remembered
LONGEST_PAUSE_S = 1.0  # after images that cannot be read


@dataclass(frozen=True)
class Rules:
    """How results become states."""

    steady: SteadySettings
    threshold: float | None = None  # of a label's score; None: the model's own
    control: Control = field(default_factory=Control)  # a threshold by a command comes first

    def threshold_of(self, model: Model) -> float:
        """Return the threshold that holds for a model."""
        for threshold in (self.control.threshold, self.threshold):
            if threshold is not None:
                return threshold
        return float(model.metadata.edge.get("threshold") or 0.0)


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
    models: ModelStore,
    rules: Rules,
    sinks: Sequence[Sink],
    notifier: Notifier,
    pace: Pace,
    *,
    guard: MemoryGuard,
    asked: Callable[[], bool] = bool,
    unreadable: Unreadable,
) -> int:
    """Classify frames until they end, and return how many were classified.

    The watchdog is fed by classified frames, and by a source that is on its way back for a time
    that has an end: a loop that turns without either is not alive.

    Args:
        source: a camera, or a folder.
        models: the model, and what looks after it.
        rules: how results become states.
        sinks: receive each `Sighting`; `delivery.py` handles one that fails.
        notifier: notifies systemd.
        pace: how often.
        guard: ends the service before it takes too much memory.
        asked: whether the next frame's image was requested.
        unreadable: counts and reports images that cannot be read.
    """
    number, bad, control = 0, 0, rules.control
    steady = Steady(models.model.labels, rules.steady, rules.threshold_of(models.model))
    followed = None  # the command's threshold that `steady` has
    for item in source:
        for command in control.taken():
            for sink in sinks:
                sink.note(command)
        if isinstance(item, Waiting):
            steady.forget()
            notifier.waiting(item.reason)
            if item.rest:
                pace.start_over()
            turns = pace.pause()  # the source itself has waited
        else:
            pace.begin()
            if result := _result(models.model, item, rules, unreadable):
                number, bad = number + 1, 0
                shown = replace(item, unmasked=None) if item.unmasked is not None else item
                sighting = _sighting(number, shown, result, steady, wanted=asked())
                for sink in sinks:
                    sink(sighting)
                notifier.alive(_status(sighting, steady, pace, models, sinks))
                turns = pace.rest()
            else:  # the next one is due at once, for this one was none
                bad += 1
                turns = pace.pause(_pause_s(bad))
            control.takes_now()
        for _ in turns:
            guard.poll()
            if models.poll() or followed != control.threshold:
                followed = control.threshold
                threshold = rules.threshold_of(models.model)
                steady.follow(models.model.labels, threshold, followed)
    return number


def _result(model: Model, frame: Frame, rules: Rules, unreadable: Unreadable) -> Result | None:
    if frame.unmasked is not None:
        frame = replace(frame, picture=frame.unmasked)
    try:
        return classify(model, frame, top_k=TOP_K, threshold=rules.threshold_of(model))
    except ImageError as error:
        unreadable(frame.source, str(error))
        return None


def _sighting(
    number: int, frame: Frame, result: Result, steady: Steady, *, wanted: bool
) -> Sighting:
    change = steady.update(result.scores, frame.captured_ns / 1e9)
    return Sighting(
        number=number,
        frame=frame,
        result=result,
        state=steady.state,
        state_score=steady.score,
        change=change,
        age_ms=(time.monotonic_ns() - frame.captured_ns) / 1e6,
        dropped=frame.dropped,
        wanted=wanted,
        clock_is_set=board.clock_is_set(),
    )


def _status(
    sighting: Sighting, steady: Steady, pace: Pace, models: ModelStore, sinks: Sequence[Sink]
) -> str:
    """One line: the state, the rate, the heat, and the `trouble` of whatever part has any."""
    heat = "" if pace.celsius is None else f", {pace.celsius:.0f} Celsius"
    troubles = (models.trouble, *(sink.trouble for sink in sinks))
    said = "".join(f"; {trouble}" for trouble in troubles if trouble)
    return f"{sighting.state} {steady.score:.2f}, {pace.fps:.1f} frames a second{heat}{said}"


def _pause_s(bad: int) -> float:
    """Return the pause after consecutive bad images: a bad source must not spin."""
    return min(LONGEST_PAUSE_S, 0.01 * 2.0 ** min(bad, 7))
