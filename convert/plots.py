"""Pictures of a run, drawn with matplotlib, which is imported when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence


def history_png(history: Sequence[dict[str, float]]) -> bytes:
    """Draw accuracy and loss of train and val by epoch; return the content of a PNG file."""
    from matplotlib.figure import Figure  # no pyplot: it wants a display and keeps every figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    epochs = [row["epoch"] for row in history]
    best = min(history, key=lambda row: row["val_loss"])["epoch"]
    for axes, metric in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(epochs, [row[metric] for row in history], label="train, augmented")
        axes.plot(epochs, [row[f"val_{metric}"] for row in history], label="val")
        axes.axvline(best, color="grey", linestyle=":", label=f"kept: epoch {best:g}")
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()
