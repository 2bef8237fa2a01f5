"""Train small networks in one process, and keep what came of it.

Usage: python tests/programs/train_networks.py PHOTOS FOLDER
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pathlib
import sys

import keras
import numpy as np

from convert.data.cache import DecodedPhotos
from convert.data.dataset import labels_of, load
from convert.errors import TrainingError
from convert.training import networks
from convert.training.augment import Augmentation
from convert.training.callbacks.duration import Duration, in_words
from convert.training.checkpoint import Checkpoint
from convert.training.computing.precision import chosen_precision
from convert.training.optimizer import _loss
from convert.training.recipes import RECIPES, TrainConfig
from convert.training.train import class_weights, history_csv, network_of, scores_of, train

photos, folder = map(pathlib.Path, sys.argv[1:])
keras.config.disable_traceback_filtering()
dataset = load(photos, 0)
first = [photo for photo in dataset.train if photo.label == 0]
others = [photo for photo in dataset.train if photo.label]
few = dataclasses.replace(dataset, train=(*first[:4], *others))  # of the first class, far fewer
BASE = dataclasses.replace(RECIPES["scratch"], batch_size=16, augmentation=Augmentation.none())
said, arrays = {}, {}


def trained(
    name,
    network="small",
    data=dataset,
    size=(32, 48),
    weights=None,
    load="none",
    alpha=1.0,
    resume=False,
    **changed,
):
    recipe = dataclasses.replace(BASE, **changed)
    config = TrainConfig(network, size, recipe, alpha=alpha, weights=str(load), precision="float32")
    checkpoint = Checkpoint(folder / name, {"name": "any"}, resume=resume)
    weights = np.ones(len(data.train), np.float32) if weights is None else weights
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
        model = train(DecodedPhotos(data, size, folder / "cache"), config, weights, checkpoint)
    said[name] = {
        "history": checkpoint.history,
        "best": checkpoint.kept_epoch,
        "stderr": stderr.getvalue(),
        "rate": float(np.asarray(model.optimizer.learning_rate)),
        "steps": int(np.asarray(model.optimizer.iterations)),
        "files": sorted(p.name for p in (folder / name).iterdir()),
    }
    arrays[name] = np.concatenate([w.ravel() for w in model.get_weights()])
    return model, config


def scored(name, model, data):
    pixels = DecodedPhotos(data, (32, 48), folder / "cache").val
    arrays[f"{name}-scores"] = scores_of(model, pixels)
    arrays[f"{name}-labels"] = labels_of(data.val)


# What is kept: the averaged weights, of the best epoch.
model, config = trained("best", epochs=4, average=0.8, label_smoothing=0.2)
scored("best", model, dataset)
last = network_of(config, len(dataset.labels))
last.load_weights(folder / "best" / "last-0004.weights.h5", skip_mismatch=True)
arrays["best-last"] = np.concatenate([w.ravel() for w in last.get_weights()])
said["csv"] = history_csv(said["best"]["history"])

# A rate far too high gets worse from some epoch on.
trained("patience", epochs=30, patience=2, learning_rate=0.3)

# The last epoch, though the loss rises; patience still goes by the lowest.
trained("last", epochs=30, patience=2, learning_rate=0.3, keep="last")

# Weights of photos and of classes.
counts = class_weights(labels_of(few.train), 3)
said["class weights"] = counts.tolist()
each = counts[labels_of(few.train)].astype(np.float32)
quick = {"network": "tutorial", "size": (96, 96), "epochs": 1}  # traced in a third of the time
trained("by class", data=few, **quick)
trained("by photo", data=few, **quick, class_weights=False, weights=each)
trained("unweighted", data=few, **quick, class_weights=False)

# A backbone of which the upper half is trained.
theirs = keras.applications.MobileNet(
    alpha=0.25, weights=None, include_top=False, input_shape=(224, 224, 3)
)
source = folder / "backbone.weights.h5"
random = np.random.default_rng(0)
for layer in theirs.layers:  # statistics that differ from those that it would start with
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
theirs.save_weights(source)
# At so low a rate, what moves far in the head was learned before.
keras.utils.set_random_seed(0)
before = networks.build("mobilenet", (32, 48), 3, alpha=0.25).layers[-1].get_weights()[0]
for batch_norm in (False, True):
    model, _ = trained(
        f"fine-tune {batch_norm}",
        network="mobilenet",
        alpha=0.25,
        load=source,
        epochs=1,
        average=0.0,
        fine_tune=0.5,
        learning_rate=1e-5,
        head_first=not batch_norm,
        batch_norm=batch_norm,
    )
    if not batch_norm:
        said["head moved"] = float(np.abs(model.layers[-1].get_weights()[0] - before).max())
    layers = networks.backbone_of(model).layers
    said[f"layers {batch_norm}"] = [
        {
            "name": layer.name,
            "normalizes": isinstance(layer, keras.layers.BatchNormalization),
            "changed": [
                not np.array_equal(a, b)
                for a, b in zip(layer.get_weights(), other.get_weights(), strict=True)
            ],
            "momentum": getattr(layer, "momentum", None),
        }
        for layer, other in zip(layers, theirs.layers, strict=False)
    ]
said["lengths"] = {
    count: RECIPES["fine-tune"].for_photos(count).epochs for count in (32, 320, 3200, 32000, 10**6)
}
said["steps of it"] = RECIPES["fine-tune"].steps
trained(
    "tutorial",
    network="tutorial",
    size=(96, 96),
    epochs=1,
    steps_per_epoch=2,
    batch_size=8,
    optimizer="rmsprop",
    falling=False,
    learning_rate=1e-3,
    average=0.0,
)

# Two labels, one sigmoid.
labels = dataset.labels[:2]
two = dataclasses.replace(
    dataset,
    labels=labels,
    **{
        name: tuple(p for p in getattr(dataset, name) if p.label < 2)
        for name in ("train", "val", "test")
    },
)
model, _ = trained("two", data=two, epochs=2, average=0.8, label_smoothing=0.2)
scored("two", model, two)

stderr = io.StringIO()
with contextlib.redirect_stderr(stderr):

    def build(precision):
        return networks.build("small", (32, 32), 2, precision=precision)

    said["precision"] = [chosen_precision("float32", None), chosen_precision("auto", build)]
said["precision"].append(stderr.getvalue())

softmax, sigmoid = (_loss(networks.build("small", (32, 32), n), 0.3) for n in (3, 2))
said["smoothed"] = {
    "softmax": float(softmax(np.float32([[0, 1, 0]]), np.float32([[0.1, 0.8, 0.1]]))),
    "sigmoid": float(sigmoid(np.float32([[1]]), np.float32([[0.8]]))),
}


stderr = io.StringIO()
with contextlib.redirect_stderr(stderr):
    timer = Duration(20, 3)
    for batch in range(60):
        timer.on_train_batch_end(batch)
said["duration"] = [stderr.getvalue(), *map(in_words, (0.2, 47, 720, 12_600))]


# What --resume is rejected, or finds.
def refused(name, about, resume=True):
    try:
        return len(Checkpoint(folder / name, about, resume=resume).history)
    except TrainingError as error:
        return str(error)


said["resume"] = {
    "equal": refused("best", {"name": "any"}),
    "other": refused("best", {"name": "else"}),
    "nothing": refused("nowhere", {"name": "any"}),
}
(folder / "by photo" / "state.json").write_text("{half")
said["resume"]["damaged"] = refused("by photo", {"name": "any"})
path = folder / "patience" / next(n for n in said["patience"]["files"] if n.startswith("last"))
path.write_bytes(path.read_bytes()[:3000])
try:
    trained("patience", epochs=31, patience=2, resume=True)
except TrainingError as error:
    said["resume"]["cut"] = str(error)
try:
    Checkpoint.of(folder / "nowhere")
except TrainingError as error:
    said["resume"]["of nothing"] = str(error)
try:  # a rate that no number bears
    trained("diverged", epochs=3, learning_rate=1e30)
except TrainingError as error:
    said["diverged"] = str(error)
said["left by it"] = [path.name for path in folder.glob("diverged/*")]
said["resume"]["anew"] = refused("two", {"name": "else"}, resume=False)
np.savez(folder / "results.npz", said=json.dumps(said), **arrays)
