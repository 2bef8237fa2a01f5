"""Progress of long work: one line on stderr's terminal, clear of the messages there."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Self

from edge.commands.terminal import clock, columns_of, is_terminal

PATIENCE_S = 1.0  # a batch that is over sooner shows no bar
REDRAW_S = 0.1
BAR_COLUMNS = 20


class Progress:
    """A line that is redrawn in place; nothing at all where stderr is not a terminal."""

    def __init__(self, total: int | None, *, has_videos: bool = False) -> None:
        """Args: how many files there are, None where that is not known; if some are videos."""
        self._total = total
        self._has_videos = has_videos
        self._shown = False
        self._started_s = time.monotonic()
        self._due_s = self._started_s + PATIENCE_S
        self._wanted = is_terminal(sys.stderr) and (total != 1 or has_videos)
        self._shared = is_terminal(sys.stdout)  # the terminal, with results

    def make_way(self) -> None:
        """Clear the line before a result, if that goes to the terminal as well."""
        if self._shared:
            self.clear()

    def clear(self) -> None:
        """Take the line away, before something else is written to stderr."""
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    close = clear

    def update(self, done: int, files: float) -> None:
        """Draw the line, if it is due. Args: results; files, of which a video may be in part."""
        if not self._wanted:
            return
        now_s = time.monotonic()
        taken_away = self._shared and now_s > self._started_s + PATIENCE_S
        if now_s < self._due_s and not taken_away:
            return
        self._due_s = now_s + REDRAW_S
        seconds = now_s - self._started_s
        if self._has_videos and self._total:
            line = file_line(files, self._total, seconds)
        else:
            line = progress_line(done, self._total, seconds)
        self._write(f"\r{line[: columns_of(sys.stderr) - 1]}\x1b[K")
        self._shown = True

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:  # the terminal is gone; the work goes on
            self._wanted = False


class ShareBar:
    """The same for work that knows its share instead of a count, and what it does at present."""

    def __init__(self) -> None:
        self._wanted = is_terminal(sys.stderr)

    def show(self, share: float, what: str) -> None:
        """Draw the line: `[####      ]  40% hotdog.tflite`."""
        if self._wanted:
            filled = round(share * BAR_COLUMNS)
            line = f"[{'#' * filled}{' ' * (BAR_COLUMNS - filled)}] {share:4.0%} {what}"
            self._write(f"\r{line[: columns_of(sys.stderr) - 1]}\x1b[K")

    def __enter__(self) -> Self:
        """Return the bar itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        if self._wanted:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone; the work goes on
            sys.stderr.write(text)
            sys.stderr.flush()


def file_line(done: float, total: int, seconds: float) -> str:
    """Return the progress with videos, such as `2 of 12 files [###     ] 0:16 left`."""
    share = min(1.0, done / total)
    filled = int(BAR_COLUMNS * share)
    bar = "#" * filled + " " * (BAR_COLUMNS - filled)
    left = f" {clock(seconds / share - seconds)} left" if share else ""
    return f"{int(done)} of {total} files [{bar}]{left}"


def progress_line(done: int, total: int | None, seconds: float) -> str:
    """Return the progress, such as `120 of 500 [####      ] 23.5 a second, 0:16 left`."""
    rate = done / seconds if seconds > 0 else 0.0
    if total is None or done > total:  # there may be more than were counted
        return f"{done} images, {rate:.1f} a second"
    filled = BAR_COLUMNS * done // total
    bar = "#" * filled + " " * (BAR_COLUMNS - filled)
    left = f", {clock((total - done) / rate)} left" if rate else ""
    return f"{done} of {total} [{bar}] {rate:.1f} a second{left}"
