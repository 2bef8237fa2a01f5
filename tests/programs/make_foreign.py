"""Write small models that others might give us: python tests/programs/make_foreign.py OUT MODEL.

In a process of its own, for TensorFlow and a TFLite runtime do not go together. MODEL is a
converted one; some of the files are it, saying other things of itself.
"""

import sys
from pathlib import Path

import tensorflow as tf

from convert.tflite.embed import embed
from edge.classifier.metadata import read_metadata
from edge.image.preprocess import Normalization

LABELS = ("no", "yes")


def main(out: Path, model: Path) -> None:
    for name, network in networks().items():
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        (out / f"{name}.tflite").write_bytes(embedded(converter.convert(), LABELS, {}))
    content = model.read_bytes()
    edge, labels = read_metadata(content, model).edge, read_metadata(content, model).labels
    scores = [list(scores) for scores in edge["golden"]["scores"]]
    scores[1][0] += -0.5 if scores[1][0] > 0.5 else 0.5
    told = {
        "golden-changed": (labels, edge | {"golden": edge["golden"] | {"scores": scores}}),
        "other-preprocessing": (labels, edge | {"preprocessing": {"version": 99}}),
        "labels-missing": (labels[:-1], edge | {"labels": labels[:-1]}),
        "same": (labels, edge),
    }
    for name, (labels, edge) in told.items():
        (out / f"{name}.tflite").write_bytes(embedded(content, labels, edge))


def embedded(content: bytes, labels: tuple[str, ...], edge: dict) -> bytes:
    normalization = Normalization(0.0, 1.0)
    return embed(content, name="foreign", labels=labels, normalization=normalization, edge=edge)


def networks() -> dict[str, tf.keras.Model]:
    layers = tf.keras.layers
    image, other = (layers.Input((8, 8, 3), batch_size=1) for _ in range(2))
    mean = layers.GlobalAveragePooling2D()
    bright = layers.Dense(1, "sigmoid", kernel_initializer="ones")
    softmax = layers.Dense(2, "softmax")
    return {
        "one-sigmoid": tf.keras.Model(image, bright(layers.Rescaling(1 / 255)(mean(image)))),
        "two-inputs": tf.keras.Model([image, other], softmax(mean(image + other))),
        "four-dimensions": tf.keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(image)),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
