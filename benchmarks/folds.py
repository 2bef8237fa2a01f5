"""How good is a recipe on the photos that matter: cross-validation over a list of them.

    python benchmarks/folds.py PHOTOS LIST [--folds 5] [--factor F] [-- OPTIONS of convert]

LIST names photos of PHOTOS/train, one path a line: those like what a camera will meet. They are cut
into folds, near-duplicates on one side. For each fold the whole line runs, `python -m convert`, on
train without the fold and what looks like it, and the int8 file is measured, by edge, on the fold.
Val stays what it is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convert.data.grouping.near_duplicates import groups
from convert.data.photo import Photo, sha256_of
from convert.data.walk import walk_photos

SEED = 0


def main() -> int:
    """Run the folds, print each accuracy and their mean."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="with train/ and val/")
    parser.add_argument("list", type=Path, metavar="LIST", help="one path a line, as train/LABEL/X")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="*", help="these folds alone, from 0")
    parser.add_argument("--factor", type=float, default=1.0, help="how much a listed photo counts")
    parser.add_argument("--results", type=Path, help="file to add a JSON line to for each fold")
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)  # what follows is for convert
    args = parser.parse_args(given[:end])
    args.options = given[end + 1 :]
    listed = [args.photos / line for line in args.list.read_text().split("\n") if line]
    groups_of = _groups(args.photos)
    fold_of = _folds(groups_of, listed, args.folds)
    accuracies = []
    for fold in args.only or range(args.folds):
        started = time.monotonic()
        held = {path for path in listed if fold_of[path] == fold}
        seen = {groups_of[path] for path in held}
        train = [path for path, group in groups_of.items() if group not in seen]
        right, total = _run(args, held, train, sorted(set(listed) - held))
        accuracies.append(right / total)
        row = {"fold": fold, "right": right, "total": total, "options": args.options}
        print(
            f"fold {fold}: {right} of {total}, {right / total:.3f}, "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
        if args.results:
            with args.results.open("a") as file:
                file.write(json.dumps(row | {"factor": args.factor}) + "\n")
    print(f"mean of {len(accuracies)} folds: {statistics.mean(accuracies):.4f}")
    return 0


def _folds(groups_of: dict[Path, int], listed: Sequence[Path], folds: int) -> dict[Path, int]:
    """Deal the groups of near-duplicates out, class by class, so that the folds are equal."""
    random = np.random.default_rng(SEED)
    fold_of_group: dict[int, int] = {}
    for label in sorted({path.parent.name for path in listed}):
        mine = {groups_of[path] for path in listed if path.parent.name == label}
        for place, group in enumerate(random.permutation(sorted(mine - fold_of_group.keys()))):
            fold_of_group[int(group)] = place % folds
    return {path: fold_of_group[groups_of[path]] for path in listed}


def _groups(root: Path) -> dict[Path, int]:
    """The group of near-duplicates of each training photo."""
    tree = walk_photos(root)
    photos = [
        Photo(file.path, tree.labels["train"].index(file.label), sha256_of(file.path))
        for file in tree.files
        if file.set == "train"
    ]
    found = groups(photos).tolist()
    return {photo.path: group for photo, group in zip(photos, found, strict=True)}


def _run(
    args: argparse.Namespace, held: set[Path], train: Sequence[Path], listed: Sequence[Path]
) -> tuple[int, int]:
    """Train; return how many of the held photos the int8 file gets right, and of how many."""
    with tempfile.TemporaryDirectory(prefix="folds-") as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "out"
        sets = {"train": train, "val": args.photos.glob("val/*/*"), "test": held}
        for name, paths in sets.items():
            for path in paths:
                _link(path, photos / name / path.parent.name)
        names = Path(folder) / "listed.txt"
        names.write_text("".join(f"train/{p.parent.name}/{p.name}\n" for p in listed))
        command = [sys.executable, "-m", "convert", str(photos), "-o", str(out), *args.options]
        command += ["--quantize", "int8", "--weigh", f"{names}:{args.factor:g}"]
        subprocess.run(command, check=False, stdout=sys.stderr)  # 1: it is not fit for use
        (variant,) = json.loads((out / "card.json").read_text())["variants"]
        shutil.rmtree(out)
    return variant["test_accuracy"]["correct"], variant["test_accuracy"]["total"]


def _link(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.name).symlink_to(path.resolve())


if __name__ == "__main__":
    sys.exit(main())
