"""A steady state from noisy scores: when it changes, and when it does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge.classifier.model import NEVER
from edge.errors import ConfigurationError
from edge.service.zones.steady import Change, Steady, SteadySettings

LABELS = ("cup", "fish", "key")
CUP, FISH, NONE = (0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.3, 0.3, 0.3)
AT_ONCE = SteadySettings(smoothing=1.0, frames=1, hold_s=0.0)


def changes(
    steady: Steady, *frames: tuple[float, ...], every_s: float = 1.0, from_s: float = 0.0
) -> list[tuple[int, str]]:
    """Feed frames; return which of them changed the state to what."""
    found = []
    for number, scores in enumerate(frames):
        change = steady.update(np.array(scores, np.float32), from_s + number * every_s)
        if change:
            found.append((number, change.after))
    return found


def test_it_begins_as_unknown_and_says_how_it_changed() -> None:
    steady = Steady(LABELS, AT_ONCE)
    assert steady.state == "unknown"
    assert steady.update(np.array(NONE, np.float32), 10.0) is None
    change = steady.update(np.array(CUP, np.float32), 12.5)
    assert change == Change("unknown", "cup", pytest.approx(0.9), 2.5)
    assert (steady.state, steady.score) == ("cup", pytest.approx(0.9))


def test_there_is_an_event_per_change_not_per_frame() -> None:
    frames = (CUP,) * 5 + (FISH,) * 5 + (NONE,) * 5
    assert changes(Steady(LABELS, AT_ONCE), *frames) == [(0, "cup"), (5, "fish"), (10, "unknown")]


def test_so_many_frames_in_a_row_must_say_so() -> None:
    settings = SteadySettings(smoothing=1.0, frames=3, hold_s=0.0)
    assert changes(Steady(LABELS, settings), CUP, CUP, FISH, CUP, CUP) == []
    assert changes(Steady(LABELS, settings), CUP, CUP, CUP, FISH, CUP, FISH, FISH, FISH) == [
        (2, "cup"),
        (7, "fish"),
    ]


def test_smoothing_lets_a_single_frame_pass_by() -> None:
    smooth = SteadySettings(smoothing=0.3, frames=1, hold_s=0.0)
    assert changes(Steady(LABELS, smooth), *(CUP,) * 5, FISH, *(CUP,) * 5) == [(0, "cup")]
    assert len(changes(Steady(LABELS, AT_ONCE), *(CUP,) * 5, FISH, *(CUP,) * 5)) == 3


def test_smoothing_is_exponential() -> None:
    steady = Steady(LABELS, SteadySettings(smoothing=0.25, enter=0.0, frames=1, hold_s=0.0))
    changes(steady, (1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert steady.score == pytest.approx(0.75**2)


def test_a_state_lasts_at_least_so_long() -> None:
    settings = SteadySettings(smoothing=1.0, frames=1, hold_s=5.0)
    frames = (CUP,) * 7 + (FISH,) * 10
    # Unknown lasts from 0 to 5, cup from 5 to 10, although fish are seen from 7 on.
    assert changes(Steady(LABELS, settings), *frames) == [(5, "cup"), (10, "fish")]


def test_a_label_enters_above_one_threshold_and_leaves_below_the_other() -> None:
    settings = SteadySettings(smoothing=1.0, enter=0.8, leave=0.4, frames=1, hold_s=0.0)
    scores = (0.7, 0.8, 0.5, 0.41, 0.39, 0.7)
    frames = [(score, 0.1, 0.1) for score in scores]
    assert changes(Steady(LABELS, settings), *frames) == [(1, "cup"), (4, "unknown")]


def test_two_labels_that_take_turns_around_the_middle_do_not_flicker() -> None:
    frames = [(0.6, 0.4), *[(0.49, 0.51), (0.51, 0.49)] * 10, (0.39, 0.61)]
    assert changes(Steady(("cup", "fish"), AT_ONCE), *frames) == [(0, "cup"), (21, "fish")]


@pytest.mark.parametrize(
    "settings, of_model, thresholds",
    [
        (SteadySettings(), 0.0, (0.5, 0.4)),
        (SteadySettings(), 0.8, (0.8, 0.7)),
        (SteadySettings(), 0.1, (0.1, 0.05)),  # not 0: it would never be left
        (SteadySettings(enter=0.7), 0.3, (0.7, 0.6)),
        (SteadySettings(leave=0.9), 0.3, (0.9, 0.9)),  # what is entered is not left at once
        (SteadySettings(enter=0.7, leave=0.2), 0.3, (0.7, 0.2)),
    ],
)
def test_what_is_left_open_comes_from_the_model(
    settings: SteadySettings, of_model: float, thresholds: tuple[float, float]
) -> None:
    assert settings.thresholds(of_model) == pytest.approx(thresholds)


def test_each_label_enters_and_leaves_at_its_own_threshold() -> None:
    steady = Steady(LABELS, AT_ONCE, np.array([0.8, 0.3, NEVER]))
    frames = ((0.7, 0.2, 0.1), (0.3, 0.4, 0.3), (0.1, 0.21, 0.69), (0.0, 0.1, 0.9))
    assert changes(steady, *frames) == [(1, "fish"), (3, "unknown")]


def test_a_label_of_other_things_is_unknown_whatever_is_configured() -> None:
    settings = dataclasses.replace(AT_ONCE, enter=0.5)
    steady = Steady(LABELS, settings, np.array([0.8, 0.8, NEVER]))
    assert changes(steady, (0.6, 0.2, 0.2), (0.1, 0.0, 0.9)) == [(0, "cup"), (1, "unknown")]


def test_after_a_gap_the_state_stays_and_old_scores_are_gone() -> None:
    steady = Steady(LABELS, SteadySettings(smoothing=0.1, frames=2, hold_s=0.0))
    changes(steady, *(CUP,) * 20)
    steady.forget()
    assert steady.state == "cup"
    assert changes(steady, FISH, FISH, from_s=500) == [(1, "fish")]


def test_frames_far_apart_still_count_as_in_a_row() -> None:
    steady = Steady(LABELS, SteadySettings(frames=3, hold_s=0.0))
    found = []
    for number in range(3):  # as from a camera that exposes for a second at night
        steady.forget()
        found += changes(steady, CUP, from_s=number)
    assert found == [(0, "cup")]


def test_another_model_goes_on_from_the_state() -> None:
    steady = Steady(LABELS, AT_ONCE)
    changes(steady, CUP)
    steady.follow(("fish", "cup"), 0.95)
    assert changes(steady, (0.1, 0.9), from_s=1) == []
    assert changes(steady, (0.9, 0.1), from_s=2) == [(0, "unknown")]
    assert changes(steady, (0.96, 0.04), from_s=3) == [(0, "fish")]


def test_another_model_without_the_label_leaves_the_state_by_an_event() -> None:
    steady = Steady(LABELS, AT_ONCE)
    changes(steady, CUP)
    steady.follow(("dog", "cat"), 0.0)
    change = steady.update(np.array((0.5, 0.3), np.float32), 1.0)
    assert change
    assert (change.before, change.after) == ("cup", "dog")


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothing": 0.0},
        {"smoothing": 1.5},
        {"smoothing": float("nan")},
        {"frames": 0},
        {"frames": 1.5},
        {"frames": True},
        {"hold_s": -1.0},
        {"hold_s": float("inf")},
        {"enter": 1.1},
        {"leave": -0.1},
        {"enter": 0.4, "leave": 0.5},
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SteadySettings(**wrong)  # type: ignore[arg-type]
    assert caught.value.subject == f"steady.{list(wrong)[-1]}"
    assert "Received: " in caught.value.fault


def test_two_sure_labels_change_without_a_detour_by_unknown() -> None:
    steady = Steady(("a", "b"), SteadySettings(), 0.9)
    sure = {"a": np.array([0.99, 0.01], np.float32), "b": np.array([0.01, 0.99], np.float32)}
    changes = []
    for index, label in enumerate("aaaaaaaabbbbbbbbbbaaaaaaaaaa"):
        if change := steady.update(sure[label], index * 0.5):
            changes.append((change.before, change.after))
    assert changes == [("unknown", "a"), ("a", "b"), ("b", "a")]


def test_labels_that_take_turns_become_unknown() -> None:
    steady = Steady(("a", "b"), SteadySettings(), 0.9)
    sure = {"a": np.array([0.99, 0.01], np.float32), "b": np.array([0.01, 0.99], np.float32)}
    for index, label in enumerate("aaaaaaaa" + "ba" * 10):
        steady.update(sure[label], index * 0.5)
    assert steady.state == "unknown"


def test_unsure_frames_become_unknown() -> None:
    steady = Steady(("a", "b"), SteadySettings(), 0.9)
    for index in range(20):
        scores = [0.99, 0.01] if index < 8 else [0.5, 0.5]
        steady.update(np.array(scores, np.float32), index * 0.5)
    assert steady.state == "unknown"
