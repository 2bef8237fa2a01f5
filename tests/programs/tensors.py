"""Preprocess a folder of images and save the tensors, to compare two environments' pixels.

Usage: python tests/programs/tensors.py FOLDER OUT.npz

OUT.npz holds, under each image's file name, its input tensor at 96 x 96, uint8.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edge.image.preprocess import InputSpec, preprocess

INPUT = InputSpec(0, (1, 96, 96, 3), np.dtype(np.uint8))


def main(folder: Path, out: Path) -> None:
    """Write the tensors of the folder's images, names sorted."""
    paths = sorted(folder.iterdir(), key=lambda path: path.name)
    np.savez(out, **{path.name: preprocess(path, INPUT) for path in paths})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
