"""What is recommended and why, and what the card says."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from reports import ODD, report, variant

from convert.measure.scores import Accuracy, tempered
from convert.report.report import (
    Variant,
    accuracy_json,
    card_json,
    largest_drop,
    p_words,
    reason_for,
    recommend,
)
from convert.report.summary import next_steps, summary_words

LABELS = np.arange(200) % 2


def right_on(count: int, first: int = 0) -> np.ndarray:
    """Scores that are right on `count` of 200 photos, from photo `first` on."""
    right = np.zeros(200, bool)
    right[np.arange(first, first + count) % 200] = True
    answers = np.where(right, LABELS, 1 - LABELS)
    return np.where(answers[:, None] == np.arange(2), 0.9, 0.1).astype(np.float32)


def made(name: str, right: int, size: int, ms: float = 1.0, first: int = 0) -> Variant:
    return variant(name, right_on(right, first), LABELS, size_bytes=size * 1000, invoke_p50_ms=ms)


# --- recommend


def test_the_smallest_within_a_point_is_recommended() -> None:
    big, small, worse = made("float32", 180, 4000), made("int8", 178, 1000), made("int4", 177, 500)
    chosen = recommend([big, small, worse])
    assert chosen is small  # 178 of 200 is exactly a point below 180
    assert reason_for(chosen, [big, small, worse]) == (
        "ship model-int8.tflite: the smallest within 1 point of the best on validation (0.890, "
        "1,000 kB, 1.0 ms; float32: 0.900, 4,000 kB, 1.0 ms); of 200 photos it alone is right on "
        "0, float32 alone on 2 (McNemar's p 0.500: chance explains it)"
    )


def test_the_best_wins_where_all_smaller_ones_lose_more() -> None:
    variants = made("float32", 180, 4000), made("int8", 170, 1000)
    chosen = recommend(variants)
    assert chosen.name == "float32"
    assert reason_for(chosen, variants).endswith("it is also the best")


def test_of_files_about_as_small_the_fastest_is_recommended() -> None:
    slow, fast = made("dynamic", 180, 1000, ms=9.0), made("int8", 180, 1050, ms=3.0)
    assert recommend([slow, fast]) is fast
    assert "the fastest of the smallest" in reason_for(fast, [slow, fast])


def test_a_clocks_noise_decides_nothing() -> None:
    whole, near = made("int8", 180, 1000, ms=3.2), made("int8-float", 180, 1001, ms=3.1)
    assert recommend([near, whole]) is recommend([whole, near]) is whole


def test_test_has_no_say() -> None:
    variants = report().variants
    better_on_test = [
        dataclasses.replace(v, test=dataclasses.replace(v.val, labels=1 - v.val.labels))
        for v in variants
    ]
    chosen, same = recommend(variants), recommend(better_on_test)
    assert same.name == chosen.name
    assert reason_for(same, better_on_test) == reason_for(chosen, variants)


def test_a_difference_in_photos_is_told_though_the_sums_are_close() -> None:
    best, other = made("float32", 101, 4000), made("int8", 100, 1000, first=20)
    assert recommend([best, other]) is other
    reason = reason_for(other, [best, other])
    assert "it alone is right on 19, float32 alone on 20 (McNemar's p 1.000" in reason


def test_one_variant_alone_is_recommended() -> None:
    only = made("int8", 150, 1000)
    assert recommend([only]) is only


# --- in plain words


def test_it_begins_with_what_was_trained_on_what_and_how_good_it_is() -> None:
    recipe = {"head_only": False, "head_first": True}
    config = {"network": "mobilenet_v2", "image_size": [96, 128], "recipe": recipe}
    found = report(config=config)
    assert found.chosen.test
    words = summary_words(found)
    trained = sum(found.counts["train"].values())
    assert words.startswith(
        f"mobilenet_v2 at 128 x 96 pixels, fine-tuned on {trained} photos of 2 classes (hotdog, "
        "nothotdog). model-int8.tflite is right on "
    )
    assert f" of {found.chosen.test.accuracy.total} photos of the test set" in words
    for name, how in (("head_only", "its last layer fitted to"), ("head_first", "fine-tuned on")):
        config["recipe"] = {"head_only": False, "head_first": False} | {name: True}
        assert how in summary_words(report(config=config))
    assert summary_words(report(config={})).startswith("model-int8.tflite is right on ")


def test_next_steps_are_commands_of_a_file_that_is_fit() -> None:
    assert "edge-classify -m model-int8.tflite photo.jpg\n" in next_steps(report())
    labels = np.zeros(60, np.int64)
    useless = variant("int8", np.tile(np.float32([0.4, 0.6]), (60, 1)), labels)
    assert next_steps(report(variants=(useless,), chosen=useless)) == ""


# --- drop


def test_a_drop_is_in_points_below_the_keras_model() -> None:
    keras = Accuracy(180, 200)
    assert largest_drop(keras, [made("int8", 177, 1)]) == pytest.approx(1.5)
    assert largest_drop(keras, [made("a", 177, 1), made("b", 170, 1)]) == pytest.approx(5.0)
    assert largest_drop(keras, [made("int8", 182, 1)]) == pytest.approx(-1.0)


@pytest.mark.parametrize("p, words", [(1.0, "1.000"), (0.0213, "0.021"), (1e-9, "<0.001")])
def test_a_p_value_has_three_digits(p: float, words: str) -> None:
    assert p_words(p) == words


# --- report


def test_the_keras_model_is_seen_before_and_after_its_temperature() -> None:
    found = report()
    assert found.temperature > 1.1  # the scores were made too sure
    files = tempered(found.keras_val, found.temperature)
    np.testing.assert_array_equal(files, found.variants[0].val.scores)
    assert found.keras_accuracy == found.variants[0].val.accuracy


def test_int8_is_compared_with_float32_on_test() -> None:
    found = report().against_float32
    assert found is not None
    assert (found.agreement, found.lost, found.gained) == (1.0, 0, 0)


def test_without_a_measured_float32_there_is_no_comparison_on_test() -> None:
    found = report()
    alone = dataclasses.replace(found, variants=found.variants[1:])
    assert alone.against_float32 is None
    chosen = dataclasses.replace(found, chosen=found.variants[0])
    assert chosen.against_float32 is None


def test_without_test_only_val_is_told() -> None:
    found = report()
    chosen = dataclasses.replace(found.chosen, test=None)
    assert list(dataclasses.replace(found, chosen=chosen).sets) == ["val"]


# --- card


def test_the_card_is_json_and_says_what_was_chosen() -> None:
    found = report()
    card = json.loads(json.dumps(card_json(found)))
    assert card["recommended"] == "model-int8.tflite"
    assert card["temperature"] == round(found.temperature, 4)
    assert card["threshold"]["value"] == found.thresholds.highest
    assert card["threshold"]["reached"] is found.thresholds.reached
    first = found.thresholds.of_labels[0]
    assert card["threshold"]["labels"]["hotdog"]["accepted"] == first.accepted
    assert set(card["threshold"]["test"]["false_positives"]) == {"hotdog", "nothotdog"}
    assert card["test_against_float32"]["agreement"] == 1.0


def test_the_card_tells_each_variant() -> None:
    card = card_json(report())
    float32, int8 = card["variants"]
    assert float32["val_against_keras"]["largest_change"] == 0.0
    assert int8["worst_layers"] == ["Conv_1", "block_3_expand"]
    for told in (float32, int8):
        assert told["val_accuracy"]["total"] == 60
        low, high = told["test_accuracy"]["interval_95"]
        assert low <= told["test_accuracy"]["accuracy"] <= high


def test_what_was_not_measured_on_test_is_null() -> None:
    found = report()
    variants = (dataclasses.replace(found.variants[0], test=None), found.variants[1])
    card = card_json(dataclasses.replace(found, variants=variants))
    assert card["variants"][0]["test_accuracy"] is None
    assert card["test_against_float32"] is None


def test_the_card_has_every_labels_figures() -> None:
    card = card_json(report(ODD))
    assert list(card["per_label"]) == list(ODD)
    for figures in card["per_label"].values():
        assert figures["val"]["count"] == figures["test"]["count"] == 20
        assert 0 <= figures["val"]["f1"] <= 1


def test_the_card_holds_no_path_and_no_photos_name() -> None:
    text = json.dumps(card_json(report()))
    assert "/somewhere" not in text
    assert "weights.h5" in text
    assert ".jpg" not in text


def test_an_accuracy_as_json() -> None:
    told = accuracy_json(Accuracy(81, 263))
    assert told == {
        "correct": 81,
        "total": 263,
        "accuracy": 0.308,
        "interval_95": [0.2553, 0.3662],
    }
