"""The training's input, run by TensorFlow in processes of their own, no TFLite runtime beside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run

BEGIN = """
import os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np
from convert.training import batches
from convert.training.augment import Augmentation

def photos(count, side=32):  # the first two pixels tell which photo it is
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 1, 0] = np.arange(count) % 256, np.arange(count) // 256
    return pixels

def augmented(pixels, kind, first_step=0, seed=5):
    count = len(pixels)
    return batches.augmented(
        pixels, np.arange(count) % 3, np.arange(count) / 2, augmentation=kind, batch_size=7,
        seed=seed, first_step=first_step,
    )

def take(dataset, count):
    return [[tensor.numpy() for tensor in batch] for batch in dataset.take(count)]
"""

BATCHES = (
    BEGIN
    + """
results = {}
def keep(name, batches):
    for part, values in zip(("pixels", "labels", "weights"), zip(*batches)):
        results[f"{name}-{part}"] = np.concatenate(values)

camera = Augmentation.camera()
keep("plain-order", take(augmented(photos(30), Augmentation.none()), 13))  # 91 = 3 epochs and 1
keep("camera", take(augmented(photos(30), camera), 6))
keep("another", take(augmented(photos(30), camera, seed=6), 6))
keep("continued", take(augmented(photos(30), camera, first_step=4), 2))
batches.THREADS = 1
keep("one-thread", take(augmented(photos(30), camera), 6))
keep("few", take(augmented(photos(3), Augmentation.none()), 3))  # fewer than a batch
keep("plain", take(batches.plain(photos(30), np.arange(30) % 3, 8), -1))
endless, once = augmented(photos(30), camera), batches.plain(photos(30), np.arange(30), 8)
results["cardinality"] = [int(endless.cardinality()), int(once.cardinality())]
results["dtypes"] = [spec.dtype.name for spec in endless.element_spec]
results["shape"] = endless.element_spec[0].shape
np.savez(sys.argv[1], photos=photos(30), **results)
"""
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What the script computed, by name."""
    path: Path = tmp_path_factory.mktemp("batches") / "results.npz"
    done = run("-W", "error", "-c", BATCHES, str(path))
    assert done.returncode == 0, done.stderr
    return dict(np.load(path))


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


FIT = (
    BEGIN
    + """
import keras
model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255),
    keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=[])
once = batches.plain(photos(30), np.arange(30) % 3, 8)
model.fit(augmented(photos(30), Augmentation.camera()), steps_per_epoch=5, epochs=3,
    validation_data=once, shuffle=False, verbose=2)
model.evaluate(once, verbose=2)
model.predict(once.map(lambda pixels, labels: pixels), verbose=0)
"""
)


def test_fit_has_nothing_to_warn_of() -> None:
    done = run("-W", "error", "-c", FIT, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "0"})
    assert done.returncode == 0, done.stderr
    for complaint in ("sequence", "ran out of data", "Traceback", "Warning"):
        assert complaint not in done.stderr, done.stderr


ENDINGS = {
    "while-it-is-held": "",
    "after-it-is-dropped": "del batch, source",
    "by-an-error": "raise ValueError('an error')",
    "of-plain-ones": "source = iter(batches.plain(photos(90, 300), np.zeros(90), 4)); next(source)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_process_ends_while_batches_are_being_made(ending: str) -> None:
    script = BEGIN + "source = iter(augmented(photos(50, 300), Augmentation.camera()))\n"
    done = run("-c", f"{script}batch = next(source)\n{ENDINGS[ending]}")
    assert done.returncode == (ending == "by-an-error"), done.stderr
    assert "terminate" not in done.stderr  # what C++ says when its threads are cut off


FITTING = (
    BEGIN
    + """
import keras
from convert.training.interrupt import between_batches
model = keras.Sequential([keras.Input((300, 300, 3)), keras.layers.GlobalAveragePooling2D(),
    keras.layers.Dense(3, "softmax")])
model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=[])
once = batches.plain(photos(90, 300), np.arange(90) % 3, 8)
class Tell(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        {told}
def fit():
    with between_batches() as interrupt:
        model.fit(augmented(photos(50, 300), Augmentation.camera()), steps_per_epoch=5, epochs=999,
            validation_data=once, shuffle=False, verbose=0, callbacks=[Tell(), interrupt])
"""
)
LOOPS = {
    "uncaught": ("fit()", -signal.SIGINT),
    "caught": ("try: fit()\nexcept KeyboardInterrupt: sys.exit(130)", 130),
}


def interrupted(script: str, times: int = 1) -> tuple[int, str]:
    """Run a script, interrupt it once it has printed a line; its exit status and stderr."""
    command = [sys.executable, "-u", "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            assert process.stdout.readline() == "1\n"
            for _ in range(times):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
            _, stderr = process.communicate(timeout=300)
        finally:
            process.kill()
    return process.returncode, stderr


@pytest.mark.parametrize("loop", LOOPS)
def test_ctrl_c_ends_a_training_between_two_batches(loop: str) -> None:
    text, expected = LOOPS[loop]
    status, stderr = interrupted(FITTING.replace("{told}", "print(1)") + text)
    assert status == expected, stderr
    assert "terminate" not in stderr
    assert "convert: stopping after this batch" in stderr


def test_a_second_ctrl_c_does_not_wait_for_the_batch() -> None:
    told = "print(1); import time; time.sleep(200)"
    begin = time.monotonic()
    status, stderr = interrupted(FITTING.replace("{told}", told) + "fit()", times=2)
    assert status == -signal.SIGINT, stderr
    assert time.monotonic() - begin < 150


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    script = """
import os, signal
from convert.training.interrupt import between_batches
signal.signal(signal.SIGINT, signal.SIG_IGN)
with between_batches() as interrupt:
    os.kill(os.getpid(), signal.SIGINT)
    interrupt.check()
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
"""
    done = run("-c", script)
    assert done.returncode == 0, done.stderr


MEMORY = (
    BEGIN
    + """
from pathlib import Path
pixels = np.load(sys.argv[1], mmap_mode="r")
for step, batch in enumerate(augmented(pixels, Augmentation.camera())):
    if step == 100:
        break
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon")))
"""
)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_anonymous_memory_does_not_grow_with_the_photos(tmp_path: Path) -> None:
    megabytes = []
    for count in (20, 700):  # 700 are 138 MB
        path = tmp_path / f"{count}.npy"
        np.save(path, np.zeros((count, 256, 256, 3), np.uint8))
        done = run("-c", MEMORY, str(path))
        assert done.returncode == 0, done.stderr
        megabytes.append(int(done.stdout))
    assert megabytes[1] < megabytes[0] + 40, megabytes
