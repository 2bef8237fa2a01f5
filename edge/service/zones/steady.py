"""A steady decision from a noisy stream: smoothing, two thresholds, several frames, a least time.

The prediction for one frame is a guess; users want one event when the scene has changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.classifier.classify import UNKNOWN
from edge.classifier.model import NEVER
from edge.errors import ConfigurationError, checked

ENTER_UNLESS_KNOWN = 0.5  # where the model carries no threshold
SETTLING_FRAMES = 20  # smoothing of 0.2 has taken 99 % of a step by then
LEAVE_BELOW_ENTER = 0.1  # but never below half of enter, else a low one would never be left


@dataclass(frozen=True)
class SteadySettings:
    """The configuration's [steady] section, whose keys `edge.commands.keys` describes."""

    smoothing: float = 0.5
    enter: float | None = None
    leave: float | None = None
    frames: int = 3
    hold_s: float = 1.0

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("steady.smoothing", self.smoothing, 0.01, 1.0)
        checked("steady.frames", self.frames, 1, 1000)
        checked("steady.hold_s", self.hold_s, 0.0, 86400.0)
        for name in ("enter", "leave"):
            if getattr(self, name) is not None:
                checked(f"steady.{name}", getattr(self, name), 0.0, 1.0)
        if self.enter is not None and self.leave is not None and self.leave > self.enter:
            fault = f"must not be above steady.enter ({self.enter:g}). Received: {self.leave:g}"
            raise ConfigurationError("steady.leave", fault, "use a lower value, or remove the key")

    def thresholds(
        self, of_model: float | NDArray[np.float64], asked: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return enter and leave for a model of these thresholds (0: it carries none).

        `asked` is the `enter` of each label that a command has set: it comes first. NaN: none has.
        """
        own = np.asarray(of_model, np.float64)
        if self.enter is None:
            enter = np.maximum(np.where(own > 0, own, ENTER_UNLESS_KNOWN), self.leave or 0.0)
        else:
            enter = np.where(own < NEVER, self.enter, NEVER)
        if asked is not None:
            enter = np.where((own < NEVER) & ~np.isnan(asked), asked, enter)
        least = np.maximum(enter / 2, enter - LEAVE_BELOW_ENTER)
        return enter, np.minimum(enter, least if self.leave is None else self.leave)


@dataclass(frozen=True)
class Change:
    """The state changed."""

    before: str
    after: str
    score: float  # the smoothed score of `after`; of the best label where that is unknown
    lasted_s: float  # how long the state before lasted


class Steady:
    """The state of a stream: a label, or "unknown"."""

    def __init__(
        self,
        labels: tuple[str, ...],
        settings: SteadySettings,
        threshold: float | NDArray[np.float64] = 0.0,
    ) -> None:
        """Begin as "unknown".

        Args:
            labels: in the order of the scores.
            settings: how steady.
            threshold: the model's own, of all labels or (num_labels,) of each, for what the
                settings leave open.
        """
        self.state = UNKNOWN
        self.score = 0.0  # smoothed, of the state or else of the best label
        self._settings = settings
        self._smoothed: NDArray[np.float32] | None = None
        self._candidate, self._in_a_row = UNKNOWN, 0
        self._clear, self._clear_in_a_row = UNKNOWN, 0  # the label of frames that are sure of one
        self._since_s: float | None = None
        self.follow(labels, threshold)

    def follow(
        self,
        labels: tuple[str, ...],
        threshold: float | NDArray[np.float64],
        enter: NDArray[np.float64] | None = None,
    ) -> None:
        """Take the scores of another model: the state stays until its frames change it.

        Args:
            labels: in the order of the scores.
            threshold: the model's own, of all labels or of each.
            enter: of each label instead of the settings', by a command; None, NaN: theirs.
        """
        self._labels = labels
        own = np.broadcast_to(np.asarray(threshold, np.float64), len(labels))
        self._enter, self._leave = self._settings.thresholds(own, enter)
        self.forget()

    def update(self, scores: NDArray[np.float32], now_s: float) -> Change | None:
        """Take a frame's (num_labels,) scores; return what they change.

        Args:
            scores: in [0, 1].
            now_s: when the frame was captured, by a clock that does not jump.
        """
        if self._since_s is None:
            self._since_s = now_s
        weight = self._settings.smoothing
        if self._smoothed is None:
            self._smoothed = scores.copy()
        else:
            self._smoothed += weight * (scores - self._smoothed)
        self._note_clear(scores)
        says, self.score = self._says(self._smoothed)
        self._in_a_row = self._in_a_row + 1 if says == self._candidate else 1
        self._candidate = says
        lasted_s = now_s - self._since_s
        if (
            says == self.state
            or self._in_a_row < self._settings.frames
            or lasted_s < self._settings.hold_s
        ):
            return None
        change = Change(self.state, says, self.score, lasted_s)
        self.state, self._since_s = says, now_s
        return change

    def _says(self, smoothed: NDArray[np.float32]) -> tuple[str, float]:
        """Return the label and score that follow from the smoothed scores and the state.

        The state comes first, else two labels that take turns around `enter` would flicker.
        """
        if self.state in self._labels:
            own = self._labels.index(self.state)
            if smoothed[own] >= self._leave[own]:
                return self.state, float(smoothed[own])
        best = int(smoothed.argmax())
        if smoothed[best] >= self._enter[best]:
            return self._labels[best], float(smoothed[best])
        if self.state in self._labels and 2 <= self._clear_in_a_row <= SETTLING_FRAMES:
            # Frames in a row are sure of another label, and smoothing follows: the state changes
            # from label to label then, not by way of unknown.
            return self.state, float(smoothed[self._labels.index(self.state)])
        return UNKNOWN, float(smoothed[best])

    def _note_clear(self, scores: NDArray[np.float32]) -> None:
        """Count frames in a row that are sure of the same label by themselves."""
        best = int(scores.argmax())
        clear = self._labels[best] if scores[best] >= self._enter[best] else UNKNOWN
        if clear == UNKNOWN:
            self._clear_in_a_row = 0
        else:
            self._clear_in_a_row = self._clear_in_a_row + 1 if clear == self._clear else 1
        self._clear = clear

    def forget(self) -> None:
        """Let go of the scores before a gap: the state stays until new ones change it."""
        self._smoothed = None
