"""Flatbuffers, written by the official library and read by ours; damaged ones."""

from __future__ import annotations

import random
import struct

import flatbuffers
import pytest

from edge.classifier.file.flatbuffer import MOST_ITEMS, Buffer, Table


def written() -> bytes:
    """A table: 0 a number, 1 a string, 2 a vector of numbers, 3 a vector of tables, 4 a table."""
    builder = flatbuffers.Builder(256)
    text = builder.CreateString("text")
    builder.StartVector(4, 3, 4)
    for number in (3, 2, -1):
        builder.PrependInt32(number)
    numbers = builder.EndVector()
    inner = []
    for number in (7, 8):
        builder.StartObject(1)
        builder.PrependUint32Slot(0, number, 0)
        inner.append(builder.EndObject())
    builder.StartVector(4, 2, 4)
    for table in reversed(inner):
        builder.PrependUOffsetTRelative(table)
    tables = builder.EndVector()
    builder.StartObject(6)
    builder.PrependInt8Slot(0, -5, 0)
    for slot, offset in ((1, text), (2, numbers), (3, tables), (4, inner[0])):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def read(root: Table) -> tuple[object, ...]:
    inner = root.table(4)
    return (
        root.integer(0, "<b"),
        root.data(1),
        root.numbers(2, "i"),
        [table.integer(0) for table in root.tables(3)],
        inner and inner.integer(0),
    )


def test_every_kind_of_field_is_read() -> None:
    root = Buffer(written()).root()
    assert read(root) == (-5, b"text", (-1, 2, 3), [7, 8], 7)


def test_a_field_that_is_absent_has_its_default_or_is_empty() -> None:
    root = Buffer(written()).root()
    for number in (5, 6, 99):  # left out; beyond what the writer knew
        assert root.integer(number, default=4) == 4
        assert root.table(number) is None
        assert root.vector(number, 4) == (0, 0)
        assert (root.numbers(number, "i"), list(root.tables(number))) == ((), [])
        assert root.data(number) == b""


@pytest.mark.parametrize("length", range(len(written()) - 4))  # which end in padding
def test_what_is_cut_short_is_a_value_error(length: int) -> None:
    with pytest.raises(ValueError):
        read(Buffer(written()[:length]).root())


def test_what_is_damaged_is_a_value_error_or_read_from_within() -> None:
    rng, whole = random.Random(1), written()
    failed = 0
    for _ in range(3000):
        damaged = bytearray(whole)
        at = rng.randrange(0, len(whole) - 4)
        number = rng.choice((0, 1, 200, 1 << 16, 1 << 31, 2**32 - 1))
        damaged[at : at + 4] = struct.pack("<I", number)
        try:
            read(Buffer(bytes(damaged)).root())
        except ValueError:
            failed += 1
    assert 1000 < failed < 3000


def test_vectors_that_share_their_items_cannot_grow_without_end() -> None:
    root = Buffer(written()).root()
    with pytest.raises(ValueError, match="more tables than any model"):
        for _ in range(MOST_ITEMS):
            list(root.tables(3))
