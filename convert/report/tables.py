"""The report's tables and sentences as text, for terminal and page; headers come first."""

from __future__ import annotations

from collections.abc import Sequence

from convert.measure.scores import ClassScores, Comparison, confusion
from convert.measure.thresholds import CONFIDENCE, LabelThreshold, photos_needed
from convert.report.report import Report, Variant, p_words
from edge.classifier.model import NEVER

FEW_PHOTOS = 50  # of a label, below which a single split shows little
MOST_LABELS = 20  # in a table; of more, the worst are listed
NONE = "–"  # not measured, or nothing to divide by

Rows = list[tuple[str, ...]]


def variant_rows(variants: Sequence[Variant]) -> Rows:
    """Return the table of variants; test was measured only for those chosen on val."""
    header = (
        "variant",
        "kB",
        "accuracy on val (95 %)",
        "agrees with Keras",
        "McNemar's p",
        "maximum change",
        "invoke p50 ms",
        "accuracy on test (95 %)",
    )
    return [
        header,
        *(
            (
                v.name,
                f"{v.size_bytes / 1000:.0f}",
                str(v.val.accuracy),
                *_compared(v.comparison),
                f"{v.val.invoke_p50_ms:.2f}",
                str(v.test.accuracy) if v.test else NONE,
            )
            for v in variants
        ),
    ]


def text_table(rows: Rows) -> str:
    """Align rows between bars, for a terminal; Markdown reads it as a table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |"
        for row in rows
    ]
    return "\n".join([lines[0], f"|{'|'.join('-' * (w + 2) for w in widths)}|", *lines[1:]])


def _compared(found: Comparison | None) -> tuple[str, str, str]:
    if found is None:
        return NONE, NONE, NONE
    return f"{found.agreement:.3f}", p_words(found.mcnemar_p), f"{found.largest_change:.3f}"


def class_rows(report: Report) -> Rows:
    """Return the chosen variant's figures of each label; of many, the worst by F1 on val."""
    found = {name: report.per_class(name) for name in report.sets}
    figures = ("photos", "precision", "recall", "F1")
    header = ("label", *(f"{figure}, {name}" for name in found for figure in figures))
    order = list(range(len(report.labels)))
    if len(order) > MOST_LABELS:
        order = sorted(order, key=lambda i: (found["val"][i].f1, i))[:MOST_LABELS]
    return [header] + [
        (report.labels[i], *(text for scores in found.values() for text in _figures(scores[i])))
        for i in order
    ]


def _figures(found: ClassScores) -> tuple[str, ...]:
    precision = f"{found.precision:.3f}" if found.predicted else NONE
    recall = f"{found.recall:.3f}" if found.count else NONE
    f1 = f"{found.f1:.3f}" if found.count + found.predicted else NONE
    return str(found.count), precision, recall, f1


def threshold_rows(report: Report) -> Rows:
    """Return accuracy, and separately the figures at the threshold."""
    header = (
        "set",
        "accuracy, no threshold (95 %)",
        "coverage",
        "precision",
        "most false positives",
    )
    rows: Rows = [header]
    for name, found in report.sets.items():
        at = report.at_threshold(name)
        worst = max(range(len(report.labels)), key=lambda i: at.false_positives[i])
        alarms = f"{100 * at.false_positives[worst]:.1f} % ({report.labels[worst]})"
        shares = f"{at.coverage:.3f}", f"{at.precision:.3f}"
        rows.append((name, str(found.accuracy), *shares, alarms))
    return rows


def count_rows(report: Report) -> Rows:
    """Return the photos of each set; of many labels, those with the fewest for training."""
    train = report.counts["train"]
    labels = list(report.labels)
    if len(labels) > MOST_LABELS:
        labels = sorted(labels, key=lambda label: train[label])[:MOST_LABELS]
    totals = tuple(str(sum(counts.values())) for counts in report.counts.values())
    return [
        ("label", *report.counts),
        *((label, *(str(counts[label]) for counts in report.counts.values())) for label in labels),
        ("all", *totals),
    ]


def confused_pairs(report: Report, most: int = MOST_LABELS) -> list[tuple[str, str, int]]:
    """Return the chosen variant's most common mistakes on val: label, prediction, photos."""
    table = confusion(report.chosen.val.scores, report.chosen.val.labels)
    found = [
        (report.labels[true], report.labels[answer], int(table[true, answer]))
        for true, answer in zip(*table.nonzero(), strict=True)
        if true != answer
    ]
    return sorted(found, key=lambda pair: -pair[2])[:most]


def few_labels(report: Report, how: str) -> str:
    """Return the note that a table has only some of the labels, or nothing."""
    if len(report.labels) <= MOST_LABELS:
        return ""
    return f"Of {len(report.labels)} labels, the {MOST_LABELS} {how}; card.json has all."


def label_threshold_rows(report: Report) -> Rows:
    """Return each label's threshold and its promise; of many labels, the lowest promises."""
    named = [*zip(report.labels, report.thresholds.of_labels, strict=True)]
    if len(named) > MOST_LABELS:
        named = sorted(named, key=lambda each: each[1].promise)[:MOST_LABELS]
    header = ("label", "threshold", "accepted", "correct", "promised precision")
    rows = [
        (name, f"{found.value:.3f}", str(found.accepted), str(found.correct), _percent(found))
        if found.value < NEVER
        else (name, 'always "unknown"', NONE, NONE, NONE)
        for name, found in named
    ]
    return [header, *rows]


def _percent(found: LabelThreshold) -> str:
    return f"{100 * found.promise:.1f} %"


def threshold_words(report: Report) -> str:
    """Return sentences about the thresholds, and what they promise."""
    found = report.thresholds
    wanted = f"{100 * found.wanted:g} %"
    words = (
        'Below its threshold a label is "unknown". The thresholds were chosen on '
        f"{found.photos}. A promise of precision holds for other photos like these "
        f"{100 * CONFIDENCE:g} times in 100 (Clopper-Pearson)."
    )
    short = [
        (label.promise, name)
        for name, label in zip(report.labels, found.of_labels, strict=True)
        if label.value < NEVER and label.promise < found.wanted
    ]
    if not short:
        return f"{words} Every label promises {wanted} or more."
    promise, name = min(short)
    count = f"{len(short)} of {len(report.labels)} labels" if len(short) > 1 else short[0][1]
    return (
        f"{words} For {count} there are too few photos to promise {wanted}; the highest possible "
        f"promise is made ({100 * promise:.0f} % for {name}). {photos_needed(found.wanted)} "
        f"accepted photos of a label, all correct, are needed for {wanted}."
    )


OTHERS = frozenset("background empty negative negatives neither none nothing other others".split())


def few_photos_words(report: Report) -> str:
    """Report what cross-validation found where the held-out photos are few; "" for enough photos.

    A single split of 20 photos a class holds out 3 of each for the test.
    """
    counts = {label: sum(of[label] for of in report.counts.values()) for label in report.labels}
    fewest = min(counts, key=lambda label: counts[label])
    few = f"{counts[fewest]} photos of {fewest} are few. " if counts[fewest] < FEW_PHOTOS else ""
    if report.validated:
        way, found = report.validated.way, report.validated.accuracy
        how = f"Cross-validation in {report.validated.folds} folds"
    elif report.suspects and few:
        way, found = "a last layer on the frozen backbone", report.suspects.accuracy
        how = "Cross-validation"
    else:
        return ""
    low, high = found.interval
    return (
        f"{few}{how} over the {found.total} photos of the training and validation "
        f"sets: {way} is right on {found}. "
        f"Expect this of other photos like these, within {100 * (high - low) / 2:.0f} "
        f"points or so; {4 * found.total} photos would halve this interval."
    )


def final_words(report: Report) -> str:
    """Return what the figures of val are worth where the files were trained on it as well."""
    if not report.is_final:
        return ""
    return (
        "The files were trained on the photos of train and val. Validation figures "
        "are of an earlier training, on train alone; test figures are of the files."
    )


def caution_words(report: Report) -> list[str]:
    """Return the limits of the figures: which photos they are from, and what was never seen."""
    words = [f"Validation and test figures are of {report.worth}."] if report.worth else []
    words += [f"Left out: {line}." for line in report.left_out]
    words += [found for found in (few_photos_words(report), final_words(report)) if found]
    if not any(label.casefold().split("_")[0] in OTHERS for label in report.labels):
        words.append(
            "It predicts one of its labels for every image, even of other things; the threshold "
            "rejects only some of these. Add a class of other things, such as an empty scene."
        )
    return words


def temperature_words(report: Report) -> str:
    """Return a sentence about the temperature, and what it means."""
    words = (
        f"Temperature {report.temperature:.3f}, fitted on the validation set and folded into every "
        "file"
    )
    if report.temperature > 1:
        return f"{words}: without it the network is overconfident."
    if report.temperature < 1:
        return f"{words}: without it the network is underconfident."
    return f"{words}: the scores are the network's own."


def float_words(report: Report) -> str:
    """Compare the chosen variant with float32 on test, in words; empty where there is nothing."""
    found = report.against_float32
    if found is None or report.chosen.test is None:
        return ""
    total = report.chosen.test.accuracy.total
    points = 100 * (found.gained - found.lost) / total
    return (
        f"Against float32 on the {total} photos of test, {report.chosen.name} is {points:+.1f} "
        f"points: {found.gained} photos are right with it alone, {found.lost} with float32 alone "
        f"(McNemar's p {p_words(found.mcnemar_p)}); the predictions agree on "
        f"{100 * found.agreement:.1f} %."
    )
