"""When the running model is another one, and when it stays; the clock is the test's own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from model_copies import SMALL, damaged, relabelled

from edge.classifier.model import Model
from edge.classifier.trial import Trial, Trying
from edge.errors import ModelError
from edge.service.reload import LOOK_S, RESTED_S, Demands, Reloading

TIMEOUT_S = 60.0


class Running:
    """A model that is looked after; what was tried, and what was said."""

    def __init__(self, path: Path, demands: Demands) -> None:
        self.path, self.now_s = path, 100.0
        self.lines: list[str] = []
        self.trials: list[Trying] = []
        self.models = Reloading(
            path, Model, self._try, demands, self.lines.append, lambda: self.now_s
        )

    def _try(self, path: Path) -> Trying:
        self.trials.append(Trying(path))
        return self.trials[-1]

    def replace(self, content: bytes) -> None:
        """As `cp` and `mv` do."""
        partial = self.path.with_suffix(".new")
        partial.write_bytes(content)
        partial.replace(self.path)

    def turns(self, seconds: float) -> None:
        """Let time pass, a turn each half second, in none of which the model changes."""
        for _ in range(round(seconds / 0.5)):
            self.now_s += 0.5
            assert not self.models.poll()

    def settled(self) -> bool:
        """Take turns until the trial has ended; return whether the model is another one."""
        assert self.trials, "no trial was started"
        until = time.monotonic() + TIMEOUT_S
        while not (changed := self.models.poll()) and self.models._trying:
            assert time.monotonic() < until
            time.sleep(0.01)
        return changed


@pytest.fixture
def demands() -> Demands:
    return Demands()


@pytest.fixture
def running(tmp_path: Path, demands: Demands) -> Iterator[Running]:
    path = tmp_path / "model.tflite"
    path.write_bytes(SMALL.read_bytes())
    found = Running(path, demands)
    yield found
    found.models.close()


def works(model: Model) -> bool:
    return bool(np.isfinite(model.scores(np.zeros((8, 8, 3), np.uint8))).all())


def test_a_file_that_stays_is_not_tried(running: Running) -> None:
    running.turns(3600)
    assert (running.trials, running.lines) == ([], [])


def test_a_good_new_file_is_swapped_in_once_it_has_rested(running: Running) -> None:
    before = running.models.model
    running.replace(relabelled(["fish", "chips"]))
    running.turns(LOOK_S + RESTED_S - 0.5)
    assert not running.trials
    running.turns(LOOK_S)
    assert works(before)  # it goes on during the trial
    assert running.settled()
    assert running.models.model is not before
    assert running.models.model.labels == ("fish", "chips")
    assert before._opened is None
    assert works(running.models.model)
    (line,) = running.lines
    assert line.startswith(f"{running.path}: loaded anew (4 golden vectors hold, ")
    running.turns(60)
    assert len(running.trials) == 1


def test_a_file_that_is_still_being_copied_is_left_alone(running: Running) -> None:
    content = SMALL.read_bytes()
    with running.path.open("r+b", buffering=0) as file:
        for _ in range(10):
            file.write(content[:1000])
            running.turns(1)
    assert running.trials == []


def test_a_bad_file_is_refused_once_and_the_old_model_goes_on(running: Running) -> None:
    before = running.models.model
    running.replace(damaged())
    running.turns(LOOK_S + RESTED_S + LOOK_S)
    assert not running.settled()
    assert running.models.model is before
    assert works(before)
    (line,) = running.lines
    assert "damaged" in line
    assert line.endswith("; the model that is loaded goes on")
    assert "damaged" in running.models.trouble
    running.turns(60)
    assert len(running.trials) == 1
    running.replace(SMALL.read_bytes())
    running.turns(LOOK_S + RESTED_S + LOOK_S)
    assert running.settled()
    assert running.models.trouble == ""


def test_one_that_crashes_is_refused(running: Running) -> None:
    running.models.ask()
    running.turns(0.5)
    os.kill(running.trials[0]._process.pid, signal.SIGSEGV)
    assert not running.settled()
    assert "crashes the runtime (SIGSEGV)" in running.lines[0]
    assert works(running.models.model)


def test_a_file_that_changes_during_its_trial_is_tried_again(running: Running) -> None:
    running.replace(relabelled(["a", "b"]))
    running.turns(LOOK_S + RESTED_S + LOOK_S)
    running.replace(relabelled(["c", "d"]))
    assert not running.settled()
    assert running.models.model.labels == ("hotdog", "nothotdog")
    running.turns(LOOK_S + RESTED_S + LOOK_S)
    assert running.settled()
    assert running.models.model.labels == ("c", "d")
    assert len(running.lines) == 1


def test_it_is_loaded_again_when_asked_changed_or_not(running: Running) -> None:
    before = running.models.model
    running.models.ask()
    running.models.ask()
    running.turns(0.5)
    assert running.settled()
    assert running.models.model is not before
    running.turns(5)
    assert len(running.trials) == 1


def test_a_file_that_is_gone_is_told_once_and_found_again(running: Running) -> None:
    away = running.path.rename(running.path.with_suffix(".away"))
    running.turns(30)
    gone = f"{running.path}: is gone; put it back; the model that is loaded goes on"
    assert running.lines == [gone]
    running.models.ask()
    running.turns(1)
    assert running.lines == [gone, gone]
    assert works(running.models.model)
    away.rename(running.path)
    running.turns(LOOK_S + RESTED_S + LOOK_S)
    assert running.settled()


def test_labels_that_the_configuration_names_must_be_there() -> None:
    trial = Trial(("cup", "fish"), "none", 4, 20.0)
    Demands(("cup",), 20.0).check(Path("m"), trial)
    with pytest.raises(ModelError, match="lacks label 'key', which the configuration names"):
        Demands(("cup", "key")).check(Path("m"), trial)
    with pytest.raises(ModelError, match="takes 20 ms, at most 15 will do"):
        Demands((), 15.0).check(Path("m"), trial)


@pytest.mark.parametrize("demands", [Demands(labels=("nothotdog",))])
def test_a_model_that_lacks_one_is_refused(running: Running) -> None:
    running.replace(relabelled(["fish", "chips"]))
    running.models.ask()
    running.turns(0.5)
    assert not running.settled()
    assert "lacks label 'nothotdog'" in running.lines[0]
    assert running.models.model.labels == ("hotdog", "nothotdog")


def test_closing_ends_a_trial(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(SMALL.read_bytes())
    running = Running(path, Demands())
    running.models.ask()
    running.turns(0.5)
    running.models.close()
    assert running.trials[0]._process.returncode == -signal.SIGKILL


def test_the_first_model_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        Running(tmp_path / "absent.tflite", Demands())
