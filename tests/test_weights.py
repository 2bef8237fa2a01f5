"""Weights of a backbone: read from a file, refused where they do not fit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import TEST_DATA, Said, commands, run

SCRIPT = """
import json, pathlib, sys
import numpy as np
import keras
from convert.training import networks
from convert.errors import WeightsError
from convert.training.weights import load_weights

folder, said = pathlib.Path(sys.argv[1]), {"same": {}, "refused": {}}
keras.utils.set_random_seed(0)

def loaded(name, source, alpha):
    model = networks.build(name, (64, 96), 3, alpha=alpha)
    last = [w.copy() for w in model.layers[-1].get_weights()]
    load_weights(model, name, alpha=alpha, source=str(source))
    assert all(map(np.array_equal, last, model.layers[-1].get_weights()))
    return networks.backbone_of(model).get_weights()

def same(found, theirs):
    return len(found) > 20 and all(map(np.array_equal, found, theirs.get_weights()))

for top, size in ((False, 64), (True, 224)):
    theirs = keras.applications.MobileNet(
        alpha=0.25, weights=None, include_top=top, input_shape=(size, size, 3))
    path = folder / f"top-{top}.weights.h5"
    theirs.save_weights(path)
    said["same"][path.name] = same(loaded("mobilenet", path, 0.25), theirs)

for name, alpha, top, file in json.loads(sys.argv[2]):
    application = getattr(keras.applications, networks.NETWORKS[name].application)
    theirs = application(alpha=alpha, weights=None, include_top=top, input_shape=(224, 224, 3))
    theirs.load_weights(file)
    said["same"][pathlib.Path(file).name] = same(loaded(name, file, alpha), theirs)

whole = folder / "top-False.weights.h5"
(folder / "cut.h5").write_bytes(whole.read_bytes()[:5000])
(folder / "text.h5").write_text("no weights")
(folder / "empty.h5").write_bytes(b"")
(folder / "weights.bin").write_bytes(whole.read_bytes())
(folder / "folder.h5").mkdir()
for case, name, alpha, source in (
    ("network", "mobilenet_v2", 0.35, whole), ("alpha", "mobilenet", 0.5, whole),
    ("no alpha", "vgg16", 1.0, whole), ("cut", "mobilenet", 0.25, folder / "cut.h5"),
    ("text", "mobilenet", 0.25, folder / "text.h5"),
    ("empty", "mobilenet", 0.25, folder / "empty.h5"),
    ("suffix", "mobilenet", 0.25, folder / "weights.bin"),
    ("folder", "mobilenet", 0.25, folder / "folder.h5"),
    ("missing", "mobilenet", 0.25, folder / "missing.h5"),
    ("imagenet", "mobilenet_v3_small", 1.0, "imagenet"),
):
    try:
        loaded(name, source, alpha)
    except WeightsError as error:
        said["refused"][case] = str(error)

before = networks.build("mobilenet", (64, 64), 2, alpha=0.25)
kept = [w.copy() for w in before.get_weights()]
load_weights(before, "mobilenet", alpha=0.25, source="none")
said["none"] = all(map(np.array_equal, kept, before.get_weights()))
(folder / "said.json").write_text(json.dumps(said))
"""
BACKBONES = TEST_DATA / "backbones"
KERNELS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{}_224_no_top.h5"
REAL = (
    ("mobilenet_v2", 1.0, False, KERNELS.format("1.0")),
    ("mobilenet_v2", 0.35, False, KERNELS.format("0.35")),
    ("mobilenet", 0.25, True, "mobilenet_2_5_224_tf.h5"),
)


def offline(folder: Path) -> dict[str, str]:
    """An environment from which nothing can be downloaded, and nothing was."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    nowhere = "http://127.0.0.1:9"  # the port of the discard protocol: nobody listens
    return kept | {"KERAS_HOME": str(folder), "https_proxy": nowhere, "http_proxy": nowhere}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script found."""
    folder: Path = tmp_path_factory.mktemp("weights")
    real = [(*row[:3], str(BACKBONES / row[3])) for row in REAL if (BACKBONES / row[3]).exists()]
    done = run("-c", SCRIPT, str(folder), json.dumps(real), env=offline(folder / "keras"))
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "said.json").read_text())


@pytest.mark.parametrize("top", [False, True])
def test_a_file_is_read_with_and_without_its_top(said: dict[str, Any], top: bool) -> None:
    assert said["same"][f"top-{top}.weights.h5"]


@pytest.mark.parametrize("name", [row[3] for row in REAL])
def test_the_published_files_are_read(said: dict[str, Any], name: str) -> None:
    if not (BACKBONES / name).exists():
        pytest.skip(f"no weights: {BACKBONES / name} is absent (set EDGE_TEST_DATA)")
    assert said["same"][name]


def test_none_leaves_the_random_weights(said: dict[str, Any]) -> None:
    assert said["none"]


@pytest.mark.parametrize(
    ("case", "file", "rest"),
    [
        (
            "network",
            "top-False.weights.h5",
            "does not fit --network mobilenet_v2 --alpha 0.35; give the file of this network and",
        ),
        ("alpha", "top-False.weights.h5", "does not fit --network mobilenet --alpha 0.5; give the"),
        ("no alpha", "top-False.weights.h5", "does not fit --network vgg16; give the file of this"),
        ("cut", "cut.h5", "is damaged, or no HDF5 file; copy it again"),
        ("text", "text.h5", "is damaged, or no HDF5 file; copy it again"),
        ("empty", "empty.h5", "is damaged, or no HDF5 file; copy it again"),
        ("suffix", "weights.bin", "is no weights file of Keras; give a .h5 file"),
        ("folder", "folder.h5", "no such weights file; check the path"),
        ("missing", "missing.h5", "no such weights file; check the path"),
        (
            "imagenet",
            "the ImageNet weights of mobilenet_v3_small",
            "cannot be downloaded (no network?); give --weights FILE, or --network small, which",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_with_file_and_remedy(
    said: dict[str, Any], case: str, file: str, rest: str
) -> None:
    line = said["refused"][case]
    assert f"{file}: {rest}" in line
    assert "\n" not in line


def test_without_a_network_the_command_says_what_to_give(two_photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["train", two_photos, "-o", out, "--image-size", 32, "--precision", "float32"]
    missing = [*line, "--weights", tmp_path / "absent.h5"]
    download, absent = commands(tmp_path, line, missing, env=offline(tmp_path / "keras"))
    assert_one_line(download, "cannot be downloaded (no network?); give --weights FILE, or")
    assert_one_line(absent, "absent.h5: no such weights file; check the path")
    assert not list((tmp_path / "keras").rglob("*.h5"))


def assert_one_line(said: Said, expected: str) -> None:
    assert said.status == 1
    assert said.stdout == ""
    assert expected in said.lines[-1]
    assert "Traceback" not in said.stderr
