"""How many threads to use: of the model's invoke, measured once; of decoding, one a core."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.classifier.model import Model, default_model
from edge.classifier.runtime import default_num_threads
from edge.cores import usable_cores
from edge.files import cache_folder, replace_file

RUNS = 5  # invokes that are timed, the fastest of which counts
LONGEST_S = 0.3  # of timing one number of threads, in which a slow model has fewer runs
NEARLY = 1.1  # a number of threads that is this near to the fastest leaves the others a core


def measured_threads(
    path: str | os.PathLike[str] | None = None,
    runtime: str = "auto",
    options: Mapping[str, Any] | None = None,
) -> int:
    """Return the fewest threads with which a model is invoked about as fast as can be here.

    That is measured once for each model, runtime and machine, in less than a second for most
    models, and kept in the cache folder: for batches, not for one picture.

    Args:
        path: a .tflite file; None is the shipped default.
        runtime: as for `edge.classifier.model.Model`.
        options: what else Model is to be opened with, such as labels.

    Raises: ModelError, RuntimeMissingError.
    """
    file = default_model() if path is None else Path(path)
    most = default_num_threads()
    if most == 1:
        return 1
    with Model(file, num_threads=1, runtime=runtime, **(options or {})) as model:
        note = cache_folder() / _name(hashlib.sha256(file.read_bytes()).hexdigest(), model.runtime)
        if known := _read(note, most):
            return known
        times = [_fastest_s(model)]
    for num_threads in range(2, most + 1):
        with Model(file, num_threads=num_threads, runtime=runtime, **(options or {})) as model:
            times.append(_fastest_s(model))
    best = next(i for i, took in enumerate(times, start=1) if took <= NEARLY * min(times))
    with contextlib.suppress(OSError):  # it is then measured every time
        note.parent.mkdir(parents=True, exist_ok=True)
        replace_file(note, f"{best}\n".encode())
    return best


def _fastest_s(model: Model) -> float:
    """Time the model on what its opening left in its input: seconds of the fastest invoke."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < RUNS and (not times or time.perf_counter() - began < LONGEST_S):
        started = time.perf_counter()
        model.invoke()
        times.append(time.perf_counter() - started)
    return min(times)


def _name(sha256: str, runtime: str) -> str:
    """A file's name for a model and a runtime on this machine, with the cores that we have."""
    machine = f"{runtime} {platform.machine()} {platform.node()} {usable_cores()} cores"
    return f"threads-{re.sub(r'[^A-Za-z0-9_.]+', '-', machine)}-{sha256}"


def _read(note: Path, most: int) -> int:
    """The number that was kept; 0 where there is none that can be right."""
    try:
        known = int(note.read_text())
    except (OSError, ValueError):
        return 0
    return known if 1 <= known <= most else 0
