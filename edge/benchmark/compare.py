"""A benchmark kept, and another held against it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.benchmark.report import Findings, Row
from edge.benchmark.samples import Ratio, Samples, ratio
from edge.classifier.selection import threads_of
from edge.errors import EdgeError
from edge.files import replace_file
from edge.names import BENCHMARK_SCHEMA

SLOWER, FASTER, ALIKE = "slower", "faster", "alike"
LATENCIES = ("invoke", "whole")
NOTICED = 0.05  # below such a change no one need look, however sure it is


class BaselineError(EdgeError):
    """A baseline cannot be used."""


@dataclass(frozen=True)
class Comparison:
    """One latency of one row against the baseline's."""

    model: str
    runtime_name: str
    threads: int
    what: str  # "invoke", "whole" or a stage: its p50; "invoke p90" or "whole p90"
    ratio: Ratio

    @property
    def verdict(self) -> str:
        """Whether it changed: surely, and by enough to be looked at."""
        if self.ratio.low > 1 and self.ratio.value > 1 + NOTICED:
            return SLOWER
        if self.ratio.high < 1 and self.ratio.value < 1 - NOTICED:
            return FASTER
        return ALIKE

    def __str__(self) -> str:
        """Return it in one line."""
        name = f"{self.model}, {self.runtime_name}, {threads_of(self.threads)}, {self.what}"
        found = self.ratio
        interval = f"(95 %: {found.low:.2f} to {found.high:.2f})"
        return f"{name}: {found.value:.2f} of the baseline {interval}: {self.verdict}"


def save(findings: Findings, path: Path) -> None:
    """Keep a benchmark with its samples, whole or not at all. Raises: OSError."""
    content = json.dumps(findings.as_dict(raw=True), separators=(",", ":"))
    replace_file(path, content.encode() + b"\n")


def read_baseline(path: Path) -> dict[str, Any]:
    """Read what `save` kept. Raises: BaselineError."""
    remedy = "make one: edge-benchmark --save FILE"
    try:
        baseline = json.loads(path.read_bytes())
    except OSError as error:
        raise BaselineError(path, f"cannot be read ({error.strerror})", remedy) from error
    except ValueError as error:
        raise BaselineError(path, "is no JSON", remedy) from error
    if not isinstance(baseline, dict) or baseline.get("schema") != BENCHMARK_SCHEMA:
        raise BaselineError(path, f"is no baseline of schema {BENCHMARK_SCHEMA}", remedy)
    rows = baseline.get("rows")
    if not isinstance(rows, list) or not all("samples_ns" in row for row in rows):
        raise BaselineError(path, "holds no samples", remedy)
    return baseline


def compare(findings: Findings, baseline: Mapping[str, Any]) -> list[Comparison]:
    """Compare every row that both have, by the p50 of invoke, the whole way, and each stage.

    And by p90: a neighbour that takes the processor now and then leaves the p50 as it is.
    """
    kept = {(row["model"], row["runtime_name"], row["threads"]): row for row in baseline["rows"]}
    found = []
    for row in findings.rows:
        if row.key not in kept:
            continue
        before = kept[row.key]["samples_ns"]
        for what, rounds in row.samples_ns.items():
            now, then = _rounds(rounds), _rounds(before.get(what, []))
            if now and then:
                found.append(Comparison(*row.key, what, ratio(now, then)))
                if what in LATENCIES:
                    found.append(Comparison(*row.key, f"{what} p90", ratio(now, then, 90.0)))
    return found


def _rounds(rounds: Sequence[Sequence[int]]) -> list[Samples]:
    """Return them as arrays, without stages that take no time, such as decoding of pixels."""
    arrays = [np.array(samples, np.int64) for samples in rounds if samples]
    return arrays if arrays and np.median(np.concatenate(arrays)) > 0 else []


def differences(findings: Findings, baseline: Mapping[str, Any]) -> Iterator[str]:
    """Yield what else differs, since that explains more than any code does."""
    for name in ("model", "num_cores", "architecture", "userland_bits", "governor", "python"):
        now, then = getattr(findings.after, name), baseline["after"].get(name)
        if now != then:
            yield f"the baseline was measured elsewhere: {name} was {then}, and is {now}"
    if findings.image != baseline["image"]:
        yield f"the baseline's image was {baseline['image']}"
    kept = {(row["model"], row["runtime_name"], row["threads"]): row for row in baseline["rows"]}
    for row in findings.rows:
        before = kept.get(row.key)
        if before is None:
            yield f"{_named(row)}: not in the baseline"
        elif row.sha256 and before["sha256"] and row.sha256 != before["sha256"]:
            yield f"{_named(row)}: another file than the baseline's"
        elif row.runtime != before["runtime"]:
            yield f"{_named(row)}: the baseline's runtime was {before['runtime']}"
    yield from (f"the baseline is unreliable: {doubt}" for doubt in baseline.get("doubts", ()))


def _named(row: Row) -> str:
    return f"{row.model}, {row.runtime_name}, {threads_of(row.threads)}"
