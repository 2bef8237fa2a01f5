"""Look into a converted file before it is trusted: what it computes in, and who can load it.

A converter can leave an operator in float, keep a layer that draws random numbers, or write an
operator too new for the oldest supported runtime, all without a word.
"""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from convert.errors import ConversionError
from convert.tflite.quantize import VARIANTS

OLDEST_RUNTIME = "tflite-runtime 2.14"

# The newest version of each operator that the oldest runtime registers. A runtime looks all of a
# file's operators up before anything else, so that each was looked up in 2.14.0;
# tests/test_inspect.py looks them up again. Its source is
# https://github.com/tensorflow/tensorflow/blob/v2.14.0/tensorflow/lite/core/kernels/register.cc
_REGISTERED = {
    10: "FULLY_CONNECTED",
    8: "STRIDED_SLICE",
    7: "CONV_2D DEPTHWISE_CONV_2D MUL",
    6: "GATHER SLICE TRANSPOSE",
    5: "ABS ADD CAST DEQUANTIZE SUB",
    4: """BATCH_MATMUL BATCH_TO_SPACE_ND CONCATENATION EQUAL FILL GATHER_ND LSTM MAXIMUM MINIMUM
        PACK PAD PADV2 RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SELECT SPACE_TO_BATCH_ND SPLIT SVDF
        TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK""",
    3: """ARG_MAX ARG_MIN AVERAGE_POOL_2D BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN
        BROADCAST_TO EMBEDDING_LOOKUP FLOOR_DIV GREATER_EQUAL LESS LOGISTIC MAX_POOL_2D MEAN
        MIRROR_PAD NOT_EQUAL QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 REVERSE_V2 RNN SOFTMAX
        SPARSE_TO_DENSE TANH TILE TOPK_V2 UNIDIRECTIONAL_SEQUENCE_RNN""",
    2: """DEPTH_TO_SPACE DIV EXP FAKE_QUANT FLOOR_MOD GELU GREATER L2_NORMALIZATION LEAKY_RELU
        LESS_EQUAL LOG_SOFTMAX RANGE REDUCE_PROD RSQRT SELECT_V2 SIGN SPACE_TO_DEPTH SPLIT_V
        SQUARED_DIFFERENCE SQUEEZE SUM WHERE""",
    1: """ADD_N ASSIGN_VARIABLE ATAN2 BITCAST BITWISE_XOR BROADCAST_ARGS BUCKETIZE CALL_ONCE CEIL
        COMPLEX_ABS CONV_3D CONV_3D_TRANSPOSE COS CUMSUM DENSIFY DYNAMIC_UPDATE_SLICE ELU
        EMBEDDING_LOOKUP_SPARSE EXPAND_DIMS FLOOR HARD_SWISH HASHTABLE HASHTABLE_FIND
        HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE IF IMAG L2_POOL_2D
        LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LSH_PROJECTION
        MATRIX_DIAG MATRIX_SET_DIAG MULTINOMIAL NEG NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
        ONE_HOT POW PRELU RANDOM_STANDARD_NORMAL RANDOM_UNIFORM RANK READ_VARIABLE REAL REDUCE_ALL
        REDUCE_ANY RELU_0_TO_1 RELU_N1_TO_1 RESHAPE REVERSE_SEQUENCE RFFT2D RIGHT_SHIFT ROUND
        SCATTER_ND SEGMENT_SUM SHAPE SIN SKIP_GRAM SQRT SQUARE UNIQUE UNSORTED_SEGMENT_MAX
        UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM VAR_HANDLE WHILE
        ZEROS_LIKE""",
}
NEWEST_VERSIONS = {
    name: version for version, names in _REGISTERED.items() for name in names.split()
}
RANDOM = {
    "RANDOM_STANDARD_NORMAL",
    "RANDOM_UNIFORM",
    "MULTINOMIAL",
    "STABLEHLO_RNG_BIT_GENERATOR",
}
# What makes the scores that go out of the int8 ones; they need not be int8.
BORDER = {"QUANTIZE", "DEQUANTIZE"}
SHAPE_DTYPES = {"int32", "int64"}

Operators = list[tuple[str, Any]]  # of one subgraph, in order, by name

_OPERATORS: dict[int, str] = {number: name for name, number in vars(schema.BuiltinOperator).items()}
_DTYPES: dict[int, str] = {number: name.lower() for name, number in vars(schema.TensorType).items()}


def inspect(content: bytes, variant: str) -> None:
    """See that a converted file is what it was converted to, and that old runtimes know it.

    Args:
        content: a .tflite flatbuffer.
        variant: a key of VARIANTS.

    Raises: ConversionError, naming the operator or the tensor.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for code in model.operatorCodes:
        _check_operator(code, variant)
    _check_ends(model.subgraphs[0], variant)
    for subgraph in model.subgraphs:
        named = [(_name(model.operatorCodes[o.opcodeIndex]), o) for o in subgraph.operators]
        _check_dense(subgraph, named, variant)
        if VARIANTS[variant].activations == "int8":
            _check_activations(subgraph, named, variant)


def _check_operator(code: Any, variant: str) -> None:
    name = _name(code)
    if name == "CUSTOM":
        named = (code.customCode or b"").decode(errors="replace")
        fault = f"needs the operator {named or 'without a name'}, which no plain runtime has"
        raise ConversionError(variant, fault, "remove the layer that creates it")
    if name in RANDOM:
        fault = f"draws random numbers (operator {name})"
        raise ConversionError(variant, fault, "export the network in inference mode")
    newest = NEWEST_VERSIONS.get(name, 0)
    if code.version > newest:
        known = f"knows {'none' if not newest else f'up to {newest}'}"
        fault = f"operator {name} is of version {code.version}, and {OLDEST_RUNTIME} {known}"
        raise ConversionError(variant, fault, "omit the variant, or remove the layer")


def _check_ends(subgraph: Any, variant: str) -> None:
    wanted = VARIANTS[variant].pixels
    for index in (*subgraph.inputs, *subgraph.outputs):
        tensor = subgraph.tensors[index]
        if _dtype(tensor) != wanted:
            fault = f"{_tensor_name(tensor)} must be {wanted}. Received: {_dtype(tensor)}"
            raise ConversionError(variant, fault, "convert it by python -m convert")
        lengths = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
        if lengths[0] != 1 or min(lengths) < 1:  # -1 is open: each reader would have to resize it
            fault = f"{_tensor_name(tensor)} must have a batch of 1. Received: {list(lengths)}"
            raise ConversionError(variant, fault, "export it with an input signature")


def _check_dense(subgraph: Any, operators: Operators, variant: str) -> None:
    """A dense layer must have one scale: with one for each of 2 or 3 outputs it crashes on ARM."""
    for name, operator in operators:
        weights = subgraph.tensors[operator.inputs[1]] if name == "FULLY_CONNECTED" else None
        scales = weights.quantization.scale if weights and weights.quantization else None
        if scales is not None and len(scales) > 1:
            fault = f"the dense layer {_tensor_name(weights)} is quantized per channel"
            remedy = f"quantize it per tensor: {OLDEST_RUNTIME} on ARM crashes on it"
            raise ConversionError(variant, fault, remedy)


def _check_activations(subgraph: Any, operators: Operators, variant: str) -> None:
    """Whatever is computed between the pixels and the scores must be int8."""
    found = {
        name: tensor
        for name, operator in operators
        for tensor in (subgraph.tensors[index] for index in operator.outputs)
        if _dtype(tensor) != "int8"
        and not (name in BORDER and any(tensor is subgraph.tensors[i] for i in subgraph.outputs))
        and not (_dtype(tensor) in SHAPE_DTYPES and _is_about_shapes(subgraph, name, operator))
    }
    if found:
        # The guilty operator, where there is one, not the border that was put around it.
        name = min(found, key=lambda name: name in BORDER)
        fault = f"operator {name} computes in {_dtype(found[name])} ({_tensor_name(found[name])})"
        remedy = "use a layer that int8 supports, or omit the variant"
        raise ConversionError(variant, fault, remedy)


def _is_about_shapes(subgraph: Any, name: str, operator: Any) -> bool:
    """Whether an operator computes a shape, or a part of one: no pixel goes into it."""
    inputs = (subgraph.tensors[index] for index in operator.inputs if index >= 0)
    return name == "SHAPE" or all(_dtype(tensor) in SHAPE_DTYPES for tensor in inputs)


def _name(code: Any) -> str:
    # Codes above 127 do not fit the old field; the larger of the two is meant.
    number = max(int(code.builtinCode), int(code.deprecatedBuiltinCode))
    return _OPERATORS.get(number, f"number {number}")


def _dtype(tensor: Any) -> str:
    return _DTYPES[tensor.type]


def _tensor_name(tensor: Any) -> str:
    return (tensor.name or b"").decode(errors="replace")
