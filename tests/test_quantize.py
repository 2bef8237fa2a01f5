"""Networks become .tflite files: every variant, and what goes wrong in one line."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import PROGRAMS, run
from small_models import small_models_of

from convert.errors import ConversionError
from convert.tflite.embed import embed
from convert.tflite.process import Server
from convert.tflite.quantize import VARIANTS, convert
from convert.tflite.verify import golden_vectors
from edge.classifier.metadata import read_metadata
from edge.image.preprocess import Normalization

# Largest difference from the Keras model's score that a variant may show.
CLOSE = {"float32": 1e-4, "float16": 5e-3, "dynamic": 0.02, "int8": 0.05, "int8-float": 0.05}


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tests/programs/make_converted.py makes."""
    return small_models_of(tmp_path_factory)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("network", ["two", "ten"])
def test_every_runtime_gives_the_scores_of_keras(
    small_models: Path, tmp_path: Path, network: str, variant: str
) -> None:
    expected = np.load(small_models / f"{network}-golden.npy")
    content = (small_models / f"{network}-{variant}.tflite").read_bytes()
    path = tmp_path / "model.tflite"
    labels = [f"label {index}" for index in range(expected.shape[1])]
    as_they_are = Normalization(0.0, 1.0)
    path.write_bytes(embed(content, name="m", labels=labels, normalization=as_they_are, edge={}))
    vectors = golden_vectors(path)
    assert not vectors.faults
    assert len(vectors.runtimes) == 2
    np.testing.assert_allclose(vectors.scores, expected, atol=CLOSE[variant] + 1e-6)


def test_convolutions_are_quantized_per_channel_and_dense_layers_per_tensor(
    small_models: Path,
) -> None:
    scales = weight_scales(small_models / "two-int8.tflite")
    assert scales == [
        ("CONV_2D", 16),
        ("CONV_2D", 96),
        ("DEPTHWISE_CONV_2D", 96),
        ("CONV_2D", 16),
        ("CONV_2D", 512),
        ("FULLY_CONNECTED", 1),
    ]


def test_the_input_of_int8_takes_pixels_as_they_are(small_models: Path) -> None:
    script = (
        "import sys; from edge import Model; spec = Model(sys.argv[1], labels=['a', 'b']).input;"
        "print(spec.dtype, spec.scale, spec.zero_point, spec.shape)"
    )
    done = run("-c", script, str(small_models / "two-int8.tflite"))
    assert done.stdout == "uint8 1.0 0 (1, 48, 48, 3)\n", done.stderr


def test_a_variant_is_converted_in_a_process_of_its_own(small_models: Path, tmp_path: Path) -> None:
    output = tmp_path / "two.tflite"
    convert(small_models / "two", small_models / "calibration.npy", "int8", output)
    assert [path.name for path in tmp_path.iterdir()] == [output.name]
    here = read_metadata(output.read_bytes(), output).operators
    there = small_models / "two-int8.tflite"
    assert here == read_metadata(there.read_bytes(), there).operators


def test_an_operator_that_tflite_lacks_is_named(small_models: Path, tmp_path: Path) -> None:
    calibration = small_models / "calibration.npy"
    with pytest.raises(ConversionError) as caught:
        convert(small_models / "igamma", calibration, "float32", tmp_path / "out")
    fault = "float32: cannot be converted (TFLite has no operator Igamma)"
    assert str(caught.value) == f"{fault}; omit it: --quantize without float32"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_file(small_models: Path, tmp_path: Path) -> None:
    done = limited("RLIMIT_FSIZE", 1000, small_models, tmp_path)
    assert "cannot be written (File too large)" in done
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_says_of_what(small_models: Path, tmp_path: Path) -> None:
    done = limited("RLIMIT_CPU", 1, small_models, tmp_path)
    assert "its process crashed with SIGXCPU" in done
    assert list(tmp_path.iterdir()) == []


def limited(limit: str, value: int, small_models: Path, out: Path) -> str:
    """Convert where the process may not take more than so much; return what is said."""
    script = f"""
import resource, sys
from pathlib import Path
from convert.errors import ConversionError
from convert.tflite.quantize import convert
resource.setrlimit(resource.{limit}, ({value}, resource.RLIM_INFINITY))
saved_model, calibration, output = map(Path, sys.argv[1:])
try:
    convert(saved_model, calibration, "int8", output)
except ConversionError as error:
    print(error)
"""
    arguments = [small_models / "two", small_models / "calibration.npy", out / "model.tflite"]
    done = run("-c", script, *map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


def weight_scales(path: Path) -> list[tuple[str, int]]:
    """Operators with weights, and how many scales these have."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    return [
        (name, len(graph.tensors[operator.inputs[1]].quantization.scale))
        for operator in graph.operators
        if (name := names[model.operatorCodes[operator.opcodeIndex].builtinCode])
        in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    ]


def test_a_server_runs_one_call_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROGRAMS)
    server = Server("serve_waits")
    for status in (0, 3):
        done = server.call("0", str(status))
        assert (done.returncode, done.stderr) == (status, "waits\n")
    server.close()


def test_an_interrupted_call_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROGRAMS)
    server = Server("serve_waits")
    server.call("0", "0")  # it has begun
    main = threading.main_thread().ident
    assert main
    threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        server.call("600", "0")
    assert time.monotonic() - began < 300
    assert server.call("0", "0").returncode == 0  # a new one
    server.close()
