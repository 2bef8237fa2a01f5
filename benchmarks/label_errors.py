"""How many planted label errors are found: their share among the most suspicious photos.

    python benchmarks/label_errors.py FOLDER [FOLDER ...] --weights FILE [--photos 1500]

FOLDER holds a folder of photos per class. Of random photos, 5 % get another label; then the photos
are ranked as in a run, by a last layer on frozen features that did not see them. Printed is which
share of the changed ones stands in the first 10 %, for three draws.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from convert.measure.label_errors import out_of_fold, suspicion
from convert.training import networks
from convert.training.backbones.weights import load_weights
from edge.image.preprocess import resized

PLANTED, LOOKED_AT = 0.05, 0.1


def main() -> int:
    """Compute features once per folder, plant errors, rank, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--network", default="mobilenet_v2")
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--photos", type=int, default=1500, help="at most, of each folder")
    args = parser.parse_args()
    model = networks.build(args.network, (args.size, args.size), 2, alpha=args.alpha)
    load_weights(model, args.network, alpha=args.alpha, source=args.weights)
    body = keras.Model(model.input, model.layers[-2].output)
    for folder in args.folders:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
        photos = [(p, i) for i, name in enumerate(names) for p in sorted((folder / name).iterdir())]
        order = np.random.default_rng(0).permutation(len(photos))[: args.photos]
        size = (args.size, args.size)
        pixels = np.stack([resized(photos[index][0].read_bytes(), size) for index in order])
        features = body.predict(pixels, batch_size=64, verbose=0)
        labels = np.array([photos[index][1] for index in order])
        for seed in range(3):
            _report(folder, features, labels, len(names), seed)
    return 0


def _report(
    folder: Path, features: np.ndarray, labels: np.ndarray, num_labels: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    count = len(labels)
    planted = random.permutation(count)[: round(PLANTED * count)]
    wrong = labels.copy()
    wrong[planted] = (wrong[planted] + random.integers(1, num_labels, len(planted))) % num_labels
    started = time.perf_counter()
    _, scores = out_of_fold(features, wrong, np.arange(count), num_labels, seed)
    seconds = time.perf_counter() - started
    first = np.argsort(-suspicion(scores, wrong))[: round(LOOKED_AT * count)]
    found = int(np.isin(planted, first).sum())
    print(
        f"{folder.name}, draw {seed}: {found} of {len(planted)} planted errors in the first "
        f"{len(first)} of {count} photos, in {seconds:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
