"""What models answer here: answers.py [--runtime tflite|litert] [--reference] PICTURES OUT MODEL...

In OUT/MODEL.jsonl a JSON line per picture, in the order of their names, one for the golden vectors
that travel in the model, and one that says that this was all. With --reference tflite-runtime's
reference kernels compute: they round int8 convolutions and additions as ARM's do. Those for x86-64
round otherwise, and fifty layers make a tenth of a score of it. (Swish, as in EfficientNet, and
dynamic quantization ARM rounds in a way of its own.)
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge.classifier.classify import classify
from edge.classifier.model import Model
from edge.errors import EdgeError
from edge.sources.photos import photos


def answers(model_path: Path, runtime: str, pictures: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Classify each picture, then hold the model to its golden vectors."""
    with Model(model_path, runtime=runtime, num_threads=1) as model:
        told = {"model": model_path.name, "runtime": f"{model.runtime} {platform.machine()}"}
        for frame in photos(pictures):
            result = classify(model, frame, top_k=0)
            scores = [c.score for c in sorted(result.categories, key=lambda c: c.index)]
            picture = Path(result.source).name
            yield {**told, "picture": picture, "label": result.label, "scores": scores}
        yield {**told, "golden": golden(model)}


def golden(model: Model) -> str:
    """Return "ok", or what is wrong with the golden vectors; to carry none is wrong too."""
    try:
        return "ok" if model.verify() else "the model carries none"
    except EdgeError as error:
        return str(error.fault)


def compute_by_reference() -> None:
    """Let every interpreter of this process use tflite-runtime's reference kernels."""
    from tflite_runtime import interpreter

    kernels = interpreter.OpResolverType.BUILTIN_REF
    interpreter.Interpreter = functools.partial(
        interpreter.Interpreter, experimental_op_resolver_type=kernels
    )


def write(out: Path, model: Path, runtime: str, pictures: Sequence[str]) -> None:
    """Write the answers as they come: what was said before a crash is not lost."""
    with (out / f"{model.name}.jsonl").open("w") as file:
        try:
            for answer in answers(model, runtime, pictures):
                print(json.dumps(answer), file=file, flush=True)
        except EdgeError as error:
            print(json.dumps({"failure": str(error)}), file=file)
        print(json.dumps({"end": True}), file=file)


def main() -> int:
    """Ask one model after the other; a hang in native code too is ended, by the system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", choices=("tflite", "litert"), default="tflite")
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--limit", type=int, default=0, help="seconds for each model")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="+", type=Path, metavar="model")
    args = parser.parse_args()
    if args.reference:
        compute_by_reference()
    pictures = sorted(map(str, args.pictures.iterdir()))
    for model in args.models:
        signal.alarm(args.limit)
        write(args.out, model, args.runtime, pictures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
