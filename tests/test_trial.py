"""A model is tried in a process of its own, which may crash, hang, and say what it likes."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from model_copies import SMALL, damaged, relabelled, with_wrong_golden_scores

from edge.classifier.model import Model
from edge.classifier.trial import Trial, Trying, try_model
from edge.errors import ModelError


def outcome(trying: Trying) -> Trial:
    while not (done := trying.poll()):
        time.sleep(0.01)
    return done


def test_a_good_model_tells_what_it_is() -> None:
    trial = try_model(SMALL)
    with Model(SMALL) as model:
        assert trial.labels == model.labels
        assert trial.runtime == model.runtime
    assert trial.golden == 4
    assert 0 < trial.invoke_p50_ms < 5000


def test_labels_longer_than_a_pipe_come_through(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    labels = ("x" * 100_000, "y")
    path.write_bytes(relabelled(labels))
    assert try_model(path).labels == labels


@pytest.mark.parametrize(
    "content, fault",
    [(damaged, "damaged"), (with_wrong_golden_scores, "golden vector 0 is off"), (bytes, "empty")],
    ids=["damaged", "golden", "empty"],
)
def test_what_is_wrong_with_a_model_is_said_as_by_ourselves(
    tmp_path: Path, content: Callable[[], bytes], fault: str
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content())
    with pytest.raises(ModelError, match=fault) as caught:
        try_model(path)
    assert caught.value.subject == str(path)


def test_a_runtime_that_is_not_there_is_an_error_as_well() -> None:
    with pytest.raises(ModelError, match="runtime must be one of"):
        try_model(SMALL, runtime="other")


def test_a_crash_takes_only_its_process_along() -> None:
    with Trying(SMALL) as trying:
        os.kill(trying._process.pid, signal.SIGSEGV)
        with pytest.raises(ModelError, match=r"crashes the runtime \(SIGSEGV\)"):
            outcome(trying)


def test_one_that_hangs_is_ended() -> None:
    with Trying(SMALL, timeout_s=0.2) as trying:
        os.kill(trying._process.pid, signal.SIGSTOP)
        with pytest.raises(ModelError, match=r"does not respond within 0\.2 s"):
            outcome(trying)
        assert trying._process.returncode == -signal.SIGKILL


def test_a_trial_does_not_hold_anybody_up_and_ends_when_it_is_closed() -> None:
    with Trying(SMALL) as trying:
        assert trying.poll() is None
    assert trying._process.returncode == -signal.SIGKILL
    trying.close()


def test_a_machine_on_which_nothing_can_be_tried_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=r"cannot be validated \(No such file"):
        Trying(SMALL)
