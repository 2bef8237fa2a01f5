"""The training's input, run by TensorFlow in processes of their own, no TFLite runtime beside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAMS, ROOT, run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What the program computed, by name; and what it said on stderr."""
    path: Path = tmp_path_factory.mktemp("batches") / "results.npz"
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "0"}
    done = run("-W", "error", PROGRAMS / "make_batches.py", path, env=environment)
    assert done.returncode == 0, done.stderr
    return dict(np.load(path)) | {"stderr": np.array(done.stderr)}


def test_whole_batches_of_pixels_labels_and_weights(results: dict[str, np.ndarray]) -> None:
    assert results["shape"].tolist() == [7, 32, 32, 3]
    assert results["dtypes"].tolist() == ["uint8", "int64", "float32"]
    assert results["camera-pixels"].shape == (42, 32, 32, 3)


def test_every_photo_once_per_epoch_each_in_a_new_order(results: dict[str, np.ndarray]) -> None:
    order = results["plain-order-pixels"][:90, 0, 0, 0].reshape(3, 30)
    for epoch in order:
        assert sorted(epoch) == list(range(30))
    assert len({epoch.tobytes() for epoch in order}) == 3


def test_labels_and_weights_belong_to_their_pixels(results: dict[str, np.ndarray]) -> None:
    photo = results["plain-order-pixels"][:, 0, 0, 0]
    assert np.array_equal(results["plain-order-pixels"], results["photos"][photo])
    assert np.array_equal(results["plain-order-labels"], photo % 3)
    assert np.array_equal(results["plain-order-weights"], photo / 2)


@pytest.mark.parametrize("part", ["pixels", "labels", "weights"])
def test_the_number_of_threads_changes_nothing(results: dict[str, np.ndarray], part: str) -> None:
    assert np.array_equal(results[f"camera-{part}"], results[f"one-thread-{part}"])


def test_another_seed_draws_others(results: dict[str, np.ndarray]) -> None:
    assert not np.array_equal(results["camera-labels"], results["another-labels"])


@pytest.mark.parametrize("part", ["pixels", "labels", "weights"])
def test_a_run_continues_with_the_very_same_batches(
    results: dict[str, np.ndarray], part: str
) -> None:
    assert np.array_equal(results[f"continued-{part}"], results[f"camera-{part}"][4 * 7 :])


def test_fewer_photos_than_a_batch_come_several_times(results: dict[str, np.ndarray]) -> None:
    assert sorted(results["few-pixels"][:, 0, 0, 0]) == [0] * 7 + [1] * 7 + [2] * 7


def test_plain_batches_come_once_in_order(results: dict[str, np.ndarray]) -> None:
    assert np.array_equal(results["plain-pixels"], results["photos"])
    assert np.array_equal(results["plain-labels"], np.arange(30) % 3)
    assert results["cardinality"].tolist() == [-1, 4]  # without end; 8 + 8 + 8 + 6


def test_views_are_of_all_photos_then_of_all_again(results: dict[str, np.ndarray]) -> None:
    assert np.array_equal(results["plain-views-pixels"], np.tile(results["photos"], (2, 1, 1, 1)))
    views = results["views-pixels"]
    assert views.shape == (60, 32, 32, 3)
    assert not any(np.array_equal(views[row], views[row + 30]) for row in range(30))


def test_fit_has_nothing_to_warn_of(results: dict[str, np.ndarray]) -> None:
    stderr = str(results["stderr"])
    for complaint in ("sequence", "ran out of data", "Traceback", "Warning"):
        assert complaint not in stderr, stderr


@pytest.mark.parametrize("ending", ["held", "dropped"])
def test_the_process_ends_while_batches_are_being_made(ending: str) -> None:
    done = run(PROGRAMS / "end_while_batching.py", ending)
    assert done.returncode == (ending == "dropped"), done.stderr
    assert "terminate" not in done.stderr  # what C++ says when its threads are cut off


@contextmanager
def fitting(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A fit, which has done its first batch."""
    command = [sys.executable, "-u", PROGRAMS / "fit_until_interrupted.py", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            wait_for(process, "1")
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], expected: str) -> None:
    """Read lines until one is as expected."""
    while (line := process.stdout.readline()) != f"{expected}\n":
        assert line, process.stderr.read()


def test_ctrl_c_ends_a_training_between_two_batches() -> None:
    with fitting() as process:
        process.send_signal(signal.SIGINT)
        wait_for(process, "2")  # it was caught, and another fit is begun
        wait_for(process, "1")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGINT, stderr
    assert "terminate" not in stderr
    assert stderr.count("convert: stopping after this batch") == 2


def test_a_second_ctrl_c_does_not_wait_for_the_batch() -> None:
    begin = time.monotonic()
    with fitting("200") as process:
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        _, stderr = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGINT, stderr
    assert time.monotonic() - begin < 150


def test_an_ignored_ctrl_c_stays_ignored(results: dict[str, np.ndarray]) -> None:
    assert results["ignored"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_anonymous_memory_does_not_grow_with_the_photos(results: dict[str, np.ndarray]) -> None:
    few, many = results["megabytes"]  # 20 photos, then 700: 138 MB
    assert many < few + 40
