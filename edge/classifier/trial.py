"""Validate a model in its own process: one that crashes its runtime must not crash the command.

The process may take MOST_MEMORY_BYTES, and a few times the model's size: wrong offsets can
allocate any amount. A second process ends it above that. A limit
of the system (RLIMIT_AS) would change what is validated: XNNPACK rejects a model for which it gets
too little memory, so that it works without XNNPACK there, and takes gigabytes elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge import child
from edge.classifier.inputs import input_shapes
from edge.classifier.metadata import read_metadata
from edge.classifier.model import Model, read_model
from edge.classifier.runtime import (
    OpenInterpreter,
    default_num_threads,
    installed_runtimes,
    native_chatter,
    open_interpreter,
)
from edge.errors import EdgeError, ModelError

RUNS = 10
TIMED_RUNS = 20  # with one number of threads, of which the fastest counts
LONGEST_S = 0.3  # of them, in which a slow model has fewer
TIMING_S = 5.0  # after which no more threads are added
TIMEOUT_S = 60.0  # a model of hundreds of megabytes loads in less, from an SD card too
MOST_MEMORY_BYTES = 1 << 30
WATCH_S = 0.005  # in which a process takes some 10 MB more at most
COPIES = 4  # of the weights: the file's content, and what a runtime packs again
REMEDY = "copy the file again, or use another runtime"


@dataclass(frozen=True)
class Trial:
    """What a model that works has shown."""

    labels: tuple[str, ...]
    runtime: str  # such as "ai-edge-litert 2.3.0"
    golden: int  # golden vectors that hold; 0: it carries none
    invoke_p50_ms: float
    times_ms: tuple[float, ...] = ()  # of one invoke with 1, 2, ... threads, where requested


def try_model(
    path: Path,
    *,
    runtime: str = "auto",
    num_threads: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Trial:
    """Load a model in a process of its own, invoke it, and verify it.

    Raises: ModelError, also where the runtime crashes or hangs; RuntimeMissingError's line as one.
    """
    with Trying(path, runtime=runtime, num_threads=num_threads, options=options) as trying:
        return trying.wait()


class Trying:
    """A trial under way; close it, or use it as a context manager."""

    def __init__(
        self,
        path: Path,
        *,
        runtime: str = "auto",
        num_threads: int | None = None,
        timeout_s: float = TIMEOUT_S,
        how: str = "verify",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Start the process.

        Args:
            path: of the model.
            runtime, num_threads: as for Model.
            timeout_s: after which it has failed.
            how: "verify" opens it as Model, and verifies it; "once" only invokes it, whatever it is
                for; "time" does so with each number of threads up to `num_threads`.
            options: what else Model takes, such as labels.

        Raises: ModelError where that cannot be.
        """
        self._path, self._timeout_s = path, timeout_s
        self._until_s = time.monotonic() + timeout_s
        given = pickle.dumps(dict(options or {})).hex()
        arguments = (how, str(path), runtime, str(num_threads or 0), given)
        words = child.python("-m", "edge.classifier.trial", *arguments)
        environment = {k: v for k, v in child.environment().items() if k != "NOTIFY_SOCKET"}
        # glibc fills memory that is new or given back with this: what reads astray then crashes
        # here, where it might have been lucky, and not later in the process that takes the model.
        environment["MALLOC_PERTURB_"] = "165"
        try:
            # Not a pipe, which holds up who fills it, as thousands of labels do.
            self._answer = tempfile.TemporaryFile()  # noqa: SIM115
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError as error:
            fault = f"cannot be validated ({error.strerror})"
            raise ModelError(path, fault, "check free memory, and the space in /tmp") from error

    def poll(self) -> Trial | None:
        """Return the outcome, or None while it goes on. Raises: ModelError."""
        status = self._process.poll()
        if status is None:
            if time.monotonic() < self._until_s:
                return None
            self.close()
            raise ModelError(self._path, f"does not respond within {self._timeout_s:g} s", REMEDY)
        said = self._said()
        if "fault" in said:
            raise ModelError(said["subject"], said["fault"], said["remedy"])
        if status or not said:
            how = f"status {status}" if status > 0 else signal.Signals(-status).name
            raise ModelError(self._path, f"crashes the runtime ({how})", REMEDY)
        return Trial(**said | {name: tuple(said[name]) for name in ("labels", "times_ms")})

    def wait(self) -> Trial:
        """Return the outcome once it is there. Raises: ModelError."""
        while not (done := self.poll()):
            time.sleep(0.005)
        return done

    def _said(self) -> dict[str, Any]:
        self._answer.seek(0)
        try:
            said: dict[str, Any] = json.loads(self._answer.read() or b"{}")
        except ValueError:  # it died in the midst of it
            return {}
        return said

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._answer.close()

    def __enter__(self) -> Trying:
        """Return the trial itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def times(model: Path, options: Mapping[str, Any]) -> dict[str, dict[int, float]]:
    """Return ms of one invoke, by runtime and number of threads (1, 2, ...).

    Each runtime has a process of its own: two clash in one, and a model that crashes one of them
    may work on the other.

    Args: a .tflite file, of whatever kind; with `input_size`, where that is dynamic.

    Raises: ModelError where it works on no runtime.
    """
    found: dict[str, dict[int, float]] = {}
    fault = ModelError(model, "cannot be timed", "install a runtime: pip install ai-edge-litert")
    for runtime in installed_runtimes():
        try:
            with Trying(
                model,
                runtime=runtime,
                num_threads=default_num_threads(),
                how="time",
                options={"input_size": options.get("input_size")},
            ) as trying:
                took = trying.wait().times_ms
        except ModelError as error:
            fault = error
        else:
            found[runtime] = dict(enumerate(took, start=1))
    if not found:
        raise fault
    return found


def main(how: str, path: str, runtime: str, num_threads: str, options: str) -> None:
    """Be the process: print the result as JSON."""
    given = pickle.loads(bytes.fromhex(options))  # ours, by the command line
    try:
        _watch_memory(Path(path))
        tried = {"once": _invoked, "verify": _verified, "time": _timed}[how]
        said = asdict(tried(Path(path), runtime, int(num_threads) or None, given))
    except EdgeError as error:
        said = {"subject": error.subject, "fault": error.fault, "remedy": error.remedy}
    except MemoryError:
        said = _too_large(path)
    print(json.dumps(said))


def _too_large(path: object) -> dict[str, str]:
    fault = f"needs more than {MOST_MEMORY_BYTES >> 20} MB of memory"
    return {"subject": str(path), "fault": fault, "remedy": REMEDY}


def _watch_memory(path: Path) -> None:
    """Have a process end this one, and report why, once it takes too much memory; on Linux only."""
    watched = os.getpid()
    try:
        _memory_bytes(watched)  # whether the system reports it
        most = MOST_MEMORY_BYTES + COPIES * path.stat().st_size
    except OSError:  # no /proc, or no such file
        return
    if os.fork():
        return
    with contextlib.suppress(OSError):  # the watched one has ended
        while os.getppid() == watched:
            if _memory_bytes(watched) > most:
                os.kill(watched, signal.SIGSTOP)  # it prints nothing any more
                os.write(1, json.dumps(_too_large(path)).encode())
                os.kill(watched, signal.SIGKILL)
                break
            time.sleep(WATCH_S)
    os._exit(0)


def _memory_bytes(process: int) -> int:
    """How much memory a process takes. Raises: OSError."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _invoked(path: Path, runtime: str, num_threads: int | None, options: dict[str, Any]) -> Trial:
    """Load a model and invoke it on noise, whatever it is for."""
    opened, labels = open_on_noise(path, runtime, num_threads or 1, options)
    took_ms = _invoke_ms(opened)
    for spec in opened.outputs():
        opened.view(spec)
    return Trial(labels, opened.runtime, 0, took_ms)


def _timed(path: Path, runtime: str, num_threads: int | None, options: dict[str, Any]) -> Trial:
    """Time a model on noise with 1, 2, ... threads, for as long as there is time."""
    times: list[float] = []
    until = time.perf_counter() + TIMING_S
    for threads in range(1, (num_threads or 1) + 1):
        if times and time.perf_counter() > until:
            break
        opened, labels = open_on_noise(path, runtime, threads, options)
        _invoke_ms(opened)  # prepares the kernels
        times.append(_fastest_ms(opened))
    return Trial(labels, opened.runtime, 0, min(times), tuple(times))


def open_on_noise(
    path: Path, runtime: str, num_threads: int, options: dict[str, Any]
) -> tuple[OpenInterpreter, tuple[str, ...]]:
    """Open a model of whatever kind with noise in its inputs, and read its labels.

    Raises: ModelError, RuntimeMissingError.
    """
    content = read_model(path)
    metadata = read_metadata(content, path)
    opened = open_interpreter(
        content,
        path,
        runtime=runtime,
        num_threads=num_threads,
        verbose=False,
        customs=metadata.graph.customs,
        shapes=input_shapes(path, metadata.graph, options.get("input_size")),
    )
    random = np.random.default_rng(0)
    for spec in opened.inputs():
        if spec.dtype.kind in "fiu":
            view = opened.view(spec)
            view[...] = random.integers(0, 100, view.shape).astype(spec.dtype)
            del view
    return opened, metadata.labels


def _fastest_ms(opened: OpenInterpreter) -> float:
    """The fastest of some invokes: what others take of the machine only makes them slower."""
    times: list[float] = []
    until = time.perf_counter() + LONGEST_S
    while len(times) < TIMED_RUNS and (not times or time.perf_counter() < until):
        times.append(_invoke_ms(opened))
    return min(times)


def _invoke_ms(opened: OpenInterpreter) -> float:
    with native_chatter(shown=False):
        started = time.perf_counter()
        opened.invoke()
        return (time.perf_counter() - started) * 1000


def _verified(path: Path, runtime: str, num_threads: int | None, options: dict[str, Any]) -> Trial:
    with Model(path, runtime=runtime, num_threads=num_threads, **options) as model:
        return _tried(model)


def _tried(model: Model) -> Trial:
    golden = model.verify()
    model.load_input(np.full((*model.input.size, 3), 127, np.uint8))
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        model.invoke()
        times.append((time.perf_counter() - started) * 1000)
    return Trial(model.labels, model.runtime, golden, statistics.median(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
