"""The benchmark: what it measures, and edge-benchmark as a person meets it."""

from __future__ import annotations

import csv
import gc
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, TEST_DATA, run

from edge.benchmark import DRAWN_SIZE, drawn_picture, measure
from edge.errors import ImageError
from edge.model import Model
from edge.preprocess import read_image

PEERS = TEST_DATA / "peers"
QUICK = ("--num-runs", "5", "--warmup-runs", "1")


@pytest.fixture(scope="module")
def model(model_path: Path) -> Iterator[Model]:
    with Model(model_path) as opened:
        yield opened


def benchmark(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run("-m", "edge", "benchmark", *map(str, arguments), *QUICK)


def test_the_drawn_picture_is_a_jpeg_and_the_same_each_time() -> None:
    content = drawn_picture()
    assert content[:2] == b"\xff\xd8"
    assert read_image(content).shape == (*DRAWN_SIZE, 3)
    assert drawn_picture() == content


def test_the_whole_way_takes_longer_than_invoke_and_p90_is_not_below_p50(model: Model) -> None:
    measured = measure(model, drawn_picture(), warmup_runs=2, num_runs=30)
    assert measured.num_runs == 30
    for latency in (measured.invoke, measured.whole):
        assert 0 < latency.p50_ms <= latency.p90_ms
    assert measured.whole.p50_ms > measured.invoke.p50_ms


@pytest.mark.parametrize("collecting", [True, False])
def test_the_garbage_collector_is_left_as_it_was(model: Model, collecting: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        measure(model, drawn_picture(), warmup_runs=1, num_runs=1)
        assert gc.isenabled() is collecting
        with pytest.raises(ImageError):
            measure(model, b"not a picture", warmup_runs=0, num_runs=1)
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if before else gc.disable)()


def test_json_has_a_row_for_each_model_and_number_of_threads(
    model_path: Path, tmp_path: Path
) -> None:
    other = shutil.copy(model_path, tmp_path / "other.tflite")
    done = benchmark(model_path, other, "--threads", "1,2", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert [(row["model"], row["threads"]) for row in rows] == [
        (name, threads) for name in (model_path.name, "other.tflite") for threads in (1, 2)
    ]
    for row in rows:
        assert row["num_runs"] == 5
        assert row["size_bytes"] == model_path.stat().st_size
        assert 0 < row["invoke_p50_ms"] <= row["invoke_p90_ms"]
        assert 0 < row["whole_p50_ms"] <= row["whole_p90_ms"]


def test_csv_has_the_same_columns_as_json(model_path: Path) -> None:
    (from_csv,) = csv.DictReader(io.StringIO(benchmark(model_path, "--format", "csv").stdout))
    (from_json,) = json.loads(benchmark(model_path, "--format", "json").stdout)
    assert list(from_csv) == list(from_json)


def test_the_table_is_aligned(model_path: Path, tmp_path: Path) -> None:
    long_name = shutil.copy(model_path, tmp_path / "a-model-with-quite-a-long-name.tflite")
    done = benchmark(model_path, long_name)
    header, *rows = done.stdout.splitlines()
    assert len(rows) == 2
    assert {line.index(" tflite-runtime") for line in rows if " tflite-runtime" in line} | {
        line.index(" ai-edge-litert") for line in rows if " ai-edge-litert" in line
    } == {header.index(" runtime")}
    assert {len(line) for line in (header, *rows)} == {len(header)}


def test_a_bad_model_is_named_the_others_are_measured_and_the_status_is_1(
    model_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"not a model")
    done = benchmark(tmp_path / "bad.tflite", model_path, "--format", "json")
    assert done.returncode == 1
    assert [row["model"] for row in json.loads(done.stdout)] == [model_path.name]
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-benchmark: ")
    assert "bad.tflite" in line


def test_nothing_to_measure_is_no_success(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "edge", tmp_path / "edge", ignore=shutil.ignore_patterns("models"))
    done = run("-m", "edge", "benchmark", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no model ships here" in done.stderr


def test_a_picture_of_ones_own(model_path: Path, photo_folder: Path, tmp_path: Path) -> None:
    picture = sorted(photo_folder.glob("*.jpg"))[0]
    assert benchmark(model_path, "--image", picture).returncode == 0
    done = benchmark(model_path, "--image", tmp_path / "absent.jpg")
    assert done.returncode == 1
    assert "absent.jpg" in done.stderr


@pytest.mark.parametrize("wrong", [("--num-runs", "0"), ("--threads", "1,x"), ("--runtime", "x")])
def test_wrong_usage_is_2(wrong: tuple[str, str]) -> None:
    assert run("-m", "edge", "benchmark", *wrong).returncode == 2


@pytest.mark.skipif(not PEERS.is_dir(), reason=f"no models of others: {PEERS} is absent")
def test_a_float_model_that_says_nothing_is_measured_with_its_normalization() -> None:
    model = PEERS / "tflite-support" / "mobilenet_v1_0.25_224_1_default_1.tflite"
    done = benchmark(model, "--normalize", "[-1,1]")
    assert (done.returncode, done.stderr) == (0, "")
    refused = benchmark(model)
    assert refused.returncode in (1, 2)
    assert "normalize" in refused.stderr
