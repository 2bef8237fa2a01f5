"""Images are decoded ahead: in order, a few at a time, and the threads end with the iterator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAMS, ROOT
from pictures import encoded, scene
from PIL import Image

from edge.errors import ImageError, SourceError
from edge.image.framing import Framing
from edge.image.preprocess import (
    InputSpec,
    Normalization,
    Prepared,
    prepare,
    preprocess,
    read_image,
)
from edge.sources.ahead import HELD, ahead
from edge.sources.frame import Frame
from edge.sources.photos import photos

INPUT = InputSpec(
    0, (1, 64, 96, 3), np.dtype(np.float32), 0.0, 0, Normalization(127.5, 127.5), Framing("crop")
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images, large and small in turn: later ones are ready before earlier ones."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        side = 1200 if number % 2 == 0 else 80
        picture = np.roll(scene(side, side + 10 * number), number, axis=2)
        (folder / f"{number:02}.jpg").write_bytes(encoded(picture, "JPEG"))
    return folder


def decoding() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.mark.parametrize("jobs", [0, 1, 2, 5])
def test_frames_keep_their_order_and_give_the_same_tensors(folder: Path, jobs: int) -> None:
    expected = list(photos([folder]))
    found = list(ahead(iter(expected), INPUT, jobs=jobs))
    assert [frame.source for frame in found] == [frame.source for frame in expected]
    assert [frame.captured_ns for frame in found] == [frame.captured_ns for frame in expected]
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one.picture, Prepared) == (jobs > 0)
        np.testing.assert_array_equal(
            preprocess(one.picture, INPUT), preprocess(other.picture, INPUT)
        )
    assert not decoding()


def test_a_bad_picture_fails_in_its_turn_and_again(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    paths = [folder / "00.jpg", tmp_path / "bad.jpg", tmp_path / "absent.jpg", folder / "01.jpg"]
    good, bad, absent, last = ahead(photos(paths), INPUT, jobs=2)
    for _ in range(2):
        with pytest.raises(ImageError, match=r"bad\.jpg: is damaged"):
            preprocess(bad.picture, INPUT)
        with pytest.raises(ImageError, match=r"absent\.jpg: no such file"):
            preprocess(absent.picture, INPUT)
    for frame in (good, last):
        assert preprocess(frame.picture, INPUT).shape == INPUT.shape


def test_what_the_frames_fail_with_comes_after_those_before_it(folder: Path) -> None:
    found = []
    with pytest.raises(SourceError, match="contains no images"):
        for frame in ahead(photos([folder, f"{folder}/*.absent"]), INPUT, jobs=2):
            found.append(frame.source)
    assert len(found) == 12
    assert not decoding()


def test_frames_are_read_no_further_than_what_is_held(folder: Path) -> None:
    taken = 0

    def counted() -> Iterator[Frame]:
        nonlocal taken
        for frame in photos([folder]):
            taken += 1
            yield frame

    for number, _ in enumerate(ahead(counted(), INPUT, jobs=2), start=1):
        assert taken <= number - 1 + HELD * 2
    assert taken == 12


def test_an_early_end_ends_the_threads(folder: Path) -> None:
    frames = ahead(photos([folder] * 100), INPUT, jobs=3)
    next(frames)
    assert decoding()
    frames.close()
    assert not decoding()


def test_ctrl_c_ends_a_batch_at_once(folder: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from edge.sources.ahead import ahead\n"
        "from edge.sources.photos import photos\n"
        "from edge.image.preprocess import InputSpec\n"
        "spec = InputSpec(0, (1, 64, 96, 3), np.dtype(np.uint8))\n"
        "for frame in ahead(photos([sys.argv[1]] * 10_000), spec, jobs=2):\n"
        "    print(frame.source, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout.readline().strip().endswith(b"00.jpg")
        os.kill(run.pid, signal.SIGINT)
        started = time.monotonic()
        _, stderr = run.communicate(timeout=60)
        assert time.monotonic() - started < 5  # a moment, where the processor is not busy
    assert stderr.strip().endswith(b"KeyboardInterrupt")


def test_a_prepared_picture_serves_another_model_from_its_file(folder: Path) -> None:
    path = folder / "00.jpg"
    other = InputSpec(0, (1, 28, 28), np.dtype(np.uint8))
    prepared = prepare(path, INPUT)
    assert prepared.prepare_ms > 0
    np.testing.assert_array_equal(preprocess(prepared, other), preprocess(path, other))
    np.testing.assert_array_equal(read_image(prepared), read_image(path))
    assert prepare(prepared, other).picture == path


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_large_images_is_given_back(tmp_path: Path) -> None:
    Image.new("P", (8000, 5000)).save(tmp_path / "a.bmp")
    command = [sys.executable, PROGRAMS / "decode_side_by_side.py", tmp_path / "a.bmp"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert int(done.stdout) < 160_000  # of 160 MB each; some 40 MB are Python and Pillow
