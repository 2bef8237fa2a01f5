"""What a run says of its variants: the table, report.md and card.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convert.dataset import Dataset
from convert.evaluate import Evaluation

MOST_LOST = 0.01  # of validation accuracy, for a smaller file


@dataclass(frozen=True)
class Variant:
    """One converted file with what was measured of it."""

    name: str  # a key of convert.quantize.VARIANTS
    file: str
    size_bytes: int
    sha256: str
    val: Evaluation
    test: Evaluation
    runtimes: tuple[str, ...]  # on which its golden vectors hold


def recommend(variants: Sequence[Variant]) -> tuple[Variant, str]:
    """Choose, on validation alone, the smallest file within a point of the best; say why."""
    best = max(variant.val.accuracy.value for variant in variants)
    close = [v for v in variants if v.val.accuracy.value >= best - MOST_LOST]
    chosen = min(close, key=lambda variant: variant.size_bytes)
    return chosen, (
        f"ship {chosen.file}: the smallest within {100 * MOST_LOST:g} point of the best on "
        "validation"
    )


def table(variants: Sequence[Variant]) -> str:
    """Format a Markdown table, aligned, so that a terminal shows it as well."""
    rows = [("variant", "kB", "accuracy on val (95 %)", "on test (95 %)", "invoke p50 ms")]
    rows += [
        (
            v.name,
            f"{v.size_bytes / 1000:.0f}",
            str(v.val.accuracy),
            str(v.test.accuracy),
            f"{v.test.invoke_p50_ms:.2f}",
        )
        for v in variants
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def report_md(card: Mapping[str, Any], variants: Sequence[Variant], failures: Sequence[str]) -> str:
    """Write the report for people."""
    counts = [
        f"| {name} | " + " | ".join(str(n) for n in per_label.values()) + " |"
        for name, per_label in card["data"]["photos"].items()
    ]
    labels = card["labels"]
    return "\n".join(
        [
            f"# {card['name']}",
            "",
            f"`{card['command']}`",
            "",
            table(variants),
            "",
            *(f"- {failure}" for failure in failures),
            f"**{card['recommendation']}.**",
            "",
            "Accuracy: the top category, before any threshold, measured by `edge` on the files "
            "themselves; the recommendation looks at val only.",
            f"Latency: on the workstation ({', '.join(card['runtimes'])}); measure it on the "
            "device with `edge-benchmark`.",
            "",
            "![accuracy and loss by epoch](history.png)",
            "",
            "## Photos",
            "",
            "| set | " + " | ".join(labels) + " |",
            "|" + "---|" * (len(labels) + 1),
            *counts,
            "",
            f"Fingerprint of the data set: `{card['data']['fingerprint']}`",
            "",
        ]
    )


def card_json(
    name: str,
    command: str,
    dataset: Dataset,
    config: Mapping[str, Any],
    variants: Sequence[Variant],
) -> dict[str, Any]:
    """Collect what a model card must say; no path and no photo is in it."""
    chosen, reason = recommend(variants)
    return {
        "name": name,
        "command": command,
        "labels": list(dataset.labels),
        "data": {"fingerprint": dataset.fingerprint, "photos": dataset.counts()},
        "config": dict(config),
        "recommended": chosen.file,
        "recommendation": reason,
        "runtimes": sorted({runtime for v in variants for runtime in v.runtimes}),
        "variants": [
            {
                "variant": v.name,
                "file": v.file,
                "size_bytes": v.size_bytes,
                "sha256": v.sha256,
                "golden_vectors_hold_on": list(v.runtimes),
                "invoke_p50_ms": round(v.test.invoke_p50_ms, 3),
                **{
                    f"{on}_accuracy": accuracy(evaluation)
                    for on, evaluation in (("val", v.val), ("test", v.test))
                },
            }
            for v in variants
        ],
    }


def accuracy(evaluation: Evaluation) -> dict[str, Any]:
    """One accuracy as JSON takes it."""
    low, high = evaluation.accuracy.interval
    return {
        "correct": evaluation.accuracy.correct,
        "total": evaluation.accuracy.total,
        "accuracy": round(evaluation.accuracy.value, 4),
        "interval_95": [round(low, 4), round(high, 4)],
    }
