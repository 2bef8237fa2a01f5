"""The commands of docs/models-and-images.md by maker, each run as it is shown.

The files are drawn; their labels, names and inputs have the forms of the makers' public exports:
Lobe's signature.json and preprocessing as in https://github.com/lobe/lobe-python, Teachable
Machine's numbered labels.txt, AutoML's dict.txt, Edge Impulse's deployed parameters, Coral's label
files with two blanks after the number (https://github.com/google-coral/test_data), and
Ultralytics's metadata.json (https://github.com/ultralytics/ultralytics).
"""

from __future__ import annotations

import io
import json
import re
import shlex
import zipfile
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import ROOT, run
from live import HOTDOG

from convert.tflite.embed import embed, packed
from edge.image.preprocess import Normalization

PAGE = ROOT / "docs" / "models-and-images.md"
LINE = re.compile(r"^edge-classify (-m .*? photo\.jpg) +# (\w[\w ]*)$", re.MULTILINE)
COMMANDS = {maker: words for words, maker in LINE.findall(PAGE.read_text())}
# By maker: labels, and what -v prints of framing and pixels.
EXPECTED = {
    "Keras": (("cup", "hot dog", "key"), r"float32, \(pixel - 0\) / 255, squash"),
    "PyTorch": (("cup", "hot dog", "key"), r"\(pixel - \[123\.675, .*\]\) / \[58.*\], crop"),
    "Teachable Machine": (("Class 1", "Class 2", "Class 3"), r"- 127\.5\) / 127\.5, crop"),
    "Edge Impulse": (("cup", "hot dog", "key"), r"\(pixel - 0\) / 255, crop"),
    "Lobe": (("cup", "hot dog", "key"), r"\(pixel - 0\) / 255, crop"),
    "Ultralytics": (("cup", "hot dog", "key"), r"\(pixel - 0\) / 255, crop"),
    "Model Maker": (("cup", "hot dog", "key"), r"\(pixel - 127\) / 128, squash"),
    "AutoML": (("cup", "hot dog", "key"), r"uint8, pixels as they are, squash"),
    "Coral": (
        ("background", "tench, Tinca tinca", "goldfish"),
        r"uint8, pixels as they are, squash",
    ),
}
LINES = "cup\nhot dog\nkey\n"
SIGNATURE = {
    "doc_id": "1f0c",
    "doc_name": "kitchen",
    "doc_version": "77ab",
    "format": "tf_lite",
    "version": 20,
    "inputs": {"Image": {"dtype": "float32", "shape": [None, 224, 224, 3], "name": "Image"}},
    "outputs": {"Confidences": {"dtype": "float32", "shape": [None, 3], "name": "Softmax"}},
    "tags": None,
    "classes": {"Label": LINES.splitlines()},
    "filename": "saved_model.tflite",
    "export_model_version": 1,
}


def named(path: Path, image: bytes, scores: bytes) -> bytes:
    """A model with a maker's names for its input and output."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (graph,) = model.subgraphs
    model.signatureDefs = None
    graph.tensors[graph.inputs[0]].name = image
    graph.tensors[graph.outputs[0]].name = scores
    return packed(model, path.stat().st_size)


def described(path: Path, names: dict[int, str]) -> bytes:
    """A model with Ultralytics's description in a zip at its end."""
    stream = io.BytesIO(path.read_bytes())
    facts = {"author": "Ultralytics", "task": "classify", "imgsz": [224, 224], "names": names}
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("metadata.json", json.dumps(facts, indent=2))
    return stream.getvalue()


@pytest.fixture(scope="module")
def exports(classifiers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each maker's export unpacks to, in a folder of its own."""
    real, quantized = classifiers / "softmax.tflite", classifiers / "softmax-uint8.tflite"
    first = classifiers / "channels-first.tflite"
    tm = named(real, b"sequential_1_input", b"sequential_3/dense_Dense2/Softmax")
    ei = named(real, b"serving_default_x_input:0", b"model/y_pred/Softmax")
    in_file = embed(
        real.read_bytes(),
        name="",
        labels=LINES.splitlines(),
        normalization=Normalization(127.0, 128.0),
        edge={},
    )
    numbered = "0 Class 1\r\n1 Class 2\r\n2 Class 3\r\n"
    coral = "0  background\n1  tench, Tinca tinca\n2  goldfish\n"
    impulse = {"model_parameters": {"labels": LINES.splitlines(), "model_type": "classification"}}
    names = {"class_names": LINES.splitlines()}
    files: dict[str, dict[str, bytes | str]] = {
        "Keras": {"keras.tflite": real.read_bytes(), "class_names.json": json.dumps(names)},
        "PyTorch": {"pytorch.tflite": first.read_bytes(), "labels.txt": LINES},
        "Teachable Machine": {"model_unquant.tflite": tm, "labels.txt": numbered},
        "Edge Impulse": {"trained.tflite": ei, "parameters.json": json.dumps(impulse)},
        "Lobe": {"saved_model.tflite": real.read_bytes(), "signature.json": json.dumps(SIGNATURE)},
        "Ultralytics": {
            "yolo-cls.tflite": described(real, dict(enumerate(LINES.splitlines()))),
        },
        "Model Maker": {"model_maker.tflite": in_file},
        "AutoML": {"model.tflite": quantized.read_bytes(), "dict.txt": LINES.rstrip()},
        "Coral": {"mobilenet_quant.tflite": quantized.read_bytes(), "imagenet_labels.txt": coral},
    }
    root = tmp_path_factory.mktemp("exports")
    for maker, content in files.items():
        (root / maker).mkdir()
        (root / maker / "photo.jpg").symlink_to(HOTDOG)
        for name, data in content.items():
            data = data if isinstance(data, bytes) else data.encode()
            (root / maker / name).write_bytes(data)
    return root


def test_each_maker_has_a_command() -> None:
    assert COMMANDS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("maker", EXPECTED)
def test_a_makers_command_works_as_it_is_shown(exports: Path, maker: str) -> None:
    labels, understood = EXPECTED[maker]
    words = shlex.split(COMMANDS[maker])
    done = run("-m", "edge", "classify", "-v", "-k", "3", *words, cwd=exports / maker)
    assert done.returncode == 0, done.stderr
    assert all(f"{label} 0." in done.stdout for label in labels), done.stdout
    assert re.search(understood, done.stderr), done.stderr
