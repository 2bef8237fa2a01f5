"""Measures many models, runtimes and numbers of threads in turns, so that drift hits all alike.

Each turn is a process of its own. Where the system puts a process's memory decides its speed: the
p50 of one model differed by 2.8 % (standard deviation, 63 processes) from one to another, of 200
runs as of 1,000. Rounds of one process agree more than two benchmarks do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.benchmark.cold import ColdStart, cold_start
from edge.benchmark.conditions import Conditions, During, Load, Sampler, look, look_before
from edge.benchmark.samples import Samples
from edge.benchmark.worker import Combination, Facts, Worker
from edge.classifier.model import model_sha256
from edge.errors import EdgeError, ModelError

ROUNDS = 10
WARM_AGAIN = 5  # runs at least, of a process that is not a model's first
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
    load, sampler = Load(), Sampler()
    others: float | None = None
    partial = False
    try:
        _rounds(plan, taken, sampler, report)
        others = load.look(())
        _cold_starts(plan, [one for one in taken if not one.fault and one.is_classifier], report)
        others = load.look(())
    except KeyboardInterrupt:
        partial = True
    return Taking(taken, before, sampler.result(), look(load_of_others=others), sha256, partial)


def _rounds(plan: Plan, taken: Sequence[Taken], sampler: Sampler, report: Report) -> None:
    rounds = ROUNDS if plan.seconds else min(ROUNDS, max(1, plan.num_runs))
    for number in range(rounds):
        # There and back: whoever comes first in one round comes last in the next.
        for place, one in enumerate(taken[:: 1 if number % 2 else -1]):
            if one.fault:
                continue
            share = (number + place / len(taken)) / rounds
            report(0.85 * share, f"{one.combination.path.name}: round {number + 1}")
            try:
                _turn(plan, one, number, rounds, sampler)
            except EdgeError as error:
                one.fault = error
            sampler.between_turns()


def _turn(plan: Plan, one: Taken, number: int, rounds: int, sampler: Sampler) -> None:
    """Take one round's samples of one, in a process of its own. Raises: EdgeError."""
    one.ensure_unchanged()
    seconds = plan.seconds / rounds
    with Worker(one.combination, plan.picture, verbose=plan.verbose and not number) as worker:
        worker.meanwhile = sampler.under_load
        facts = worker.open(WARM_AGAIN if number else plan.warmup_runs)
        one.facts = one.facts or facts
        runs = _part(plan.num_runs, number, rounds)
        if plan.seconds or runs:
            one.invoke.append(worker.invoke(None if plan.seconds else runs, seconds))
        runs = _part(min(plan.num_runs, WHOLE_RUNS), number, rounds)
        if (plan.seconds or runs) and one.is_classifier:
            whole, stages = worker.whole(None if plan.seconds else runs, seconds)
            one.whole.append(whole)
            one.stages.append(stages)


def _part(runs: int, number: int, rounds: int) -> int:
    """How many of all runs fall into one round."""
    return runs * (number + 1) // rounds - runs * number // rounds


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
