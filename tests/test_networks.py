"""The networks, built by Keras in a process of its own: no TFLite runtime beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run

from convert.names import AUGMENTATIONS, NETWORK_NAMES, RECIPE_NAMES, VARIANTS

# Against Keras's own: the same random weights behind the same preprocessing must give the same
# features, whatever we believe of its convention.
SCRIPT = """
import json, pathlib, sys
import numpy as np
import keras
from keras import layers
from convert.training import networks
from convert.tflite import quantize
from convert.training import recipes
from convert.training.augment import Augmentation
from convert.training.weights import load_weights

MODULES = {
    "mobilenet_v2": "mobilenet_v2", "mobilenet": "mobilenet", "vgg16": "vgg16",
    "mobilenet_v3_small": "mobilenet_v3", "efficientnet_v2_b0": "efficientnet_v2",
}
folder = pathlib.Path(sys.argv[1])
keras.utils.set_random_seed(0)
pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
said = {"networks": list(networks.NETWORKS), "recipes": list(recipes.RECIPES),
                "variants": list(quantize.VARIANTS),
                "augmentations": [n for n in sys.argv[2].split(",") if hasattr(Augmentation, n)]}
arrays = {}

for name, module in MODULES.items():
    application = getattr(keras.applications, networks.NETWORKS[name].application)
    theirs = application(include_top=False, weights=None, input_shape=(64, 64, 3))
    source = folder / f"{name}.weights.h5"
    theirs.save_weights(source)
    # MobileNetV3 and EfficientNetV2 bring their own preprocessing; theirs then does nothing.
    preprocess = getattr(keras.applications, module).preprocess_input
    arrays[f"theirs-{name}"] = theirs(preprocess(pixels.copy())).numpy().mean((1, 2))
    ours = networks.build(name, (64, 64), 3)
    load_weights(ours, name, alpha=1.0, source=str(source))
    features = keras.Model(ours.input, ours.layers[-2].output)
    arrays[f"ours-{name}"] = features(pixels).numpy()
    arrays[f"dimmed-{name}"] = features(pixels / 2).numpy()

for name, labels in (("tutorial", 2), ("tutorial", 3), ("small", 2), ("mobilenet_v2", 3)):
    size = (96, 112)
    alpha = 0.35 if name == "mobilenet_v2" else 1.0
    for precision in ("float32", "bfloat16"):
        trained = networks.build(name, size, labels, alpha=alpha, precision=precision)
        noise = np.random.default_rng(1)
        weights = [w + abs(noise.normal(0, 0.02, w.shape)) for w in trained.get_weights()]
        trained.set_weights(weights)
        reference = networks.build(name, size, labels, alpha=alpha)
        reference.set_weights(weights)
        wide = np.random.default_rng(2).integers(0, 256, (3, *size, 3)).astype(np.float32)
        key = f"{name}-{labels}-{precision}"
        arrays[f"trained-{key}"] = reference(wide).numpy()
        for temperature in (1.0, 2.5):
            device = networks.for_device(trained, temperature=temperature, alpha=alpha)
            each = [device(p[None]).numpy() for p in wide]
            arrays[f"device-{key}-{temperature}"] = np.concatenate(each)
        said[key] = {
            "shapes": [list(device.input_shape), list(device.output_shape)],
            "computed": sorted({layer.compute_dtype for layer in device.layers}),
            "trained_in": trained.layers[3].compute_dtype,
            "parameters": trained.count_params(),
            "activations": sorted({l.activation.__name__ for l in trained.layers
                                   if hasattr(l, "activation")}),
            "kinds": [type(layer).__name__ for layer in trained.layers],
            "filters": [l.filters for l in trained.layers if isinstance(l, layers.Conv2D)],
        }

import tensorflow as tf

wide = np.random.default_rng(3).integers(0, 256, (4, 128, 160, 3)).astype(np.float32)
first = None
for order in (False, True):
    model = networks.build("tutorial", (128, 160), 2, for_training=order)
    first = first or model.get_weights()
    model.set_weights(first)
    with tf.GradientTape() as tape:
        scores = model(wide)
        loss = tf.reduce_mean(keras.losses.binary_crossentropy(tf.ones((4, 1)), scores))
    gradients = tape.gradient(loss, model.trainable_variables)
    arrays[f"order-scores-{order}"] = scores.numpy()
    arrays[f"order-gradients-{order}"] = np.concatenate([g.numpy().ravel() for g in gradients])
    said[f"order-{order}"] = [type(layer).__name__ for layer in model.layers[2 - order : 5 - order]]
np.savez(folder / "results.npz", said=json.dumps(said), **arrays)
"""
BACKBONES = ("mobilenet_v2", "mobilenet", "mobilenet_v3_small", "efficientnet_v2_b0", "vgg16")
BUILT = ("tutorial-2", "tutorial-3", "small-2", "mobilenet_v2-3")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script found: facts under "said", else arrays."""
    folder: Path = tmp_path_factory.mktemp("networks")
    done = run("-c", SCRIPT, str(folder), ",".join(AUGMENTATIONS))
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
