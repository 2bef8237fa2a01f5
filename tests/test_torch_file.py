"""Tensors of old PyTorch files: views with offset and stride, and nothing but tensors."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.errors import WeightsError
from convert.training.backbones.torch_file import MAGIC_NUMBER, PROTOCOL, read_tensors


class Storage:
    """Numbers that tensors are views of."""

    def __init__(self, kind: type, key: str, values: NDArray[Any]) -> None:
        self.kind, self.key, self.values = kind, key, values


class Tensor:
    """What is pickled as PyTorch pickles a tensor."""

    def __init__(self, rebuild: Any, *state: Any) -> None:
        self.rebuild, self.state = rebuild, state

    def __reduce__(self) -> tuple[Any, ...]:
        return self.rebuild, (*self.state, False, OrderedDict())


class Pickler(pickle.Pickler):
    """Leaves storages out, as PyTorch does."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Storage):
            return "storage", obj.kind, obj.key, "cpu", len(obj.values), None
        return None


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """As much of PyTorch as a pickle names."""
    found, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(found, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None:
        raise AssertionError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        utils.__name__,
        "_rebuild_tensor_v2",
    )
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    found._utils = utils  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", found)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return found


def written(tensors: Any, storages: list[Storage], magic: int = MAGIC_NUMBER) -> bytes:
    """A file of the kind that PyTorch wrote before 1.6."""
    stream = io.BytesIO()
    for thing in (magic, PROTOCOL, {"little_endian": True}, tensors, [s.key for s in storages]):
        Pickler(stream, 2).dump(thing)
    for storage in storages:
        stream.write(struct.pack("<q", len(storage.values)) + storage.values.tobytes())
    return stream.getvalue()


def floats(torch: ModuleType, count: int = 24) -> Storage:
    return Storage(torch.FloatStorage, "1", np.arange(count, dtype=np.float32))


def test_views_are_read_by_their_offset_and_stride(torch: ModuleType, tmp_path: Path) -> None:
    storage = floats(torch)
    counts = Storage(torch.LongStorage, "2", np.array([7], np.int64))
    rebuild = torch._utils._rebuild_tensor_v2
    tensors = OrderedDict(
        plain=Tensor(rebuild, storage, 0, (2, 3), (3, 1)),
        turned=Tensor(rebuild, storage, 4, (2, 3), (1, 2)),
        every_other=Tensor(rebuild, storage, 1, (5,), (4,)),
        count=Tensor(rebuild, counts, 0, (), ()),
    )
    path = tmp_path / "a.pth"
    path.write_bytes(written(tensors, [storage, counts]))
    found = read_tensors(path)
    assert list(found) == ["plain", "turned", "every_other", "count"]
    assert found["plain"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["turned"].tolist() == [[4, 6, 8], [5, 7, 9]]
    assert found["every_other"].tolist() == [1, 5, 9, 13, 17]
    assert found["count"].tolist() == 7
    assert all(array.flags.c_contiguous for array in found.values())


@pytest.mark.parametrize("thing", [os.system, os.getcwd, Path("x"), np.float32(1), bytearray(b"1")])
def test_anything_but_tensors_is_rejected_by_its_name(thing: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(written(OrderedDict(weight=thing), []))
    with pytest.raises(WeightsError, match=r"names [a-z_.]+\.\w+, which is not a tensor") as error:
        read_tensors(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [(23, (2,), (1,)), (-1, (2,), (1,)), (0, (5, 5), (5, 1)), (5, (3,), (-1,)), (0, (-1,), (1,))],
)
def test_a_view_beyond_its_storage_is_rejected(
    torch: ModuleType, tmp_path: Path, offset: int, shape: Any, stride: Any
) -> None:
    storage = floats(torch)
    tensor = Tensor(torch._utils._rebuild_tensor_v2, storage, offset, shape, stride)
    path = tmp_path / "a.pth"
    path.write_bytes(written(OrderedDict(weight=tensor), [storage]))
    with pytest.raises(WeightsError, match="is damaged"):
        read_tensors(path)


def test_a_damaged_file_is_one_line(torch: ModuleType, tmp_path: Path) -> None:
    storage = floats(torch)
    tensor = Tensor(torch._utils._rebuild_tensor_v2, storage, 0, (24,), (1,))
    whole = written(OrderedDict(weight=tensor), [storage])
    path, random = tmp_path / "a.pth", np.random.default_rng(0)
    contents = [whole[:length] for length in range(0, len(whole), 5)]
    for _ in range(100):  # one byte is another
        place, value = int(random.integers(len(whole) - 8 - 96)), int(random.integers(256))
        contents.append(whole[:place] + bytes([value]) + whole[place + 1 :])
    contents += [written(OrderedDict(weight=tensor), [storage], magic=1), b"PK\x03\x04" + whole]
    rejected = 0
    for content in contents:
        path.write_bytes(content)
        try:
            read_tensors(path)
        except WeightsError as error:
            rejected += 1
            assert "\n" not in str(error)
    assert rejected > len(contents) / 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth: cannot be read"):
        read_tensors(tmp_path / "none.pth")
