"""Findings as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from edge.benchmark.conditions import Conditions, throttling_words
from edge.benchmark.rate import Interval
from edge.benchmark.report import STAGES, Findings, Row
from edge.benchmark.samples import P99_RUNS, paired_ratio
from edge.classifier.selection import threads_of
from edge.errors import cell, one_line

Cells = tuple[str, ...]
WHY = "why not"  # a column of text, where something failed
NUMBERS_FROM = 2  # other columns before it are text, to the left


def text(findings: Findings) -> Iterator[str]:
    """Yield the lines that a person reads."""
    yield from aligned(_main(findings))
    if stages := _stages(findings):
        yield from ("", "stages of the end-to-end time, p50 in ms:", *aligned(stages))
    if cold := _cold(findings):
        yield from ("", "cold start in a new process, in ms and MB:", *aligned(cold))
    yield from ("", *footer(findings))


def markdown(findings: Findings) -> Iterator[str]:
    """Yield the lines of a Markdown document's section."""
    for cells in (_main(findings), _stages(findings), _cold(findings)):
        if cells:
            yield from _piped(cells)
            yield ""
    for line in footer(findings):
        yield f"- {line}" if line else line


def csv_text(findings: Findings) -> str:
    """Return rows of plain values, with the machine in each: what `models/latency.csv` keeps."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in findings.rows:
        writer.writerow([_plain(find(findings, row)) for find in COLUMNS.values()])
    return stream.getvalue()


COLUMNS: dict[str, Callable[[Findings, Row], object]] = {
    "device": lambda f, r: f.after.model,
    "cores": lambda f, r: f.after.num_cores,
    "architecture": lambda f, r: f.after.architecture,
    "bits": lambda f, r: f.after.userland_bits,
    "governor": lambda f, r: f.after.governor,
    "os_release": lambda f, r: f.after.os_release,
    "kernel": lambda f, r: f.after.kernel,
    "usable_cores": lambda f, r: len(f.after.affinity),
    "cpu_quota": lambda f, r: f.after.cpu_quota,
    "highest_celsius": lambda f, r: f.during.highest_celsius,
    "throttling": lambda f, r: throttling_words(f.after.throttling),
    "measured_at": lambda f, r: f.measured_at,
    "model": lambda f, r: r.model,
    "sha256": lambda f, r: r.sha256,
    "image_sha256": lambda f, r: f.image_sha256,
    "size_bytes": lambda f, r: r.size_bytes,
    "accuracy": lambda f, r: r.accuracy,
    "runtime": lambda f, r: r.runtime,
    "threads": lambda f, r: r.threads,
    "num_runs": lambda f, r: r.invoke and r.invoke.num_runs,
    **{
        f"invoke_{name}": lambda f, r, name=name: r.invoke and getattr(r.invoke, name)  # type: ignore[misc]
        for name in ("min_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms", "mean_ms", "std_ms")
    },
    "runs_per_second": lambda f, r: r.invoke and r.invoke.runs_per_second,
    "whole_p50_ms": lambda f, r: r.whole and r.whole.p50_ms,
    "whole_p90_ms": lambda f, r: r.whole and r.whole.p90_ms,
    **{f"whole_{name}_p50_ms": lambda f, r, name=name: r.stages_ms.get(name) for name in STAGES},  # type: ignore[misc]
    "first_answer_ms": lambda f, r: r.cold_start and r.cold_start.answer_ms,
    "peak_bytes": lambda f, r: r.cold_start and r.cold_start.peak_bytes,
    "model_bytes": lambda f, r: r.cold_start and r.cold_start.model_bytes,
    "doubts": lambda f, r: "; ".join((*f.doubts, *r.notes, *(["partial"] if f.partial else []))),
    "error": lambda f, r: r.error,
}


def _plain(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else cell(value)


def _main(findings: Findings) -> list[Cells]:
    head = ("model", "runtime", "threads", "kB", "accuracy", "p50 ms", "p90 ms", "p99 ms")
    rows: list[Cells] = [(*head, "runs/s", "whole p50 ms")]
    for row in findings.rows:
        invoke, whole = row.invoke, row.whole
        figures = (
            row.size_bytes / 1000 if row.size_bytes else None,
            row.accuracy,
            *((invoke.p50_ms, invoke.p90_ms, invoke.p99_ms) if invoke else (None,) * 3),
            invoke.runs_per_second if invoke else None,
            whole.p50_ms if whole else None,
        )
        names = (one_line(row.model), one_line(row.runtime), str(row.threads))
        rows.append((*names, *map(figure, figures)))
    if any(row.error for row in findings.rows):
        whys = (WHY, *(row.error or "" for row in findings.rows))
        rows = [(*cells, one_line(why)) for cells, why in zip(rows, whys, strict=True)]
    return rows


def _stages(findings: Findings) -> list[Cells]:
    rows: list[Cells] = []
    for row in findings.rows:
        if row.stages_ms and row.whole:
            parts = [row.stages_ms[name] for name in STAGES]
            rows.append((*_names(row), *map(figure, (*parts, row.stages_sum_ms, row.whole.p50_ms))))
    return [("model", "runtime", "threads", *STAGES, "sum", "whole"), *rows] if rows else []


def _cold(findings: Findings) -> list[Cells]:
    names = ("answer_ms", "python_ms", "imports_ms", "load_ms", "allocate_ms", "first_invoke_ms")
    rows: list[Cells] = []
    for row in findings.rows:
        if (cold := row.cold_start) is None:
            continue
        sizes = [
            size / 1e6 if size is not None else None for size in (cold.peak_bytes, cold.model_bytes)
        ]
        rows.append((*_names(row), *(figure(getattr(cold, n)) for n in names), *map(figure, sizes)))
    heads = ("first result", "python", "imports", "load", "allocate", "1st invoke", "peak MB")
    return [("model", "runtime", "threads", *heads, "model MB"), *rows] if rows else []


def _names(row: Row) -> Cells:
    return one_line(row.model), one_line(row.runtime), str(row.threads)


def footer(findings: Findings) -> Iterator[str]:
    """Yield what was measured, on what, and the warnings."""
    if findings.partial:
        yield "partial: it was interrupted"
    yield (
        "p50, p90 (MLPerf's single-stream latency), p99: invoke alone; whole: decode, resize, "
        f"copy, invoke, rank, of {findings.image}"
    )
    if findings.rows and all(not row.invoke or row.invoke.p99_ms is None for row in findings.rows):
        yield f"no p99: it requires at least {P99_RUNS} runs"
    yield from faster(findings)
    yield machine(findings.before, findings.after)
    clocks = [row.clock for row in findings.rows if row.clock]
    if clocks:
        most = max(clock.overhead_ns for clock in clocks)
        step = max(clock.step_ns for clock in clocks)
        yield f"the loop adds {most:.0f} ns to a run; the clock has a resolution of {step} ns"
    for row in findings.rows:
        for note in row.notes:
            name = f"{one_line(row.model)}, {one_line(row.runtime)}, {threads_of(row.threads)}"
            yield f"{name}: {note}"
    yield from findings.remarks
    for doubt in findings.doubts:
        yield f"unreliable: {doubt}"
    yield f"{findings.command}, {findings.measured_at}"


def stream_lines(rows: Sequence[Mapping[str, Any]], format_name: str) -> Iterator[str]:
    """Yield lines about a source's frames, by model."""
    heads = ("model", "runtime", "threads", "frames", "dropped", "frames/s", "age p50 ms", "p90 ms")
    cells: list[Cells] = [heads]
    for row in rows:
        counts = (str(row[name]) for name in ("threads", "frames", "dropped"))
        figures = (row["frames_per_second"], row["age"]["p50_ms"], row["age"]["p90_ms"])
        names = (one_line(row["model"]), one_line(row["runtime"]))
        cells.append((*names, *counts, *map(figure, figures)))
    if format_name == "csv":
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(cells)
        yield from stream.getvalue().splitlines()
    else:
        yield from {"text": aligned, "markdown": _piped}[format_name](cells)


def faster(findings: Findings) -> Iterator[str]:
    """Yield how many times as fast as the others the fastest row is, from interleaved rounds."""
    rows = [row for row in findings.rows if row.invoke and not row.error]
    if len(rows) < 2:
        return
    first, *others = sorted(rows, key=lambda row: row.invoke.p50_ms if row.invoke else 0.0)
    for other in others:
        found = paired_ratio(other.samples_ns["invoke"], first.samples_ns["invoke"])
        if found.low is not None:
            yield (
                f"{', '.join(_names(first))}: {found.value:.2f} ({found.low:.2f} to "
                f"{found.high:.2f}) times as fast as {', '.join(_names(other))}"
            )


RATE_HEAD = (
    "    at s  model                     fps  in time   p50 ms   p99 ms  of a core  headroom  "
    "Celsius  trend    MHz  throttling"
)


def rate_line(interval: Interval) -> str:
    """Return the line of an interval, below RATE_HEAD."""
    trend = "-" if (of := interval.celsius_per_minute) is None else f"{of:+.1f}/m"
    throttling = "unknown" if interval.throttling is None else interval.throttling or "none"
    return (
        f"{interval.at_s:8.1f}  {one_line(interval.model)[:24]:24}  "
        f"{figure(interval.frames_per_second):>3}  {interval.in_time:>7.1%}  "
        f"{figure(interval.p50_ms):>7}  {figure(interval.p99_ms):>7}  {interval.cores:>9.0%}  "
        f"{figure(interval.headroom):>8}  {figure(interval.celsius):>7}  {trend:>5}  "
        f"{figure(interval.clock_mhz):>5}  {throttling}"
    )


def machine(before: Conditions, after: Conditions) -> str:
    """Describe the machine in one line."""
    parts = [after.model or "unknown machine"]
    if after.num_cores:
        parts.append(f"{after.num_cores} cores")
    if after.clock_mhz and after.max_clock_mhz:
        parts.append(f"{after.clock_mhz:.0f} of {after.max_clock_mhz:.0f} MHz")
    parts.append(f"governor {after.governor or 'unknown'}")
    if after.memory_bytes:
        parts.append(f"{after.memory_bytes / 1e9:.1f} GB")
    parts.append(f"{after.architecture}, {after.userland_bits} bits, Python {after.python}")
    if before.celsius is not None and after.celsius is not None:
        parts.append(f"{before.celsius:.0f} to {after.celsius:.0f} Celsius")
    parts.append(throttling_words(after.throttling))
    if before.load_of_others is not None:
        parts.append(f"others {before.load_of_others:.2f} cores before")
    return "; ".join(parts)


def figure(value: float | None) -> str:
    """Three digits, and never an exponent; a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def aligned(rows: Sequence[Cells]) -> Iterator[str]:
    """Columns: text to the left, numbers to the right."""
    places = range(len(rows[0]))
    widths = [max(len(row[place]) for row in rows) for place in places]
    texts = {*places[:NUMBERS_FROM], *(place for place in places if rows[0][place] == WHY)}
    for row in rows:
        yield "  ".join(
            cell.ljust(width) if place in texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()


def _piped(rows: Sequence[Cells]) -> Iterator[str]:
    for place, row in enumerate(rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        if not place:
            marks = ("---" if column < NUMBERS_FROM else "---:" for column in range(len(row)))
            yield f"|{'|'.join(marks)}|"
