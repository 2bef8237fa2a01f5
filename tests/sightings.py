"""Sightings for the tests of what takes them, and what collects lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from edge.classifier.classify import Category, Result
from edge.image.preprocess import Picture
from edge.service.sighting import Sighting, Sink
from edge.service.zones.steady import Change
from edge.sources.frame import Frame

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
PIXELS = np.full((48, 64, 3), 90, np.uint8)


def sighting(
    number: int = 1,
    state: str = "cup",
    *,
    score: float = 0.9,
    changed: bool = False,
    wanted: bool = False,
    picture: Picture = PIXELS,
    at: datetime = AT,
) -> Sighting:
    """What a service has seen at frame `number`; `changed`: the state became so by it."""
    result = Result(
        source="here",
        label=state,
        score=score,
        categories=(Category(0, state, score),),
        preprocess_ms=1.0,
        invoke_ms=2.0,
        model="model.tflite",
        runtime="none",
        captured_at=at,
        scores=np.array([score, 1 - score], np.float32),
    )
    change = Change("unknown", state, score, 3.5) if changed else None
    return Sighting(
        number, Frame("here", picture, at, 0), result, state, score, change, 4.5, 0, wanted
    )


class Taker(Sink):
    """A sink that hands sightings to a function."""

    def __init__(self, take: Callable[[Sighting], None], name: str = "function") -> None:
        self.name, self._take = name, take

    def __call__(self, sighting: Sighting) -> None:
        self._take(sighting)
