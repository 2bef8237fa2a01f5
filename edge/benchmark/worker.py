"""A process that holds one model on one runtime and measures on request.

Two runtimes clash in one process, a model that crashes takes no one along, and processes that take
turns meet the same heat and the same neighbours.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np

from edge import board, child
from edge.benchmark.samples import Samples
from edge.benchmark.stages import Stages, decode, invoke_of, staged, whole_of
from edge.benchmark.stream import Paced, Streamed, open_source, paced, stream
from edge.benchmark.timing import (
    Clock,
    WarmUp,
    clock,
    clock_ns,
    settle,
    time_runs,
    warm_up,
)
from edge.classifier.facts import reframe
from edge.classifier.known import ensure_sound
from edge.classifier.model import Model
from edge.classifier.runtime import Delegated
from edge.classifier.trial import open_on_noise
from edge.errors import EdgeError, ModelError
from edge.sources.camera_format import CameraSettings

ANSWER_S = 600.0  # for one request: a slice of a round takes seconds
LOOK_S = 0.25  # between two steps of progress
REMEDY = "copy the file again, or use another runtime"
_CODE = "import sys; from edge.benchmark.worker import main; main(int(sys.argv[1]))"


@dataclass(frozen=True)
class Combination:
    """What is measured together: a model, a runtime, a number of threads."""

    path: Path
    runtime: str  # "litert" or "tflite"
    threads: int
    # What else Model takes, such as a normalization.
    options: Mapping[str, Any] = field(default_factory=dict)
    camera: CameraSettings = field(default_factory=CameraSettings)
    framing: Mapping[str, Any] = field(default_factory=dict)  # of the configuration, by name

    def open(self, verbose: bool = False) -> Model:
        """Load the model. Raises: ModelError, RuntimeMissingError."""
        model = Model(
            self.path,
            num_threads=self.threads,
            runtime=self.runtime,
            verbose=verbose,
            **self.options,
        )
        reframe(model, self.framing)
        return model


@dataclass(frozen=True)
class Facts:
    """What a loaded model is."""

    runtime: str  # such as "ai-edge-litert 2.3.0"
    labels: tuple[str, ...]
    input: str  # such as "int8 (1, 224, 224, 3)"
    edge: dict[str, Any]  # edge.json
    warm_up: WarmUp
    clock: Clock
    delegated: Delegated | None
    invoke_only: str = ""  # why nothing else can be measured


class Worker:
    """The client's side of the process; close it, or use it as a context manager."""

    def __init__(
        self, combination: Combination, picture: Path | bytes, *, verbose: bool = False
    ) -> None:
        """Start the process. Raises: ModelError where that cannot be."""
        self.combination = combination
        self.meanwhile: Callable[[], None] = lambda: None  # while it is at work
        self._kills = board.out_of_memory_kills()
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                child.python("-c", _CODE, str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if verbose else subprocess.DEVNULL,
                env=child.environment(),
            )
        except OSError as error:
            ours.close()
            fault = f"cannot be measured ({error.strerror})"
            raise ModelError(combination.path, fault, "check free memory") from error
        finally:
            theirs.close()
        self._link = Connection(ours.detach())
        self._send((combination, picture, verbose))

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def open(self, warmup_runs: int) -> Facts:
        """Load the model and warm it up. Raises: EdgeError."""
        facts: Facts = self._ask("open", warmup_runs)
        return facts

    def invoke(self, num_runs: int | None, seconds: float) -> Samples:
        """Time invoke alone. Raises: EdgeError."""
        samples: Samples = self._ask("invoke", num_runs, seconds)
        return samples

    def whole(self, num_runs: int | None, seconds: float) -> tuple[Samples, Samples]:
        """Time the whole way, and its stages. Raises: EdgeError.

        Returns: (runs,) of the whole way; (runs, stages) in the order of Stages.
        """
        samples: tuple[Samples, Samples] = self._ask("whole", num_runs, seconds)
        return samples

    def paced(self, source: str, fps: float, seconds: float) -> Paced:
        """Classify frames at a rate; of the image where there is no source. Raises: EdgeError."""
        found: Paced = self._ask("paced", source, fps, seconds)
        return found

    def stream(self, source: str, seconds: float, report: Callable[[float, str], None]) -> Streamed:
        """Classify what a source delivers; Ctrl-C ends it early. Raises: EdgeError."""
        self._send(("stream", (source, seconds)))
        began = time.monotonic()
        try:
            while not self._link.poll(LOOK_S) and (passed := time.monotonic() - began) < ANSWER_S:
                report(min(1.0, passed / seconds), f"frames of {source}")
        except KeyboardInterrupt:
            self._process.terminate()  # which it takes as the end of its frames
        streamed: Streamed = self._answer()
        return streamed

    def _ask(self, what: str, *arguments: object) -> Any:
        self._send((what, arguments))
        return self._answer()

    def _answer(self) -> Any:
        path = self.combination.path
        try:
            if not self._wait():
                raise ModelError(path, f"does not respond within {ANSWER_S:g} s", REMEDY)
            failed, answer = self._link.recv()
        except (EOFError, OSError) as error:
            end, remedy = self._end()
            raise ModelError(path, f"crashes {self._name()} ({end})", remedy) from error
        if failed:
            kind, *words = answer
            raise kind(*words)
        return answer

    def _wait(self) -> bool:
        """Wait for the reply; call `meanwhile` now and then."""
        until = time.monotonic() + ANSWER_S
        while not self._link.poll(LOOK_S):
            self.meanwhile()
            if time.monotonic() > until:
                return False
        return True

    def _name(self) -> str:
        return f"the runtime {self.combination.runtime}"

    def _end(self) -> tuple[str, str]:
        """How the process ended, and what to do about it."""
        status = self._process.wait()
        if status >= 0:
            return f"status {status}", REMEDY
        name, kills = signal.Signals(-status).name, board.out_of_memory_kills()
        if name != "SIGKILL" or kills == self._kills:
            return name, REMEDY
        if limit := board.memory_limit():
            end = f"{name} at the memory limit of {limit / 1e6:.0f} MB"
            return end, "raise the limit, or use a smaller model"
        return f"{name}, out of memory", "stop other programs, or use a smaller model"

    def _send(self, message: object) -> None:
        with contextlib.suppress(
            OSError
        ):  # gone: the client that waits for its response is notified
            self._link.send(message)

    def close(self) -> None:
        """End the process."""
        self._link.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        """Return the worker itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def main(descriptor: int) -> None:
    """Be the process: serve requests until the client closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the client
    with Connection(descriptor) as link, contextlib.suppress(EOFError):
        combination, picture, verbose = link.recv()
        bench = _Bench(combination, picture, verbose)
        while True:
            what, arguments = link.recv()
            try:
                link.send((False, getattr(bench, what)(*arguments)))
            except EdgeError as error:
                link.send((True, (type(error), error.subject, error.fault, error.remedy)))


class _Bench:
    """What the process does: a method for each question."""

    def __init__(self, combination: Combination, picture: Path | bytes, verbose: bool) -> None:
        self._combination, self._picture, self._verbose = combination, picture, verbose
        self._model: Model | None = None
        self._fault: ModelError | None = None  # why it is not a classifier

    def open(self, warmup_runs: int) -> Facts:
        """Load the model and warm it up, in the child. Raises: EdgeError."""
        ensure_sound(
            self._combination.path,
            self._combination.runtime,
            self._combination.options.get("input_size"),
        )
        try:
            return self._open_classifier(warmup_runs)
        except ModelError as error:
            self._fault = error
        return self._open_any(warmup_runs, f"{self._fault.fault}; {self._fault.remedy}")

    def _open_classifier(self, warmup_runs: int) -> Facts:
        self._model = model = self._combination.open(self._verbose)
        model.load_input(self._picture)  # real pixels: some kernels are faster on zeros
        self._invoke = invoke_of(model)
        self._whole = whole_of(model, self._picture)
        return Facts(
            model.runtime,
            model.labels,
            f"{model.input.dtype} {model.input.shape}",
            model.metadata.edge,
            warm_up(self._invoke, warmup_runs),
            clock(),
            model.delegated(),
        )

    def _open_any(self, warmup_runs: int, reason: str) -> Facts:
        """Open what is not an image classifier, or lacks what makes it one: invoke is the same."""
        asked = self._combination
        opened, labels = open_on_noise(
            asked.path, asked.runtime, asked.threads, dict(asked.options)
        )
        self._invoke = opened.interpreter.invoke
        return Facts(
            opened.runtime,
            labels,
            ", ".join(f"{spec.dtype} {spec.shape}" for spec in opened.inputs()),
            {},
            warm_up(self._invoke, warmup_runs),
            clock(),
            opened.delegated(),
            reason,
        )

    def _classifier(self) -> Model:
        if self._model is None:
            assert self._fault
            raise self._fault
        return self._model

    def invoke(self, num_runs: int | None, seconds: float) -> Samples:
        """Time invoke alone: (runs,), in ns."""
        settle(self._invoke)
        return time_runs(self._invoke, num_runs=num_runs, seconds=seconds)

    def whole(self, num_runs: int | None, seconds: float) -> tuple[Samples, Samples]:
        """Time from an image to its labels, whole and by stage: (runs,) and (runs, stages) ns."""
        model, totals = self._classifier(), list[int]()
        stages: list[Stages] = []

        def both() -> None:  # in turns, so that both ways to look at it meet the same machine
            decode(self._picture, model.input)  # which `staged` begins with: as warm for both
            started = clock_ns()
            self._whole()
            totals.append(clock_ns() - started)
            stages.append(staged(model, self._picture))

        settle(self._whole)
        time_runs(both, num_runs=num_runs, seconds=seconds)
        return np.array(totals, np.int64), np.array(stages, np.int64)

    def paced(self, source: str, fps: float, seconds: float) -> Paced:
        """Classify frames at a rate, in the child. Raises: EdgeError."""
        model = self._classifier()
        if not source:
            picture = self._picture
            content = picture.read_bytes() if isinstance(picture, Path) else picture
            return paced(model, content, fps, seconds)
        with closing(open_source(source, self._combination.camera, fps)) as frames:
            return paced(model, frames, fps, seconds)

    def stream(self, source: str, seconds: float) -> Streamed:
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        camera = self._combination.camera
        return stream(self._classifier(), source, camera, seconds, ended.is_set)
