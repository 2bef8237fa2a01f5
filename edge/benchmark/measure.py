"""Measures many models, runtimes and numbers of threads in turns, so that drift hits all alike."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from edge import board
from edge.benchmark.cold import ColdStart, cold_start
from edge.benchmark.conditions import Conditions, During, Load, Sampler, look, look_before
from edge.benchmark.samples import Samples
from edge.benchmark.worker import Combination, Facts, Worker
from edge.classifier.model import model_sha256
from edge.errors import EdgeError, ModelError

ROUNDS = 10
SLICE_S = 2.0  # maximum turn of one; then there are more rounds
WORKER_BYTES = 150_000_000  # what a resting process may take, before they take turns in groups
WHOLE_RUNS = 100  # of the whole way, and as many of its stages

Report = Callable[[float, str], None]  # takes the share that is done, and what is being done


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how thoroughly."""

    combinations: tuple[Combination, ...]
    picture: Path | bytes  # encoded
    warmup_runs: int = 10
    num_runs: int = 200
    seconds: float = 0.0  # of invoke, and as much of the whole way; instead of num_runs
    cold_starts: int = 5
    verbose: bool = False


@dataclass
class Taken:
    """What was taken of one combination, as far as it came."""

    combination: Combination
    facts: Facts | None = None
    invoke: list[Samples] = field(default_factory=list)  # a round each
    whole: list[Samples] = field(default_factory=list)
    stages: list[Samples] = field(default_factory=list)  # (runs, stages), a round each
    cold: list[ColdStart] = field(default_factory=list)
    fault: EdgeError | None = None
    content: ModelFile | None = None  # as it was before the first run

    @property
    def is_classifier(self) -> bool:
        """Whether more than invoke can be measured."""
        return self.facts is not None and not self.facts.invoke_only

    def ensure_unchanged(self) -> None:
        """See that the file is the one that was measured so far. Raises: ModelError."""
        now = ModelFile.read(self.combination.path)
        self.content = self.content or now
        if now.sha256 != self.content.sha256:
            remedy = "measure it again once it no longer changes"
            raise ModelError(self.combination.path, "changed during the run", remedy)


@dataclass(frozen=True)
class ModelFile:
    """A model file that is measured."""

    size_bytes: int
    sha256: str

    @classmethod
    def read(cls, path: Path) -> ModelFile:
        """Read it, once as long as it does not change. Raises: ModelError."""
        sha256 = model_sha256(path)
        try:
            return cls(path.stat().st_size, sha256)
        except OSError as error:
            raise ModelError(path, "is gone", "check the path") from error


@dataclass(frozen=True)
class Taking:
    """All that was taken, and on what machine."""

    taken: tuple[Taken, ...]
    before: Conditions
    during: During
    after: Conditions
    picture_sha256: str
    partial: bool = False  # it was interrupted


def measure(plan: Plan, report: Report = lambda share, what: None) -> Taking:
    """Measure a plan; what fails has its fault, and an interruption keeps what there is."""
    before, sha256 = look_before(), _sha256(plan.picture)
    taken = tuple(Taken(combination) for combination in plan.combinations)
    load, sampler, pids = Load(), Sampler(), list[int]()
    others: float | None = None
    partial = False
    groups = list(_groups(taken))
    try:
        for place, group in enumerate(groups):
            step = _step(report, place, len(groups))
            with ExitStack() as stack:
                workers = _open(plan, group, stack, pids, step)
                for _, worker in workers:
                    worker.meanwhile = sampler.under_load
                _rounds(plan, workers, sampler, step)
                others = load.look(pids)
            pids.clear()
        _cold_starts(plan, [one for one in taken if not one.fault and one.is_classifier], report)
        others = load.look(())
    except KeyboardInterrupt:
        partial = True
    return Taking(taken, before, sampler.result(), look(load_of_others=others), sha256, partial)


def _cold_starts(plan: Plan, taken: Sequence[Taken], report: Report) -> None:
    """Start each again a few times; one that fails has its fault, and the rest goes on."""
    for place, one in enumerate(taken):
        for start in range(plan.cold_starts):
            share = (place + start / plan.cold_starts) / len(taken)
            report(0.85 + 0.15 * share, f"{one.combination.path.name}: starting again")
            try:
                one.ensure_unchanged()
                one.cold.append(cold_start(one.combination, plan.picture))
            except EdgeError as error:
                one.fault = error
                break


def _sha256(picture: Path | bytes) -> str:
    """Return the hash of an encoded image: a file's content."""
    content = picture.read_bytes() if isinstance(picture, Path) else picture
    return hashlib.sha256(content).hexdigest()


def _groups(taken: Sequence[Taken]) -> Iterator[Sequence[Taken]]:
    """As many together as half of the memory holds."""
    ram = board.ram()
    most = max(2, ram.available_bytes // 2 // WORKER_BYTES) if ram else len(taken)
    for start in range(0, len(taken), most):
        yield taken[start : start + most]


def _step(report: Report, place: int, groups: int) -> Report:
    """Report a share of one group as one of all of it."""
    return lambda share, what: report(0.85 * (place + share) / groups, what)


def _open(
    plan: Plan, group: Sequence[Taken], stack: ExitStack, pids: list[int], report: Report
) -> list[tuple[Taken, Worker]]:
    """Start and warm up what can be; the rest has its fault."""
    workers = []
    for place, one in enumerate(group):
        report(0.3 * place / len(group), f"{one.combination.path.name}: warming up")
        try:
            one.ensure_unchanged()
            worker = stack.enter_context(
                Worker(one.combination, plan.picture, verbose=plan.verbose)
            )
            pids.append(worker.pid)
            one.facts = worker.open(plan.warmup_runs)
        except EdgeError as error:
            one.fault = error
        else:
            workers.append((one, worker))
    return workers


def _rounds(
    plan: Plan, workers: Sequence[tuple[Taken, Worker]], sampler: Sampler, report: Report
) -> None:
    rounds = _num_rounds(plan, [one for one, _ in workers])
    for number in range(rounds):
        # There and back: whoever comes first in one round comes last in the next.
        for place, (one, worker) in enumerate(workers[:: 1 if number % 2 else -1]):
            if one.fault:
                continue
            share = (number + place / len(workers)) / rounds
            report(0.3 + 0.7 * share, f"{one.combination.path.name}: round {number + 1}")
            try:
                _turn(plan, one, worker, number, rounds)
            except EdgeError as error:
                one.fault = error
            sampler.between_turns()


def _turn(plan: Plan, one: Taken, worker: Worker, number: int, rounds: int) -> None:
    """Take one round's samples of one. Raises: EdgeError."""
    one.ensure_unchanged()
    seconds = plan.seconds / rounds
    runs = _part(plan.num_runs, number, rounds)
    if plan.seconds or runs:
        one.invoke.append(worker.invoke(None if plan.seconds else runs, seconds))
    runs = _part(min(plan.num_runs, WHOLE_RUNS), number, rounds)
    if (plan.seconds or runs) and one.is_classifier:
        whole, stages = worker.whole(None if plan.seconds else runs, seconds)
        one.whole.append(whole)
        one.stages.append(stages)


def _num_rounds(plan: Plan, taken: Sequence[Taken]) -> int:
    slowest_ms = max((one.facts.warm_up.p50_ms for one in taken if one.facts), default=0.0)
    longest_s = plan.seconds or plan.num_runs * slowest_ms / 1000
    rounds = max(ROUNDS, math.ceil(longest_s / SLICE_S))
    return rounds if plan.seconds else min(rounds, plan.num_runs)


def _part(runs: int, number: int, rounds: int) -> int:
    """How many of all runs fall into one round."""
    return runs * (number + 1) // rounds - runs * number // rounds
