"""The report as one HTML file that needs nothing beside it: report.html, and its images."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from html import escape

from convert.measure.scores import answers, balanced_accuracy
from convert.report import alt_texts, examples, plots, tables
from convert.report.page_style import STYLE
from convert.report.report import Report, plain
from convert.report.summary import next_steps, summary_words
from edge.errors import one_line

# Nothing is fetched and nothing runs, whatever a label contains.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def pictures(report: Report) -> dict[str, bytes]:
    """Draw the report's images: the content of a PNG file by its name in OUT.

    mistakes.png is absent if no prediction is wrong, history.png and augmentation.png if there was
    no training.
    """
    val, names = report.chosen.val, report.labels
    shown = report.val_pixels, val.scores, val.labels, names
    found = {
        "confusion.png": plots.confusion_png(val.scores, val.labels, names),
        "roc.png": plots.roc_png(val.scores, val.labels, names),
        "reliability.png": plots.reliability_png(
            report.keras_val, val.scores, val.labels, report.temperature
        ),
        "predictions.png": examples.answers_png(*shown, examples.sample(val.labels)),
        "variants.png": plots.variants_png(report.variants, report.chosen, report.keras_accuracy),
    }
    if report.history:
        found["history.png"] = plots.history_png(report.history)
    wrong = examples.mistakes(val.scores, val.labels)
    if len(wrong):
        found["mistakes.png"] = examples.answers_png(*shown, wrong)
    if report.heat is not None:
        found["evidence.png"] = examples.evidence_png(*shown, report.heat)
    if report.suspects and report.suspects.png:
        found["suspects.png"] = report.suspects.png
    if report.augmentation_png:
        found["augmentation.png"] = report.augmentation_png
    return found


def report_html(report: Report, pictures: Mapping[str, bytes]) -> bytes:
    """Write the page; `pictures` are those of `pictures(report)`, and go into it."""

    def picture(name: str, alt: Callable[[Report], str]) -> str:
        return _figure(pictures[name], alt(report)) if name in pictures else ""

    sections = {
        "Next steps": _code(steps, "commands") if (steps := next_steps(report)) else "",
        "Variants": _table("The variants", tables.variant_rows(report.variants)) + _notes(report),
        "Threshold": _paragraph(tables.threshold_words(report))
        + _paragraph(tables.few_labels(report, "with the lowest promised precision"))
        + _table("The threshold of each label", tables.label_threshold_rows(report))
        + _table("With and without the threshold", tables.threshold_rows(report)),
        "Against the earlier run": _against(report),
        "Training": picture("history.png", alt_texts.of_history),
        "Confusion": picture("confusion.png", alt_texts.of_confusion) + _pairs(report),
        "ROC and precision": picture("roc.png", alt_texts.of_roc),
        "Reliability": _paragraph(tables.temperature_words(report))
        + picture("reliability.png", alt_texts.of_reliability),
        "Predictions": _paragraph("Photos of the validation set, drawn from every label in turn.")
        + picture("predictions.png", alt_texts.of_predictions),
        "Worst mistakes": _mistakes(report, picture("mistakes.png", alt_texts.of_mistakes)),
        "Evidence": _evidence(report, picture("evidence.png", alt_texts.of_evidence)),
        "Suspected label errors": _suspects(report, picture("suspects.png", alt_texts.of_suspects)),
        "Augmentation": picture("augmentation.png", lambda _: "Augmented training photos."),
        "Size, latency, accuracy": picture("variants.png", alt_texts.of_variants),
        "Labels": _paragraph(tables.few_labels(report, "with the lowest F1 on the validation set"))
        + _table(f"Figures of {report.chosen.name}, by label", tables.class_rows(report)),
        "Network": _code(report.summary, "model.summary()") if report.summary else "",
        "Photos": _photos(report),
        "Command": _code(report.command, "the command") + _config(report),
    }
    body = "".join(_section(title, content) for title, content in sections.items() if content)
    links = "".join(
        f'<li><a href="#{_anchor(title)}">{escape(title)}</a></li>'
        for title, content in sections.items()
        if content
    )
    name = escape(one_line(report.name))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{name}: report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{name}</h1>{_verdict(report)}</header>\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n<main>{body}</main>\n'
        "</body>\n</html>\n"
    ).encode()


def _verdict(report: Report) -> str:
    """What to ship and why, and the figures that matter."""
    chosen, at = report.chosen, report.at_threshold("val")
    figures = {
        "accuracy on the test set": str(chosen.test.accuracy) if chosen.test else "not measured",
        "accuracy on the validation set": str(chosen.val.accuracy),
        "balanced accuracy": ", ".join(
            f"{name} {balanced_accuracy(found.scores, found.labels):.3f}"
            for name, found in report.sets.items()
        ),
        "photos": ", ".join(f"{name} {sum(n.values()):,}" for name, n in report.counts.items()),
        "size": f"{chosen.size_bytes / 1000:,.0f} kB",
        "invoke p50, on this workstation": f"{chosen.val.invoke_p50_ms:.2f} ms",
        "at the thresholds, on the validation set": (
            f"coverage {100 * at.coverage:.1f} %, precision {100 * at.precision:.1f} %"
        ),
    }
    items = "".join(
        f"<div><dt>{escape(term)}</dt><dd>{escape(value)}</dd></div>"
        for term, value in figures.items()
    )
    sentence = escape(one_line(report.sentence))
    notes = "".join(f"<li>{escape(one_line(note))}</li>" for note in tables.caution_words(report))
    return (
        f'{_paragraph(summary_words(report))}<p class="verdict">{sentence[:1].upper()}'
        f"{sentence[1:]}.</p><ul>{notes}</ul><dl>{items}</dl>"
    )


def _notes(report: Report) -> str:
    """Return what the variants' table lacks."""
    runtimes = sorted({runtime for v in report.variants for runtime in v.runtimes})
    layers = [
        f"Worst layers of {v.name}: {', '.join(v.worst_layers)}."
        for v in report.variants
        if v.worst_layers
    ]
    original = (
        [f"By {report.original}: {report.keras_accuracy} on the validation set."]
        if report.original
        else []
    )
    notes = [
        tables.float_words(report),
        *original,
        *report.failures,
        *layers,
        "Accuracy is that of the top label, before any threshold, measured by edge on the files "
        "themselves. File, threshold and temperature are chosen on the validation set; the test "
        "set is measured once, for the chosen file.",
        f"Latency is this workstation's ({', '.join(runtimes)}); measure it on the device with "
        "edge-benchmark.",
    ]
    return "".join(_paragraph(note) for note in notes)


def _against(report: Report) -> str:
    found = report.against
    if found is None:
        return ""
    return _paragraph(found.words) + _table("The recommended files of both runs", found.rows)


def _pairs(report: Report) -> str:
    found = tables.confused_pairs(report, 10)
    if not found:
        return _paragraph("No prediction on the validation set is wrong.")
    rows = [("label", "prediction", "photos"), *((a, b, str(count)) for a, b, count in found)]
    table = _table("The commonest mistakes", rows)
    return f"<details><summary>The commonest mistakes as a table</summary>{table}</details>"


def _mistakes(report: Report, picture: str) -> str:
    if not picture:
        return _paragraph("No prediction on the validation set is wrong.")
    val = report.chosen.val
    given = answers(val.scores)
    lines = [
        f"{report.val_names[i]}: {report.labels[given[i]]}, {val.scores[i].max():.3f}"
        for i in examples.mistakes(val.scores, val.labels).tolist()
        if report.val_names
    ]
    items = "".join(f"<li>{escape(one_line(line))}</li>" for line in lines)
    words = "Wrong predictions on the validation set with the highest scores. Is each folder right?"
    return _paragraph(words) + picture + (f"<ol>{items}</ol>" if items else "")


def _evidence(report: Report, picture: str) -> str:
    if not picture:
        return ""
    words = (
        "Where the evidence for the predicted label lies, in red (class activation maps of the "
        "Keras model): the worst mistakes first, then correct predictions. It should lie on the "
        "object; on a mark, a frame or the background, the network has learned these instead."
    )
    return _paragraph(words) + picture


def _suspects(report: Report, picture: str) -> str:
    found = report.suspects
    if found is None:
        return ""
    words = (
        "Each photo of the training and validation sets was scored by a last layer that was "
        "fitted to other photos, on the features of the frozen backbone: accuracy "
        f"{found.accuracy}. "
    )
    if not found.count:
        return _paragraph(f"{words}No photo has a likelier label than its own.")
    words += (
        f"For {found.count} photos another label is likelier; the first {len(found.lines)} follow, "
        "all are in suspects.csv. Correct those that are wrong and train again; many are right."
    )
    items = "".join(f"<li>{escape(one_line(line))}</li>" for line in found.lines)
    return _paragraph(words) + picture + f"<ol>{items}</ol>"


def _photos(report: Report) -> str:
    return (
        _paragraph(tables.few_labels(report, "with the fewest training photos"))
        + _table("Photos of each label and set", tables.count_rows(report))
        + f"<p>Fingerprint of the data set: <code>{escape(report.fingerprint)}</code></p>"
    )


def _config(report: Report) -> str:
    text = json.dumps(plain(report.config), indent=2, ensure_ascii=False)
    return f"<details><summary>Configuration</summary>{_code(text, 'configuration')}</details>"


# --- HTML


def _anchor(title: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in title.lower())


def _section(title: str, content: str) -> str:
    anchor = _anchor(title)
    return (
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(title)}</h2>'
        f"{content}</section>\n"
    )


def _paragraph(text: str) -> str:
    return f"<p>{escape(one_line(text))}</p>" if text else ""


def _code(text: str, name: str) -> str:
    return f'<pre tabindex="0" role="region" aria-label="{escape(name)}">{escape(text)}</pre>'


def _table(caption: str, rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself where the screen is narrow."""
    columns = zip(*rows[1:], strict=True)
    kinds = ["" if all(map(_is_figure, column)) else ' class="text"' for column in columns]

    def cells(row: Sequence[str], tag: str) -> list[str]:
        each = zip(kinds, row, strict=True)
        return [f"<{tag}{kind}>{_kept(cell)}</{tag.split()[0]}>" for kind, cell in each]

    header = "".join(cells(rows[0], 'th scope="col"'))
    body = "".join(
        "<tr>" + cells(row, 'th scope="row"')[0] + "".join(cells(row, "td")[1:]) + "</tr>"
        for row in rows[1:]
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{header}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _is_figure(cell: str) -> bool:
    """A figure stays on one line; text may take several."""
    return cell[:1].isdigit() or cell.startswith(("<0", tables.NONE))


def _kept(text: str) -> str:
    """Escape text; a per cent sign stays with its number."""
    return escape(one_line(text)).replace(" %", "&nbsp;%")


def _figure(png: bytes, alt: str) -> str:
    width, height = struct.unpack(">II", png[16:24])  # of the IHDR chunk, which is the first
    data = base64.b64encode(png).decode()
    return (
        f'<div class="scroll picture" tabindex="0" role="region" aria-label="picture">'
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" '
        f'height="{height}"{" class=wide" if width > 640 else ""}></div>'
    )
