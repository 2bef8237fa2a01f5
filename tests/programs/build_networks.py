"""Build the networks, and hold them against Keras's own.

Usage: python tests/programs/build_networks.py FOLDER AUGMENTATIONS

The same random weights behind the same preprocessing must give the same features, whatever we
believe of a network's convention.
"""

from __future__ import annotations

import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from convert.measure.head import fit_head
from convert.tflite import quantize
from convert.training import networks, recipes
from convert.training.augment import Augmentation
from convert.training.backbones.known import NETWORKS
from convert.training.backbones.weights import load_weights
from convert.training.train import maps_of

MODULES = {
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet": "mobilenet",
    "vgg16": "vgg16",
    "mobilenet_v3_small": "mobilenet_v3",
    "efficientnet_v2_b0": "efficientnet_v2",
}
folder = pathlib.Path(sys.argv[1])
keras.utils.set_random_seed(0)
pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
said = {
    "networks": list(NETWORKS),
    "recipes": list(recipes.RECIPES),
    "variants": list(quantize.VARIANTS),
    "augmentations": [n for n in sys.argv[2].split(",") if hasattr(Augmentation, n)],
}
arrays = {}

for name, module in MODULES.items():
    application = getattr(keras.applications, NETWORKS[name].application)
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
        for temperature in (1.0, 2.5) if precision == "float32" else (1.0,):
            device = networks.for_device(trained, temperature=temperature, alpha=alpha)
            each = [device(p[None]).numpy() for p in wide]
            arrays[f"device-{key}-{temperature}"] = np.concatenate(each)
        said[key] = {
            "shapes": [list(device.input_shape), list(device.output_shape)],
            "computed": sorted({layer.compute_dtype for layer in device.layers}),
            "trained_in": trained.layers[3].compute_dtype,
            "parameters": trained.count_params(),
            "activations": sorted(
                {
                    layer.activation.__name__
                    for layer in trained.layers
                    if hasattr(layer, "activation")
                }
            ),
            "kinds": [type(layer).__name__ for layer in trained.layers],
            "filters": [
                layer.filters for layer in trained.layers if isinstance(layer, layers.Conv2D)
            ],
        }

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
# Class activation maps of a random network whose last layer is fitted to its features.
random = np.random.default_rng(4)
keras.utils.set_random_seed(1)
texture = random.uniform(0, 255, (48, 24, 24, 3)).astype(np.float32)
planted = np.asarray(tf.image.resize(texture, (96, 96), "bicubic")).clip(0, 255).astype(np.uint8)
marked = np.arange(48) % 2
planted[marked == 1, 6:26, 70:90] = (255, 0, 0)
for labels in (2, 3):
    model = networks.build("small", (96, 96), labels)
    found = keras.Model(model.input, model.layers[-2].output)(planted.astype(np.float32)).numpy()
    head = fit_head(found, marked, np.ones(48, np.float32), labels)
    kernel, bias = head.kernel, head.bias
    if labels == 2:
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    model.layers[-1].set_weights([kernel, bias])
    arrays[f"maps-{labels}"] = maps_of(model, planted)
    arrays[f"map-scores-{labels}"] = model(planted.astype(np.float32)).numpy()
    arrays[f"map-bias-{labels}"] = bias
said["no maps"] = networks.mapper(networks.build("tutorial", (96, 96), 2)) is None
np.savez(folder / "results.npz", said=json.dumps(said), **arrays)
