"""Images of a run, drawn with matplotlib, which is imported when one is drawn."""

from __future__ import annotations

import contextlib
import io
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.measure.curves import Curve, macro, micro, one_against_rest, reliability
from convert.measure.scores import Accuracy, Labels, Scores, confusion
from convert.report.letters import lacking
from convert.report.report import Variant
from edge.errors import one_line

# Okabe and Ito's colours, distinguishable by colour-blind people (https://jfly.uni-koeln.de/color/);
# line styles and markers differ as well.
BLUE, ORANGE, GREEN, SKY = "#0072B2", "#D55E00", "#009E73", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", SKY, "#000000")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#666666"
DPI = 120

MOST_NUMBERS = 15  # labels of a confusion matrix with numbers in it
MOST_CELLS = 40  # labels of a confusion matrix; of more, the commonest mistakes are shown
MOST_PAIRS = 20
MOST_CURVES = 6  # labels with a curve of their own
MOST_POINTS = 1000  # of a drawn curve


def history_png(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw accuracy and loss of train and val by epoch; return the content of a PNG file.

    Where rows carry "stage", a line shows where the next one began.
    """
    epochs = [row["epoch"] for row in history]
    best = min(history, key=lambda row: row["val_loss"])["epoch"]
    with _figure(9, 3.6) as (figure, stream):
        panels = figure.subplots(1, 2)
        for axes, metric in zip(panels, ("accuracy", "loss"), strict=True):
            train, val = ([row[name] for row in history] for name in (metric, f"val_{metric}"))
            axes.plot(epochs, train, "--", color=ORANGE, marker=".", label="train, augmented")
            axes.plot(epochs, val, "-", color=BLUE, marker=".", label="val")
            axes.axvline(
                best, color=GREY, linestyle=":", label=f"lowest loss on val: epoch {best:g}"
            )
            for before, after in itertools.pairwise(history):
                if before.get("stage") != after.get("stage"):
                    start = (before["epoch"] + after["epoch"]) / 2
                    axes.axvline(start, color=GREEN, label=f"{after['stage']} begins")
            axes.set(xlabel="epoch", ylabel=metric)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=4, frameon=False)
    return stream.getvalue()


def confusion_png(scores: Scores, labels: Labels, names: Sequence[str]) -> bytes:
    """Draw the confusion matrix; of many labels, the most common mistakes.

    Args:
        scores: (n, num_labels).
        labels: (n,).
        names: of the labels.
    """
    table = confusion(scores, labels)
    return _pairs(table, names) if len(names) > MOST_CELLS else _matrix(table, names)


def _matrix(table: NDArray[np.int64], names: Sequence[str]) -> bytes:
    count, ticks = len(names), [_short(name, 20) for name in names]
    longest = max(map(len, ticks))
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    turned = longest * count > 24  # or they run into each other
    size = 0.5 if count <= MOST_NUMBERS else 0.22
    cells, text = max(2.4, size * count), 0.5 + 0.09 * longest  # inches
    with _figure(cells + text + 0.5, cells + (text if turned else 0.5) + 0.7) as (figure, stream):
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(count), ticks, rotation=90 if turned else 0)
        axes.set_yticks(range(count), ticks)
        axes.set(xlabel="prediction", ylabel="label")
        axes.set_title("darker: more of the label's photos", fontsize=9)
        for row, column in np.ndindex(table.shape):
            if table[row, column] and count <= MOST_NUMBERS:
                colour = "white" if shares[row, column] > 0.5 else "black"
                number = f"{table[row, column]}"
                axes.text(column, row, number, ha="center", va="center", color=colour)
    return stream.getvalue()


def _pairs(table: NDArray[np.int64], names: Sequence[str]) -> bytes:
    wrong = table - np.diag(np.diag(table))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(cell), len(names)) for cell in order if wrong.flat[cell]]
    texts = [f"{_short(names[a], 26)} → {_short(names[b], 26)}" for a, b in pairs]
    with _figure(9, 1.2 + 0.28 * max(1, len(pairs))) as (figure, stream):
        axes = figure.subplots()
        bars = axes.barh(range(len(pairs)), [wrong[pair] for pair in pairs], color=BLUE)
        axes.bar_label(bars, padding=3)
        axes.set_yticks(range(len(pairs)), texts)
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel=f"photos (of {table.sum()}), label → wrong prediction")
    return stream.getvalue()


def roc_png(scores: Scores, labels: Labels, names: Sequence[str]) -> bytes:
    """Draw ROC and precision-recall, one label against the rest; of many labels only the means."""
    own = one_against_rest(scores, labels)
    shown = {names[label]: curves for label, curves in own.items()}
    if len(names) > MOST_CURVES:
        shown = {}
    if len(names) > 2:
        shown |= {
            "mean of the labels (macro)": macro(own),
            "all labels (micro)": micro(scores, labels),
        }
    with _figure(9, 4.7) as (figure, stream):
        panels = figure.subplots(1, 2)
        for number, (axes, summary) in enumerate(
            zip(panels, ("area under the curve", "average precision"), strict=True)
        ):
            for index, (name, curves) in enumerate(shown.items()):
                curve = _thinned(curves[number])
                axes.plot(
                    curve.x,
                    curve.y,
                    STYLES[index % len(STYLES)],
                    color=COLOURS[index % len(COLOURS)],
                    drawstyle="default" if number == 0 else "steps-pre",
                    label=f"{curve.area:.3f} {_short(name, 28)}",
                )
            axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
            axes.grid(alpha=0.3)
            axes.legend(title=summary, loc="lower left" if number else "lower right")
        panels[0].set(xlabel="false positives", ylabel="recall", title="ROC")
        panels[1].set(xlabel="recall", ylabel="precision", title="precision and recall")
    return stream.getvalue()


def _thinned(curve: Curve) -> Curve:
    """A curve of few points, for an image; its area stays that of all."""
    if len(curve.x) <= MOST_POINTS:
        return curve
    kept = np.unique(np.linspace(0, len(curve.x) - 1, MOST_POINTS).astype(int))
    return Curve(curve.x[kept], curve.y[kept], curve.area)


def reliability_png(before: Scores, after: Scores, labels: Labels, temperature: float) -> bytes:
    """Draw accuracy against score, before and after the temperature."""
    with _figure(9, 5.4) as (figure, stream):
        grid = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3, 1))
        titles = "the network's own scores", f"as shipped (temperature {temperature:.2f})"
        for (upper, lower), scores, title in zip(grid.T, (before, after), titles, strict=True):
            found = reliability(scores, labels)
            bins, filled = len(found.count), found.count > 0
            middles = (np.arange(bins) + 0.5) / bins
            upper.plot([0, 1], [0, 1], ":", color=GREY, label="perfectly calibrated")
            upper.bar(middles, found.accuracy, 0.9 / bins, color=SKY, label="correct")
            upper.plot(
                found.confidence[filled],
                found.accuracy[filled],
                "o-",
                color=BLUE,
                label="at the mean score",
            )
            upper.set_title(f"{title}\nexpected calibration error {found.error:.3f}", fontsize=10)
            upper.set(xlim=(0, 1), ylim=(0, 1.02))
            bars = lower.bar(middles, found.count, 0.9 / bins, color=GREY)
            lower.bar_label(bars, [f"{n}" if n else "" for n in found.count], fontsize=7)
            lower.margins(y=0.2)
            lower.set(xlabel="top score")
        grid[0, 0].set(ylabel="accuracy")
        handles = grid[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=3, frameon=False)
        grid[1, 0].set(ylabel="photos")
    return stream.getvalue()


def variants_png(variants: Sequence[Variant], chosen: Variant, keras: Accuracy) -> bytes:
    """Draw accuracy on val, with its 95 % interval, against size and against latency."""
    with _figure(9, 4.4) as (figure, stream):
        panels = figure.subplots(1, 2, sharey=True)
        for axes in panels:
            axes.axhline(keras.value, color=GREY, linestyle=":", label="the Keras model")
            axes.grid(alpha=0.3)
        for index, variant in enumerate(variants):
            found = variant.val.accuracy
            low, high = found.interval
            name = f"{variant.name} (ships)" if variant is chosen else variant.name
            for axes, x in zip(
                panels, (variant.size_bytes / 1000, variant.val.invoke_p50_ms), strict=True
            ):
                axes.errorbar(
                    x,
                    found.value,
                    yerr=[[found.value - low], [high - found.value]],
                    fmt=MARKERS[index % len(MARKERS)],
                    color=COLOURS[index % len(COLOURS)],
                    markerfacecolor=COLOURS[index % len(COLOURS)] if variant is chosen else "none",
                    markersize=13 if variant is chosen else 9,
                    capsize=4,
                    zorder=2 if variant is chosen else 3,  # open markers show on a full one
                    label=name,
                )
        panels[0].set(xlabel="size, kB", ylabel="accuracy on val (95 %)", xlim=(0, None))
        panels[1].set(xlabel="invoke p50 on this workstation, ms", xlim=(0, None))
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=4, frameon=False)
    return stream.getvalue()


@contextlib.contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, io.BytesIO]]:
    """Give a figure of a size in inches, and the stream that is its PNG file afterwards."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # no pyplot: it wants a display and keeps every figure

    stream = io.BytesIO()
    # A dollar in a label does not begin a formula.
    with rc_context({"text.parse_math": False, "font.size": 10}), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box, which is warning enough.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, stream
        figure.savefig(stream, format="png", dpi=DPI)


def _short(text: str, most: int) -> str:
    """One line of at most `most` letters; both ends distinguish names."""
    # Only matplotlib's own font is used in plots.
    text = "".join(f"U+{ord(c):04X}" if c in lacking(c) else c for c in one_line(text))
    if len(text) <= most:
        return text
    return f"{text[: most - most // 2]}…{text[len(text) - most // 2 + 1 :]}"
