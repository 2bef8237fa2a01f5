"""Finds and opens a TFLite interpreter: ai-edge-litert, or its predecessor tflite-runtime."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge.cores import usable_cores
from edge.errors import ModelError, RuntimeMissingError, library_remedy
from edge.image.tensor import TensorSpec
from edge.names import PACKAGES, RUNTIMES

if TYPE_CHECKING:
    from numpy.typing import NDArray


EDGE_TPU, SELECT = "edgetpu-custom-op", "Flex"  # custom operators' names, or how they begin
DELEGATE = "DELEGATE"  # the operator's name of what a delegate computes
MAX_REASON = 160  # characters of a runtime's own words
MOST_SCALE = 1e6  # of a quantized tensor that is not damaged


class LoadTimes(NamedTuple):
    """What opening a model took."""

    load_ms: float  # the runtime reads the model
    allocate_ms: float  # the runtime prepares its tensors
    first_invoke_ms: float


class Delegated(NamedTuple):
    """How much of a graph a delegate, such as XNNPACK, computes."""

    taken: int  # operators; 0 where there is no delegate
    operators: int  # of the whole graph
    parts: int  # that it was cut into

    def __str__(self) -> str:
        """Return it in a few words."""
        if not self.taken:
            return f"no delegate runs any of its {self.operators} operators"
        parts = "" if self.parts == 1 else f" in {self.parts} parts"
        return f"XNNPACK runs {self.taken} of {self.operators} operators{parts}"


@dataclass(frozen=True)
class OpenInterpreter:
    """An allocated interpreter and the runtime that it comes from."""

    interpreter: Any
    runtime: str  # such as "ai-edge-litert 2.3.0"
    subject: object  # what errors call the model
    load_ms: float
    allocate_ms: float
    warning: str = ""  # what is odd about how it was opened

    def inputs(self) -> list[TensorSpec]:
        """Return what goes in. Raises: ModelError."""
        return self._specs("get_input_details")

    def outputs(self) -> list[TensorSpec]:
        """Return what comes out. Raises: ModelError."""
        return self._specs("get_output_details")

    def delegated(self) -> Delegated | None:
        """Return how much of the graph a delegate took; None if unknown."""
        try:  # a private method, which both runtimes of today have
            nodes = self.interpreter._get_ops_details()
        except (AttributeError, RuntimeError, ValueError):
            return None
        return _delegated(nodes)

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


def _delegated(nodes: Sequence[Mapping[str, Any]]) -> Delegated:
    """Count the operators between what goes into a delegate's nodes and what comes out.

    The runtime lists the operators that a delegate has taken beside the nodes in their place.
    """
    own = [node for node in nodes if node["op_name"] != DELEGATE]
    makers = {int(tensor): node for node in own for tensor in node["outputs"]}
    parts = [node for node in nodes if node["op_name"] == DELEGATE]
    taken: set[int] = set()
    for part in parts:
        inputs, wanted = set(map(int, part["inputs"])), list(map(int, part["outputs"]))
        while wanted:
            maker = makers.get(wanted.pop())
            if maker and maker["index"] not in taken:
                taken.add(maker["index"])
                wanted += [int(tensor) for tensor in maker["inputs"] if int(tensor) not in inputs]
    return Delegated(len(taken), len(own), len(parts))


def installed_runtimes() -> list[str]:
    """Names of the runtimes that are installed, the preferred one first."""
    return [name for name, module in RUNTIMES.items() if importlib.util.find_spec(module)]


def installed_version(name: str) -> str:
    """The version of an installed runtime, without importing it; "" where its record is missing."""
    found = importlib.util.find_spec(RUNTIMES[name])
    for origin in (found.submodule_search_locations or []) if found else []:
        for record in Path(origin).parent.glob(f"{RUNTIMES[name]}-*.dist-info"):
            return record.name.removesuffix(".dist-info").rpartition("-")[2]
    return ""


def default_num_threads() -> int:
    """As many threads as this process has cores, at most 4: more gain nothing on small models."""
    return min(usable_cores(), 4)


def open_interpreter(
    content: bytes,
    subject: object,
    *,
    runtime: str,
    num_threads: int,
    verbose: bool,
    customs: Sequence[str] = (),
    shapes: Mapping[int, tuple[int, ...]] | None = None,
) -> OpenInterpreter:
    """Open a model with the wanted runtime ("auto": the first that works) and allocate its tensors.

    Where the default delegate (XNNPACK) rejects the model, it is opened without it.

    Args:
        content: of the file.
        subject: what errors call it.
        runtime: "auto", "litert" or "tflite".
        num_threads: of one invoke.
        verbose: let the runtime write to stderr.
        customs: names of the custom operators in it.
        shapes: of inputs that are to be resized, by index.

    Raises: RuntimeMissingError, ModelError.
    """
    module, label = _load_runtime(runtime)
    if fault_and_remedy := _foreign(customs):
        raise ModelError(subject, *fault_and_remedy)

    def opened(warning: str = "", **options: Any) -> OpenInterpreter:
        with native_chatter(shown=verbose):
            started = time.perf_counter()
            interpreter = module.Interpreter(
                model_content=content, num_threads=num_threads, **options
            )
            loaded = time.perf_counter()
            for index, shape in (shapes or {}).items():
                interpreter.resize_tensor_input(index, shape)
            interpreter.allocate_tensors()
            allocated = time.perf_counter()
        times = (loaded - started) * 1000, (allocated - loaded) * 1000
        return OpenInterpreter(interpreter, label, subject, *times, warning)

    try:
        return opened()
    except (ValueError, RuntimeError, MemoryError) as error:
        if "delegate" not in str(error).lower():
            raise _unopened(subject, label, error) from error
    without = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        warning = "XNNPACK rejects it: it runs without XNNPACK, more slowly"
        return opened(warning, experimental_op_resolver_type=without)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise _unopened(subject, label, error) from error


def _foreign(customs: Sequence[str]) -> tuple[str, str] | None:
    """The fault and remedy of operators that no plain runtime has; None where there are none."""
    if EDGE_TPU in customs:
        return "is compiled for an Edge TPU", "use the file that it was compiled from"
    selected = [name.removeprefix(SELECT) for name in customs if name.startswith(SELECT)]
    if selected:
        fault = f"needs TensorFlow's select operators ({', '.join(selected[:3])})"
        return fault, "convert it again with TFLITE_BUILTINS only"
    return None


def _unopened(subject: object, label: str, error: Exception) -> ModelError:
    """The error of a model that a runtime rejects, with the remedy that works."""
    reason = str(error)
    if isinstance(error, MemoryError) or "bad_alloc" in reason:
        fault = f"{label} has too little memory for it"
        return ModelError(subject, fault, "close other programs, or use a smaller model")
    if too_new := re.search(r"builtin opcode '(\w+)' version '(\d+)'", reason):
        fault = f"{label} is too old for it ({too_new[1]} version {too_new[2]})"
        old = label.startswith(PACKAGES["tflite"])
        remedy = "pip install 'ai-edge-litert>=2.1'" if old else "pip install -U ai-edge-litert"
        return ModelError(subject, fault, remedy)
    if custom := re.search(r"unresolved custom op: (\w+)", reason):
        fault = f"needs the custom operator {custom[1]}, which {label} does not have"
        return ModelError(subject, fault, "convert it again without that operator")
    fault = f"{label} cannot load it ({_reason(error)})"
    return ModelError(subject, fault, "convert it for this runtime, or update the runtime")


def chosen_runtime(wanted: str) -> tuple[str, str]:
    """Return which runtime is taken here, "litert" or "tflite", and its name and version.

    Raises: RuntimeMissingError.
    """
    _, label = _load_runtime(wanted)
    return runtime_name(label), label


def runtime_name(label: str) -> str:
    """Return "litert" or "tflite" of a name and version such as "ai-edge-litert 2.3.0"."""
    (name,) = [name for name, package in PACKAGES.items() if label.startswith(f"{package} ")]
    return name


def _spec(detail: dict[str, Any]) -> TensorSpec:
    """Raises: ValueError where its scale is none."""
    dtype, (scale, zero_point) = np.dtype(detail["dtype"]), detail["quantization"]
    if dtype.kind == "f":  # may show how it was quantized once
        scale, zero_point = 0.0, 0
    if not 0 <= scale < MOST_SCALE:
        raise ValueError(f"a scale of {scale}")
    shape = tuple(int(length) for length in detail["shape"])
    return TensorSpec(int(detail["index"]), shape, dtype, float(scale), int(zero_point))


def _reason(error: Exception) -> str:
    """The runtime's own words, one sentence at most."""
    sentence = re.split(r"[\n;]|\.(?=\s|[A-Z]|$)", str(error).strip())[0].strip()
    short = sentence if len(sentence) <= MAX_REASON else f"{sentence[:MAX_REASON]}..."
    return short or type(error).__name__


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
        sink = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, sink)
        for descriptor in (1, 2):
            try:
                saved = os.dup(descriptor)
            except OSError:  # closed: nothing can be written to it
                continue
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, descriptor)
            os.dup2(sink, descriptor)
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
                reason = f"{PACKAGES[name]} cannot be imported ({error})"
        reasons.append(reason)
    reason = ", ".join(reasons)
    raise RuntimeMissingError("TFLite runtime", reason, _remedy(names, reason))


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


def _remedy(names: list[str], reason: str) -> str:
    if _loaded():
        return "use one runtime per process"
    if "GLIBC" in reason:
        return "upgrade the system: this runtime is built for a newer one"
    if library := library_remedy(reason):
        return library
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
