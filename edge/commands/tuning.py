"""What the options leave open is as edge-benchmark --apply found it best on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FILE = "tuned.json"  # edge.classifier.tuned.NAME, without importing it


@dataclass(frozen=True)
class Way:
    """Which model to run, and how."""

    path: Path
    runtime: str  # "auto" where nothing is known
    threads: int | None  # None: the default


def way(model: Path | None, runtime: str, threads: int | None) -> Way:
    """Fill in what was not chosen: no model, runtime "auto", threads None."""
    from edge.classifier.model import default_model
    from edge.files import settings_places

    if any(map(os.path.isfile, settings_places(FILE))):
        return _tuned_way(model, runtime, threads)
    return Way(model or default_model(), runtime, threads)


def _tuned_way(model: Path | None, runtime: str, threads: int | None) -> Way:
    from edge.classifier import tuned  # slow to import, and rarely needed
    from edge.classifier.model import default_model
    from edge.classifier.runtime import installed_runtimes

    found = tuned.read()
    if not model and found and Path(found.model).is_file():
        model = Path(found.model)
    path = model or default_model()
    best = found.of(path) if found else None
    if best and runtime in ("auto", best.runtime) and best.runtime in installed_runtimes():
        return Way(path, best.runtime, threads or best.threads)
    return Way(path, runtime, threads)
