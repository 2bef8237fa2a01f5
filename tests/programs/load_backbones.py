"""Load weights of backbones, fit and unfit.

Usage: python tests/programs/load_backbones.py FOLDER FILES PICTURES (both JSON)
"""

from __future__ import annotations

import json
import pathlib
import sys

import keras
import numpy as np

from convert.errors import WeightsError
from convert.training import networks
from convert.training.backbones.efficientnet_lite import build_lite, fill, installed_weights
from convert.training.backbones.known import NETWORKS
from convert.training.backbones.torch_file import read_tensors
from convert.training.backbones.weights import load_weights
from edge.image.preprocess import resized

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
        alpha=0.25, weights=None, include_top=top, input_shape=(size, size, 3)
    )
    path = folder / f"top-{top}.weights.h5"
    theirs.save_weights(path)
    said["same"][path.name] = same(loaded("mobilenet", path, 0.25), theirs)

for name, alpha, top, file in json.loads(sys.argv[2]):
    application = getattr(keras.applications, NETWORKS[name].application)
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
    ("network", "mobilenet_v2", 0.35, whole),
    ("alpha", "mobilenet", 0.5, whole),
    ("no alpha", "vgg16", 1.0, whole),
    ("cut", "mobilenet", 0.25, folder / "cut.h5"),
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

# EfficientNet-Lite from its package: with ImageNet's top on our features, pictures get their class.
name = "efficientnet_lite0"
try:
    source = installed_weights(name)
except WeightsError as error:
    said["lite"] = str(error)
else:
    ours = networks.build(name, (224, 224), 2)
    load_weights(ours, name, alpha=1.0, source="imagenet")
    features = keras.Model(ours.input, ours.layers[-2].output)
    tensors = read_tensors(source)
    said["lite"] = []
    for path in json.loads(sys.argv[3]):
        picture = resized(pathlib.Path(path).read_bytes(), (224, 224))[None]
        logits = features(picture.astype(np.float32)).numpy() @ tensors["_fc.weight"].T
        said["lite"].append((logits + tensors["_fc.bias"]).argmax().item())
    said["parameters"] = build_lite(name, (224, 224), include_top=True).count_params()
    changed = folder / "changed.pth"
    changed.write_bytes(source.read_bytes()[:-1] + b"?")
    for case, path in (("changed", changed), ("lite missing", folder / "missing.pth")):
        try:
            loaded(name, path, 1.0)
        except WeightsError as error:
            said["refused"][case] = str(error)
    del tensors["_blocks.3._bn1.weight"]
    for case, change in (("lacks", {}), ("adds", {"_blocks.3._bn1.weight": np.ones(144), "x": 1})):
        try:
            fill(build_lite(name, (32, 32)), tensors | change)
        except (KeyError, ValueError) as error:
            said["refused"][case] = str(error)

before = networks.build("mobilenet", (64, 64), 2, alpha=0.25)
kept = [w.copy() for w in before.get_weights()]
load_weights(before, "mobilenet", alpha=0.25, source="none")
said["none"] = all(map(np.array_equal, kept, before.get_weights()))
(folder / "said.json").write_text(json.dumps(said))
