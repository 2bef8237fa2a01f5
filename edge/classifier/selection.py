"""Which model runs, on which runtime and with how many threads: one rule for all commands.

What is given comes first, then what was measured on this machine (tuned.py), then the runtime that
is usually fastest with a thread per core. It is measured once for each model: by install.sh, by the
first long batch, and by edge-benchmark.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edge.classifier.model import Model, default_model, model_sha256
from edge.classifier.runtime import default_num_threads, installed_runtimes, installed_version
from edge.errors import ModelError
from edge.files import settings_places
from edge.names import PACKAGES, TUNED

if TYPE_CHECKING:
    from edge.classifier.tuned import Measured


class ModelChoice(NamedTuple):
    """Which model to run, and how."""

    path: Path
    runtime: str  # "auto" where nothing is known
    num_threads: int | None  # None: the default
    known: bool = False  # it was measured here

    def measured(self, options: Mapping[str, Any]) -> ModelChoice:
        """Measure which runtime and how many threads are fastest where that is not known.

        For a batch: it takes a second or two for most models. What was given stays.

        Args: what else Model is to be opened with.
        """
        if self.known or (self.num_threads and (self.runtime != "auto" or not _two_ways())):
            return self
        try:
            found = measure(self.path, options)
        except ModelError:  # opening it will report it
            return self
        with contextlib.suppress(OSError):  # it is then measured every time
            keep(self.path, found)
        return _chosen(self, found)


def choose_model(model: Path | None, runtime: str, num_threads: int | None) -> ModelChoice:
    """Fill in what was not given: no model, runtime "auto", None threads."""
    given = ModelChoice(model or default_model(), runtime, num_threads)
    if not any(map(os.path.isfile, settings_places(TUNED))):
        return given
    from edge.classifier import tuned  # slow to import, and needed where something is known alone

    found = tuned.read()
    if not model and found.model and Path(found.model).is_file():
        given = given._replace(path=Path(found.model))
    kept = _valid(found.measured.get(_sha256(given.path)))
    return _chosen(given, kept) if kept else given


def known(model: Path) -> Measured | None:
    """Return what was measured of a model here, with the runtimes that are installed now."""
    from edge.classifier import tuned

    return _valid(tuned.read().measured.get(_sha256(model)))


def measure(model: Path, options: Mapping[str, Any] | None = None) -> Measured:
    """Measure a model on each runtime with each number of threads.

    Args: a .tflite file; what else Model is to be opened with, such as an input size.

    Raises: ModelError where it works on no runtime.
    """
    from edge.classifier.trial import times
    from edge.classifier.tuned import Measured

    return Measured(model.name, now(), versions(), times(model, options or {}))


def keep(model: Path, found: Measured) -> Path:
    """Keep for all commands what was measured, and return where. Raises: OSError, ModelError."""
    from edge.classifier import tuned

    return tuned.keep({model_sha256(model): found})


def now() -> str:
    """The time of a measurement, as it is kept."""
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """The versions of the runtimes that are installed."""
    return {name: installed_version(name) for name in installed_runtimes()}


def threads_of(threads: int) -> str:
    """Return the number of threads in words."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def explain(path: Path, model: Model) -> str:
    """Return by how much the other runtime would be slower here; "" where it was not measured."""
    found = known(path)
    return slower(found, model.runtime_name) if found else ""


def slower(found: Measured, runtime: str) -> str:
    """Return how long other runtimes take, compared with the one that is used."""
    said = []
    for name, ratio in found.others(runtime, default_num_threads()).items():
        how = f"{ratio:.2g} times as long" if ratio >= 1 else f"only {ratio:.2f} of the time"
        said.append(f"{PACKAGES[name]} takes {how} here")
    return ", ".join(said)


def _chosen(given: ModelChoice, found: Measured) -> ModelChoice:
    """What is fastest of what was measured, and what is given where nothing fits it."""
    best = found.best(default_num_threads(), given.runtime, given.num_threads or 0)
    best = best or found.best(default_num_threads(), given.runtime)  # other threads were measured
    if not best:
        return given
    return ModelChoice(given.path, best.runtime, given.num_threads or best.threads, True)


def _valid(found: Measured | None) -> Measured | None:
    """Another version of a runtime is to be measured again, and so is one that came or went."""
    return found if found and found.versions == versions() else None


def _sha256(model: Path) -> str:
    try:
        return model_sha256(model)
    except ModelError:  # opening it will report it
        return ""


def _two_ways() -> bool:
    return len(installed_runtimes()) > 1
