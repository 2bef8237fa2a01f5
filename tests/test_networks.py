"""The networks, built by Keras in a process of its own: no TFLite runtime beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAMS, run

from convert.names import AUGMENTATIONS, NETWORK_NAMES, RECIPE_NAMES, VARIANTS

# Against Keras's own: the same random weights behind the same preprocessing must give the same
# features, whatever we believe of its convention.
BACKBONES = ("mobilenet_v2", "mobilenet", "mobilenet_v3_small", "efficientnet_v2_b0", "vgg16")
BUILT = ("tutorial-2", "tutorial-3", "small-2", "mobilenet_v2-3")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script found: facts under "said", else arrays."""
    folder: Path = tmp_path_factory.mktemp("networks")
    done = run(PROGRAMS / "build_networks.py", str(folder), ",".join(AUGMENTATIONS))
    assert done.returncode == 0, done.stderr
    found = dict(np.load(folder / "results.npz"))
    return found | {"said": json.loads(str(found["said"]))}


def test_the_names_that_options_take_are_those_that_exist(results: dict[str, Any]) -> None:
    said = results["said"]
    assert said["networks"] == list(NETWORK_NAMES)
    assert sorted(said["recipes"]) == sorted(RECIPE_NAMES)
    assert said["variants"] == list(VARIANTS)
    assert said["augmentations"] == list(AUGMENTATIONS)


@pytest.mark.parametrize("name", BACKBONES)
def test_pixels_get_the_convention_that_keras_gives_them(
    results: dict[str, Any], name: str
) -> None:
    theirs, ours = results[f"theirs-{name}"], results[f"ours-{name}"]
    tolerance = 1e-4 * np.abs(theirs).max()  # random weights give faint features
    assert np.abs(theirs - ours).max() <= tolerance
    assert np.abs(theirs - results[f"dimmed-{name}"]).max() > 100 * tolerance


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("built", BUILT)
def test_the_device_gives_the_trained_scores(
    results: dict[str, Any], built: str, precision: str
) -> None:
    p = results[f"trained-{built}-{precision}"]
    expected = np.concatenate([1 - p, p], 1) if built.endswith("-2") else p
    assert np.abs(results[f"device-{built}-{precision}-1.0"] - expected).max() < 1e-5


@pytest.mark.parametrize("built", BUILT)
def test_the_temperature_is_in_the_last_layer(results: dict[str, Any], built: str) -> None:
    plain = results[f"device-{built}-float32-1.0"].astype(np.float64)
    cooled = np.maximum(plain, 1e-30) ** (1 / 2.5)
    expected = cooled / cooled.sum(1, keepdims=True)
    assert np.abs(results[f"device-{built}-float32-2.5"] - expected).max() < 1e-3


@pytest.mark.parametrize("built", BUILT)
def test_the_device_gets_one_picture_in_float32(results: dict[str, Any], built: str) -> None:
    for precision in ("float32", "bfloat16"):
        said = results["said"][f"{built}-{precision}"]
        labels = int(built[-1])
        assert said["shapes"] == [[1, 96, 112, 3], [1, labels]]
        assert said["computed"] == ["float32"]


def test_bfloat16_is_what_it_is_trained_in(results: dict[str, Any]) -> None:
    assert results["said"]["small-2-bfloat16"]["trained_in"] == "bfloat16"
    assert results["said"]["small-2-float32"]["trained_in"] == "float32"


def test_pooling_before_bias_and_relu_trains_the_same_network(results: dict[str, Any]) -> None:
    assert results["said"]["order-False"] == ["Conv2D", "MaxPooling2D", "Conv2D"]
    assert results["said"]["order-True"] == 3 * ["_PooledConvolution"]
    own, faster = results["order-scores-False"], results["order-scores-True"]
    np.testing.assert_allclose(faster, own, rtol=1e-5)
    own, faster = results["order-gradients-False"], results["order-gradients-True"]
    assert np.abs(own).max() > 1e-3
    # Another rounding makes another of two equal pixels the largest: of few, and by little.
    assert np.linalg.norm(faster - own) < 1e-3 * np.linalg.norm(own)
    assert np.isclose(faster, own, rtol=1e-3, atol=1e-6 * np.abs(own).max()).mean() > 0.99


def test_the_tutorial_network_is_the_tutorials(results: dict[str, Any]) -> None:
    said = results["said"]["tutorial-2-float32"]
    assert said["filters"] == [16, 32, 64, 64, 64]
    blocks = 5 * ["Conv2D", "MaxPooling2D"]
    assert said["kinds"] == ["InputLayer", "Rescaling", *blocks, "Flatten", "Dense", "Dense"]
    assert said["activations"] == ["relu", "sigmoid"]


def test_the_small_network_is_small(results: dict[str, Any]) -> None:
    assert results["said"]["small-2-float32"]["parameters"] <= 280_000


@pytest.mark.parametrize("labels", [2, 3])
def test_class_activation_maps_are_exact(results: dict[str, Any], labels: int) -> None:
    maps, bias = results[f"maps-{labels}"], results[f"map-bias-{labels}"]
    assert maps.shape[1:] == (3, 3, labels)
    logits = maps.mean((1, 2)).astype(np.float64)
    if labels == 2:
        probability = 1 / (1 + np.exp(-(logits[:, 1] - logits[:, 0] + bias[0])))
        expected = results["map-scores-2"][:, 0]
    else:
        powers = np.exp(logits + bias)
        probability = powers / powers.sum(1, keepdims=True)
        expected = results["map-scores-3"]
    assert np.abs(probability - expected).max() < 1e-4
    assert results["said"]["no maps"]
