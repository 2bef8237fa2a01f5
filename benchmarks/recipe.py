"""How good are training recipes: each on small draws of several sets of photos.

    python benchmarks/recipe.py SET [SET ...] --weights FILE --results FILE
        [--alpha 0.35] [--size 128] [--photos 20 50 100] [--draws 2]
        [--recipe NAME:field=value,field=value ...]

A draw is that many photos a class of what `convert` does not keep for test; 15 % of it validates,
as in a run. The network, float32, is measured on up to 400 other photos, neither of test nor
near-duplicates of the draw. The first recipe is what the others are compared with. Each training
adds a line to the results, and what they hold already is not trained again: give the same command
to go on. Fields are those of convert.training.recipes.Recipe; the default is the fine-tuning
recipe as it ships.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import math
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from convert.data.cache import DecodedPhotos, decode
from convert.data.dataset import Dataset, labels_of, load
from convert.data.mirrored import mirror_images
from convert.data.photo import Photo
from convert.data.split import split
from convert.job import without_mirror
from convert.measure.scores import Accuracy, answers
from convert.training.augment import Augmentation
from convert.training.checkpoint import Checkpoint
from convert.training.recipes import RECIPES, Recipe, TrainConfig
from convert.training.train import scores_of, train

VALIDATION = 0.15  # of a draw
MAX_MEASURED = 400
# The default up to 2026-11: the upper layers, batch normalization frozen.
BEFORE = (
    "before:epochs=5,steps=None,learning_rate=1e-4,fine_tune=0.6,batch_norm=False,keep='best',"
    "average=0.99"
)


def main() -> int:
    """Train what the results lack, then print them."""
    args = _arguments()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    recipes = dict(map(_recipe, args.recipe))
    done = _done(args.results)
    for folder in args.sets:
        for photos, draw, name in _wanted(args, recipes):
            key = f"{folder.name}/{photos}/{draw}/{name}/{args.network}/{args.alpha:g}/{args.size}"
            if key in done:
                continue
            row = {"key": key, "set": folder.name, "photos": photos, "draw": draw, "recipe": name}
            row |= _measured(args, folder, photos, draw, recipes[name])
            with args.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            done[key] = row
            print(f"{key}: {row['errors']} of {row['total']}, {row['train_s']} s", flush=True)
    wanted_sets = {folder.name for folder in args.sets}
    _print([r for r in done.values() if r["set"] in wanted_sets and r["photos"] in args.photos])
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", type=Path, nargs="+", metavar="SET", help="folder of photos")
    parser.add_argument("--results", type=Path, required=True, help="JSON lines")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--network", default="mobilenet_v2")
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--photos", type=int, nargs="+", default=[20, 50, 100], help="a class")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument("--recipe", nargs="+", default=[BEFORE, "now:"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "recipes")
    return parser.parse_args()


def _recipe(text: str) -> tuple[str, Recipe]:
    """Read `NAME:field=value,...`."""
    name, _, changes = text.partition(":")
    call = ast.parse(f"f({changes})", mode="eval").body
    assert isinstance(call, ast.Call)
    values = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    if "augmentation" in values:
        values["augmentation"] = getattr(Augmentation, values["augmentation"])()
    return name, dataclasses.replace(RECIPES["fine-tune"], **values)


def _done(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["key"]: row for row in rows}


def _wanted(args: argparse.Namespace, recipes: dict[str, Recipe]) -> Iterator[tuple[int, int, str]]:
    for photos in args.photos:
        for draw in range(args.first_draw, args.draws):
            for name in recipes:
                yield photos, draw, name


def _measured(
    args: argparse.Namespace, folder: Path, per_class: int, draw: int, recipe: Recipe
) -> dict[str, Any]:
    """Train on one draw, and count the errors on other photos."""
    size, cache = (args.size, args.size), args.cache / folder.name
    whole = load(folder, 0, cache)
    dataset, others = _draw(whole, per_class, draw)
    photos = DecodedPhotos(dataset, size, cache / f"{per_class}-{draw}")
    labels = labels_of(dataset.train)
    if mirror_images(dataset.labels, photos.train, labels):
        recipe = without_mirror(recipe)
    config = TrainConfig(
        args.network,
        size,
        recipe.for_photos(len(labels)),
        alpha=args.alpha,
        weights=args.weights,
        precision="float32",
        seed=draw,
    )
    keras.backend.clear_session()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        kept = _Both(Path(scratch) / "training", {}, resume=False)
        model = train(photos, config, np.ones(len(labels), np.float32), kept)
    train_s = round(time.monotonic() - started)
    pixels = decode(others, size, cache / f"{per_class}-{draw}", "others")
    target = labels_of(others)
    errors = int((answers(scores_of(model, pixels)) != target).sum())
    model.set_weights(kept.lowest)
    lowest = int((answers(scores_of(model, pixels)) != target).sum())
    return {
        "errors": errors,
        "total": len(others),
        "errors_at_lowest_val_loss": lowest,
        "lowest_epoch": kept.lowest_epoch,
        "epochs": config.recipe.epochs,
        "train_photos": len(labels),
        "train_s": train_s,
    }


def _draw(whole: Dataset, per_class: int, draw: int) -> tuple[Dataset, tuple[Photo, ...]]:
    """Draw photos of each class, split them, and choose others to measure on."""
    pool = sorted((*whole.train, *whole.val), key=lambda photo: photo.sha256)
    order = np.random.default_rng(draw).permutation(len(pool))
    shuffled = [pool[index] for index in order]
    groups = whole.grouping.numbers
    taken: dict[int, list[Photo]] = defaultdict(list)
    for photo in shuffled:
        if len(taken[photo.label]) < per_class:
            taken[photo.label].append(photo)
    drawn = [photo for photos in taken.values() for photo in photos]
    seen = {groups.get(photo.sha256, photo.sha256) for photo in drawn}
    others = [p for p in shuffled if groups.get(p.sha256, p.sha256) not in seen]
    alike = {p.sha256: groups.get(p.sha256, -1 - index) for index, p in enumerate(drawn)}
    train_photos, val = split(drawn, alike, VALIDATION, draw)
    dataset = Dataset(whole.labels, tuple(train_photos), tuple(val), ())
    return dataset, tuple(others[:MAX_MEASURED])


class _Both(Checkpoint):
    """Keeps the weights of the lowest validation loss beside those that the recipe keeps."""

    lowest: list[Any]
    lowest_loss = math.inf
    lowest_epoch = 0

    def keep_best(self, model: keras.Model, val_loss: float, which: str) -> None:
        if val_loss <= self.lowest_loss:
            self.lowest, self.lowest_loss = model.get_weights(), val_loss
            self.lowest_epoch = self.epochs_done + 1
        super().keep_best(model, val_loss, which)


def _print(rows: Sequence[dict[str, Any]]) -> None:
    """Print errors of each set and size, and the geometric mean against the first recipe."""
    recipes = list(dict.fromkeys(row["recipe"] for row in rows))
    sums: dict[tuple[str, int, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        cell = sums[row["set"], row["photos"], row["recipe"]]
        figures = (row["errors"], row["total"], row["errors_at_lowest_val_loss"], row["train_s"])
        for index, figure in enumerate(figures):
            cell[index] += figure
    print("\n| set, photos a class | recipe | errors | rate (95 %) | at lowest val loss | s |")
    print("|---|---|---|---|---|---|")
    for (name, photos, recipe), (errors, total, lowest, seconds) in sorted(sums.items()):
        low, high = (1 - bound for bound in reversed(Accuracy(total - errors, total).interval))
        print(
            f"| {name}, {photos} | {recipe} | {errors} of {total} | {errors / total:.3f} "
            f"({low:.3f} to {high:.3f}) | {lowest} | {seconds} |"
        )
    first = recipes[0]
    for recipe in recipes[1:]:
        ratios = []
        for name, photos in sorted({(name, photos) for name, photos, _ in sums}):
            before, after = sums.get((name, photos, first)), sums.get((name, photos, recipe))
            if before and after and before[1] == after[1]:
                ratios.append((after[0] + 0.5) / (before[0] + 0.5))
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(f"{recipe} against {first}: {mean:.2f} (geometric mean of {len(ratios)} rows)")


if __name__ == "__main__":
    sys.exit(main())
