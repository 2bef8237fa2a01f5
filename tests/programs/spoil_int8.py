"""Give a trained network a weight that int8 cannot bear.

Usage: python tests/programs/spoil_int8.py TRAINING WEIGHT
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py


def spoil(training: Path, weight: float) -> None:
    """Give the last layer a weight so large that quantization leaves nothing of the others.

    It reads a feature that is always 0, so that the float network stays as it is.
    """
    (path,) = training.glob("best-*.weights.h5")
    arrays = {}
    with h5py.File(path, "r+") as file:
        file["layers"].visititems(
            lambda name, found: (
                arrays.update({name: found}) if isinstance(found, h5py.Dataset) else None
            )
        )
        (scores,) = [found for found in arrays.values() if found.shape == (96, 3)]
        (gamma,) = [
            found
            for name, found in arrays.items()
            if found.shape == (96,) and name.endswith("vars/0") and "batch" in name
        ]
        beta = arrays[gamma.name.removeprefix("/layers/").removesuffix("0") + "1"]
        gamma[0], beta[0] = 0.0, -1.0
        scores[0, 0] = weight


if __name__ == "__main__":
    spoil(Path(sys.argv[1]), float(sys.argv[2]))
