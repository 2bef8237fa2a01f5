"""What a .tflite file says of itself, read by the code that the official schemas generate.

EDGE_TFLITE_SUPPORT names a folder with the files of tflite-support 0.4.4 (`make test` gets them);
its two generated modules are loaded by path, for the package itself needs a native library.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from convert.quantize import VARIANTS

GENERATED = "tensorflow_lite_support/metadata/{}_py_generated.py"
pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("EDGE_TFLITE_SUPPORT"),
        reason="EDGE_TFLITE_SUPPORT names no folder with tflite-support 0.4.4",
    ),
    pytest.mark.parametrize("variant", VARIANTS),
    pytest.mark.parametrize("out_name", ["converted", "converted_two"]),
]


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


def test_the_model_names_itself_and_the_parser_that_it_needs(metadata: Any) -> None:
    assert metadata.name == b"model"
    assert metadata.minParserVersion == b"1.0.0"
    assert len(metadata.subgraphMetadata) == 1


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


def test_the_output_names_the_labels_of_its_axis(
    metadata: Any, schema: ModuleType, content: bytes, out_name: str
) -> None:
    (score,) = metadata.subgraphMetadata[0].outputTensorMetadata
    kinds = schema.ContentProperties
    assert score.content.contentPropertiesType == kinds.FeatureProperties
    (file,) = score.associatedFiles
    assert file.type == schema.AssociatedFileType.TENSOR_AXIS_LABELS
    assert file.name == b"labels.txt"
    assert associated_file(content, file.name).splitlines() == labels_of(out_name)


def test_edge_json_is_named_and_says_the_variant(
    metadata: Any, content: bytes, out_name: str, variant: str
) -> None:
    (file,) = metadata.associatedFiles
    edge = json.loads(associated_file(content, file.name))
    assert edge["labels"] == labels_of(out_name)
    assert edge["variant"] == variant
