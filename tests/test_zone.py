"""The states of a zone."""

from __future__ import annotations

import pytest

from edge.service.zones.state import ZoneState, fresh_s, zone_status


@pytest.mark.parametrize(
    "silent_s, has_result, waiting, idle, state, reason, problem",
    [
        (1, True, "", False, ZoneState.LIVE, "", False),
        (1, True, "camera 0: no frame yet", False, ZoneState.LIVE, "", False),
        (1, False, "", False, ZoneState.LOST, "no frame yet", None),
        (11, False, "", False, ZoneState.LOST, "no frame yet", True),
        (11, True, "camera 0: gone", False, ZoneState.LOST, "camera 0: gone", True),
        (40, True, "", False, ZoneState.LOST, "no result for 40 s", True),  # a hung loop
        (4000, True, "no new image", True, ZoneState.IDLE, "", False),
        (4000, False, "no new image", True, ZoneState.IDLE, "", False),
    ],
)
def test_states(
    silent_s: float,
    has_result: bool,
    waiting: str,
    idle: bool,
    state: ZoneState,
    reason: str,
    problem: bool | None,
) -> None:
    status = zone_status(silent_s, 10.0, has_result=has_result, waiting=waiting, idle=idle)
    assert (status.state, status.reason, status.problem) == (state, reason, problem)
    assert status.is_available is (state is not ZoneState.LOST)


@pytest.mark.parametrize("fps, seconds", [(0.0, 10.0), (2.0, 10.0), (0.1, 30.0)])
def test_how_long_a_result_is_fresh(fps: float, seconds: float) -> None:
    assert fresh_s(fps) == seconds
