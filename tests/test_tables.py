"""The report's tables as text: what is told, and what of many labels."""

from __future__ import annotations

import dataclasses

from reports import report

from convert.measure.thresholds import LabelThreshold, Thresholds, at_threshold
from convert.report import tables
from edge.classifier.model import NEVER

MANY = tuple(f"label {i:03d}" for i in range(100))


def test_a_row_for_each_variant() -> None:
    header, float32, int8 = tables.variant_rows(report().variants)
    assert len(header) == len(float32) == len(int8) == 8
    assert float32[3:6] == ("1.000", "1.000", "0.000")
    assert int8[:2] == ("int8", "1")


def test_the_table_on_stdout_is_aligned() -> None:
    lines = tables.text_table(tables.variant_rows(report().variants)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4
    assert [cell.strip() for cell in lines[3].split("|")][1:3] == ["int8", "1"]


def test_what_was_not_measured_is_a_dash() -> None:
    found = dataclasses.replace(report().variants[0], test=None, comparison=None)
    row = tables.variant_rows([found])[1]
    assert row[3:6] == ("–", "–", "–")
    assert row[7] == "–"


def test_few_labels_are_all_told_in_their_order() -> None:
    rows = tables.class_rows(report())
    assert [row[0] for row in rows] == ["label", "hotdog", "nothotdog"]
    assert len(rows[0]) == 9  # four figures on val and on test
    assert tables.few_labels(report(), "worst") == ""


def test_of_many_labels_the_worst_are_told_and_it_is_said() -> None:
    found = report(MANY, n=300)
    rows = tables.class_rows(found)[1:]
    f1 = {label: c.f1 for label, c in zip(MANY, found.per_class("val"), strict=True)}
    assert len(rows) == 20
    assert [row[0] for row in rows] == sorted(MANY, key=lambda label: f1[label])[:20]
    assert tables.few_labels(found, "worst") == ("Of 100 labels, the 20 worst; card.json has all.")


def test_a_label_that_is_never_answered_has_no_precision() -> None:
    found = report()
    val = dataclasses.replace(found.chosen.val, scores=found.chosen.val.scores * [1, 0])
    rows = tables.class_rows(
        dataclasses.replace(found, chosen=dataclasses.replace(found.chosen, val=val))
    )
    assert rows[2][2] == "–"


def test_accuracy_and_the_thresholds_figures_stand_apart() -> None:
    found = report()
    header, val, test = tables.threshold_rows(found)
    assert header[1] == "accuracy, no threshold (95 %)"
    assert (val[0], test[0]) == ("val", "test")
    assert val[1] == str(found.chosen.val.accuracy)
    of_val = found.chosen.val
    at = at_threshold(of_val.scores, of_val.labels, found.thresholds.values)
    assert val[2] == f"{at.coverage:.3f}"


def thresholds(*counts: tuple[int, int]) -> Thresholds:
    return Thresholds(0.95, tuple(LabelThreshold(0.8, *each) for each in counts))


def test_thresholds_say_what_they_promise() -> None:
    kept = report(thresholds=thresholds((99, 100), (45, 45)))
    assert "Every label promises 95 % or more." in tables.threshold_words(kept)
    short = report(thresholds=thresholds((10, 10), (45, 45)))
    words = tables.threshold_words(short)
    assert "For hotdog there are too few photos to promise 95 %" in words
    assert "(79 % for hotdog). 45 accepted photos of a label, all correct" in words
    assert tables.label_threshold_rows(short)[1] == ("hotdog", "0.800", "10", "10", "79.4 %")


def test_of_many_labels_the_lowest_promises_are_shown() -> None:
    found = report(MANY, n=300)
    rows = tables.label_threshold_rows(found)
    assert len(rows) == 21
    lowest = min(label.promise for label in found.thresholds.of_labels)
    assert rows[1][4] == f"{100 * lowest:.1f} %"


def test_a_label_of_other_things_is_always_unknown() -> None:
    found = report(("cup", "none"))
    labels = (found.thresholds.of_labels[0], LabelThreshold(NEVER, 0, 0))
    found = dataclasses.replace(
        found, thresholds=dataclasses.replace(found.thresholds, of_labels=labels)
    )
    assert tables.label_threshold_rows(found)[2][:2] == ("none", 'always "unknown"')
    assert tables.caution_words(found) == []


def test_a_model_without_a_class_of_other_things_is_a_caution() -> None:
    cautions = tables.caution_words(report(worth="the same scene at other times"))
    assert cautions[0] == "Validation and test figures are of the same scene at other times."
    assert cautions[1].startswith("It predicts one of its labels for every image")
    assert tables.caution_words(report(("cup", "empty"))) == []


def test_counts_have_a_total() -> None:
    rows = tables.count_rows(report())
    assert rows[0] == ("label", "train", "val", "test")
    assert rows[-1] == ("all", "20", "20", "20")


def test_of_many_labels_those_with_the_fewest_photos_are_counted() -> None:
    found = report(MANY, n=300)
    counts = {name: dict(per_label) for name, per_label in found.counts.items()}
    counts["train"]["label 042"] = 3
    rows = tables.count_rows(dataclasses.replace(found, counts=counts))
    assert len(rows) == 22
    assert rows[1] == ("label 042", "3", "10", "10")
    assert rows[-1][1] == "993"


def test_confused_pairs_begin_with_the_commonest() -> None:
    pairs = tables.confused_pairs(report(("a", "b", "c")))
    counts = [count for _, _, count in pairs]
    wrong = report(("a", "b", "c")).chosen.val.accuracy
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == wrong.total - wrong.correct
    assert all(label != answer for label, answer, _ in pairs)


def test_words_on_the_temperature_and_on_float32() -> None:
    found = report()
    assert "overconfident" in tables.temperature_words(found)
    unsure = dataclasses.replace(found, temperature=0.5)
    assert "underconfident" in tables.temperature_words(unsure)
    assert "int8 is +0.0 points" in tables.float_words(found)
