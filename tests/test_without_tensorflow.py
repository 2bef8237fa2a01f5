"""The steps that look at photos and measure files: they work where TensorFlow is not installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run
from PIL import Image

from edge.classifier.model import Model, shipped_models

PROGRAM = str(Path(__file__).parent / "programs" / "without_tensorflow.py")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder for each label of the default model, with photos of noise."""
    random = np.random.default_rng(0)
    with Model() as model:
        labels = model.labels
    for label in labels:
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(4):
            rough = random.integers(0, 256, (12, 16, 3), np.uint8)
            Image.fromarray(rough).resize((320, 240)).save(
                tmp_path / "photos" / label / f"{number}.png"
            )
    return tmp_path / "photos"


def test_check_preview_and_evaluate_do_not_need_it(photos: Path, tmp_path: Path) -> None:
    model = next(iter(shipped_models()))
    sheet = tmp_path / "preview" / "sheet.png"
    for words, told in (
        (["check", photos], "8 photos: 0 errors"),
        (["preview", photos, "-o", sheet.parent, "--count", "1"], str(sheet)),
        (["evaluate", photos, model], "on 8 photos"),
    ):
        done = run(PROGRAM, *map(str, words))
        assert done.returncode == 0, done.stderr
        assert told in done.stdout


def test_training_says_what_to_install(photos: Path, tmp_path: Path) -> None:
    for step in ([], ["train"], ["export"]):
        done = run(PROGRAM, *step, str(photos), "-o", str(tmp_path / "out"))
        assert done.returncode == 1
        message = "tensorflow: is not installed; pip install 'edge-classify[convert]'"
        assert done.stderr.splitlines() == [f"convert: {message}"]
        assert not (tmp_path / "out").exists()


def test_nothing_of_the_current_folder_is_imported(photos: Path, tmp_path: Path) -> None:
    for name in ("json", "tqdm", "cv2", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the current folder')")
    done = run("-m", "convert", "check", str(photos), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
