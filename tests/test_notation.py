"""How normalization and sizes are written."""

from __future__ import annotations

import numpy as np
import pytest

from edge.classifier.facts import facts
from edge.errors import ConfigurationError
from edge.image.notation import IMAGENET, input_size, normalization
from edge.image.preprocess import Normalization

ENDS = np.array([0.0, 255.0])


@pytest.mark.parametrize(
    "text, low, high",
    [
        ("[0,255]", 0, 255),
        ("[0,1]", 0, 1),
        ("[-1,1]", -1, 1),
        ("[1,0]", 1, 0),
        ("[1,-1]", 1, -1),
        ("[-0.5, 0.5]", -0.5, 0.5),
        ("127.5,127.5", -1, 1),
        ("0,255", 0, 1),
        ("0,0,0/255,255,255", 0, 1),
    ],
)
def test_ranges_and_means_say_what_becomes_of_black_and_white(
    text: str, low: float, high: float
) -> None:
    made = Normalization(*normalization(text)).of(ENDS, 3)
    np.testing.assert_allclose(made.reshape(2, -1)[:, 0], [low, high], atol=1e-12)


def test_imagenet_is_pytorchs() -> None:
    assert normalization("imagenet") == normalization("ImageNet") == IMAGENET
    made = Normalization(*IMAGENET).of(ENDS, 3)
    np.testing.assert_allclose(made[0], -np.array([0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225])
    assert str(Normalization(*IMAGENET)).startswith("(pixel - [123.675, 116.28, 103.53]) / [58.395")


@pytest.mark.parametrize(
    "text, meant",
    [
        ("0.5,0.5", "use 127.5,127.5"),
        ("0.485,0.456,0.406/0.229,0.224,0.225", "use 123.675,116.28,103.53/58.395,57.12,57.375"),
    ],
)
def test_shares_are_answered_with_pixels(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=meant):
        normalization(text)


@pytest.mark.parametrize(
    "text",
    ["", "1", "[1,1]", "[1]", "1,2,3", "1,2/3,4", "1,2,3/4,5", "1,2,3/4,5,0", "a,b", "[nan,1]"],
)
def test_what_is_no_normalization_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a range, such as .* Received: "):
        normalization(text)


def test_a_size_is_a_side_or_two() -> None:
    assert input_size("224") == (224, 224)
    assert input_size("192x256") == input_size("192X256") == (192, 256)
    for wrong in ("", "0", "1x2x3", "x", "-5", "20000", "10x"):
        with pytest.raises(ValueError, match="must be SIDE or HEIGHTxWIDTH"):
            input_size(wrong)


def test_facts_are_what_a_model_takes() -> None:
    assert facts("", "", "", "") == {}
    given = facts("a.txt", "[0,1]", "1", "96")
    rule = Normalization(0.0, 255.0)
    size = (96, 96)
    assert given == {"labels": "a.txt", "normalization": rule, "output": "1", "input_size": size}
    with pytest.raises(ConfigurationError, match="normalize: must be a range"):
        facts("", "x", "", "")
