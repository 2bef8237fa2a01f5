"""Zones: each classifies its part of a frame by its model, and owns its state."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge import board
from edge.classifier.classify import Choice, Result, classify
from edge.classifier.model import NEVER, Model
from edge.errors import ImageError
from edge.image.preprocess import InputSpec, Picture, Size, prepare, read_image
from edge.service.control import ALL, Control
from edge.service.models import ModelStore
from edge.service.sighting import Sighting
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.state import Freshness
from edge.service.zones.steady import Steady, SteadySettings
from edge.sources.frame import Frame

TOP_K = 5  # categories in a record
EARLY = 0.1  # of its interval, by which a frame may come before a zone is due


class Turn(NamedTuple):
    """A frame on its way through the zones."""

    number: int
    shown: Frame  # as the sinks get it
    asked: Callable[[], bool]  # whether its image was requested; once for each request
    clock_is_set: bool | None


class Zone:
    """A part of the camera's view; one without a name is all of it.

    Attributes: `name`; `settings`; `models`, which several zones may share; `freshness`; `state`
    and `score`, the steady ones.
    """

    def __init__(
        self,
        settings: ZoneSettings,
        models: ModelStore,
        control: Control | None = None,
        *,
        steady: SteadySettings | None = None,
        fps: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin as "unknown".

        Args:
            settings: the table.
            models: the model, and what looks after it.
            control: a threshold by a command comes first; None: there are none.
            steady: how steady its state is; None: as the defaults are.
            fps: of the fastest zone, which the loop keeps; 0: no limit.
            monotonic: the time to go by.
        """
        self.name, self.settings, self.models = settings.name, settings, models
        self.freshness, self.usual_fps = Freshness(monotonic), settings.fps or fps
        self._control = control or Control()
        self._asked: Mapping[str, float] = {}  # the commands' thresholds that the state goes by
        self._due_s = -1e9
        self._take(models.model)
        self._steady = Steady(self._labels, steady or SteadySettings(), self._thresholds())

    @property
    def threshold(self) -> float:
        """The confidence threshold that holds now; the highest, if each label has its own."""
        limits = self._thresholds()
        return float(max(limits[limits < NEVER], default=0.0))

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold that holds now of each label for which the model file has one."""
        model = self.models.model
        own, limits = model.metadata.edge.get("thresholds", {}), self._thresholds().tolist()
        return {
            label: limit
            for label, limit in zip(model.labels, limits, strict=True)
            if label in own and limit < NEVER and label in self.labels
        }

    def _commanded(self) -> NDArray[np.float64] | None:
        """The threshold of each label by a command, NaN where there is none; None: by none."""
        asked = self._control.thresholds.get(self.name)
        if not asked:
            return None
        common = asked.get(ALL, np.nan)
        return np.array([asked.get(label, common) for label in self.models.model.labels])

    def _thresholds(self) -> NDArray[np.float64]:
        """The threshold of each label by a command, else the configuration, else the model file."""
        limits, asked = self.models.model.thresholds(self.settings.threshold), self._commanded()
        if asked is None:
            return limits
        return np.where(np.isnan(asked) | (limits >= NEVER), limits, asked)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it may have."""
        return self.settings.labels or self._labels

    @property
    def state(self) -> str:
        """The steady state: a label, or "unknown"."""
        return self._steady.state

    @property
    def score(self) -> float:
        """The smoothed score of the state, or of the best label where that is unknown."""
        return self._steady.score

    def is_due(self, frame: Frame) -> bool:
        """Whether it is to classify this frame, by its own rate; once for each frame."""
        if not self.settings.fps:
            return True
        now_s, period_s = frame.captured_ns / 1e9, 1 / self.settings.fps
        if now_s < self._due_s - EARLY * period_s:
            return False
        # From the last due time, not from now: else each would be late by a little more.
        self._due_s = (self._due_s if now_s < self._due_s + period_s else now_s) + period_s
        return True

    def see(self, turn: Turn, seen: Frame) -> Sighting:
        """Classify its part of a frame, as the models see that. Raises: ImageError."""
        model, threshold = self.models.model, self._thresholds()
        result = classify(model, seen, top_k=TOP_K, threshold=threshold, input=self.input)
        if self._choice:
            result = self._choice.of(result, TOP_K, threshold)
        return self._sighting(turn, result)

    def forget(self, *, rests: bool) -> None:
        """Let go of the scores before a gap; silence counts again after a rest."""
        self._steady.forget()
        if rests:
            self.freshness.start_over()
            self._due_s = -1e9  # nothing is known of its part since then

    def follow(self) -> None:
        """Take a turn between frames: the state goes on by another model or threshold."""
        self.models.poll()
        asked = self._control.thresholds.get(self.name, {})
        if self._model is not self.models.model or self._asked != asked:
            self._take(self.models.model)
            self._asked = asked
            self._steady.follow(self._labels, self._thresholds(), self._commanded())

    def _take(self, model: Model) -> None:
        self._model, self._labels, box = model, model.labels, self.settings.box
        framing = model.input.framing
        self.input: InputSpec = model.input
        if box:
            self.input = replace(model.input, framing=replace(framing, roi=box))
        chosen = np.isin(self._labels, self.settings.labels)
        self._choice = Choice(self._labels, chosen) if self.settings.labels else None

    def _sighting(self, turn: Turn, result: Result) -> Sighting:
        frame, scores = turn.shown, result.scores
        if self._choice:
            scores = self._choice.scores(scores)
        change = self._steady.update(scores, frame.captured_ns / 1e9)
        self.freshness.note()
        return Sighting(
            number=turn.number,
            frame=frame,
            result=result,
            state=self.state,
            state_score=self.score,
            change=change,
            age_ms=(time.monotonic_ns() - frame.captured_ns) / 1e6,
            dropped=frame.dropped,
            wanted=turn.asked(),
            clock_is_set=turn.clock_is_set,
            zone=self.name,
        )


def look(
    zones: Sequence[Zone],
    frame: Frame,
    number: int,
    unreadable: Callable[[str, str], None],
    *,
    asked: Callable[[], bool] = bool,
    every: bool = False,
    helper: Executor | None = None,
) -> Iterator[Sighting]:
    """Classify a frame, zone by zone; each `Sighting` is there before the next zone's turn.

    Args:
        zones: all of them, in their order.
        frame: captured once for all.
        number: of the frame.
        unreadable: takes the source and a line where the frame cannot be classified.
        asked: whether the frame's image was requested; once for each request.
        every: whether those are classified too that are not due.
        helper: prepares the next zones' parts of a frame meanwhile; None: each has to wait.
    """
    due = [zone for zone in zones if zone.is_due(frame) or every]
    shown = replace(frame, unmasked=None) if frame.unmasked is not None else frame
    picture = frame.picture if frame.unmasked is None else frame.unmasked
    try:
        picture = _decoded(picture, due) if len(due) > 1 else picture
    except ImageError as error:
        unreadable(frame.source, str(error))
        return
    turn = Turn(number, shown, asked, board.clock_is_set())
    for zone, part in zip(due, _parts(picture, due, helper), strict=True):
        seen = shown if part is shown.picture else replace(shown, picture=part)
        try:
            sighting = zone.see(turn, seen)
        except ImageError as error:
            unreadable(frame.source, str(error))
        else:
            yield sighting


def _parts(picture: Picture, zones: Sequence[Zone], helper: Executor | None) -> Iterator[Picture]:
    """Yield for each zone what it is to classify: the first one prepares its part itself.

    Pillow and the runtimes let other threads run, so that a second core hides the helper's work
    behind the network's. What it has not begun, as on a busy machine, is not waited for.
    """
    if not helper:
        yield from itertools.repeat(picture, len(zones))
        return
    others = [helper.submit(prepare, picture, zone.input) for zone in zones[1:]]
    yield picture
    for other in others:
        yield picture if other.cancel() else other.result()


def _decoded(picture: Picture, zones: Sequence[Zone]) -> Picture:
    """Decode an image once for several zones, at the smallest scale that suffices for each."""
    if isinstance(picture, np.ndarray):
        return picture
    sizes = [_whole(zone.input) for zone in zones]
    return read_image(picture, (max(h for h, _ in sizes), max(w for _, w in sizes)))


def _whole(input: InputSpec) -> Size:
    """The size of a frame whose region covers the model's input."""
    _, _, width, height = input.framing.roi or (0.0, 0.0, 1.0, 1.0)
    return round(input.size[0] / height), round(input.size[1] / width)
