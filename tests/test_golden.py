"""Golden inputs are the same bytes wherever they are drawn."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from edge.classifier import golden


@pytest.mark.parametrize("size", [(96, 96), (224, 224), (64, 160), (1, 1)])
def test_a_golden_input_has_the_models_size(size: tuple[int, int]) -> None:
    drawn = golden.draw(0, size)
    assert drawn.shape == (*size, 3)
    assert drawn.dtype == np.uint8


def test_the_same_seed_draws_the_same_pixels() -> None:
    np.testing.assert_array_equal(golden.draw(3, (96, 96)), golden.draw(3, (96, 96)))


def test_every_seed_draws_other_pixels() -> None:
    drawn = {golden.draw(seed, (96, 96)).tobytes() for seed in range(golden.NUM_GOLDEN)}
    assert len(drawn) == golden.NUM_GOLDEN


def test_drawing_leaves_numpys_global_generator_alone() -> None:
    state = np.random.get_state()[1].tobytes()  # type: ignore[index,union-attr]
    golden.draw(0, (96, 96))
    assert np.random.get_state()[1].tobytes() == state  # type: ignore[index,union-attr]


def test_golden_inputs_are_frozen_byte_for_byte() -> None:
    """Model files in the field carry the scores of exactly these pixels."""
    drawn = b"".join(golden.draw(seed, (96, 96)).tobytes() for seed in range(golden.NUM_GOLDEN))
    assert hashlib.sha256(drawn).hexdigest() == (
        "bb2e2238f6e8478471b4a85d545acc2a06d5e1cb136042c824c4cb97eb2f5cdd"
    )


def test_a_golden_input_spans_dark_and_bright() -> None:
    for seed in range(golden.NUM_GOLDEN):
        drawn = golden.draw(seed, (96, 96))
        assert drawn.min() < 40
        assert drawn.max() > 215
        assert drawn.std() > 30
