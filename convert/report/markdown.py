"""The report as Markdown: the table of a run on stdout, and report.md."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from convert.report import tables
from convert.report.report import Report, Variant
from edge.errors import one_line

PICTURES = {  # file names, in the order of the report
    "history.png": "accuracy and loss by epoch",
    "confusion.png": "labels against answers",
    "roc.png": "ROC and precision-recall",
    "reliability.png": "scores against how often they are right",
    "predictions.png": "answers to photos of val",
    "mistakes.png": "wrong answers with the highest scores",
    "augmentation.png": "augmented training photos",
    "variants.png": "size, latency and accuracy of the variants",
}


def table(variants: Sequence[Variant]) -> str:
    """Format the variants as a Markdown table, aligned, so that a terminal shows it as well."""
    return _table(tables.variant_rows(variants))


def report_md(report: Report, pictures: Collection[str] = PICTURES) -> str:
    """Write the report for people; `pictures` are the files beside it that are shown."""
    layers = [
        f"- Worst layers of {v.name}: {', '.join(map(_code, v.worst_layers))}"
        for v in report.variants
        if v.worst_layers
    ]
    runtimes = sorted({runtime for v in report.variants for runtime in v.runtimes})
    parts = [
        f"# {_cell(report.name)}",
        _code(report.command),
        f"**{_cell(report.reason)}.**",
        table(report.variants),
        "\n".join([*(f"- {_cell(failure)}" for failure in report.failures), *layers]),
        f"The Keras model: {report.keras_accuracy} on val. Accuracy is that of the top category, "
        "before any threshold, measured by `edge` on the files themselves; whatever is chosen is "
        "chosen on val, and test is measured once for that.",
        f"Latency is this workstation's ({', '.join(map(_cell, runtimes))}); measure it on the "
        "device with `edge-benchmark`.",
        _cell(tables.float_words(report)),
        "## Threshold",
        _cell(tables.threshold_words(report.threshold)),
        _table(tables.threshold_rows(report)),
        tables.temperature_words(report),
        f"## Labels, {report.chosen.name}",
        tables.few_labels(report, "with the lowest F1 on val"),
        _table(tables.class_rows(report)),
        "## Pictures",
        "\n\n".join(f"![{alt}]({file})" for file, alt in PICTURES.items() if file in pictures),
        "## Photos",
        tables.few_labels(report, "with the fewest training photos"),
        _table(tables.count_rows(report)),
        f"Fingerprint of the data set: `{report.fingerprint}`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    cells = [[_cell(text) for text in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def _cell(text: str) -> str:
    """Keep a label from breaking its table: newlines become \\n; bars, tags and marks plain."""
    return re.sub(r"([\\|<>*`\[\]])", r"\\\1", one_line(text))


def _code(text: str) -> str:
    """Set text in code marks, one more of them than it has in a row (CommonMark 6.1)."""
    marks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in text else ""
    return f"{marks}{pad}{one_line(text)}{pad}{marks}"
