"""What a converted file is held to, shown on files that TensorFlow made without complaint."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import run
from small_models import small_models_of

from convert.errors import ConversionError
from convert.tflite.inspect import NEWEST_VERSIONS, inspect
from convert.tflite.quantize import VARIANTS


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tests/programs/make_converted.py makes."""
    return small_models_of(tmp_path_factory)


def fault(path: Path, variant: str) -> str:
    """The one line that a file is rejected with."""
    with pytest.raises(ConversionError) as caught:
        inspect(path.read_bytes(), variant)
    assert str(caught.value).startswith(f"{variant}: ")
    return str(caught.value)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("network", ["two", "ten"])
def test_our_own_variants_pass(small_models: Path, network: str, variant: str) -> None:
    inspect((small_models / f"{network}-{variant}.tflite").read_bytes(), variant)


def test_random_operators_are_named(small_models: Path) -> None:
    assert "(operator RANDOM_STANDARD_NORMAL)" in fault(small_models / "random.tflite", "float32")
    assert "(operator RANDOM_UNIFORM)" in fault(small_models / "dropout.tflite", "float32")


def test_a_custom_operator_is_named(small_models: Path) -> None:
    assert "needs the operator Igamma" in fault(small_models / "custom.tflite", "float32")


def test_an_operator_left_in_float_is_named(small_models: Path) -> None:
    told = fault(small_models / "sine.tflite", "int8")
    assert "operator SIN computes in float32 (" in told


def test_a_file_whose_calibration_was_ignored_is_refused(small_models: Path) -> None:
    told = fault(small_models / "two-float32.tflite", "int8-float")
    assert "computes in float32 (" in told
    assert "must be uint8. Received: float32" in fault(
        small_models / "two-int8-float.tflite", "int8"
    )


def test_an_open_batch_is_refused(small_models: Path, tmp_path: Path) -> None:
    content = (small_models / "two-float32.tflite").read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    tensor.shapeSignature = [-1, *tensor.shape[1:]]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "open.tflite").write_bytes(builder.Output())
    assert "must have a batch of 1. Received: [-1, " in fault(tmp_path / "open.tflite", "float32")


def test_a_dense_layer_that_crashes_on_arm_is_refused(small_models: Path) -> None:
    told = fault(small_models / "per-channel.tflite", "int8")
    assert "MatMul" in told
    assert "is quantized per channel; quantize it per tensor: tflite-runtime 2.14 on ARM" in told


def test_an_operator_too_new_is_named_with_its_version(small_models: Path) -> None:
    told = fault(small_models / "uncalibrated.tflite", "dynamic")
    assert (
        "operator FULLY_CONNECTED is of version 12, and tflite-runtime 2.14 knows up to 10" in told
    )


def test_shapes_may_be_integers_in_an_int8_file(small_models: Path) -> None:
    content = with_shape(small_models / "two-int8.tflite")
    inspect(content, "int8")


def test_the_table_is_what_tflite_runtime_registers(tmp_path: Path) -> None:
    pytest.importorskip("tflite_runtime", reason="no tflite-runtime for this Python")
    numbers = {n: i for n, i in vars(schema.BuiltinOperator).items() if isinstance(i, int)}
    for name, number in numbers.items():
        for version in range(1, 21):
            (tmp_path / f"{name}-{version}").write_bytes(only_operator(number, version))
    script = """
import sys
from pathlib import Path
from tflite_runtime.interpreter import Interpreter

for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        Interpreter(model_content=path.read_bytes())
        print(path.name)
    except ValueError:
        pass
"""
    done = run("-c", script, str(tmp_path))
    known = [line.rsplit("-", 1) for line in done.stdout.splitlines()]
    newest = {name: max(int(v) for n, v in known if n == name) for name, _ in known}
    assert newest == NEWEST_VERSIONS


def only_operator(number: int, version: int) -> bytes:
    """A model that computes nothing, and lists one operator."""
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
    model, graph = schema.ModelT(), schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [], [], []
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    return packed(model)


def with_shape(path: Path) -> bytes:
    """The model, and a SHAPE of its first activation that nothing uses."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph, tensor, operator = model.subgraphs[0], schema.TensorT(), schema.OperatorT()
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SHAPE
    code.version = 1
    tensor.name, tensor.type, tensor.shape = "shape", schema.TensorType.INT32, [4]
    operator.opcodeIndex, operator.inputs = (
        len(model.operatorCodes),
        [graph.operators[0].outputs[0]],
    )
    operator.outputs = [len(graph.tensors)]
    model.operatorCodes.append(code)
    graph.tensors.append(tensor)
    graph.operators.append(operator)
    return packed(model)


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
