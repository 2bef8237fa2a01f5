"""python -m convert wrap: add metadata to a model made elsewhere."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from convert.errors import ConversionError
from convert.files import write
from convert.tflite.embed import embed
from convert.tflite.verify import golden_vectors
from edge import __version__
from edge.classifier.inputs import has_dynamic_size
from edge.classifier.known import ensure_sound
from edge.classifier.model import Model, read_model
from edge.commands.arguments import add_fact_arguments, facts
from edge.image.preprocess import PREPROCESSING_VERSION, Framing, InputSpec, Normalization
from edge.names import EDGE_JSON_SCHEMA

NAME = "convert wrap"
FRAMINGS = {"stretch": "squash", "crop": "crop", "pad": "pad"}
# What others' files become .tflite files by.
OTHERS = {
    ".onnx": "onnx2tf -i FILE (pip install onnx2tf)",
    ".pt": "ai-edge-torch, in Python (pip install ai-edge-torch)",
    ".pth": "ai-edge-torch, in Python (pip install ai-edge-torch)",
    ".keras": "tf.lite.TFLiteConverter.from_keras_model",
    ".h5": "tf.lite.TFLiteConverter.from_keras_model",
}
DESCRIPTION = (
    "Add labels, normalization, framing and golden vectors to a copy of a .tflite classifier."
)
EXAMPLES = """\
OUT carries labels, normalization, framing and golden vectors, by the installed runtimes. From then
on every command takes it without an option, and other readers of TFLite metadata know its labels.

examples:
  python -m convert wrap model_unquant.tflite --labels labels.txt -o mine.tflite
  python -m convert wrap float.tflite --labels names.json --normalize '[0,1]' -o mine.tflite
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of wrap, and its help text."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .tflite classifier")
    add_fact_arguments(parser)
    parser.add_argument(
        "--framing",
        choices=FRAMINGS,
        help="how an image is brought to the input's size (default: the maker's, else stretch)",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT", help="the file that is written"
    )


def main(args: argparse.Namespace) -> int:
    """Wrap a model; the step's entry."""
    options = facts(args)
    if args.framing:
        options["framing"] = Framing(FRAMINGS[args.framing])
    count = wrap(args.model, args.out, options)
    print(f"{args.out}: {count} labels")
    return 0


def wrap(path: Path, out: Path, options: dict[str, Any]) -> int:
    """Write a copy of a model with the given metadata; return the number of labels.

    Args: the model; where to write; what Model takes beside a path.

    Raises: ModelError, ConversionError, OutputError, RuntimeMissingError.
    """
    if way := OTHERS.get(path.suffix.lower()):
        raise ConversionError(path, "is no .tflite file", f"convert it first: {way}")
    ensure_sound(path, input_size=options.get("input_size"))
    content = read_model(path)
    with Model(path, **options) as model:
        graph = model.metadata.graph
        _check(model)
        labels, spec = model.labels, model.input
        told: dict[str, Any] = {
            "schema": EDGE_JSON_SCHEMA,
            "edge_classify": __version__,
            "wrapped_sha256": hashlib.sha256(content).hexdigest(),
            "labels": list(labels),
            "preprocessing": {
                "version": PREPROCESSING_VERSION,
                "resize": spec.framing.resize,
                "filter": spec.framing.filter,
            },
            "operators": [list(operator) for operator in graph.operators],
        }
    rule = spec.normalization or as_they_are(spec)

    def embedded(edge: dict[str, Any]) -> bytes:
        return embed(content, name=path.stem, labels=labels, normalization=rule, edge=edge)

    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.tflite"
        draft.write_bytes(embedded(told))
        golden = golden_vectors(draft)
    if golden.crashes or not golden.runtimes:
        fault = golden.crashes[0] if golden.crashes else "runs on no installed runtime"
        raise ConversionError(path, fault, "use another model")
    told |= {"golden": golden.as_dict(), "runtimes": list(golden.runtimes)}
    write(out, embedded(told))
    return len(labels)


def _check(model: Model) -> None:
    """Reject options that a file's metadata cannot hold. Raises: ConversionError."""
    graph = model.metadata.graph
    if any(has_dynamic_size(tensor.shape) for tensor in graph.inputs):
        fault = "has an input without a size of its own, which the file could not keep"
        raise ConversionError(model.path, fault, "convert it again with a fixed size")
    if len(graph.outputs) != 1:
        fault = (
            f"has {len(graph.outputs)} outputs, and the metadata cannot name the one that is meant"
        )
        raise ConversionError(model.path, fault, "convert it again with the scores alone")
    if not model.metadata.labels and all(label.isdecimal() for label in model.labels):
        raise ConversionError(model.path, "has no labels", "give its labels: --labels FILE")


def as_they_are(spec: InputSpec) -> Normalization:
    """Return what of pixels gives the very values of an input that takes them as they are."""
    shift = 128 if spec.dtype == "int8" else 0
    if not spec.is_quantized:
        return Normalization(float(shift), 1.0)
    return Normalization(float(shift + spec.zero_point), 1 / spec.scale)
