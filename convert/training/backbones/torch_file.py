"""Tensors of a PyTorch weights file of the kind before 1.6, read without PyTorch.

Such a file is five pickles (a magic number, a version, facts of the machine, the tensors, the keys
of their storages), then each storage: the number of its elements, and these. A pickle can name any
function to be called. This reader allows what tensors in ordered dictionaries need, nothing else.
Source: torch/serialization.py, `_legacy_load`.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from convert.errors import WeightsError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MAX_ELEMENTS = 1 << 28  # of a storage

# What unpickling a damaged file raises.
DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,  # UnicodeError among them
    LookupError,
    TypeError,
    AttributeError,
    struct.error,
    OverflowError,
    MemoryError,
)
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the tensors of a file by their names, each as an array of its own.

    Raises: WeightsError, also for a pickle that names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise WeightsError(path, fault, "check the path") from error
    except DAMAGE as error:
        fault = "is damaged, or not a PyTorch weights file from before version 1.6"
        raise WeightsError(path, fault, "download it again") from error


def _read(file: BinaryIO, path: Path) -> dict[str, NDArray[Any]]:
    if [_Unpickler(file, path).load() for _ in range(2)] != [MAGIC_NUMBER, PROTOCOL]:
        raise ValueError("another kind of file")
    _Unpickler(file, path).load()  # byte order and the sizes of C types, where it was written
    views = _Unpickler(file, path).load()
    storages = {}
    for key in _Unpickler(file, path).load():
        storage = _storages_of(views)[key]
        (count,) = struct.unpack("<q", file.read(8))
        if not 0 <= count <= MAX_ELEMENTS:
            raise ValueError("no such size")
        content = file.read(count * np.dtype(storage.dtype).itemsize)
        storages[key] = np.frombuffer(content, storage.dtype, count)
    return {name: _array(view, storages[view.storage.key]) for name, view in views.items()}


@dataclass(frozen=True)
class _Storage:
    dtype: str
    key: str


@dataclass(frozen=True)
class _View:
    """A tensor: where it begins in its storage, and how far its elements lie apart there."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def _storages_of(views: dict[str, _View]) -> dict[str, _Storage]:
    return {view.storage.key: view.storage for view in views.values()}


def _array(view: _View, storage: NDArray[Any]) -> NDArray[Any]:
    """The elements of a view, within the storage."""
    last = view.offset + sum(
        (n - 1) * step for n, step in zip(view.shape, view.stride, strict=True)
    )
    if min((view.offset, *view.stride, *(n - 1 for n in view.shape)), default=0) < 0:
        raise ValueError("a tensor without a size")
    if last >= len(storage):
        raise ValueError("a tensor that extends beyond its storage")
    strides = tuple(step * storage.itemsize for step in view.stride)
    # A copy: no two tensors share memory, and it is contiguous.
    return np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, strides).copy()


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> _View:
    return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


class _Unpickler(pickle.Unpickler):
    """Builds views of storages in ordered dictionaries."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, encoding="utf-8")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle may name. Raises: WeightsError for anything else."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        fault = f"names {module}.{name}, which is not a tensor: it may run code"
        raise WeightsError(self._path, fault, "use only files whose origin you trust")

    def persistent_load(self, pid: Any) -> _Storage:
        """Note a storage: ("storage", type, key, device, number of elements, view)."""
        kind, dtype, key, *_ = pid
        if kind != "storage" or dtype not in _DTYPES.values():
            raise ValueError("no storage")
        return _Storage(dtype, str(key))
