"""Golden vectors: which runtimes agree on a model, and how far right ones are apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from conftest import run

from convert.tflite.verify import LEAST_TOLERANCE, MOST_TOLERANCE, _judge, golden_vectors
from edge.classifier.model import default_model
from edge.classifier.runtime import installed_runtimes


def test_every_installed_runtime_agrees_on_the_shipped_default() -> None:
    vectors = golden_vectors(default_model())
    assert vectors.faults == ()
    assert len(vectors.runtimes) == len(installed_runtimes())
    assert LEAST_TOLERANCE <= vectors.tolerance + 1e-6 <= MOST_TOLERANCE


def test_the_reference_kernels_are_within_the_tolerance() -> None:
    vectors = golden_vectors(default_model())
    for name in installed_runtimes():
        done = run("-m", "convert.tflite.verify", str(default_model()), name, "--reference")
        (scores,) = json.loads(done.stdout).values()
        assert np.abs(np.subtract(scores, vectors.scores)).max() <= vectors.tolerance


def test_a_file_that_no_runtime_loads_has_a_fault_for_each(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(default_model().read_bytes()[:2000])
    vectors = golden_vectors(path)
    assert vectors.runtimes == ()
    assert vectors.scores == []
    assert len(vectors.faults) == len(installed_runtimes())
    assert all("is truncated or damaged" in fault for fault in vectors.faults)


def test_the_tolerance_is_twice_what_was_seen() -> None:
    scores = {"a": [[0.5, 0.5]], "b": [[0.52, 0.48]]}
    assert _judge(scores, [], []).tolerance == 0.04
    assert _judge(scores, [], [[0.56, 0.44]]).tolerance == 0.12
    assert _judge({"a": [[0.5, 0.5]]}, [], []).tolerance == round(LEAST_TOLERANCE, 6)


def test_a_runtime_that_is_far_off_is_a_fault() -> None:
    found = _judge({"a": [[0.5, 0.5]], "b": [[0.3, 0.7]]}, [], [])
    assert found.runtimes == ("a",)
    assert found.faults == ("b differs by 0.2000",)
