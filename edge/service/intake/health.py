"""Camera health: whether its view is covered, dark, blurred, moved or frozen."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge.errors import ConfigurationError, EdgeError, checked
from edge.service.intake.view import Signs, View
from edge.service.zones.state import CameraProblem
from edge.sources.frame import Frame, Source, Waiting
from edge.sources.grey import Grey

CHECKS = tuple(CameraProblem)
LOOK_S = 0.9  # between two looks: one a second shows what lasts
MIN_LOOKS = 3  # that must agree
# Shares of the tiles, and of the detail, at which a problem begins; it ends below ENDS of that.
FLAT, SOFT, STRANGE, ENDS = 0.75, 0.55, 0.6, 0.7


@dataclass(frozen=True)
class HealthSettings:
    """The configuration's [health] section, whose keys `edge.commands.keys` describes."""

    on: bool = False
    checks: tuple[str, ...] = CHECKS
    hold_s: float = 7.0
    accept_s: float = 600.0

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        for check in self.checks:
            if check not in CHECKS:
                fault = f"must be one or more of {', '.join(CHECKS)}. Received: {check!r}"
                raise ConfigurationError("health.checks", fault, "use these, or remove the key")
        checked("health.hold_s", self.hold_s, 0.0, 3600.0)
        checked("health.accept_s", self.accept_s, 1.0, 86400.0)


class Health:
    """Owns what is wrong with a camera's view; it begins and ends when it has lasted."""

    def __init__(self, settings: HealthSettings, report: Callable[[str], None]) -> None:
        """Args: what counts, and what takes a line when it changes."""
        self.problem: CameraProblem | None = None
        self._settings, self._report, self._view = settings, report, View()
        self._looked_s = -LOOK_S
        self._begun_s = 0.0  # when the problem began
        self._other_s: float | None = None  # since when it has been otherwise than `problem`
        self._reasons: Counter[CameraProblem] = Counter()  # since then
        self._looks = 0

    def __call__(self, grey: Grey, now_s: float) -> None:
        """Take a frame.

        Args:
            grey: its small copy.
            now_s: when it was captured, by a clock that does not jump.
        """
        if 0 <= now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        signs = self._view.look(grey, now_s)
        if not signs:
            return  # nothing is known of this look: what lasts goes on
        reason = self._reason(signs)
        if not reason and not self.problem:
            self._view.learn()
        if self.problem is CameraProblem.MOVED and now_s - self._begun_s > self._settings.accept_s:
            self._view.forget()
            self._become(None, now_s)
        elif bool(reason) == bool(self.problem):
            self._other_s = None
        else:
            self._wait(reason, now_s)

    def _wait(self, reason: CameraProblem | None, now_s: float) -> None:
        """Change once it has been otherwise for long enough."""
        if self._other_s is None:
            self._other_s, self._looks = now_s, 0
            self._reasons.clear()
        self._looks += 1
        if reason:
            self._reasons[reason] += 1
        if now_s - self._other_s >= self._settings.hold_s and self._looks >= MIN_LOOKS:
            if not reason and now_s - self._begun_s > self._settings.accept_s:
                self._view.forget()  # light and shadows have moved on meanwhile
            self._become(self._reasons.most_common(1)[0][0] if reason else None, now_s)

    def _become(self, problem: CameraProblem | None, now_s: float) -> None:
        self._report(problem.reason if problem else f"the camera is no longer {self.problem}")
        self.problem, self._begun_s, self._other_s = problem, now_s, None

    def _reason(self, signs: Signs) -> CameraProblem | None:
        """The first problem of those that are checked."""
        part = ENDS if self.problem else 1.0
        held = {
            CameraProblem.FROZEN: signs.frozen,
            CameraProblem.DARK: signs.black,
            CameraProblem.COVERED: signs.flat >= part * FLAT,
            CameraProblem.BLURRED: signs.soft >= part * SOFT,
            CameraProblem.MOVED: signs.strange >= part * STRANGE,
        }
        return next((p for p, is_so in held.items() if is_so and p in self._settings.checks), None)


class Examined(Source):
    """A source whose frames are looked at on their way."""

    def __init__(self, source: Source, health: Health) -> None:
        """Args: the source, and what looks at its frames."""
        self._source, self._health = source, health
        self.goes_on = source.goes_on

    def __iter__(self) -> Iterator[Frame | Waiting]:
        """Yield what the source does. Raises: SourceError."""
        for item in self._source:
            if isinstance(item, Frame):
                with contextlib.suppress(EdgeError):  # a damaged file: the loop reports it
                    self._health(item.grey, item.captured_ns / 1e9)
            yield item

    @property
    def openings(self) -> int:  # type: ignore[override]
        """How often the source was opened."""
        return self._source.openings

    def close(self) -> None:
        """Close it."""
        self._source.close()
