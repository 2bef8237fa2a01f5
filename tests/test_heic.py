"""HEIC photos, as iPhones take them, are read where pillow-heif is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.data.dataset import load

heif = pytest.importorskip("pillow_heif", reason="no pillow-heif")


def test_a_folder_of_heic_photos_is_read(tmp_path: Path) -> None:
    for label in ("cup", "key"):
        (tmp_path / label).mkdir()
        for number in range(4):
            random = np.random.default_rng((number, label == "cup"))
            rough = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
            photo = rough.resize((128, 96), Image.Resampling.BICUBIC)
            heif.from_pillow(photo).save(tmp_path / label / f"IMG_{number}.HEIC", quality=80)
    dataset = load(tmp_path, 0)
    assert dataset.left_out == ()
    assert sum(map(sum, (of.values() for of in dataset.counts().values()))) == 8
