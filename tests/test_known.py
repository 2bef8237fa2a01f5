"""Models that ship are known to be sound; others are tried once, in a process of their own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAMS, run
from model_copies import SMALL, changed, damaged, no_strides, relabelled

from edge.classifier.known import ensure_sound
from edge.classifier.model import Model, shipped_models
from edge.classifier.runtime import installed_runtimes
from edge.errors import ModelError
from edge.names import PACKAGES


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "edge-classify"


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    """A sound model that did not ship."""
    path = tmp_path / "unknown.tflite"
    path.write_bytes(relabelled(["fish", "chips"]))
    return path


def tried(path: Path | str, runtime: str = "auto") -> bool:
    """Whether a fresh process has tried a model."""
    done = run(PROGRAMS / "try_model.py", str(path), runtime)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout == "True\n"


def test_each_shipped_model_is_in_its_card() -> None:
    for path in shipped_models():
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        card = json.loads(path.with_suffix(".json").read_text())
        assert sha256 in [variant["sha256"] for variant in card["variants"]], path


def test_a_shipped_model_is_not_tried_wherever_it_lies(tmp_path: Path, cache: Path) -> None:
    shutil.copy(SMALL, tmp_path / "copy.tflite")
    assert not tried("")
    assert not tried(tmp_path / "copy.tflite")
    assert not cache.exists()


def test_another_model_is_tried_once_and_again_when_it_changes(unknown: Path, cache: Path) -> None:
    assert tried(unknown)
    assert not tried(unknown)
    unknown.write_bytes(relabelled(["chips", "fish"]))
    assert tried(unknown)
    assert len(list(cache.iterdir())) == 2


def test_each_runtime_tries_it(unknown: Path, cache: Path) -> None:
    for runtime in installed_runtimes():
        assert tried(unknown, runtime)
        assert not tried(unknown, runtime)
    assert len(list(cache.iterdir())) == len(installed_runtimes())


def test_the_runtime_that_is_loaded_already_tries_it(unknown: Path, cache: Path) -> None:
    last = installed_runtimes()[-1]
    done = run(PROGRAMS / "try_model.py", unknown, "auto", last)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    (mark,) = cache.iterdir()
    assert mark.name.startswith(f"sound-{PACKAGES[last]}-")
    assert not tried(unknown, last)


def test_a_service_keeps_its_marks_where_systemd_says(
    unknown: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", f"{tmp_path / 'service'}:{tmp_path / 'other'}")
    ensure_sound(unknown)
    assert len(list((tmp_path / "service").iterdir())) == 1
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_only_costs_time(
    unknown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert tried(unknown)
    assert tried(unknown)


def no_inputs(model: Any) -> None:  # ai-edge-litert 2.3 takes them for there: SIGSEGV
    for operator in model.subgraphs[0].operators:
        operator.inputs = np.full_like(operator.inputs, -1)


def input_of_gigabytes(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shape = np.int32([1, 30000, 30000, 3])


@pytest.mark.parametrize("runtime", installed_runtimes())
@pytest.mark.parametrize("change", [no_strides, no_inputs, input_of_gigabytes])
def test_a_model_that_a_runtime_does_not_survive_is_one_line_and_leaves_no_mark(
    tmp_path: Path, cache: Path, runtime: str, change: Callable[[Any], None]
) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(changed(change))
    code = "import sys; from edge.classifier.known import ensure_sound; ensure_sound(*sys.argv[1:])"
    line = run("-c", code, str(path), runtime).stderr.splitlines()[-1]
    assert re.search(
        r"bad\.tflite: .*(crashes the runtime \(SIG|cannot load it \(|too little memory|"
        r"needs more than 1024 MB of memory)",
        line,
    ), line
    assert not cache.exists()


def middle_of_gigabytes(model: Any) -> None:  # XNNPACK believes it; without, shapes are computed
    (graph,) = model.subgraphs
    tensor = graph.tensors[graph.operators[len(graph.operators) // 2].outputs[0]]
    tensor.shape = np.int32([1, 14, 14 + (1 << 23), 32])


@pytest.mark.skipif("litert" not in installed_runtimes(), reason="needs ai-edge-litert")
def test_a_model_that_takes_gigabytes_with_xnnpack_alone_is_ended_in_time(
    tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(changed(middle_of_gigabytes))
    code = f"""
import resource
from edge.classifier.known import ensure_sound
from edge.errors import ModelError
try:
    ensure_sound({str(path)!r}, "litert")
except ModelError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    line, most_kb = run("-c", code).stdout.splitlines()
    assert "bad.tflite: needs more than 1024 MB of memory; copy the file again" in line
    assert int(most_kb) < 1_400_000
    assert not cache.exists()


def test_what_is_no_model_is_said_as_by_ourselves(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "bad.tflite"
    for content, fault in ((b"", "is empty"), (damaged(), "damaged"), (b"text", "not a TFLite")):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=fault):
            ensure_sound(path)
    path.unlink()
    with pytest.raises(ModelError, match="no such model file"):
        ensure_sound(path)
    os.mkfifo(path)
    with pytest.raises(ModelError, match="is not a regular file"):
        ensure_sound(path)
    assert not cache.exists()


def test_a_model_for_which_more_must_be_said_is_sound_without(
    unknown: Path,
) -> None:
    """Labels and normalization are the program's to give, after the trial."""
    unknown.write_bytes(relabelled(["only one"]))
    ensure_sound(unknown)
    with pytest.raises(ModelError, match="labels and outputs disagree"):
        Model(unknown)
