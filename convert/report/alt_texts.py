"""What each image of the report shows, in words, for readers who cannot see it."""

from __future__ import annotations

from convert.measure.curves import macro, one_against_rest, reliability
from convert.measure.scores import answers
from convert.report import examples, tables
from convert.report.report import Report


def of_history(report: Report) -> str:
    """Describe the curves of the training, epoch by epoch."""
    best = min(report.history, key=lambda row: row["val_loss"])
    return (
        f"Accuracy and loss on the training and validation sets over {len(report.history)} epochs. "
        f"The validation loss is lowest in epoch {best['epoch']:g}; validation accuracy is "
        f"{best['val_accuracy']:.3f} there."
    )


def of_confusion(report: Report) -> str:
    """Describe the confusion matrix."""
    wrong = sum(count for _, _, count in tables.confused_pairs(report, len(report.labels) ** 2))
    total = report.chosen.val.accuracy.total
    return (
        f"Labels against predictions on the validation set: {total - wrong} of {total} are "
        "correct. The most common mistakes follow as a table."
    )


def of_roc(report: Report) -> str:
    """Describe the ROC and precision-recall curves."""
    val = report.chosen.val
    roc, precision = macro(one_against_rest(val.scores, val.labels))
    return (
        f"ROC and precision-recall curves on the validation set. Mean of the labels: area "
        f"{roc.area:.3f}, average precision {precision.area:.3f}."
    )


def of_reliability(report: Report) -> str:
    """Describe the reliability diagram."""
    val = report.chosen.val
    before = reliability(report.keras_val, val.labels).error
    after = reliability(val.scores, val.labels).error
    return (
        "Accuracy by score, on the validation set. The expected calibration error is "
        f"{before:.3f} before the temperature and {after:.3f} after it."
    )


def of_predictions(report: Report) -> str:
    """Describe the sample of photos with their predictions."""
    val = report.chosen.val
    shown = examples.sample(val.labels)
    right = int((answers(val.scores[shown]) == val.labels[shown]).sum())
    return (
        f"{len(shown)} photos of the validation set: {right} correct, {len(shown) - right} wrong."
    )


def of_mistakes(report: Report) -> str:
    """Describe the wrong predictions with the highest scores."""
    shown = examples.mistakes(report.chosen.val.scores, report.chosen.val.labels)
    return f"The {len(shown)} wrong predictions on the validation set with the highest scores."


def of_evidence(_: Report) -> str:
    """Describe the class activation maps."""
    return "Photos of the validation set, with the evidence for the predicted label in red."


def of_suspects(report: Report) -> str:
    """Describe the photos whose labels are suspected to be wrong."""
    count = len(report.suspects.lines) if report.suspects else 0
    return f"The {count} photos whose label is most probably wrong; the list follows."


def of_variants(report: Report) -> str:
    """Describe accuracy, size and latency of the variants."""
    return (
        f"Validation accuracy of {len(report.variants)} variants against size and latency; the "
        "first table has the figures."
    )
