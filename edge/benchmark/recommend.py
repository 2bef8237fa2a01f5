"""Which of the measured to use on this machine: the fastest that loses little accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.benchmark.report import Findings, Row
from edge.classifier.tuned import NEARLY, Measured


@dataclass(frozen=True)
class Recommendation:
    """What to use, and why."""

    row: Row
    reason: str


def recommend(findings: Findings, max_loss: float) -> Recommendation | None:
    """Choose the fastest row whose accuracy on val is at most `max_loss` below the best one's.

    Files without an accuracy are not compared with others: of them the first that
    was named is tuned. None where nothing was measured.
    """
    measured = [row for row in findings.rows if row.invoke and not row.error]
    if not measured:
        return None
    told = [row for row in measured if row.val_accuracy is not None]
    first = max(told, key=lambda row: row.val_accuracy or 0.0) if told else measured[0]
    alike = [row for row in measured if row.path == first.path]
    if told:
        least = (first.val_accuracy or 0.0) - max_loss - 1e-9
        alike = [r for r in told if r.labels == first.labels and (r.val_accuracy or 0.0) >= least]
    chosen = _fastest(alike)
    assert chosen.invoke
    most = max(row.invoke.p50_ms for row in alike if row.invoke)
    reason = f"{chosen.invoke.p50_ms:.3g} ms (slowest: {most:.3g} ms)"
    if told:
        reason += (
            f"; validation accuracy {chosen.val_accuracy:.3f}, the best {first.val_accuracy:.3f} "
            f"(--max-loss {max_loss:g})"
        )
    return Recommendation(chosen, reason)


def measured(findings: Findings, versions: Mapping[str, str]) -> dict[str, Measured]:
    """Return what all commands are to know of the models that were measured, by their sha256.

    Args: the findings; the versions of the runtimes that are installed.
    """
    found: dict[str, Measured] = {}
    for row in findings.rows:
        if row.invoke and row.sha256:
            entry = found.setdefault(
                row.sha256, Measured(row.model, findings.measured_at, versions, {})
            )
            times = dict(entry.invoke_ms)
            times[row.runtime_name] = {
                **times.get(row.runtime_name, {}),
                row.threads: row.invoke.p50_ms,
            }
            found[row.sha256] = entry._replace(invoke_ms=times)
    return found


def _fastest(rows: Sequence[Row]) -> Row:
    """The fastest; of those that are nearly so, the one with the fewest threads."""
    times = {id(row): row.invoke.p50_ms for row in rows if row.invoke}
    limit = min(times.values()) * NEARLY
    near = [row for row in rows if times.get(id(row), limit + 1) <= limit]
    return min(near, key=lambda row: (row.threads, times[id(row)]))
