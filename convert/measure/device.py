"""Classify photos as the device does, in a process of its own, which holds no TensorFlow.

    python -m convert.measure.device MODEL RUNTIME < PATHS.json

TensorFlow and a TFLite runtime in one process take each other's symbols: one run of some hundred
was ended by native code without a message. A file that crashes the runtime ends its own process
only.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge import child, errors
from edge.classifier.classify import classify
from edge.classifier.model import Model
from edge.errors import EdgeError, ModelError
from edge.sources.photos import photos as frames_of


@dataclass(frozen=True)
class Timed:
    """The result for a photo, and how long it took."""

    scores: tuple[float, ...]  # in label order
    invoke_ms: float
    preprocess_ms: float


def results(path: Path, photos: Sequence[Path], runtime: str) -> Iterator[Timed]:
    """Yield a result for each photo, in order.

    Raises: ImageError, ModelError, also where the runtime crashes; RuntimeMissingError.
    """
    process = subprocess.Popen(
        child.python("-m", __name__, str(path), runtime),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=child.environment(),
        process_group=0,  # whose end is this process's business, not the terminal's
    )
    assert process.stdin and process.stdout
    try:
        with contextlib.suppress(BrokenPipeError):  # its end is reported below
            json.dump([str(photo) for photo in photos], process.stdin)
            process.stdin.close()
        for line in process.stdout:
            said = json.loads(line)
            if "fault" in said:
                raise getattr(errors, said.pop("kind"))(**said)
            yield Timed(**said)
        if status := process.wait():
            how = signal.Signals(-status).name if status < 0 else f"status {status}"
            raise ModelError(path.name, f"crashes the runtime ({how})", "omit this model")
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def main(path: str, runtime: str) -> None:
    """Be the process: print a result for each photo, or the fault that ends it, as JSON."""
    frames = frames_of(json.load(sys.stdin), literal=True)
    try:
        with Model(path, runtime=runtime) as model:
            for frame in frames:
                found = classify(model, frame, top_k=0)
                scores = {category.index: float(category.score) for category in found.categories}
                said = Timed(
                    tuple(scores[index] for index in range(len(model.labels))),
                    found.invoke_ms,
                    found.preprocess_ms,
                )
                print(json.dumps(vars(said)), flush=True)
    except EdgeError as error:
        fault = {"subject": error.subject, "fault": error.fault, "remedy": error.remedy}
        print(json.dumps({"kind": type(error).__name__, **fault}))


if __name__ == "__main__":
    main(*sys.argv[1:])
