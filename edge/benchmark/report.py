"""What a benchmark found: a row for each model, runtime and number of threads, and the machine."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np

from edge import __version__
from edge.benchmark.cold import ColdStart
from edge.benchmark.conditions import Conditions, During, doubts, remarks
from edge.benchmark.measure import Taken, Taking
from edge.benchmark.samples import Latency, drift, summarize
from edge.benchmark.stages import Stages
from edge.benchmark.timing import Clock, WarmUp
from edge.classifier.runtime import Delegated
from edge.names import BENCHMARK_SCHEMA

PACKAGES = ("edge-classify", "numpy", "pillow", "ai-edge-litert", "tflite-runtime", "picamera2")
STAGES = ("decode", "resize", "copy", "invoke", "rank")
MOST_DRIFT = 0.1  # between the p50 of thirds of the run
ADD_UP_WITHIN = 0.02  # stages and the whole way


@dataclass(frozen=True)
class Row:
    """One model on one runtime with one number of threads; what was not measured is None."""

    model: str  # the file's name
    path: str
    size_bytes: int | None
    sha256: str | None
    accuracy: float | None  # on test, as the file carries it
    val_accuracy: float | None  # what is chosen by
    labels: tuple[str, ...]
    input: str
    runtime: str
    runtime_name: str  # "litert" or "tflite"
    threads: int
    warm_up: WarmUp | None
    delegated: Delegated | None  # how much of the graph a delegate took
    clock: Clock | None
    invoke: Latency | None
    whole: Latency | None
    stages_ms: Mapping[str, float]  # p50 of each; empty where none was measured
    stages_sum_ms: float | None  # p50 of what they add up to, run by run
    cold_start: ColdStart | None  # medians of several
    notes: tuple[str, ...]
    error: str | None
    samples_ns: Mapping[str, Sequence[Sequence[int]]] = field(repr=False, default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it the same in another benchmark."""
        return self.model, self.runtime_name, self.threads


@dataclass(frozen=True)
class Findings:
    """All results of a benchmark."""

    schema: int
    edge_classify: str
    measured_at: str
    command: str
    role: str  # what --as calls the model, such as "current"; empty for none
    image: str
    image_sha256: str
    partial: bool
    packages: Mapping[str, str]  # versions
    doubts: tuple[str, ...]  # why the figures are not reliable
    remarks: tuple[str, ...]  # what limits them
    before: Conditions
    during: During
    after: Conditions
    rows: tuple[Row, ...]

    def as_dict(self, raw: bool) -> dict[str, Any]:
        """Return what JSON takes; samples only if `raw`."""
        said = dataclasses.asdict(self)
        for name, conditions in (("before", self.before), ("after", self.after)):
            said[name]["absent"] = conditions.absent
        if not raw:
            for row in said["rows"]:
                del row["samples_ns"]
        return said


def findings(taking: Taking, command: str, picture: str, role: str = "") -> Findings:
    """Summarize what was taken.

    Args: the samples; the command line; the image's name; what --as calls the model.
    """
    rows = tuple(_row(taken, taking.after) for taken in taking.taken)
    return Findings(
        schema=BENCHMARK_SCHEMA,
        edge_classify=__version__,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        role=role,
        image=picture,
        image_sha256=taking.picture_sha256,
        partial=taking.partial,
        packages=packages(),
        doubts=tuple(doubts(taking.before, taking.during, taking.after)),
        remarks=tuple(remarks(taking.after)),
        before=taking.before,
        during=taking.during,
        after=taking.after,
        rows=rows,
    )


def packages() -> dict[str, str]:
    """Return the versions of the packages that the figures depend on."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _row(taken: Taken, machine: Conditions) -> Row:
    combination, facts = taken.combination, taken.facts
    content = taken.content
    accuracies = facts.edge.get("accuracy") or {} if facts else {}
    invoke = summarize(np.concatenate(taken.invoke)) if taken.invoke else None
    whole = summarize(np.concatenate(taken.whole)) if taken.whole else None
    stages = _stages(np.concatenate(taken.stages)) if taken.stages else {}
    total = _sum(np.concatenate(taken.stages)) if taken.stages else None
    return Row(
        model=combination.path.name,
        path=str(combination.path),
        size_bytes=content.size_bytes if content else None,
        sha256=content.sha256 if content else None,
        accuracy=_accuracy(accuracies, "test"),
        val_accuracy=_accuracy(accuracies, "val"),
        labels=facts.labels if facts else (),
        input=facts.input if facts else "",
        runtime=facts.runtime if facts else combination.runtime,
        runtime_name=combination.runtime,
        threads=combination.threads,
        warm_up=facts.warm_up if facts else None,
        delegated=facts.delegated if facts else None,
        clock=facts.clock if facts else None,
        invoke=invoke,
        whole=whole,
        stages_ms=stages,
        stages_sum_ms=total,
        cold_start=_median(taken.cold),
        notes=tuple(_notes(taken, machine, whole, total)),
        error=str(taken.fault) if taken.fault else None,
        samples_ns={
            "invoke": [samples.tolist() for samples in taken.invoke],
            "whole": [samples.tolist() for samples in taken.whole],
            **{
                # "invoke" is the one alone.
                ("invoke stage" if name == "invoke" else name): [
                    samples.tolist() for samples in _by_round(taken.stages, name)
                ]
                for name in STAGES
            },
        },
    )


def _accuracy(accuracies: Mapping[str, Any], split: str) -> float | None:
    value = (accuracies.get(split) or {}).get("accuracy")
    return float(value) if isinstance(value, int | float) else None


def _by_round(rounds: Sequence[Any], name: str) -> list[Any]:
    """Each round's samples of one stage; of resizing, what fitting took more than decoding."""
    if name != "resize":
        return [samples[:, Stages._fields.index(name)] for samples in rounds]
    return [np.maximum(samples[:, 1] - samples[:, 0], 0) for samples in rounds]


def _stages(samples: Any) -> dict[str, float]:
    decode, fit, copy, invoke, rank = (float(p50) for p50 in np.median(samples, axis=0) / 1e6)
    values = (min(decode, fit), max(fit - decode, 0.0), copy, invoke, rank)
    return {name: round(value, 6) for name, value in zip(STAGES, values, strict=True)}


def _sum(samples: Any) -> float:
    """What decoding and resizing in one go, and all that follows, take together."""
    return round(float(np.median(samples[:, 1:].sum(axis=1))) / 1e6, 6)


def _median(starts: Sequence[ColdStart]) -> ColdStart | None:
    if not starts:
        return None
    names = [of.name for of in dataclasses.fields(ColdStart)]
    columns = {name: [getattr(start, name) for start in starts] for name in names}
    medians: dict[str, Any] = {
        name: None if None in column else round(statistics.median(column), 3)
        for name, column in columns.items()
    }
    return ColdStart(**medians)


def _notes(
    taken: Taken,
    machine: Conditions,
    whole: Latency | None,
    total: float | None,
) -> list[str]:
    found = []
    if taken.facts and taken.facts.invoke_only:
        found.append(f"invoke only: {taken.facts.invoke_only}")
    threads, cores = taken.combination.threads, machine.num_cores
    if taken.facts and cores and threads > cores:
        found.append(f"{threads} threads on {cores} cores wait for each other")
    if taken.facts and not taken.facts.warm_up.stable:
        found.append(f"was not stable after {taken.facts.warm_up.runs} warm-up runs")
    if (drifted := drift(taken.invoke)) > MOST_DRIFT:
        found.append(f"its p50 drifted by {drifted:.0%} during the run: the machine was busy")
    share = total / whole.p50_ms if whole and total else 1.0
    if abs(share - 1) > ADD_UP_WITHIN:
        found.append(
            f"its stages add up to {share:.1%} of the end-to-end time: the machine was busy"
        )
    return found
