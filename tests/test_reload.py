"""When the running model is another one, and when it stays; the clock is the test's own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from model_copies import SMALL, damaged, relabelled

from edge.classifier.model import Model
from edge.classifier.trial import Trial, Trying
from edge.errors import ConfigurationError, ModelError
from edge.service.models import ModelCopies, ModelRequirements, ModelStore, model_version
from edge.service.process.reload import LOOK_S, RESTED_S

TIMEOUT_S = 60.0


class Running:
    """A model that is looked after; what was tried, and what was said."""

    def __init__(
        self, path: Path, requirements: ModelRequirements, copies: ModelCopies | None = None
    ) -> None:
        self.path, self.now_s = path, 100.0
        self.lines: list[str] = []
        self.trials: list[Trying] = []
        self.models = ModelStore(
            path,
            Model,
            self._try,
            requirements,
            self.lines.append,
            copies=copies,
            monotonic=lambda: self.now_s,
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
        while not (changed := self.models.poll()) and self.models._trials._trying:
            assert time.monotonic() < until
            time.sleep(0.01)
        return changed


@pytest.fixture
def requirements() -> ModelRequirements:
    return ModelRequirements()


@pytest.fixture
def running(tmp_path: Path, requirements: ModelRequirements) -> Iterator[Running]:
    path = tmp_path / "model.tflite"
    path.write_bytes(SMALL.read_bytes())
    found = Running(path, requirements)
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
    assert line.startswith(f"{running.path}: new model loaded (4 golden vectors hold, ")
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
    assert line.endswith("; the current model stays in use")
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
    gone = (
        f"{running.path}: no such file; copy the model there again; the current model stays in use"
    )
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
    ModelRequirements({"cup": "snapshots.labels"}, 20.0).check(Path("m"), trial)
    with pytest.raises(ModelError, match="lacks label 'key', which the configuration names"):
        ModelRequirements(dict.fromkeys(("cup", "key"), "snapshots.labels")).check(Path("m"), trial)
    with pytest.raises(ModelError, match="takes 20 ms per image; the limit at this fps is 15 ms"):
        ModelRequirements({}, 15.0).check(Path("m"), trial)


@pytest.mark.parametrize("requirements", [ModelRequirements({"nothotdog": "snapshots.labels"})])
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
    running = Running(path, ModelRequirements())
    running.models.ask()
    running.turns(0.5)
    running.models.close()
    assert running.trials[0]._process.returncode == -signal.SIGKILL


def test_the_first_model_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        Running(tmp_path / "absent.tflite", ModelRequirements())


class Start:
    """A start of the service with copies of models that passed validation."""

    def __init__(self, path: Path, copies: ModelCopies, *labels: str) -> None:
        self.lines: list[str] = []
        self.trials: list[Path] = []
        requirements = ModelRequirements(dict.fromkeys(labels, "snapshots.labels"))
        with closing(
            ModelStore(path, Model, self._try, requirements, self.lines.append, copies=copies)
        ) as store:
            self.labels, self.name = store.model.labels, store.model.path.name
            self.version, self.trouble = store.version, store.trouble

    def _try(self, path: Path) -> Trying:
        self.trials.append(path)
        return Trying(path)


@pytest.fixture
def copies(tmp_path: Path) -> ModelCopies:
    return ModelCopies(tmp_path / "state" / "models")


def test_a_start_with_a_file_that_is_rejected_runs_the_last_good_one(
    tmp_path: Path, copies: ModelCopies
) -> None:
    path = tmp_path / "mine.tflite"
    path.write_bytes(relabelled(["fish", "chips"]))
    good = Start(path, copies)
    assert (good.lines, good.trouble, good.trials) == ([], "", [path])
    content = path.read_bytes()
    for bad in (content[: len(content) // 2], damaged(), b"", b"not a model"):
        path.write_bytes(bad)
        start = Start(path, copies)
        assert (start.labels, start.version) == (good.labels, good.version)
        assert start.name == "mine.tflite"
        assert start.trouble.startswith(f"{path}: ")
        assert f"the last model that passed validation runs: {tmp_path}/state/" in start.lines[0]
    path.unlink()
    assert Start(path, copies).trouble == f"{path}: no such model file"
    path.write_bytes(content)
    again = Start(path, copies)
    assert (again.trouble, again.trials) == ("", [])  # it was tried before


def test_a_start_with_a_model_that_lacks_a_label_runs_the_last_that_has_it(
    tmp_path: Path, copies: ModelCopies
) -> None:
    path = tmp_path / "mine.tflite"
    path.write_bytes(relabelled(["fish", "chips"]))
    with pytest.raises(ConfigurationError, match="no label 'cup', only fish, chips"):
        Start(path, copies, "cup")
    Start(path, copies, "fish")
    path.write_bytes(relabelled(["bird", "chips"]))
    start = Start(path, copies, "fish")
    assert start.labels == ("fish", "chips")
    assert "no label 'fish'" in start.trouble


def test_the_one_before_is_kept_too_and_a_damaged_copy_is_passed_over(
    tmp_path: Path, copies: ModelCopies
) -> None:
    path = tmp_path / "mine.tflite"
    for name in "abc":
        path.write_bytes(relabelled([name, "other"]))
        Start(path, copies)
    newest, before = copies
    newest.write_bytes(newest.read_bytes()[:-1])  # by the card
    path.write_bytes(b"")
    assert Start(path, copies).labels == ("b", "other")
    path.write_bytes(relabelled(["c", "other"]))
    Start(path, copies)
    assert [model_version(copy) for copy in copies] == [newest.parent.name, before.parent.name]


def test_a_model_that_lies_beside_the_copies_is_no_copy(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / "model.tflite"  # where install.sh puts it
    for name in "abcd":
        path.write_bytes(relabelled([name, "other"]))
        ModelCopies(folder).add(path)
        os.utime(path, (1, 1))
    assert path.exists()
    assert len(list(ModelCopies(folder))) == 2


def test_a_clock_that_was_set_back_does_not_make_the_newest_the_oldest(
    tmp_path: Path, copies: ModelCopies
) -> None:
    path = tmp_path / "mine.tflite"
    for name in "abc":
        path.write_bytes(relabelled([name, "other"]))
        copies.add(path)
        if name == "a":
            os.utime(next(iter(copies)).parent, (4e9, 4e9))
    with Model(next(iter(copies))) as model:
        assert model.labels[0] == "c"


def test_a_model_that_was_swapped_in_is_kept(tmp_path: Path, copies: ModelCopies) -> None:
    path = tmp_path / "mine.tflite"
    path.write_bytes(SMALL.read_bytes())
    running = Running(path, ModelRequirements(), copies)
    running.replace(relabelled(["fish", "chips"]))
    running.models.ask()
    running.turns(0.5)
    assert running.settled()
    running.models.close()
    path.unlink()
    assert Start(path, copies).labels == ("fish", "chips")


def test_without_room_for_a_copy_the_service_runs(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"a file, no folder")
    path = tmp_path / "mine.tflite"
    path.write_bytes(SMALL.read_bytes())
    start = Start(path, ModelCopies(tmp_path / "state"))
    assert start.labels == ("hotdog", "nothotdog")
    assert "cannot be saved as the last valid model" in start.lines[0]
