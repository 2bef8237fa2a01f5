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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.cores import usable_cores
from edge.errors import ModelError, RuntimeMissingError
from edge.tensor import TensorSpec

# In order of preference: litert is the maintained one, and the faster on x86-64.
RUNTIMES = {"litert": "ai_edge_litert", "tflite": "tflite_runtime"}
PACKAGES = {"litert": "ai-edge-litert", "tflite": "tflite-runtime"}
MOST_SCALE = 1e6  # of a quantized tensor that is not damaged


@dataclass(frozen=True)
class OpenInterpreter:
    """An allocated interpreter and the runtime that it comes from."""

    interpreter: Any
    runtime: str  # such as "ai-edge-litert 2.3.0"
    subject: object  # what errors call the model

    def inputs(self) -> list[TensorSpec]:
        """Return what goes in. Raises: ModelError."""
        return self._specs("get_input_details")

    def outputs(self) -> list[TensorSpec]:
        """Return what comes out. Raises: ModelError."""
        return self._specs("get_output_details")

    def _specs(self, method: str) -> list[TensorSpec]:
        try:
            return [_spec(detail) for detail in getattr(self.interpreter, method)()]
        except (ValueError, TypeError, KeyError, RuntimeError, SystemError) as error:
            fault = f"is damaged (its tensors: {_reason(error)})"
            raise ModelError(self.subject, fault, "copy the file again") from error

    def view(self, spec: TensorSpec) -> NDArray[Any]:
        """Return a tensor's own memory: let go of it soon, for nothing is invoked while it is held.

        Raises: ModelError.
        """
        try:
            view: NDArray[Any] = self.interpreter.tensor(spec.index)()
        except (RuntimeError, ValueError) as error:
            fault = f"is damaged (tensor {spec.index}: {_reason(error)})"
            raise ModelError(self.subject, fault, "copy the file again") from error
        return view

    def invoke(self) -> None:
        """Compute the outputs from what is in the inputs. Raises: ModelError."""
        try:
            self.interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            fault = f"{self.runtime} cannot invoke it ({_reason(error)})"
            raise ModelError(self.subject, fault, "copy the file again, or use another") from error


def installed_runtimes() -> list[str]:
    """Names of the runtimes that are installed, the preferred one first."""
    return [name for name, module in RUNTIMES.items() if importlib.util.find_spec(module)]


def default_num_threads() -> int:
    """As many threads as this process has cores, at most 4: more gain nothing on small models."""
    return min(usable_cores(), 4)


def open_interpreter(
    content: bytes, subject: object, *, runtime: str, num_threads: int, verbose: bool
) -> OpenInterpreter:
    """Open a model with the wanted runtime ("auto": the first that works) and allocate its tensors.

    Raises: RuntimeMissingError, ModelError.
    """
    module, label = _load_runtime(runtime)
    try:
        with native_chatter(shown=verbose):
            interpreter = module.Interpreter(model_content=content, num_threads=num_threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError, MemoryError) as error:
        fault = f"{label} cannot load it ({_reason(error)})"
        remedy = "convert it for this runtime, or update it"
        raise ModelError(subject, fault, remedy) from error
    return OpenInterpreter(interpreter, label, subject)


def chosen_runtime(wanted: str) -> tuple[str, str]:
    """Return which runtime is taken here, "litert" or "tflite", and its name and version.

    Raises: RuntimeMissingError.
    """
    _, label = _load_runtime(wanted)
    (name,) = [name for name, package in PACKAGES.items() if label.startswith(f"{package} ")]
    return name, label


def _spec(detail: dict[str, Any]) -> TensorSpec:
    """Raises: ValueError where its scale is none."""
    dtype, (scale, zero_point) = np.dtype(detail["dtype"]), detail["quantization"]
    if dtype.kind == "f":  # may tell how it was quantized once
        scale, zero_point = 0.0, 0
    if not 0 <= scale < MOST_SCALE:
        raise ValueError(f"a scale of {scale}")
    shape = tuple(int(length) for length in detail["shape"])
    return TensorSpec(int(detail["index"]), shape, dtype, float(scale), int(zero_point))


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


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
    """Import a runtime: its interpreter module, and its name and version."""
    # The one that is loaded already comes first: two in one process take each other's symbols.
    names = sorted(RUNTIMES, key=lambda n: n not in _loaded()) if wanted == "auto" else [wanted]
    reasons = []
    for name in names:
        reason = _unfit(name)
        if not reason:
            try:
                module = importlib.import_module(f"{RUNTIMES[name]}.interpreter")
                return module, f"{PACKAGES[name]} {_version(name)}"
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


def _version(name: str) -> str:
    version: str | None = getattr(sys.modules[RUNTIMES[name]], "__version__", None)
    if version:
        return version
    from importlib import metadata  # slow to import, and needed for no runtime of today

    try:
        return metadata.version(PACKAGES[name])
    except metadata.PackageNotFoundError:  # installed without its record
        return "of unknown version"
