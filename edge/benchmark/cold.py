"""Cold start: time to the first result of a fresh process, by its parts, and its memory."""

from __future__ import annotations

import importlib
import json
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge import board, child
from edge.errors import ModelError

if TYPE_CHECKING:
    from edge.benchmark.worker import Combination
    from edge.image.preprocess import Picture

TIMEOUT_S = 120.0
_CODE = (
    "import time; began = time.monotonic_ns(); from edge.benchmark.cold import main; main(began)"
)


@dataclass(frozen=True)
class ColdStart:
    """One fresh process, its files in the system's cache as after a first run."""

    answer_ms: float  # from starting the process to its first result: all below, and the rest
    python_ms: float  # until Python runs our first line
    imports_ms: float  # numpy, Pillow, the runtime
    load_ms: float  # the runtime reads the model
    allocate_ms: float  # the runtime prepares its tensors
    first_invoke_ms: float
    peak_bytes: int | None  # the most that was resident
    model_bytes: int | None  # what was resident more once the model was loaded and invoked


def cold_start(combination: Combination, picture: Picture) -> ColdStart:
    """Start a process that classifies an image and ends. Raises: ModelError."""
    started_ns = time.monotonic_ns()
    try:
        done = subprocess.run(
            child.python("-c", _CODE),
            input=pickle.dumps((started_ns, vars(combination), picture)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child.environment(),
            timeout=TIMEOUT_S,
        )
        said = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        fault = f"its process cannot be started ({error})"
        raise ModelError(combination.path, fault, "check free memory") from error
    if done.returncode or not said:
        how = done.returncode
        end = signal.Signals(-how).name if how < 0 else f"status {how}"
        raise ModelError(
            combination.path,
            f"its process ended before the first result ({end})",
            "classify an image with it: edge-classify",
        )
    return ColdStart(**said)


def main(began_ns: int) -> None:
    """Be the process: the same as edge-classify does, with a look at the clock in between."""
    from edge.benchmark.stages import whole_of
    from edge.classifier.model import Model
    from edge.names import RUNTIMES

    started_ns, asked, picture = pickle.load(sys.stdin.buffer)
    importlib.import_module(f"{RUNTIMES[asked['runtime']]}.interpreter")
    imported_ns = time.monotonic_ns()
    before = board.process_memory()
    options = {"num_threads": asked["threads"], "runtime": asked["runtime"], **asked["options"]}
    with Model(asked["path"], **options) as model:
        after = board.process_memory()
        whole_of(model, picture)()
        answered_ns = time.monotonic_ns()
    said = {
        "answer_ms": (answered_ns - started_ns) / 1e6,
        "python_ms": (began_ns - started_ns) / 1e6,
        "imports_ms": (imported_ns - began_ns) / 1e6,
        **model.load_times._asdict(),
        "peak_bytes": board.peak_memory(),
        "model_bytes": after.rss_bytes - before.rss_bytes if before and after else None,
    }
    print(json.dumps(said))
