"""How the service fares, read beside the loop."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sightings import PIXELS, Taker, sighting

from edge.classifier.model import Model, default_model
from edge.classifier.trial import Trying
from edge.service.delivery import Delivery
from edge.service.health import Failures, Watched, vital_signs
from edge.service.models import ModelRequirements, ModelStore
from edge.service.process.pace import Pace, PaceSettings
from edge.service.watch import Unreadable
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.state import ZoneState
from edge.service.zones.zone import Zone
from edge.sources.frame import Frame, Source, Waiting
from edge.sources.replay import Replay


class Shaky(Source):
    """A source that was opened three times."""

    openings = 3

    def __iter__(self) -> Iterator[Frame | Waiting]:
        yield Waiting("camera 0: no frame yet")
        yield Frame("camera 0", PIXELS, datetime.now(UTC), 0)


def full_disk(_: object) -> None:
    raise OSError(28, "No space left on device")


def test_vitals_are_those_of_the_parts() -> None:
    now, path = 0.0, default_model()
    pace = Pace(PaceSettings(), lambda: 51.5, lambda _: None, monotonic=lambda: now)
    source, sinks = Watched(Shaky()), list[Delivery]()
    with closing(ModelStore(path, Model, Trying, ModelRequirements(), lambda _: None)) as models:
        zone = Zone(ZoneSettings(), models, monotonic=lambda: now)
        read = vital_signs(source, pace, [zone], sinks, Unreadable(print), monotonic=lambda: now)
        sinks.append(Delivery(Taker(full_disk), lambda _: None))
        before = read()
        reasons = []
        for moment in range(2):
            now = 10.0 + moment / 4
            pace.begin()
            zone.freshness.note()
            list(pace.pause())
            sinks[0](sighting(changed=True))
        for _ in source:
            reasons.append(read().waiting)
        vitals = read()
    assert (before.fps, before.celsius, before.sinks) == (0, None, {"function": Failures(0, 0)})
    assert reasons == ["camera 0: no frame yet", ""]
    assert (vitals.up_s, vitals.fps, vitals.celsius) == (10.25, 4, 51.5)
    assert vitals.reopened == 2
    assert vitals.sinks == {"function": Failures(1, 0)}
    assert (vitals.model, vitals.labels) == (path.name, ("hotdog", "nothotdog"))
    assert vitals.version == hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@pytest.mark.parametrize("own, common", [(0.05, 2.0), (None, 0.05)])
def test_a_slow_zone_is_live_until_three_frames_are_missing(
    own: float | None, common: float
) -> None:
    now, pace = 0.0, Pace(PaceSettings(), lambda: None, lambda _: None)
    store = ModelStore(default_model(), Model, Trying, ModelRequirements(), lambda _: None)
    with closing(store) as models:
        zone = Zone(ZoneSettings(fps=own), models, fps=common, monotonic=lambda: now)
        read = vital_signs(
            Watched(Shaky()), pace, [zone], [], Unreadable(print), monotonic=lambda: now
        )
        zone.freshness.note()  # the first result, so that no rate is known
        now = 59.0
        assert (read().zone.state, read().fresh_within_s) == (ZoneState.LIVE, 60.0)
        now = 61.0
        assert read().zone.state is ZoneState.LOST
        zone.freshness.note()
        now = 62.0
        zone.freshness.note()  # by a command: one a second is no rate to expect
        now = 120.0
        assert read().zone.state is ZoneState.LIVE


def test_a_source_that_is_not_opened_is_not_opened_again() -> None:
    assert Watched(Replay(Path("photos"))).reopened == 0
