"""python -m convert.demo: the whole line on photos that it draws itself; what `make demo` runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import edge
from convert.__main__ import main as convert
from convert.data.drawn import draw_photos, mean_colour_accuracy
from edge import child

FOLDER = Path("demo")
PER_CLASS = 290  # 70 % of them train
HELD_OUT_PER_CLASS = 50
LEAST_ACCURACY = 0.9  # of the int8 model on the held-out photos
MOST_BASELINE = 0.6  # of a linear model on the mean colour: shapes must matter


def main() -> int:
    """Draw, train, convert, measure, then classify the test set; return 1 if accuracy is low."""
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    photos, held_out, out = FOLDER / "photos", FOLDER / "held-out", FOLDER / "out"
    say("draw photos of cups, fish and keys")
    draw_photos(photos, per_class=PER_CLASS, seed=0)
    draw_photos(held_out, per_class=HELD_OUT_PER_CLASS, seed=1)
    options = (
        "--network small --image-size 96 --augmentation camera --epochs 30 --precision float32"
    ).split()
    status = convert([str(photos), "-o", str(out), *options])
    if status:
        return status
    model = out / "model-int8.tflite"
    say(f"classify the {3 * HELD_OUT_PER_CLASS} held-out photos: edge-classify -m {model} ...")
    accuracy = _classify(model, held_out)
    baseline = mean_colour_accuracy(photos, held_out)
    print(f"held-out accuracy, int8, by edge-classify: {accuracy:.3f} (at least {LEAST_ACCURACY})")
    print(f"held-out accuracy, mean colour alone:      {baseline:.3f} (at most {MOST_BASELINE})")
    print(f"took {time.monotonic() - started:.0f} s; look at {out}/report.html, and try")
    print(f"  .venv/bin/edge-classify -k 3 -m {model} {held_out}/cup")
    return 0 if accuracy >= LEAST_ACCURACY and baseline <= MOST_BASELINE else 1


def _classify(model: Path, folder: Path) -> float:
    """Run edge-classify on a folder of classes, print a few results; return its accuracy."""
    options = ("-m", str(model), "--format", "jsonl", "-r", str(folder))
    command = child.python("-m", edge.__name__, "classify", *options)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=child.environment())
    results = [json.loads(line) for line in done.stdout.splitlines()]
    for result in results[:: HELD_OUT_PER_CLASS // 2]:
        print(f"  {result['source']}  {result['label']} {result['score']:.3f}")
    right = sum(str(r.get("label")) == Path(r["source"]).parent.name for r in results)
    return right / (3 * HELD_OUT_PER_CLASS)


def say(message: str) -> None:
    """Print one line to stderr."""
    print(f"demo: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
