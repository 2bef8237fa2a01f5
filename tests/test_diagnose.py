"""The layers that lose most by quantization are named."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from small_models import small_models_of

from convert.errors import ConversionError
from convert.tflite.diagnose import Lost, layer_name, worst_layers


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tests/programs/make_converted.py makes."""
    return small_models_of(tmp_path_factory)


def worst(small_models: Path, network: str, **options: int) -> tuple[str, ...]:
    return worst_layers(
        small_models / f"{network}-float32.tflite",
        small_models / f"{network}-int8.tflite",
        np.load(small_models / "calibration.npy"),
        **options,
    )


def test_a_layer_with_a_wild_channel_is_named_first(small_models: Path) -> None:
    first, *others = worst(small_models, "outlier")
    lost, before = figures(first)
    assert first.startswith("wild (")
    assert lost > 0.7
    assert before < 0.1
    assert len(others) == 4


def test_a_network_that_quantizes_well_loses_little_anywhere(small_models: Path) -> None:
    named = worst(small_models, "two", count=3)
    assert len(named) == 3
    assert all(figures(layer)[0] < 0.15 for layer in named)


def test_what_cannot_be_compared_is_one_line(small_models: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"broken")
    with pytest.raises(ConversionError, match="its layers cannot be compared") as caught:
        worst_layers(
            small_models / "two-float32.tflite",
            tmp_path / "broken.tflite",
            np.load(small_models / "calibration.npy"),
        )
    assert "\n" not in str(caught.value)


def test_the_share_is_error_over_deviation_by_channel() -> None:
    random = np.random.default_rng(0)
    real = random.normal(size=(1, 50, 50, 2)) * (1, 1000)
    lost = Lost()
    for picture in (real, 2 * real):
        lost.add(picture, np.round(picture / 32) * 32)  # a step that the quiet channel drowns in
    assert lost.share == pytest.approx(0.5, abs=0.01)


def test_a_channel_that_never_changes_has_nothing_to_lose() -> None:
    lost = Lost()
    lost.add(np.full((1, 4, 4, 1), 0.3), np.full((1, 4, 4, 1), 0.5))
    assert lost.share == 0.0


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("net_1/relu_1/Relu6;net_1/base_1/stem_1/convolution;net_1/bn_1/add", "stem"),
        ("net_1/block_3_depthwise_1/depthwise1", "block_3_depthwise"),
        ("net/scores/MatMul;net/scores/BiasAdd", "scores"),
        ("net_1/add_1/Add", "add"),
        ("StatefulPartitionedCall:0", "StatefulPartitionedCall:0"),
    ],
)
def test_layers_are_named_as_in_keras(tensor: str, layer: str) -> None:
    assert layer_name(tensor) == layer


def figures(layer: str) -> tuple[float, float]:
    found = re.fullmatch(r".+ \(([\d.]+), ([\d.]+) before\)", layer)
    assert found, layer
    return float(found[1]), float(found[2])
