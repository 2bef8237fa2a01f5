"""Classifiers made by others, run as they are: their own tests' answers hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import TEST_DATA

from edge.classifier.classify import classify
from edge.classifier.model import Model
from edge.errors import ModelError
from edge.image.preprocess import Normalization
from edge.sources.photos import photos

PEERS = TEST_DATA / "peers"


def cases() -> list[Any]:
    """Each case by its model's name; a single one that skips where the models are absent."""
    file = PEERS / "expected.json"
    if not file.is_file():
        reason = f"no peers' models: {file} is absent (set EDGE_TEST_DATA)"
        return [pytest.param({}, id="peers", marks=pytest.mark.skip(reason=reason))]
    found = json.loads(file.read_text())["cases"]
    return [pytest.param(case, id=case["model"]) for case in found]


@pytest.mark.parametrize("case", cases())
def test_a_peers_own_expectation_holds(case: dict[str, Any]) -> None:
    expected = case["expected"]
    for name in (case["model"], case["image"]):
        if not (PEERS / name).is_file():
            pytest.skip(f"{name} is absent")
    with Model(PEERS / case["model"]) as model:
        if model.metadata.labels:
            assert model.labels[expected["index"]] == expected["label"]
        assert model.input.dtype == case["input"]["dtype"]
        (frame,) = photos([PEERS / case["image"]])
        top = classify(model, frame, top_k=expected["must_be_in_top"]).categories
    (category,) = [category for category in top if category.index == expected["index"]]
    if expected["relation"] == ">=":
        assert category.score >= expected["score"] - expected["tolerance"]
    else:
        assert category.score == pytest.approx(expected["score"], abs=expected["tolerance"])


def test_a_float_model_that_carries_nothing_is_told_its_labels_and_normalization() -> None:
    model_path = PEERS / "tflite-support" / "mobilenet_v1_0.25_224_1_default_1.tflite"
    quantized = PEERS / "tflite-support" / "mobilenet_v1_0.25_224_quant.tflite"
    labels = PEERS / "coral" / "imagenet_labels.txt"
    image = PEERS / "tflite-support" / "burger.jpg"
    for file in (model_path, quantized, labels, image):
        if not file.is_file():
            pytest.skip(f"{file} is absent (set EDGE_TEST_DATA)")
    with pytest.raises(ModelError, match=r"--normalize '\[-1,1\]'"):
        Model(model_path)
    (frame,) = photos([image])
    with Model(model_path, labels=labels, normalization=Normalization(127.5, 127.5)) as model:
        assert (model.warnings, model.notes) == ((), ())
        (best,) = classify(model, frame).categories
    assert (best.index, best.label) == (934, "cheeseburger")
    with Model(quantized) as model:  # the same network
        (same,) = classify(model, frame).categories
    assert (same.index, same.label) == (best.index, best.label)
    assert best.score == pytest.approx(same.score, abs=0.05)


def test_a_signed_int8_model_without_labels_gives_probabilities_of_its_indices() -> None:
    path = PEERS / "mlperf-tiny" / "vww_96_int8.tflite"
    image = PEERS / "tflite-support" / "burger.jpg"
    for file in (path, image):
        if not file.is_file():
            pytest.skip(f"{file} is absent (set EDGE_TEST_DATA)")
    with Model(path) as model:
        assert model.labels == ("0", "1")
        assert len(model.warnings) == 1
        assert model.scores(image).sum() == pytest.approx(1, abs=0.02)
