"""Which models are known to be sound: a damaged one can crash a native runtime, and us with it.

Sound are the models that ship, by the sha256 in their cards, and those that a trial in a process
of its own has shown to be so with this runtime, on this kind of machine. That is kept as an empty
file for each; if none can be written, a model is validated every time.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from edge import board
from edge.classifier.model import default_model, model_sha256, models_folder
from edge.classifier.runtime import chosen_runtime
from edge.files import cache_folder

TIMEOUT_S = 10.0  # to start a process, load a model and invoke it
BYTES_A_S = 10_000_000  # from an SD card: a large model has more time


def ensure_sound(
    path: str | os.PathLike[str] | None = None,
    runtime: str = "auto",
    input_size: tuple[int, int] | None = None,
) -> None:
    """See that loading and invoking a model does not crash, hang, or eat the memory.

    A model that ships costs its sha256, one that was validated before a little more; another is
    validated, which takes a few 100 ms.

    Args:
        path: a .tflite file; None is the shipped default.
        runtime, input_size: as for `edge.classifier.model.Model`.

    Raises: ModelError, RuntimeMissingError.
    """
    file = default_model() if path is None else Path(path)
    sha256 = model_sha256(file)
    if _ships(sha256):
        return
    chosen, label = chosen_runtime(runtime)
    mark = cache_folder() / f"sound-{_here(label)}-{sha256}"
    if not _is_file(mark):
        _try(file, chosen, TIMEOUT_S + file.stat().st_size // BYTES_A_S, input_size)
        with contextlib.suppress(OSError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _try(file: Path, runtime: str, timeout_s: float, input_size: tuple[int, int] | None) -> None:
    from edge.classifier.trial import (
        Trying,
    )  # slow to import, and needed for no model that is known

    options = {"input_size": input_size}
    with Trying(file, runtime=runtime, timeout_s=timeout_s, how="once", options=options) as trying:
        trying.wait()


def _ships(sha256: str) -> bool:
    """Whether the card of a shipped model names the file."""
    return any(sha256 in card.read_text() for card in models_folder().glob("*.json"))


def _here(runtime: str) -> str:
    """A runtime and this kind of machine, for a file's name: ai-edge-litert-2.3.0-x86_64."""
    return re.sub(r"[^\w.]+", "-", f"{runtime} {board.machine()}")


def _is_file(mark: Path) -> bool:
    try:
        return mark.is_file()
    except OSError:  # a folder without permissions
        return False
