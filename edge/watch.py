"""The service's loop: frames -> classify -> sinks; systemd hears of it after each frame."""

from __future__ import annotations

import glob
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edge.classify import Result, classify
from edge.errors import ImageError, SourceError, one_line
from edge.model import Model
from edge.notify import Notifier
from edge.photos import Frame, photos

Sink = Callable[[Result], None]


def watch(
    model: Model,
    frames: Iterable[Frame],
    sinks: Iterable[Sink],
    notifier: Notifier,
    *,
    threshold: float = 0.0,
    report: Callable[[str], None],
) -> int:
    """Classify frames until they end, and return how many were classified.

    The watchdog is fed by classified frames alone: a loop that turns without a result is not alive.

    Args:
        model: the classifier.
        frames: from a camera or `replay`.
        sinks: where results go; one that fails is reported, and the loop goes on.
        notifier: tells systemd.
        threshold: below this score a label is "unknown".
        report: takes one line about what went wrong.
    """
    sinks = list(sinks)
    count = failures = 0
    for frame in frames:
        try:
            result = classify(model, frame, threshold=threshold)
        except ImageError as error:
            report(str(error))
            failures += 1
            time.sleep(min(1.0, 0.01 * 2 ** min(failures, 7)))  # a bad source must not spin
            continue
        failures = 0
        for sink in sinks:
            _deliver(sink, result, report)
        count += 1
        status = f"frame {count}: {result.label} {result.score:.2f}"
        if count == 1:
            notifier.ready(status)
        notifier.alive(status)
    return count


def _deliver(sink: Sink, result: Result, report: Callable[[str], None]) -> None:
    try:
        sink(result)
    except BrokenPipeError:  # stdout's reader left: there is nobody to work for
        raise
    except Exception as error:  # a sink's client raises what it likes; frames go on all the same
        report(one_line(f"{type(sink).__name__}: {error or type(error).__name__}"))


def replay(path: Path, *, repeat: bool = False) -> Iterator[Frame]:
    """Yield a file's, folder's or pattern's pictures; again and again, newly listed, if `repeat`.

    Raises: SourceError where there is none.
    """
    for _ in itertools.count() if repeat else range(1):
        # A bad frame is passed over: an absent source would be one for ever, without a pause.
        if not path.exists() and not glob.has_magic(str(path)):
            raise SourceError(path, "no such file or folder", "check the path")
        yield from photos([path])


def paced(frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
    """Yield at most `fps` frames a second, by the monotonic clock."""
    due = time.monotonic()
    for frame in frames:
        time.sleep(max(0.0, due - time.monotonic()))
        yield frame
        due = max(due + 1 / fps, time.monotonic())  # what was missed is not made up for
