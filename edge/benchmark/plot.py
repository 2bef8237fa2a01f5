"""Images of a benchmark, drawn with matplotlib, which is imported when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from edge.benchmark.compare import counterpart
from edge.benchmark.rate import Interval
from edge.benchmark.report import Findings, Row
from edge.benchmark.soak import Moment
from edge.classifier.selection import threads_of
from edge.errors import EdgeError, one_line

# Okabe and Ito's colours, distinguishable by colour-blind people (https://jfly.uni-koeln.de/color/).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DPI = 120
LINE_MS = 100.0  # of ten frames a second


def require() -> None:
    """See that matplotlib is there, before anything is measured. Raises: EdgeError."""
    try:
        import_module("matplotlib.figure")
    except ImportError as error:
        remedy = "pip install 'edge-classify[plot]'"
        raise EdgeError("--plot", "needs matplotlib", remedy) from error


def findings_png(findings: Findings, baseline: Mapping[str, Any] | None = None) -> bytes:
    """Draw where the runs lie, and accuracy against latency and size; return a PNG's content.

    Args: what was found; the record before, whose runs are drawn beside it.
    """
    rows = [row for row in findings.rows if row.invoke]
    if baseline:
        return _before_and_after(findings, rows, baseline)
    told = [row for row in rows if row.accuracy is not None]
    figure = _figure(11 if told else 7, 1.6 + 0.42 * max(len(rows), 5))
    panels = figure.subplots(1, 2 if told else 1, squeeze=False)[0]
    _distributions(panels[0], rows)
    if told:
        _accuracies(panels[1], told)
    lines = [findings.after.model or "unknown machine", *findings.doubts]
    figure.suptitle("\n".join(_short(line, 110) for line in lines), fontsize=8)
    return _png(figure)


def soak_png(moments: Sequence[Moment], title: str) -> bytes:
    """Draw latency, temperature and clock over time; return a PNG's content."""
    figure = _figure(9, 5)
    at = [moment.at_s for moment in moments]
    shown: list[tuple[str, dict[str, list[float]]]] = [
        ("ms", {"p50": [m.p50_ms for m in moments], "p90": [m.p90_ms for m in moments]})
    ]
    for unit, values in (
        ("Celsius", [m.celsius for m in moments]),
        ("MHz", [m.clock_mhz for m in moments]),
        ("cores of others", [m.load_of_others for m in moments]),
    ):
        if any(value is not None for value in values):
            shown.append((unit, {unit: [np.nan if v is None else v for v in values]}))
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (unit, lines) in zip(panels, shown, strict=True):
        for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
            axes.plot(at, line, color=colour, label=name)
        axes.set(ylabel=unit, ylim=(0, None) if unit != "Celsius" else None)
        axes.grid(alpha=0.3)
    panels[0].legend(frameon=False)
    for moment in moments:
        if moment.throttling:
            panels[0].axvspan(moment.at_s - 5, moment.at_s, color=COLOURS[1], alpha=0.2)
    panels[-1].set(xlabel="seconds")
    figure.suptitle(_short(title, 110), fontsize=9)
    return _png(figure)


def rate_png(intervals: Sequence[Interval], fps: float) -> bytes:
    """Draw invoke and temperature of models in turns, over time; return a PNG's content."""
    has_heat = any(each.celsius is not None for each in intervals)
    figure = _figure(9, 5 if has_heat else 3.5)
    panels = figure.subplots(1 + has_heat, 1, sharex=True, squeeze=False)[:, 0]
    keys = dict.fromkeys((i.model, i.runtime, i.threads) for i in intervals)
    for place, key in enumerate(keys):
        own = [i for i in intervals if (i.model, i.runtime, i.threads) == key]
        name = f"{_short(key[0], 28)}, {_short(key[1], 24)}, {threads_of(key[2])}"
        line = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}
        panels[0].plot([i.at_s for i in own], [i.p50_ms for i in own], label=name, **line)
    panels[0].set(ylabel=f"invoke p50 at {fps:g} fps, ms", ylim=(0, None))
    panels[0].legend(frameon=False, fontsize=8)
    if has_heat:
        heat = [np.nan if i.celsius is None else i.celsius for i in intervals]
        panels[1].plot([i.at_s for i in intervals], heat, color=COLOURS[6])
        panels[1].set(ylabel="Celsius")
    for panel in panels:
        panel.grid(alpha=0.3)
    panels[-1].set(xlabel="seconds")
    return _png(figure)


def _before_and_after(
    findings: Findings, rows: Sequence[Row], baseline: Mapping[str, Any]
) -> bytes:
    """Two boxes for each row: what it was, and what it is."""
    boxes = []
    for row in rows:
        before = counterpart(row, findings.role, baseline)
        if before:
            head = f"{_short(before['model'], 28)}\n{_short(before['runtime'], 24)}"
            name = f"{head}, {threads_of(before['threads'])}, before"
            boxes.append((name, before["samples_ns"]["invoke"]))
        boxes.append((f"{_name(row)}, now", row.samples_ns["invoke"]))
    figure = _figure(8, 1.6 + 0.5 * max(len(boxes), 4))
    axes = figure.subplots(1, 1)
    for box, (name, _) in zip(_boxes(axes, boxes), boxes, strict=True):
        box.set_facecolor(COLOURS[5] if name.endswith("now") else "white")
    low, high = axes.get_xlim()
    if low < LINE_MS < 3 * high:  # ten frames a second
        axes.axvline(LINE_MS, color=COLOURS[1], linestyle="--", label=f"{LINE_MS:g} ms")
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(_short(findings.after.model or "unknown machine", 110), fontsize=8)
    return _png(figure)


def _distributions(axes: Any, rows: Sequence[Row]) -> None:
    _boxes(axes, [(_name(row), row.samples_ns["invoke"]) for row in rows])


def _boxes(axes: Any, named: Sequence[tuple[str, Sequence[Sequence[int]]]]) -> list[Any]:
    """Draw a box for each, whiskers from the fastest run to p99, and return the boxes."""
    boxes = []
    for _, rounds in named:
        times = np.concatenate([np.array(part) for part in rounds]) / 1e6
        low, quarter, half, three, high = np.percentile(times, (0, 25, 50, 75, 99))
        boxes.append(
            {"med": half, "q1": quarter, "q3": three, "whislo": low, "whishi": high, "fliers": []}
        )
    places = range(len(named))
    drawn = axes.bxp(
        boxes,
        positions=list(places),
        orientation="horizontal",
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": "white"},
    )
    axes.set_yticks(list(places), [name for name, _ in named], fontsize=8)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="invoke, ms: minimum, quartiles, p99")
    ticker = import_module("matplotlib.ticker")
    is_narrow = max(box["whishi"] for box in boxes) < 5 * min(box["whislo"] for box in boxes)
    axes.xaxis.set_major_locator(
        ticker.MaxNLocator(6) if is_narrow else ticker.LogLocator(subs=(1, 2, 5))
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.grid(alpha=0.3, axis="x", which="both")
    return list(drawn["boxes"])


def _accuracies(axes: Any, rows: Sequence[Row]) -> None:
    """Each model at its fastest; the area of its marker is its size."""
    models = list(dict.fromkeys(row.model for row in rows))
    for place, model in enumerate(models):
        row = min(
            (r for r in rows if r.model == model),
            key=lambda r: r.invoke.p50_ms if r.invoke else 0.0,
        )
        assert row.invoke
        area = 40 + (row.size_bytes or 0) / 20_000
        axes.scatter(
            row.invoke.p50_ms,
            row.accuracy,
            s=area,
            marker=MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            label=f"{_short(model, 28)}, {(row.size_bytes or 0) / 1000:.0f} kB",
        )
    axes.set(xlabel="invoke p50 of the fastest, ms (area: size)", ylabel="accuracy on test")
    axes.margins(0.2)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, markerscale=0.6)


def _name(row: Row) -> str:
    return f"{_short(row.model, 28)}\n{_short(row.runtime, 24)}, {threads_of(row.threads)}"


def _figure(width: float, height: float) -> Any:
    require()
    # No pyplot: it wants a display and keeps every figure.
    return import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    with import_module("matplotlib").rc_context({"text.parse_math": False}):
        figure.savefig(stream, format="png", dpi=DPI)
    return stream.getvalue()


def _short(text: str, most: int) -> str:
    text = one_line(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
