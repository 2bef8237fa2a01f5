"""The rate of frames: its limit, and what heat makes of it. The clock is the test's own."""

from __future__ import annotations

import time

import pytest

from edge.service.process.pace import LEAST_SHARE, LOOK_S, NAP_S, SLOWEST_S, Pace, PaceSettings


class Clock:
    """Time that passes only when someone sleeps or works."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now_s += seconds


class Weather:
    """A temperature to set, and lines about it."""

    def __init__(self, celsius: float | None = None) -> None:
        self.celsius = celsius
        self.lines: list[str] = []
        self.looks = 0

    def read(self) -> float | None:
        self.looks += 1
        return self.celsius


def pace_of(clock: Clock, weather: Weather, **settings: float) -> Pace:
    return Pace(
        PaceSettings(**settings),
        weather.read,
        weather.lines.append,
        monotonic=lambda: clock.now_s,
        sleep=clock.sleep,
    )


def frame(pace: Pace, clock: Clock, busy_s: float = 0.0) -> float:
    """Classify one, rest, and return how long both took."""
    began = clock.now_s
    pace.begin()
    clock.now_s += busy_s
    assert list(pace.rest())
    return clock.now_s - began


def test_frames_are_so_far_apart() -> None:
    clock = Clock()
    pace = pace_of(clock, Weather(), fps=4)
    assert [frame(pace, clock, busy_s=0.1) for _ in range(4)] == pytest.approx([0.25] * 4)
    assert pace.fps == pytest.approx(4)


def test_without_a_limit_nothing_sleeps() -> None:
    clock = Clock()
    pace = pace_of(clock, Weather())
    assert [frame(pace, clock, busy_s=0.1) for _ in range(4)] == pytest.approx([0.1] * 4)
    assert clock.naps == []
    assert pace.fps == pytest.approx(10)


def test_the_rate_is_unknown_before_the_second_frame() -> None:
    clock = Clock()
    pace = pace_of(clock, Weather(), fps=4)
    clock.now_s += 30  # a model that takes its time to load
    frame(pace, clock)
    assert pace.fps == 0
    pace.begin()
    assert pace.fps > 0


def test_what_was_missed_is_not_made_up_for() -> None:
    clock = Clock()
    pace = pace_of(clock, Weather(), fps=10)
    frame(pace, clock, busy_s=2.0)
    assert [frame(pace, clock) for _ in range(3)] == pytest.approx([0.1] * 3)


def test_a_little_lateness_does_not_add_up() -> None:
    clock = Clock()
    pace = pace_of(clock, Weather(), fps=10)
    began = clock.now_s
    for _ in range(50):
        frame(pace, clock)
        clock.now_s += 0.01  # whoever wakes it is late
    assert clock.now_s - began == pytest.approx(5.0, abs=0.02)


def test_a_long_rest_yields_often() -> None:
    clock = Clock()
    pace = pace_of(clock, Weather(), fps=0.1)
    pace.begin()
    assert sum(1 for _ in pace.rest()) >= 10 / NAP_S
    assert max(clock.naps) <= NAP_S


def test_a_pause_is_as_long_as_asked_whatever_the_rate() -> None:
    clock = Clock()
    pace = pace_of(clock, Weather(), fps=0.1)
    assert list(pace.pause()) == [None]
    assert clock.naps == []
    list(pace.pause(1.2))
    assert sum(clock.naps) == pytest.approx(1.2)


def test_heat_halves_the_rate_until_it_is_cool_and_each_time_is_told() -> None:
    clock, weather = Clock(), Weather(85.0)
    pace = pace_of(clock, weather, fps=2, max_temperature=80)
    assert frame(pace, clock) == pytest.approx(1.0)
    while len(weather.lines) < 4:
        frame(pace, clock)
    assert frame(pace, clock) == pytest.approx(0.5 / LEAST_SHARE)
    weather.celsius = 78.0  # below the limit, but not by much: else it would swing
    for _ in range(5):
        assert frame(pace, clock) == pytest.approx(8.0)
    assert len(weather.lines) == 4
    weather.celsius = 70.0
    while len(weather.lines) < 8:
        frame(pace, clock)
    assert frame(pace, clock) == pytest.approx(0.5)
    assert weather.lines[0] == "85.0 Celsius, above 80: frame rate reduced to 1/2"
    assert weather.lines[3] == "85.0 Celsius, above 80: frame rate reduced to 1/16"
    assert weather.lines[7] == "70.0 Celsius, below 75: frame rate raised to full"


def test_heat_slows_down_what_has_no_limit_by_what_it_costs() -> None:
    clock, weather = Clock(), Weather(85.0)
    pace = pace_of(clock, weather, max_temperature=80)
    frame(pace, clock, busy_s=0.1)
    assert frame(pace, clock, busy_s=0.1) == pytest.approx(0.2)


@pytest.mark.parametrize("fps", [0.05, 0.2, 1])
def test_heat_makes_no_pause_that_the_watchdog_would_mistake(fps: float) -> None:
    clock, weather = Clock(), Weather(85.0)
    pace = pace_of(clock, weather, fps=fps, max_temperature=80)
    for _ in range(20):
        longest = frame(pace, clock)
    assert longest == pytest.approx(max(1 / fps, SLOWEST_S))


def test_the_temperature_is_looked_at_now_and_then() -> None:
    clock, weather = Clock(), Weather(50.0)
    pace = pace_of(clock, weather, fps=10, max_temperature=80)
    for _ in range(100):
        frame(pace, clock)
    assert weather.looks == pytest.approx(10 / LOOK_S, abs=1)
    assert pace.celsius == 50.0


@pytest.mark.parametrize("celsius, limit", [(None, 80.0), (99.0, 0.0)])
def test_without_a_thermometer_or_a_limit_the_rate_stays(
    celsius: float | None, limit: float
) -> None:
    clock, weather = Clock(), Weather(celsius)
    pace = pace_of(clock, weather, fps=2, max_temperature=limit)
    assert [frame(pace, clock) for _ in range(20)] == pytest.approx([0.5] * 20)
    assert weather.lines == []


def test_the_usual_clock_is_one_that_does_not_jump() -> None:
    pace = Pace(PaceSettings(fps=50), lambda: None, pytest.fail)
    began = time.monotonic()
    for _ in range(5):
        pace.begin()
        list(pace.rest())
    assert time.monotonic() - began >= 4 / 50
