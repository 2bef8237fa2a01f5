"""A benchmark held against another of the same model, or of the same role."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.benchmark.conditions import MOST_OTHERS
from edge.benchmark.report import Findings, Row
from edge.benchmark.samples import Ratio, Samples, ratio
from edge.classifier.selection import threads_of
from edge.errors import EdgeError, one_line
from edge.names import BENCHMARK_SCHEMA

SLOWER, FASTER, ALIKE = "slower", "faster", "alike"
UNKNOWN = "no verdict"
BUSY = f"{UNKNOWN}: a different machine, or a busy one"
LATENCIES = ("invoke", "whole")
OF_PICTURE = ("whole", "decode", "resize")  # that another image changes
NOTICED = 0.05  # below such a change no one need look, however sure it is
NOTICED_STAGE, NOISE_NS = 0.1, 20_000  # of a stage: what the clock and the caches make of it
FASTEST_PERCENT = 20.0  # the runs that others do not disturb: a real change is in them too
FASTEST_SHARE = 0.6  # of the change of p50 that they must have at least
REMEDY = "make one: edge-benchmark --save FILE"


Record = dict[str, Any]  # as docs/formats.md has it


class BaselineError(EdgeError):
    """A baseline cannot be used."""


@dataclass(frozen=True)
class Comparison:
    """One latency of one row against the baseline's."""

    model: str
    runtime: str
    threads: int
    what: str  # "invoke", "whole" or a stage: its p50; "invoke p90" or "whole p90"
    ratio: Ratio
    verdict: str

    def __str__(self) -> str:
        """Return it in one line."""
        name = f"{one_line(self.model)}, {self.runtime}, {threads_of(self.threads)}, {self.what}"
        return f"{name}: {self.ratio.value:.2f} of the baseline ({self.ratio}): {self.verdict}"


@dataclass(frozen=True)
class Outcome:
    """What became of a comparison."""

    obstacles: tuple[str, ...]  # why nothing can be called slower or faster
    differences: tuple[str, ...]  # what else differs, which may explain a change
    comparisons: tuple[Comparison, ...]

    def lines(self) -> Iterator[str]:
        """Yield what people read: what differs before any verdict."""
        yield from (f"not comparable: {obstacle}" for obstacle in self.obstacles)
        yield from self.differences
        for one in self.comparisons:
            if one.what in LATENCIES or one.verdict in (SLOWER, FASTER):
                yield str(one)
        if not self.comparisons:
            yield "nothing to compare: the records share no model file and no --as role"

    def failed(self, limit: float | None) -> bool:
        """Whether something is slower than the limit, or cannot be compared."""
        if not self.comparisons:
            return True
        if limit is None:
            return False
        judged = [one for one in self.comparisons if one.what in LATENCIES]
        unknown = bool(self.obstacles) or any(one.ratio.low is None for one in judged)
        return unknown or any(one.ratio.value > limit for one in judged)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return asdict(self)


def read_baseline(path: Path) -> Record:
    """Read a record that --save has kept. Raises: BaselineError."""
    try:
        baseline = json.loads(path.read_bytes())
    except OSError as error:
        raise BaselineError(path, f"cannot be read ({error.strerror})", REMEDY) from error
    except ValueError as error:
        raise BaselineError(path, "is not JSON", REMEDY) from error
    if not isinstance(baseline, dict) or "schema" not in baseline:
        raise BaselineError(path, "is not a benchmark record", REMEDY)
    if baseline["schema"] != BENCHMARK_SCHEMA:
        fault = f"has schema {baseline['schema']}, not {BENCHMARK_SCHEMA}"
        raise BaselineError(path, fault, "measure it again with --save")
    try:
        _ensure_whole(baseline)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise BaselineError(path, "is damaged, or has no samples", REMEDY) from error
    return baseline


def _ensure_whole(baseline: Mapping[str, Any]) -> None:
    """See that all that is compared is there. Raises: TypeError, KeyError, ValueError, ..."""
    for name in (*_OBSTACLES, *_DIFFERENCES):
        baseline["after"][name]
    _others(baseline["after"])
    baseline["packages"].get("numpy"), baseline["partial"]
    texts = (baseline["image"], baseline["image_sha256"], baseline["role"])
    if not all(isinstance(text, str) for text in texts) or not isinstance(baseline["doubts"], list):
        raise ValueError("texts")
    for row in baseline["rows"]:
        str(row["model"] + row["runtime"] + row["runtime_name"]), int(row["threads"])
        row["sha256"], row["error"]
        for rounds in row["samples_ns"].values():
            for samples in rounds:
                np.array(samples, np.int64).reshape(-1)


def record(findings: Findings, outcome: Outcome | None, *, raw: bool) -> Record:
    """Return a benchmark as JSON takes it, with the comparison; samples only if `raw`."""
    return findings.as_dict(raw) | {"comparison": outcome.as_dict() if outcome else None}


def is_complete(path: Path) -> bool:
    """Whether a file is a record of a whole benchmark."""
    try:
        found = read_baseline(path)
        return not found["partial"] and not any(row["error"] for row in found["rows"])
    except BaselineError:
        return False


def compare(findings: Findings, baseline: Mapping[str, Any]) -> Outcome:
    """Compare every row with the baseline's of the same model, or of the same role.

    By the p50 of invoke, the whole way, and each stage; and by p90: a neighbour that takes the
    processor now and then leaves the p50 as it is.
    """
    obstacles = tuple(_differing(findings, baseline, _OBSTACLES))
    differences = list(_differing(findings, baseline, _DIFFERENCES))
    differences += _other_versions(findings.packages, baseline["packages"])
    same_picture = findings.image_sha256 == baseline["image_sha256"]
    if not same_picture:
        was = one_line(baseline["image"])
        differences.append(f"the baseline used another image, {was}: decoding is not compared")
    others = max(_others(asdict(findings.after)), _others(baseline["after"]))
    found: list[Comparison] = []
    for row in findings.rows:
        before = counterpart(row, findings.role, baseline)
        if before is None:
            differences.append(f"{_named(row)}: not in the baseline")
            continue
        differences += _other_row(row, before)
        had_to_wait = others + row.threads > len(findings.after.affinity) + MOST_OTHERS
        judged = not obstacles and not had_to_wait
        for one in _comparisons(row, before, judged=judged, calm=others <= MOST_OTHERS):
            if same_picture or not one.what.startswith(OF_PICTURE):
                found.append(one)
    differences += [f"the baseline is unreliable: {doubt}" for doubt in baseline["doubts"]]
    return Outcome(obstacles, tuple(differences), tuple(found))


def _others(after: Mapping[str, Any]) -> float:
    """How many cores other processes used while it ran."""
    return float(after["load_of_others"] or 0.0)


def _comparisons(
    row: Row, before: Mapping[str, Any], *, judged: bool, calm: bool
) -> Iterator[Comparison]:
    """Yield all latencies of a row; without a verdict where none could be right."""
    head = row.model, row.runtime, row.threads
    for what, rounds in row.samples_ns.items():
        now, then = _rounds(rounds), _rounds(before["samples_ns"].get(what, []))
        if not now or not then:
            continue
        found = ratio(now, then)
        verdict = _verdict(found, now, then, what in LATENCIES) if judged else BUSY
        yield Comparison(*head, what, found, verdict)
        if what in LATENCIES:
            found = ratio(now, then, 90.0)
            verdict = _changed(found, NOTICED) if judged and calm else BUSY
            yield Comparison(*head, f"{what} p90", found, verdict)


def _verdict(found: Ratio, now: list[Samples], then: list[Samples], is_latency: bool) -> str:
    """Whether a p50 changed: surely, by enough to be looked at, and in undisturbed runs too."""
    verdict = _changed(found, NOTICED if is_latency else NOTICED_STAGE)
    if verdict not in (SLOWER, FASTER):
        return verdict
    fastest = _percentile(now, FASTEST_PERCENT) / max(1.0, _percentile(then, FASTEST_PERCENT))
    if (fastest - 1) / (found.value - 1) < FASTEST_SHARE:
        return ALIKE
    if not is_latency and abs(_percentile(now, 50) - _percentile(then, 50)) < NOISE_NS:
        return ALIKE
    return verdict


def _changed(found: Ratio, noticed: float) -> str:
    if found.low is None or found.high is None:
        return f"{UNKNOWN}, too few runs"
    if found.low > 1 and found.value > 1 + noticed:
        return SLOWER
    if found.high < 1 and found.value < 1 - noticed:
        return FASTER
    return ALIKE


def _percentile(rounds: Sequence[Samples], percent: float) -> float:
    return float(np.percentile(np.concatenate(rounds), percent))


def _rounds(rounds: Sequence[Sequence[int]]) -> list[Samples]:
    """Return them as arrays, without stages that take no time, such as decoding of pixels."""
    arrays = [np.array(samples, np.int64) for samples in rounds if len(samples)]
    return arrays if arrays and np.median(np.concatenate(arrays)) > 0 else []


def counterpart(row: Row, role: str, baseline: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The baseline's row of the same role, or of the same content; of several the most alike."""
    by_role = role and role == baseline["role"]
    rows: list[Mapping[str, Any]] = [
        one
        for one in baseline["rows"]
        if one["samples_ns"].get("invoke")
        and (by_role or (one["sha256"] == row.sha256 and one["threads"] == row.threads))
    ]
    return max(rows, key=lambda one: _alike(row, one), default=None)


def _alike(row: Row, one: Mapping[str, Any]) -> tuple[bool, ...]:
    return (
        one["sha256"] == row.sha256,
        one["runtime_name"] == row.runtime_name,
        one["threads"] == row.threads,
        one["model"] == row.model,
    )


# What another machine is, or another share of it: nothing is slower by itself there.
_OBSTACLES = {
    "model": "the board",
    "num_cores": "the number of cores",
    "architecture": "the architecture",
    "affinity": "the affinity",
    "cpu_quota": "the CPU quota",
    "memory_limit_bytes": "the memory limit",
}
_DIFFERENCES = {
    "userland_bits": "the word size of the system in bits",
    "os_release": "the system",
    "kernel": "the kernel",
    "python": "Python",
    "governor": "the governor",
}


def _differing(
    findings: Findings, baseline: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[str]:
    for name, words in names.items():
        now, then = _shown(getattr(findings.after, name)), _shown(baseline["after"][name])
        if now != then:
            yield f"{words} was {then}, and is {now}"


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):  # of a file, or of this process
        return ", ".join(map(str, value))
    return "none" if value is None else one_line(str(value))


def _other_versions(now: Mapping[str, str], then: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*then, *now)):
        if now.get(name) != then.get(name):
            yield f"{name} was {then.get(name, 'none')}, and is {now.get(name, 'none')}"


def _other_row(row: Row, before: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not the same although it is compared."""
    if row.sha256 != before["sha256"]:
        yield f"{_named(row)}: its file differs from the baseline's, {one_line(before['model'])}"
    elif row.model != before["model"]:
        yield f"{_named(row)}: was called {one_line(before['model'])}"
    if row.runtime != before["runtime"]:
        yield f"{_named(row)}: the baseline's runtime was {one_line(before['runtime'])}"
    if row.threads != before["threads"]:
        yield f"{_named(row)}: the baseline had {threads_of(before['threads'])}"


def _named(row: Row) -> str:
    return f"{one_line(row.model)}, {row.runtime_name}, {threads_of(row.threads)}"
