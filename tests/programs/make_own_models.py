"""Make Keras models as people have them: python tests/programs/make_own_models.py OUT."""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

from edge.classifier import golden

SIDE = 32


def network(activation: str | None, *, rescaling: bool) -> keras.Model:
    """A small network of three labels whose scores differ."""
    pixels = keras.Input((SIDE, SIDE, 3))
    values = layers.Rescaling(1 / 255)(pixels) if rescaling else pixels
    values = layers.Conv2D(8, 3, 2, activation="relu")(values)
    values = layers.GlobalAveragePooling2D()(values)
    return keras.Model(pixels, layers.Dense(3, activation=activation)(values))


def main(out: Path) -> None:
    keras.utils.set_random_seed(3)
    network("softmax", rescaling=True).save(out / "rescaling.keras")
    logits = network(None, rescaling=False)
    logits.export(out / "logits", verbose=False)
    picture = golden.draw(1, (SIDE, SIDE))[None].astype(np.float32)
    values = logits.predict(picture / 127.5 - 1, verbose=0)[0]
    np.save(out / "logits.npy", values)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
