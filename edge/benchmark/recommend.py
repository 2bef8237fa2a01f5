"""Which of the measured to use on this machine: the fastest that loses little accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.benchmark.report import Findings, Row
from edge.classifier.tuned import Best, Tuned

NEARLY = 1.03  # as fast as the fastest: then fewer threads, which leave others a core


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
    reason = f"{chosen.invoke.p50_ms:.3g} ms, of up to {most:.3g} ms"
    if told:
        reason += (
            f"; accuracy on val {chosen.val_accuracy:.3f}, the best one's {first.val_accuracy:.3f} "
            f"(at most {max_loss:g} less)"
        )
    return Recommendation(chosen, reason)


def tuned(findings: Findings, recommendation: Recommendation) -> Tuned:
    """Return the settings for `edge-classify` and `edge-watch`."""
    fastest = {}
    for path in dict.fromkeys(row.path for row in findings.rows if row.invoke):
        row = _fastest([row for row in findings.rows if row.path == path and row.invoke])
        assert row.invoke
        fastest[row.model] = Best(
            row.size_bytes or 0, row.runtime_name, row.threads, row.invoke.p50_ms
        )
    return Tuned(
        machine=findings.after.model,
        num_cores=findings.after.num_cores,
        measured_at=findings.measured_at,
        model=recommendation.row.path,
        best=fastest,
    )


def _fastest(rows: Sequence[Row]) -> Row:
    """The fastest; of those that are nearly so, the one with the fewest threads."""
    times = {id(row): row.invoke.p50_ms for row in rows if row.invoke}
    limit = min(times.values()) * NEARLY
    near = [row for row in rows if times.get(id(row), limit + 1) <= limit]
    return min(near, key=lambda row: (row.threads, times[id(row)]))
