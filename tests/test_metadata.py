"""What a model file says of itself, read by edge and by others' tools; damaged files."""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from edge.classifier.metadata import Metadata, read_metadata
from edge.classifier.model import NEVER, Model
from edge.errors import ModelError
from edge.image.preprocess import PREPROCESSING_VERSION, Normalization

VARIANTS = ("float32", "float16", "dynamic", "int8", "int8-float")
LABELS = ("cup", "fish", "key")


def metadata_of(path: Path) -> Metadata:
    return read_metadata(path.read_bytes(), path)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_converted_model_says_its_labels_normalization_and_edge_json(
    converted: Path, variant: str
) -> None:
    found = metadata_of(converted / f"model-{variant}.tflite")
    assert found.labels == LABELS
    assert found.normalization == Normalization(0.0, 1.0)
    assert found.edge["labels"] == list(LABELS)
    assert found.edge["variant"] == variant
    assert found.edge["preprocessing"]["version"] == PREPROCESSING_VERSION
    assert len(found.edge["golden"]["scores"]) == 4
    assert [list(operator) for operator in found.operators] == found.edge["operators"]


def test_a_file_cut_short_anywhere_is_one_line(model_path: Path) -> None:
    content = model_path.read_bytes()
    anywhere = random.Random(1).sample(range(1, len(content)), 20)
    for length in (*anywhere, len(content) - 1, len(content) - 100, len(content) - 2000):
        with pytest.raises(ModelError) as caught:
            read_metadata(content[:length], "cut.tflite")
        assert str(caught.value).isprintable(), length


@pytest.mark.parametrize("content", [b"", b"T", b"TFL3", bytes(64), b"\xff\xd8\xff" * 99])
def test_what_is_no_tflite_file_is_one_line(content: bytes) -> None:
    with pytest.raises(ModelError, match="is not a TFLite model") as caught:
        read_metadata(content, "other.tflite")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("seed", range(5))
def test_damaged_offsets_are_an_error_or_harmless_but_nothing_else(
    model_path: Path, seed: int
) -> None:
    rng, content = random.Random(seed), bytearray(model_path.read_bytes())
    for _ in range(40):
        content[rng.randrange(8, 2000)] = rng.randrange(256)
    try:
        read_metadata(bytes(content), "damaged.tflite")
    except ModelError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_zip_reader_finds_the_files_stored_uncompressed(converted: Path, variant: str) -> None:
    with zipfile.ZipFile(converted / f"model-{variant}.tflite") as archive:
        assert archive.read("labels.txt").decode() == "cup\nfish\nkey\n"
        assert {file.filename for file in archive.infolist()} == {"labels.txt", "edge.json"}
        assert {file.compress_type for file in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is absent")
def test_unzip_prints_the_labels(model_path: Path) -> None:
    command = ["unzip", "-p", str(model_path), "labels.txt"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "cup\nfish\nkey\n"), done.stderr


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_tensor_buffer_starts_at_a_multiple_of_16_bytes(
    converted: Path, variant: str
) -> None:
    content = (converted / f"model-{variant}.tflite").read_bytes()
    starts = [start for start in buffer_starts(content) if start % 16]
    assert not starts, f"{len(starts)} buffers begin at other addresses"


def buffer_starts(content: bytes) -> list[int]:
    """Where the data of each buffer that has some begins: Model.buffers[i].data, fields 4 and 0."""

    def u32(at: int) -> int:
        return int.from_bytes(content[at : at + 4], "little")

    def u16(at: int) -> int:
        return int.from_bytes(content[at : at + 2], "little")

    def vector(table: int, number: int) -> tuple[int, int]:
        vtable = table - int.from_bytes(content[table : table + 4], "little", signed=True)
        slot = 4 + 2 * number
        field = u16(vtable + slot) if slot < u16(vtable) else 0
        if not field:
            return 0, 0
        start = table + field + u32(table + field)
        return start + 4, u32(start)

    first, count = vector(u32(0), 4)
    tables = [first + 4 * i + u32(first + 4 * i) for i in range(count)]
    return [start for start, length in (vector(table, 0) for table in tables) if length]


def with_edge_json(path: Path, edge: object) -> bytes:
    """The model with another edge.json in its zip."""
    content = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = min(info.header_offset for info in archive.infolist())
        files = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO(content[:start])
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, text in (files | {"edge.json": json.dumps(edge).encode()}).items():
            archive.writestr(name, text)
    return stream.getvalue()


@pytest.mark.parametrize(
    "edge",
    [
        [1, 2],
        {"labels": "ab"},
        {"labels": [1, 2, 3]},
        {"preprocessing": "x"},
        {"threshold": "x"},
        {"thresholds": {"x": 2}},
        {"unknown_labels": "x"},
    ],
)
def test_an_odd_edge_json_is_one_line(model_path: Path, edge: object) -> None:
    with pytest.raises(ModelError, match="is truncated or damaged"):
        read_metadata(with_edge_json(model_path, edge), model_path)


def test_another_edge_json_of_the_right_kinds_is_read(model_path: Path) -> None:
    content = with_edge_json(model_path, {"labels": ["x", "y", "z"], "threshold": 0.5})
    assert read_metadata(content, model_path).labels == ("x", "y", "z")


def test_a_file_has_a_threshold_for_each_label_and_those_of_other_things_none(
    model_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    edge = read_metadata(model_path.read_bytes(), model_path).edge
    labels = edge["labels"]
    edge |= {"threshold": 0.7, "thresholds": {labels[0]: 0.6}, "unknown_labels": [labels[2]]}
    path.write_bytes(with_edge_json(model_path, edge))
    with Model(path) as model:
        assert model.thresholds().tolist() == [0.6, 0.7, NEVER]
        assert model.thresholds(0.2).tolist() == [0.2, 0.2, NEVER]
