"""Change a .tflite file's graph: its output, its input size, the temperature of its softmax."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from convert.tflite.embed import packed
from edge.classifier.runtime import installed_runtimes
from edge.image.framing import Size
from edge.names import RUNTIMES

SOFTMAX = schema.BuiltinOperator.SOFTMAX
# Operators that hand on values as they are, between a softmax and the output.
_HANDING_ON = (
    schema.BuiltinOperator.RESHAPE,
    schema.BuiltinOperator.DEQUANTIZE,
    schema.BuiltinOperator.QUANTIZE,
    schema.BuiltinOperator.SQUEEZE,
)


def with_output(content: bytes, output: int) -> bytes:
    """Return a model with one output, by its tensor's index, and only the operators it needs."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    needed, kept = {output}, []
    for operator in reversed(graph.operators):
        if needed & set(map(int, operator.outputs)):
            needed |= {int(tensor) for tensor in operator.inputs}
            kept.append(operator)
    graph.operators, graph.outputs = kept[::-1], np.array([output], np.int32)
    for signature in model.signatureDefs or []:
        if signature.subgraphIndex == 0:
            outputs = signature.outputs or []
            signature.outputs = [each for each in outputs if each.tensorIndex == output]
    return packed(model, len(content))


def with_input_size(content: bytes, size: Size) -> bytes:
    """Return a model whose dynamic input has a (height, width) of its own, and a batch of 1."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    shapes = _shapes_at(content, size)
    for number, tensor in enumerate(graph.tensors):
        if number in shapes:
            tensor.shape, tensor.shapeSignature = np.array(shapes[number], np.int32), None
    return packed(model, len(content))


def _shapes_at(content: bytes, size: Size) -> dict[int, list[int]]:
    """The shape of each tensor of the file once its input has a size."""
    module: Any = importlib.import_module(f"{RUNTIMES[installed_runtimes()[0]]}.interpreter")
    # Without a delegate, which would hide the tensors that it computes.
    plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = module.Interpreter(
        model_content=content, experimental_op_resolver_type=plain, num_threads=1
    )
    (given,) = interpreter.get_input_details()
    shape = [1 if length == -1 else int(length) for length in given["shape_signature"]]
    first = 2 if shape[1] in (1, 3, 4) and shape[3] not in (1, 3, 4) else 1
    shape[first : first + 2] = size
    interpreter.resize_tensor_input(given["index"], shape)
    interpreter.allocate_tensors()
    return {
        details["index"]: details["shape"].tolist()
        for details in interpreter.get_tensor_details()
        if len(details["shape"])
    }


def with_temperature(content: bytes, temperature: float) -> bytes | None:
    """Return a model whose softmax divides its logits by a temperature; None if it has none.

    It is the operator's own `beta`, which every runtime knows, float or quantized.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    makers = {int(tensor): each for each in graph.operators for tensor in each.outputs}
    operator = makers.get(int(graph.outputs[0]))
    while operator is not None and _code(model, operator) in _HANDING_ON:
        operator = makers.get(int(operator.inputs[0]))
    if operator is None or _code(model, operator) != SOFTMAX:
        return None
    operator.builtinOptions.beta = (operator.builtinOptions.beta or 1.0) / temperature
    return packed(model, len(content))


def _code(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))
