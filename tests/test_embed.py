"""What a .tflite file says of itself, read by the code that the official schemas generate.

EDGE_TFLITE_SUPPORT names a folder with the files of tflite-support 0.4.4 (`make test` gets them);
its two generated modules are loaded by path, for the package itself needs a native library.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated

from convert.tflite.embed import embed
from convert.tflite.quantize import VARIANTS
from edge.classifier.metadata import read_metadata
from edge.classifier.model import default_model
from edge.image.preprocess import Normalization

GENERATED = "tensorflow_lite_support/metadata/{}_py_generated.py"


def of_every_file(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test on each file of two conversions, where the official schema is to be had."""
    absent = not os.environ.get("EDGE_TFLITE_SUPPORT")
    reason = "EDGE_TFLITE_SUPPORT names no folder with tflite-support 0.4.4"
    marks = (
        pytest.mark.skipif(absent, reason=reason),
        pytest.mark.parametrize("variant", VARIANTS),
        pytest.mark.parametrize("out_name", ["converted", "converted_two"]),
    )
    return functools.reduce(lambda marked, mark: mark(marked), marks, test)


def official(name: str) -> ModuleType:
    """A generated module of tflite-support, without its package."""
    path = Path(os.environ["EDGE_TFLITE_SUPPORT"]) / GENERATED.format(name)
    spec = importlib.util.spec_from_file_location(f"official_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def content(request: pytest.FixtureRequest, out_name: str, variant: str) -> bytes:
    """A converted file."""
    return (request.getfixturevalue(out_name) / f"model-{variant}.tflite").read_bytes()


@pytest.fixture
def schema() -> ModuleType:
    return official("metadata_schema")


@pytest.fixture
def metadata(content: bytes, schema: ModuleType) -> Any:
    """The file's ModelMetadata."""
    model = official("schema").ModelT.InitFromObj(official("schema").Model.GetRootAs(content, 0))
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    buffer = bytes(model.buffers[entry.buffer].data)
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(buffer, 0)
    return schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAs(buffer, 0))


def labels_of(out_name: str) -> list[str]:
    return ["cup", "fish", "key"] if out_name == "converted" else ["cup", "key"]


def associated_file(content: bytes, name: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return archive.read(name.decode()).decode()


@of_every_file
def test_the_model_names_itself_and_the_parser_that_it_needs(metadata: Any) -> None:
    assert metadata.name == b"model"
    assert metadata.minParserVersion == b"1.0.0"
    assert len(metadata.subgraphMetadata) == 1


@of_every_file
def test_the_input_is_an_rgb_image_of_pixels_as_they_are(metadata: Any, schema: ModuleType) -> None:
    (image,) = metadata.subgraphMetadata[0].inputTensorMetadata
    kinds = schema.ContentProperties
    assert image.content.contentPropertiesType == kinds.ImageProperties
    assert image.content.contentProperties.colorSpace == schema.ColorSpaceType.RGB
    (unit,) = image.processUnits
    assert unit.optionsType == schema.ProcessUnitOptions.NormalizationOptions
    assert list(unit.options.mean) == [0.0]
    assert list(unit.options.std) == [1.0]
    assert (list(image.stats.min), list(image.stats.max)) == ([0.0], [255.0])


@of_every_file
def test_the_output_names_the_labels_of_its_axis(
    metadata: Any, schema: ModuleType, content: bytes, out_name: str
) -> None:
    (score,) = metadata.subgraphMetadata[0].outputTensorMetadata
    kinds = schema.ContentProperties
    assert score.content.contentPropertiesType == kinds.FeatureProperties
    assert (list(score.stats.min), list(score.stats.max)) == ([0.0], [1.0])
    (file,) = score.associatedFiles
    assert file.type == schema.AssociatedFileType.TENSOR_AXIS_LABELS
    assert file.name == b"labels.txt"
    assert associated_file(content, file.name).splitlines() == labels_of(out_name)


@of_every_file
def test_edge_json_is_named_and_says_the_variant(
    metadata: Any, content: bytes, out_name: str, variant: str
) -> None:
    (file,) = metadata.associatedFiles
    edge = json.loads(associated_file(content, file.name))
    assert edge["labels"] == labels_of(out_name)
    assert edge["variant"] == variant


def described(labels: list[str], edge: dict[str, Any]) -> bytes:
    """The shipped default, saying other things of itself."""
    normalization = Normalization(0.0, 1.0)
    content = default_model().read_bytes()
    return embed(content, name="m", labels=labels, normalization=normalization, edge=edge)


def test_awkward_labels_are_one_line_each_and_true_in_edge_json() -> None:
    labels = ['a, b "c"', "d\ne\r", "\udcff"]  # the last: a folder's name that is not UTF-8
    content = described(labels, {"labels": labels})
    assert associated_file(content, b"labels.txt").split("\n") == [
        'a, b "c"',
        "d\\ne\\r",
        "\\udcff",
        "",
    ]
    assert read_metadata(content, "it").labels == tuple(labels)


def test_a_thousand_golden_scores_take_a_line_and_little_space() -> None:
    labels = [f"label {index}" for index in range(1000)]
    scores = [[round(1 / (index + 3), 6) for index in range(1000)] for _ in range(4)]
    content = described(labels, {"labels": labels, "golden": {"scores": scores}, "format": 1})
    text = associated_file(content, b"edge.json")
    assert [line.split(":")[0] for line in text.splitlines()[1:-1]] == [
        ' "format"',
        ' "golden"',
        ' "labels"',
    ]
    assert len(text) < 70_000
    assert read_metadata(content, "it").edge["golden"]["scores"] == scores


def test_embedding_again_replaces_what_was_said() -> None:
    before, once = default_model().read_bytes(), described(["a", "b"], {"format": 1})
    assert len(schema_of(once).metadata) == len(schema_of(before).metadata)
    assert len(schema_of(once).buffers) == len(schema_of(before).buffers)
    assert read_metadata(once, "it").labels == ("a", "b")
    assert read_metadata(once, "it").edge == {"format": 1}


def schema_of(content: bytes) -> Any:
    return schema_py_generated.ModelT.InitFromPackedBuf(content, 0)
