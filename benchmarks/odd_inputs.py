"""Whether each small input of EDGE_TEST_DATA/faults gives what is right, on one runtime.

The README of that folder says what each is, and what is right. A row is right if edge-classify
exits as it should and prints what it should; pixels are compared with those of the same image in
another format. Run it with each Python and runtime: `--runtime tflite` needs Python 3.11.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from mosaics import ROOT, TEST_DATA

from edge.classifier.labels import read_labels
from edge.classifier.runtime import chosen_runtime
from edge.commands import run
from edge.errors import EdgeError
from edge.image.preprocess import read_image

NAME = "odd_inputs"
FAULTS = TEST_DATA / "faults"
TRUTH = FAULTS / "reference" / "truth.png"
UNIT = ("--normalize", "[0,1]")
Row = tuple[str, bool]
Ask = Callable[..., tuple[int, str]]


def main(argv: Sequence[str] | None = None) -> int:
    """Try all rows, and print a table; the entry of `python benchmarks/odd_inputs.py`."""
    parser = argparse.ArgumentParser(prog="python benchmarks/odd_inputs.py", description=__doc__)
    parser.add_argument("--runtime", choices=("litert", "tflite"), default="litert")
    args = parser.parse_args(argv)
    return run(lambda: _table(args.runtime), NAME)


def _table(runtime: str) -> int:
    if not FAULTS.is_dir():
        raise EdgeError(FAULTS, "is not there", "set EDGE_TEST_DATA")
    _, label = chosen_runtime(runtime)

    def ask(*words: object) -> tuple[int, str]:
        """Return the exit status of edge-classify and what it prints."""
        command = [sys.executable, "-m", "edge", "classify", "--runtime", runtime, *words]
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    rows = [row for group in GROUPS for row in group(ask)]
    if runtime == "tflite":
        rows += _too_new(ask)
    print(f"| {label}, Python {platform.python_version()} | right |\n|---|---|")
    for what, is_right in rows:
        print(f"| {what} | {'yes' if is_right else '**no**'} |")
    right = sum(is_right for _, is_right in rows)
    print(f"\n{right} of {len(rows)} right")
    return 0 if right == len(rows) else 1


def _is(answer: tuple[int, str], status: int, pattern: str) -> bool:
    """Whether a command ended so: one line if it failed, and never a traceback."""
    found, text = answer
    lines = text.splitlines()
    return (
        found == status
        and bool(re.search(pattern, text))
        and "Traceback" not in text
        and max(map(len, lines), default=0) < 500
    )


def _models(ask: Ask) -> Iterator[Row]:
    folder = FAULTS / "detection-as-classifier"
    for model in sorted(folder.glob("*.tflite")):
        given: list[tuple[object, ...]] = [(), *(("--labels", f) for f in folder.glob("*.txt"))]
        answers = [ask("-m", model, *UNIT, *labels, TRUTH) for labels in given]
        is_right = all(_is(answer, 1, "is an object detector") for answer in answers)
        is_right &= not any("--labels" in text for _, text in answers)
        yield f"{model.name}, with and without labels: rejected as a detector", is_right
    model = FAULTS / "label-locale" / "two-label-files.tflite"
    answer = ask("-m", model, "-k", 9, *UNIT, TRUTH)
    is_right = _is(answer, 0, "Cat|Dog") and "/m/" not in answer[1]
    yield "two label files: the names, not the ids", is_right
    model = FAULTS / "channels-first" / "nchw.tflite"
    yield "channels first: classified", _is(ask("-m", model, *UNIT, TRUTH), 0, r"truth.png  \S+ \d")
    folder = FAULTS / "dynamic-size"
    for size in ((), ("--input-size", "96")):
        answer = ask("-m", folder / "any-size.tflite", *UNIT, *size, TRUTH)
        yield f"dynamic size{' of 96' if size else ''}: classified", _is(answer, 0, r"  \S+ \d")
    answer = ask("-m", folder / "batch-32.tflite", *UNIT, TRUTH)
    yield "a batch of 32: rejected by that name", _is(answer, 1, "takes 32 images at a time")
    for path in sorted((FAULTS / "select-tf-ops").glob("*.tflite")):
        answer = ask("-m", path, *UNIT, TRUTH)
        is_right = _is(answer, 1, "select operators|Edge TPU|must be|custom operator")
        yield f"{path.name}: one line", is_right and answer[1].count("\n") == 1


def _nan(ask: Ask) -> Iterator[Row]:
    folder = FAULTS / "nan"
    answer = ask("-m", folder / "nan-sometimes.tflite", *UNIT, *sorted(folder.glob("*.png")))
    is_right = _is(answer, 1, r"bright.png: has no scores") and "dark2.png  " in answer[1]
    yield "NaN for one image: that is named, the others are classified", is_right
    answer = ask("-m", folder / "nan-always.tflite", *UNIT, TRUTH)
    yield "NaN for every image: a fault of the model", _is(answer, 1, "nan-always.tflite.*NaN")


def _labels(ask: Ask) -> Iterator[Row]:
    counting, blanks, json = (
        FAULTS / name for name in ("counting-labels", "label-blanks", "label-json")
    )
    for name in ("labels", "euro", "coins"):
        path = counting / f"{name}.txt"
        lines = tuple(path.read_text().splitlines())
        model = counting / ("two.tflite" if len(lines) == 2 else "three.tflite")
        answer = ask("-m", model, *UNIT, "--labels", path, "-k", 9, TRUTH)
        is_right = read_labels(path) == lines and all(line in answer[1] for line in lines)
        yield f"{name}.txt: numbers that do not count stay", is_right and answer[0] == 0
    three = counting / "three.tflite"
    for path in sorted(json.glob("*.json")):
        answer = ask("-m", three, *UNIT, "--labels", path, "-k", 9, TRUTH)
        is_right = read_labels(path) == ("a", "b", "c") and answer[0] == 0
        yield f"{path.name}: read", is_right
    for path in sorted(blanks.glob("*.txt")):
        words = ("-m", three, *UNIT, "--labels", path, "--summary", "-r", blanks / "test")
        yield f"{path.name}, blanks around labels: accuracy", _is(ask(*words), 0, r"accuracy \d")


def _images(ask: Ask) -> Iterator[Row]:
    for name in ("progressive-with-trailer", "png-large-text"):
        paths = sorted((FAULTS / name).iterdir())
        is_right = _is(ask("--format", "csv", *paths), 0, "source,") and len(paths) > 1
        yield f"{name}: {len(paths)} classified", is_right
    folder = FAULTS / "tiff-planar-16bit"
    for path in sorted(folder.glob("*.tif")):
        yield f"{path.name}: right colours, or rejected by name", _is_like(path, TRUTH)
    folder = FAULTS / "tiff-12bit-grey"
    for name in ("grey12.tif", "grey16.tif"):
        yield f"{name}: scaled by its bits", _is_like(folder / name, folder / "grey12.pgm", 1)
    for name, count in (("jfif", 2), ("jfif-only", 1)):
        status, text = ask("--format", "csv", FAULTS / name)
        yield f"{name}: {count} images", status == 0 and len(text.splitlines()) == count + 1
    for path in sorted((FAULTS / "video-as-heif").iterdir()):
        yield f"{path.name}: called what it is", _is_named(ask(path), path.suffix)


def _is_like(path: Path, other: Path, most: int = 2) -> bool:
    """Whether an image has the pixels of another, or is rejected in one line."""
    try:
        pixels = read_image(path).astype(int)
    except EdgeError as error:
        return str(error).isprintable() and "bit" in str(error)
    expected = read_image(other).astype(int)
    return pixels.shape == expected.shape and bool(np.abs(pixels - expected).max() <= most)


def _is_named(answer: tuple[int, str], suffix: str) -> bool:
    """Whether a file that looks like HEIF is called a video, sound, a raw photo or AVIF."""
    if suffix in (".heic", ".avif"):  # read where the package is there
        kind = suffix[1:].upper().replace("HEIC", "HEIF")
        return answer[0] == 0 or _is(answer, 1, rf"{kind}|damaged")
    wanted = {".m4a": "is sound .*not supported", ".cr3": "is a raw photo .*not supported"}
    return _is(answer, 1, wanted.get(suffix, "video"))


def _too_new(ask: Ask) -> Iterator[Row]:
    model = FAULTS / "fully-connected-12" / "mnist-dynamic.tflite"
    answer = ask("-m", model, *UNIT, TRUTH)
    remedy = r"FULLY_CONNECTED version 12.*pip install 'ai-edge-litert>=2\.1'"
    yield "FULLY_CONNECTED version 12: the remedy that works", _is(answer, 1, remedy)


GROUPS = (_models, _nan, _labels, _images)

if __name__ == "__main__":
    sys.exit(main())
