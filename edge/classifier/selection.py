"""Which model runs, on which runtime and with how many threads: one rule for all commands.

What is given comes first, then what `edge-benchmark --apply` found best on this machine
(tuned.py), then what was measured for a batch, then a default.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edge.classifier.model import Model, default_model
from edge.classifier.runtime import default_num_threads, installed_runtimes
from edge.cores import usable_cores
from edge.errors import ModelError
from edge.files import cache_folder, replace_file, settings_places
from edge.names import TUNED

RUNS = 5  # invokes that are timed, the fastest of which counts
LONGEST_S = 0.3  # of timing one number of threads, in which a slow model has fewer runs
NEARLY = 1.1  # a number of threads that is this near to the fastest leaves the others a core


class ModelChoice(NamedTuple):
    """Which model to run, and how."""

    path: Path
    runtime: str  # "auto" where nothing is known
    num_threads: int | None  # None: the default

    def measured(self, options: Mapping[str, Any]) -> ModelChoice:
        """Measure the best number of threads if none was given: for a batch.

        Args: what else Model is to be opened with.
        """
        if self.num_threads:
            return self
        try:
            best = measured_threads(self.path, self.runtime, options)
        except ModelError:  # opening it will report it
            return self
        return self._replace(num_threads=best)


def choose_model(model: Path | None, runtime: str, num_threads: int | None) -> ModelChoice:
    """Fill in what was not given: no model, runtime "auto", None threads."""
    if not any(map(os.path.isfile, settings_places(TUNED))):
        return ModelChoice(model or default_model(), runtime, num_threads)
    from edge.classifier import tuned  # slow to import, and rarely needed

    found = tuned.read()
    if not model and found and Path(found.model).is_file():
        model = Path(found.model)
    path = model or default_model()
    best = found.of(path) if found else None
    if best and runtime in ("auto", best.runtime) and best.runtime in installed_runtimes():
        return ModelChoice(path, best.runtime, num_threads or best.threads)
    return ModelChoice(path, runtime, num_threads)


def measured_threads(
    path: Path, runtime: str = "auto", options: Mapping[str, Any] | None = None
) -> int:
    """Return the fewest threads with which a model is invoked about as fast as can be here.

    That is measured once for each model, runtime and machine, in less than a second for most
    models, and kept in the cache folder: for batches, not for one image.

    Args:
        path: a .tflite file.
        runtime: as for `edge.classifier.model.Model`.
        options: what else Model is to be opened with, such as labels.

    Raises: ModelError, RuntimeMissingError.
    """
    most = default_num_threads()
    if most == 1:
        return 1
    with Model(path, num_threads=1, runtime=runtime, **(options or {})) as model:
        note = cache_folder() / _name(hashlib.sha256(path.read_bytes()).hexdigest(), model.runtime)
        if known := _read(note, most):
            return known
        times = [_fastest_s(model)]
    for num_threads in range(2, most + 1):
        with Model(path, num_threads=num_threads, runtime=runtime, **(options or {})) as model:
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
    import platform  # slow to import, and needed for a batch alone

    machine = f"{runtime} {platform.machine()} {platform.node()} {usable_cores()} cores"
    return f"threads-{re.sub(r'[^A-Za-z0-9_.]+', '-', machine)}-{sha256}"


def _read(note: Path, most: int) -> int:
    """The number that was kept; 0 where there is none that can be right."""
    try:
        known = int(note.read_text())
    except (OSError, ValueError):
        return 0
    return known if 1 <= known <= most else 0
