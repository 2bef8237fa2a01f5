"""python -m convert wrap: add metadata to a model made elsewhere, and measure it on photos."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from convert.errors import ConversionError
from convert.files import write
from convert.options import DEFAULTS
from convert.report.page import pictures, report_html
from convert.report.report import Report, card_json
from convert.tflite import elsewhere
from convert.tflite.alter import with_input_size, with_output
from convert.tflite.elsewhere import Draft
from edge.classifier.inputs import has_dynamic_size
from edge.classifier.known import ensure_sound
from edge.classifier.model import Model, read_model
from edge.commands.arguments import add_fact_arguments, facts, score
from edge.image.preprocess import Framing, InputSpec, Normalization

NAME = "convert wrap"
FRAMINGS = {"stretch": "squash", "crop": "crop", "pad": "pad"}
QUANTIZE = "python -m convert quantize FILE --photos PHOTOS -o OUT"
TORCH = "litert_torch.convert(model.eval(), (torch.rand(1, 3, 224, 224),)).export('model.tflite')"
# How other tools' files become .tflite files.
OTHERS = {
    ".onnx": "convert it first: pip install onnx2tf, then onnx2tf -i FILE",
    ".pt": f"convert it first, in Python: pip install litert-torch, then {TORCH}",
    ".pth": f"convert it first, in Python: pip install litert-torch, then {TORCH}",
    ".keras": f"pass it to: {QUANTIZE}",
    ".h5": f"pass it to: {QUANTIZE}",
    ".pb": f"pass its SavedModel's folder to: {QUANTIZE}",
}
KEPT = ("network", "variant", "data", "threshold", "temperature")  # of a file of ours
DESCRIPTION = (
    "Add labels, normalization, framing and golden vectors to a copy of a .tflite classifier, and "
    "measure it on photos."
)
EXAMPLES = """\
OUT carries labels, normalization, framing and golden vectors, computed by the installed runtimes.
Every command then takes it without an option, and other readers of TFLite metadata know its labels.
Of several outputs it keeps the one with the scores; a dynamic input gets a size.

With --photos (one folder per class, named as the labels) it is measured: temperature and threshold
are chosen on most of the photos, and the accuracy on the others is measured once. OUT then carries
these too. The report and the card are written beside it: OUT-report.html, OUT.json.

examples:
  python -m convert wrap model_unquant.tflite --labels labels.txt -o mine.tflite
  python -m convert wrap float.tflite --labels names.json --normalize '[0,1]' \\
      --photos photos/ -o mine.tflite
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of wrap, and its help text."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .tflite classifier")
    add_fact_arguments(parser)
    add_measuring_arguments(parser)
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT", help="the file to write"
    )


def add_measuring_arguments(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add --framing, --photos and --threshold-precision."""
    parser.add_argument(
        "--framing",
        choices=FRAMINGS,
        help="how an image is fitted to the input size (default: the maker's, else stretch)",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        required=required,
        metavar="PHOTOS",
        help="measure it on these photos: one folder per class, named as the labels",
    )
    parser.add_argument(
        "--threshold-precision",
        type=score,
        default=DEFAULTS["threshold_precision"],
        metavar="P",
        help="precision of every label above the threshold (default: %(default)s)",
    )


def main(args: argparse.Namespace) -> int:
    """Wrap a model; the step's entry."""
    options = facts(args)
    if args.framing:
        options["framing"] = Framing(FRAMINGS[args.framing])
    draft = draft_of(args.model, options)
    if args.photos is None:
        draft = draft.verified()
        write(args.out, draft.embedded())
        print(f"{args.out}: {len(draft.labels)} labels")
        return 0
    report, content = measured(draft, args.photos, args.out.name, args.threshold_precision)
    write(args.out, content)
    beside = args.out.with_suffix("")
    write(Path(f"{beside}-report.html"), report_html(report, pictures(report)))
    write(Path(f"{beside}.json"), (json.dumps(card_json(report), indent=2) + "\n").encode())
    print(f"{args.out}: {len(draft.labels)} labels; {summary(report)}")
    return 0


def summary(report: Report) -> str:
    """Return accuracy, temperature, threshold and verdict in one line."""
    chosen = report.chosen
    assert chosen.test is not None
    return (
        f"accuracy {chosen.test.accuracy} on test, {chosen.val.accuracy} on the photos that "
        f"temperature {report.temperature:.2f} and thresholds (at most "
        f"{report.thresholds.highest:.3f}) were chosen on; {report.sentence}"
    )


def draft_of(path: Path, options: dict[str, Any]) -> Draft:
    """Collect the metadata of a copy of a model.

    Args:
        path: of the model.
        options: what Model takes beside a path.

    Raises: ModelError, ConversionError, RuntimeMissingError.
    """
    if way := OTHERS.get(path.suffix.lower()):
        raise ConversionError(path, "is not a .tflite file", way)
    ensure_sound(path, input_size=options.get("input_size"))
    content = read_model(path)
    with Model(path, **options) as model:
        own = model.metadata.edge
        if not own and not model.metadata.labels and all(map(str.isdecimal, model.labels)):
            raise ConversionError(path, "has no labels", "pass its labels: --labels FILE")
        return Draft(
            name=path.stem,
            variant=str(own.get("variant", "wrapped")),
            content=_altered(model, content),
            labels=model.labels,
            normalization=model.input.normalization or as_they_are(model.input),
            framing=model.input.framing,
            facts={
                **{name: own[name] for name in KEPT if name in own},
                "preprocessing": _trained(own),
                "wrapped_sha256": hashlib.sha256(content).hexdigest(),
            },
        )


def _trained(own: dict[str, Any]) -> dict[str, Any]:
    """Under which version of the preprocessing a model of ours was trained, if another."""
    before = own.get("preprocessing", {})
    trained = before.get("trained_version", before.get("version"))
    return {} if trained is None else {"trained_version": trained}


def _altered(model: Model, content: bytes) -> bytes:
    """Return the model with one output, and an input of a fixed size."""
    graph = model.metadata.graph
    if len(graph.outputs) > 1:
        content = with_output(content, model.output.index)
    if any(has_dynamic_size(tensor.shape) for tensor in graph.inputs):
        content = with_input_size(content, model.input.size)
    return content


def measured(draft: Draft, folder: Path, file: str, precision: float) -> tuple[Report, bytes]:
    """Measure a wrapped model on photos; return the report, and the file's content."""
    dataset = elsewhere.labelled_photos(folder, draft.labels)
    val = (*dataset.train, *dataset.val)  # nothing was trained here: all may be chosen on
    before = draft.verified().evaluated(val, "val").scores
    found = elsewhere.measured(elsewhere.tempered_draft(draft, before, val), val, precision)
    found = elsewhere.finished(found, dataset.test)
    variant = elsewhere.variant_of(found, file, None)
    with found.draft.file() as path, Model(path) as model:
        size = model.input.size
    report = elsewhere.report_of(
        found,
        [variant],
        dataset,
        val,
        before,
        command=f"python -m convert wrap MODEL --photos PHOTOS -o {file}",
        reason=f"ship {file}",
        size=size,
    )
    return report, found.draft.embedded()


def as_they_are(spec: InputSpec) -> Normalization:
    """Return what of pixels gives the very values of an input that takes them as they are."""
    shift = 128 if spec.dtype == "int8" else 0
    if not spec.is_quantized:
        return Normalization(float(shift), 1.0)
    return Normalization(float(shift + spec.zero_point), 1 / spec.scale)
