"""Finds and opens a TFLite interpreter: ai-edge-litert, or its predecessor tflite-runtime."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from edge.errors import ModelError, RuntimeMissingError

# In order of preference: litert is the maintained one, and the faster on x86-64.
RUNTIMES = {"litert": "ai_edge_litert", "tflite": "tflite_runtime"}
PACKAGES = {"litert": "ai-edge-litert", "tflite": "tflite-runtime"}


@dataclass(frozen=True)
class OpenInterpreter:
    """An allocated interpreter and the runtime that it comes from."""

    interpreter: Any
    runtime: str  # such as "ai-edge-litert 2.3.0"


def installed_runtimes() -> list[str]:
    """Names of the runtimes that are installed, the preferred one first."""
    return [name for name, module in RUNTIMES.items() if importlib.util.find_spec(module)]


def default_num_threads() -> int:
    """As many threads as this process has cores, at most 4: more gain nothing on small models."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, 4)


def open_interpreter(
    content: bytes, subject: object, *, runtime: str, num_threads: int, verbose: bool
) -> OpenInterpreter:
    """Open a model with the wanted runtime ("auto": the first that works) and allocate its tensors.

    Raises: RuntimeMissingError, ModelError.
    """
    module, name = _load_runtime(runtime)
    label = f"{PACKAGES[name]} {_version(PACKAGES[name])}"
    try:
        with native_chatter(shown=verbose):
            interpreter = module.Interpreter(model_content=content, num_threads=num_threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            subject,
            f"{label} cannot load it ({reason})",
            "convert it for this runtime, or update it",
        ) from error
    return OpenInterpreter(interpreter, label)


@contextlib.contextmanager
def native_chatter(shown: bool) -> Iterator[None]:
    """Keep what native code writes to file descriptors 1 and 2 away from the user unless `shown`.

    Only for the moment in which a model is loaded: the descriptors are the whole process's.
    """
    if shown:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(tempfile.TemporaryFile())
        for descriptor in (1, 2):
            try:
                saved = os.dup(descriptor)
            except OSError:  # closed: nothing can be written to it
                continue
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, descriptor)
            os.dup2(sink.fileno(), descriptor)
        yield


def _load_runtime(wanted: str) -> tuple[Any, str]:
    # The one that is loaded already comes first: two in one process take each other's symbols.
    names = sorted(RUNTIMES, key=lambda n: n not in _loaded()) if wanted == "auto" else [wanted]
    reasons = []
    for name in names:
        reason = _unfit(name)
        if not reason:
            try:
                return importlib.import_module(f"{RUNTIMES[name]}.interpreter"), name
            except (ImportError, OSError) as error:
                reason = f"{PACKAGES[name]} does not import ({error})"
        reasons.append(reason)
    raise RuntimeMissingError("TFLite runtime", ", ".join(reasons), _remedy(names))


def _unfit(name: str) -> str:
    """Why a runtime cannot be used here; empty where it can."""
    if name not in RUNTIMES:
        return f"runtime must be one of auto, {', '.join(RUNTIMES)}. Received: {name}"
    if _loaded() and name not in _loaded():
        return f"{PACKAGES[_loaded()[0]]} is in use, and two runtimes clash in one process"
    if not importlib.util.find_spec(RUNTIMES[name]):
        return f"{PACKAGES[name]} is not installed"
    # It is built for numpy 1 and crashes beside numpy 2: look before its C module is imported.
    if name == "tflite" and np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        return f"tflite-runtime needs numpy below 2, and numpy {np.__version__} is installed"
    return ""


def _loaded() -> list[str]:
    return [name for name, module in RUNTIMES.items() if f"{module}.interpreter" in sys.modules]


def _remedy(names: list[str]) -> str:
    if _loaded():
        return "use one runtime a process"
    if sys.maxsize < 2**32 and sys.version_info >= (3, 12):
        return "install a 64-bit system: no runtime exists for this one"
    if "tflite" in names and importlib.util.find_spec("tflite_runtime"):
        return "pip install 'numpy<2' or pip install 'ai-edge-litert>=2.1'"
    if names == ["tflite"]:
        return "pip install tflite-runtime==2.14.0 'numpy<2' (Python 3.11 or older)"
    return "pip install 'ai-edge-litert>=2.1'"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # installed without its record, as in an unpacked folder
        return "of unknown version"
