"""Read a .tflite file's graph: its tensors, how they are computed, what is done to pixels.

The field numbers are those of
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from edge.classifier.file.flatbuffer import Table

# Field numbers, in the schema's order.
MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_BUFFERS = 1, 2, 4
MODEL_METADATA, MODEL_SIGNATURES = 6, 7
SIGNATURE_INPUTS, SIGNATURE_OUTPUTS, SIGNATURE_KEY, SIGNATURE_SUBGRAPH = 0, 1, 2, 4
SUBGRAPH_TENSORS, SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS, SUBGRAPH_OPERATORS = 0, 1, 2, 3
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANTIZATION = 0, 1, 2, 3, 4
TENSOR_SHAPE_SIGNATURE = 7
QUANTIZATION_ITEM_BYTES = (4, 4, 4, 8)  # min, max, scale, zero_point
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS = 0, 1, 2
OPERATOR_OPTIONS, OPERATOR_CUSTOM_OPTIONS = 4, 5
CODE_DEPRECATED, CODE_CUSTOM, CODE_VERSION, CODE_BUILTIN = 0, 1, 2, 3
FLOAT32 = 0  # TensorType

# Builtin codes of operators that hand values on: DEQUANTIZE, RESHAPE, SQUEEZE, STRIDED_SLICE, CAST,
# EXPAND_DIMS, QUANTIZE.
_HANDING_ON = frozenset((6, 22, 43, 45, 53, 70, 114))
# The same, and those that move pixels: RESIZE_BILINEAR, PAD, TRANSPOSE, PADV2,
# RESIZE_NEAREST_NEIGHBOR, MIRROR_PAD, REVERSE_V2.
_MOVING = _HANDING_ON | frozenset((23, 34, 39, 60, 97, 100, 105))
_ADD, _MUL, _SUB, _DIV = 0, 18, 41, 42
_ARITHMETIC = frozenset((_ADD, _MUL, _SUB, _DIV))
_MAX_CONSTANTS = 16  # of an operator that rescales pixels: one, or one a channel
_MAX_STEPS = 16  # from the input to the first operator that is neither

Range = tuple[float, float]


# Named tuples here and not dataclasses, which take a few milliseconds more at every start.


class GraphTensor(NamedTuple):
    """An input or output of the graph."""

    number: int  # among the tensors
    names: tuple[str, ...] = ()  # the tensor's, and what signatures call it
    shape: tuple[int, ...] = ()  # -1 where a length is dynamic


class Graph(NamedTuple):
    """What a file's first subgraph is."""

    operators: tuple[tuple[int, int], ...] = ()  # (builtin code, version), sorted, each once
    customs: tuple[str, ...] = ()  # names of custom operators, sorted
    inputs: tuple[GraphTensor, ...] = ()
    outputs: tuple[GraphTensor, ...] = ()
    # Index of each output tensor -> builtin code of the operator that computes its values.
    ends: Mapping[int, int] = MappingProxyType({})
    names: frozenset[str] = frozenset()  # of all tensors
    # (factors, offsets) by channel, or one for all, of what the first operators do to a float
    # input: factor * pixel + offset. None where they do no arithmetic.
    rescaling: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def names_of(self, index: int) -> tuple[str, ...]:
        """Return what an input or output is called."""
        tensors = (*self.inputs, *self.outputs)
        return next((tensor.names for tensor in tensors if tensor.number == index), ())

    def rescaled(self, low: float, high: float) -> Range:
        """Return the range that the first operators make of inputs from low to high."""
        factors, offsets = self.rescaling or ((1.0,), (0.0,))
        ends = [f * x + o for f, o in zip(factors, offsets, strict=True) for x in (low, high)]
        return min(ends), max(ends)


class _Operator(NamedTuple):
    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graph(model: Table) -> Graph:
    """Visit every table of a model, and return what its first subgraph is.

    Raises: ValueError where a table is not within the file.
    """
    buffers = list(model.tables(MODEL_BUFFERS))
    for buffer in buffers:
        buffer.vector(0, 1)
    codes = [_operator_code(code) for code in model.tables(MODEL_OPERATOR_CODES)]
    subgraphs = list(model.tables(MODEL_SUBGRAPHS))
    if not subgraphs:
        raise ValueError("no subgraph")
    visited = [
        _Subgraph(subgraph, buffers, [code for code, _, _ in codes]) for subgraph in subgraphs
    ]
    first = visited[0]
    called = _signature_names(model)
    ends = _ends(first)
    used = {codes[index] for subgraph in visited for index in subgraph.used}
    return Graph(
        operators=tuple(sorted({(code, version) for code, version, _ in used})),
        customs=tuple(sorted({name for _, _, name in used if name})),
        inputs=tuple(_graph_tensor(first, index, called) for index in first.inputs),
        outputs=tuple(_graph_tensor(first, index, called) for index in first.outputs),
        ends=ends,
        names=frozenset(_text(tensor.data(TENSOR_NAME)) for tensor in first.tensors),
        rescaling=_rescaling(first, buffers),
    )


class _Subgraph:
    """A subgraph's tensors and operators, every index of which is within its list."""

    def __init__(self, table: Table, buffers: list[Table], codes: list[int]) -> None:
        self.tensors = list(table.tables(SUBGRAPH_TENSORS))
        for tensor in self.tensors:
            checked_index(tensor.integer(TENSOR_BUFFER), len(buffers))
            _visit_tensor(tensor)
        self.used: set[int] = set()  # indices of operator codes
        self.operators: list[_Operator] = []
        for operator in table.tables(SUBGRAPH_OPERATORS):
            code = checked_index(operator.integer(OPERATOR_CODE), len(codes))
            self.used.add(code)
            inputs, outputs = (
                self._indices(operator, number) for number in (OPERATOR_INPUTS, OPERATOR_OUTPUTS)
            )
            self.operators.append(_Operator(codes[code], inputs, outputs))
            operator.table(OPERATOR_OPTIONS)
            operator.vector(OPERATOR_CUSTOM_OPTIONS, 1)
        self.inputs = self._indices(table, SUBGRAPH_INPUTS)
        self.outputs = self._indices(table, SUBGRAPH_OUTPUTS)

    def _indices(self, table: Table, number: int) -> tuple[int, ...]:
        """A vector of tensors' indices; -1 stands for none."""
        return tuple(checked_index(i, len(self.tensors)) for i in table.numbers(number, "i"))


def checked_index(index: int, length: int) -> int:
    """Return an index that is within a list, or -1, which stands for none. Raises: ValueError."""
    if not -1 <= index < length:
        raise ValueError("a table refers to another that does not exist")
    return index


def _visit_tensor(tensor: Table) -> None:
    tensor.vector(TENSOR_SHAPE, 4)
    tensor.vector(TENSOR_SHAPE_SIGNATURE, 4)
    tensor.vector(TENSOR_NAME, 1)
    if quantization := tensor.table(TENSOR_QUANTIZATION):
        for number, item_bytes in enumerate(QUANTIZATION_ITEM_BYTES):
            quantization.vector(number, item_bytes)


def _operator_code(code: Table) -> tuple[int, int, str]:
    """(builtin code, version, a custom operator's name)."""
    # Codes above 127 do not fit the old field; the larger of the two is meant.
    builtin = max(code.integer(CODE_DEPRECATED, "<b"), code.integer(CODE_BUILTIN, "<i"))
    version = code.integer(CODE_VERSION, "<i", default=1)
    return builtin, version, _text(code.data(CODE_CUSTOM))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _signature_names(model: Table) -> dict[int, list[str]]:
    """What signatures call the first subgraph's tensors, by index."""
    found: dict[int, list[str]] = {}
    for signature in model.tables(MODEL_SIGNATURES):
        signature.vector(SIGNATURE_KEY, 1)
        is_of_first = signature.integer(SIGNATURE_SUBGRAPH) == 0
        for number in (SIGNATURE_INPUTS, SIGNATURE_OUTPUTS):
            for entry in signature.tables(number):
                name = _text(entry.data(0))
                if is_of_first:
                    found.setdefault(entry.integer(1), []).append(name)
    return found


def _graph_tensor(subgraph: _Subgraph, index: int, called: dict[int, list[str]]) -> GraphTensor:
    if index < 0:
        return GraphTensor(index)
    tensor = subgraph.tensors[index]
    names = (_text(tensor.data(TENSOR_NAME)), *called.get(index, ()))
    shape = tensor.numbers(TENSOR_SHAPE_SIGNATURE, "i") or tensor.numbers(TENSOR_SHAPE, "i")
    return GraphTensor(index, tuple(dict.fromkeys(filter(None, names))), shape)


def _ends(subgraph: _Subgraph) -> dict[int, int]:
    makers = {output: operator for operator in subgraph.operators for output in operator.outputs}
    return {output: _end(output, makers) for output in subgraph.outputs}


def _end(output: int, makers: dict[int, _Operator]) -> int:
    """The builtin code of what computes an output's values; -1 where nothing does."""
    for _ in range(len(makers)):
        maker = makers.get(output)
        if maker is None or maker.code not in _HANDING_ON or not maker.inputs:
            return maker.code if maker else -1
        output = maker.inputs[0]
    return -1


def _rescaling(
    subgraph: _Subgraph, buffers: list[Table]
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """What the first operators do to a float input (see Graph)."""
    if not subgraph.inputs or subgraph.inputs[0] < 0:
        return None
    if subgraph.tensors[subgraph.inputs[0]].integer(TENSOR_TYPE, "<b") != FLOAT32:
        return None
    found: tuple[list[float], list[float]] | None = None
    for operator, place in _first_operators(subgraph):
        if operator.code not in _ARITHMETIC:
            continue
        constants = _constants(subgraph, buffers, operator.inputs[1 - place])
        if not constants:
            break
        found = _composed(found or ([1.0], [0.0]), operator.code, constants, place)
        if found is None:
            return None
    return None if found is None else (tuple(found[0]), tuple(found[1]))


def _first_operators(subgraph: _Subgraph) -> Iterator[tuple[_Operator, int]]:
    """The operators that only move or rescale the input's values, and which operand those are."""
    at = subgraph.inputs[0]
    for _ in range(_MAX_STEPS):
        users = [operator for operator in subgraph.operators if at in operator.inputs]
        if len(users) != 1 or len(users[0].outputs) != 1:
            return
        operator, place = users[0], users[0].inputs.index(at)
        rescales = operator.code in _ARITHMETIC and len(operator.inputs) == 2
        if not rescales and (operator.code not in _MOVING or place):
            return
        yield operator, place
        at = operator.outputs[0]


def _constants(subgraph: _Subgraph, buffers: list[Table], index: int) -> tuple[float, ...]:
    """The few float values of a constant; empty where it is none."""
    if index < 0:
        return ()
    tensor = subgraph.tensors[index]
    buffer = tensor.integer(TENSOR_BUFFER)
    if tensor.integer(TENSOR_TYPE, "<b") != FLOAT32 or buffer < 0:
        return ()
    start_and_length = buffers[buffer].vector(0, 1)
    count = start_and_length[1] // 4
    if not 1 <= count <= _MAX_CONSTANTS:
        return ()
    return struct.unpack(f"<{count}f", buffers[buffer].data(0)[: 4 * count])


def _composed(
    done: tuple[list[float], list[float]], code: int, constants: tuple[float, ...], place: int
) -> tuple[list[float], list[float]] | None:
    """What was done to pixels, and then this operator; None if not a multiple and a sum."""
    length = max(len(done[0]), len(constants))
    if {len(done[0]), len(constants)} - {1, length}:
        return None
    factors, offsets, values = (
        list(x) * (length // len(x)) for x in (done[0], done[1], list(constants))
    )
    if code == _MUL:
        pairs = [(f * c, o * c) for f, o, c in zip(factors, offsets, values, strict=True)]
    elif code == _ADD:
        pairs = [(f, o + c) for f, o, c in zip(factors, offsets, values, strict=True)]
    elif code == _SUB:
        sign = -1 if place else 1  # the constant less the pixel
        pairs = [
            (sign * f, sign * (o - c)) for f, o, c in zip(factors, offsets, values, strict=True)
        ]
    elif place or not all(values):  # a constant divided by a pixel, or by 0
        return None
    else:
        pairs = [(f / c, o / c) for f, o, c in zip(factors, offsets, values, strict=True)]
    return [f for f, _ in pairs], [o for _, o in pairs]
