"""The networks, built by Keras in a process of its own: no TFLite runtime beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run

SCRIPT = """
import json, sys
import numpy as np
import keras
from keras import layers
from convert.networks import for_device, tutorial

def facts(model):
    return {
        "parameters": model.count_params(),
        "filters": [l.filters for l in model.layers if isinstance(l, layers.Conv2D)],
        "units": [l.units for l in model.layers if isinstance(l, layers.Dense)],
        "activations": [l.activation.__name__ for l in model.layers if hasattr(l, "activation")],
        "kinds": [type(layer).__name__ for layer in model.layers],
        "input": model.input_shape,
        "output": model.output_shape,
        "dtypes": sorted({str(np.dtype(w.dtype)) for w in model.get_weights()}),
        "computed": sorted({layer.compute_dtype for layer in model.layers}),
    }

keras.utils.set_random_seed(0)
said = {f"tutorial-{n}": facts(tutorial((300, 300), n)) for n in (2, 3)}
pixels = np.random.default_rng(0).integers(0, 256, (4, 96, 112, 3)).astype(np.float32)
scores = {}
for precision in ("float32", "bfloat16"):
    for labels in (2, 3):
        trained = tutorial((96, 112), labels, precision=precision)
        noise = np.random.default_rng(1)
        weights = [w + noise.normal(0, 0.02, w.shape) for w in trained.get_weights()]
        trained.set_weights(weights)
        device = for_device(trained, labels)
        name = f"{precision}-{labels}"
        said[f"trained-{name}"], said[f"device-{name}"] = facts(trained), facts(device)
        reference = tutorial((96, 112), labels)
        reference.set_weights(weights)
        scores[f"trained-{name}"] = reference(pixels).numpy()
        scores[f"device-{name}"] = np.concatenate([device(p[None]).numpy() for p in pixels])
np.savez(sys.argv[1], said=json.dumps(said), **scores)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script found: facts of each network under "said", else scores."""
    path: Path = tmp_path_factory.mktemp("networks") / "results.npz"
    done = run("-c", SCRIPT, str(path))
    assert done.returncode == 0, done.stderr
    found = dict(np.load(path))
    return found | {"said": json.loads(str(found["said"]))}


@pytest.mark.parametrize(
    ("labels", "parameters", "outputs", "activation"),
    [(2, 1_704_097, 1, "sigmoid"), (3, 1_705_123, 3, "softmax")],
)
def test_the_tutorial_network_is_the_tutorials(
    results: dict[str, Any], labels: int, parameters: int, outputs: int, activation: str
) -> None:
    said = results["said"][f"tutorial-{labels}"]
    assert said["filters"] == [16, 32, 64, 64, 64]
    assert said["units"] == [512, outputs]
    assert said["activations"] == 6 * ["relu"] + [activation]
    blocks = 5 * ["Conv2D", "MaxPooling2D"]
    assert said["kinds"] == ["Rescaling", *blocks, "Flatten", "Dense", "Dense"]
    assert said["parameters"] == parameters
    assert said["input"] == [None, 300, 300, 3]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_labels_get_a_score_each_on_the_device(results: dict[str, Any], precision: str) -> None:
    p = results[f"trained-{precision}-2"]
    assert p.shape == (4, 1)
    assert 0.001 < p.min() < p.max() < 0.999  # else the next line would say nothing
    expected = np.concatenate([1 - p, p], 1)
    assert np.abs(results[f"device-{precision}-2"] - expected).max() < 1e-6


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_more_labels_keep_their_scores_on_the_device(
    results: dict[str, Any], precision: str
) -> None:
    expected = results[f"trained-{precision}-3"]
    assert expected.shape == (4, 3)
    assert np.abs(results[f"device-{precision}-3"] - expected).max() < 1e-6


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_device_gets_one_picture_in_float32(
    results: dict[str, Any], precision: str, labels: int
) -> None:
    said = results["said"][f"device-{precision}-{labels}"]
    assert said["input"] == [1, 96, 112, 3]
    assert said["output"] == [1, labels]
    assert said["dtypes"] == said["computed"] == ["float32"]


def test_bfloat16_computes_in_it_with_weights_in_float32(results: dict[str, Any]) -> None:
    said = results["said"]["trained-bfloat16-2"]
    assert said["computed"] == ["bfloat16", "float32"]
    assert said["dtypes"] == ["float32"]
