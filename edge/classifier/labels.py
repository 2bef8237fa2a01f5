"""Labels as others write them (a name a line, `0 name` lines, JSON), and how they fit a model."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.errors import ModelError

NO_LABELS = "the model has no labels; output indices are used (0, 1, ...); use --labels FILE"
MOST_BYTES = 16_000_000  # of a label file
MOST_PYTHON = 1_000_000  # characters of Python's form: its parser takes a hundred bytes for each
BACKGROUND = "background"
IMAGENET = 1000  # labels; models with one more have the background first

# Numbers before labels are left out where that makes at most this share of the labels equal. In
# ImageNet's 1,000 names crane and maillot occur twice; 1 finger and 2 fingers would all be equal.
MAX_EQUAL = 0.05
# Under these keys others keep a list or a map of labels: Keras, Lobe, Edge Impulse, Teachable
# Machine, Hugging Face, Ultralytics. Each may lie within another.
KEYS = (
    "labels",
    "class_names",
    "classes",
    "Label",
    "id2label",
    "names",
    "categories",
    "class_indices",
    "model_parameters",
)
MAX_DEPTH = 4  # of keys within keys

TEXT_ENDS = "\0\x1a"  # which DOS and C programs leave at a text's end

_NUMBERED = r"(\d{1,7})(?:\s*[:,;]\s*|\s+)(\S.*)"


def given_labels(labels: str | os.PathLike[str] | Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a file, or those that are given. Raises: ModelError."""
    if isinstance(labels, str | os.PathLike):
        return read_labels(Path(labels))
    return tuple(labels)


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a label file, one label for each output. Raises: ModelError."""
    remedy = "use a file with one label per line, `0 label` lines, or JSON"
    try:
        if path.exists() and not path.is_file():  # a FIFO would be waited for, forever
            raise ModelError(path, "is not a label file", remedy)
        if path.stat().st_size > MOST_BYTES:
            raise ModelError(path, "is too large for a label file", remedy)
        labels = parse_labels(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(path, "no such label file", "check the path") from error
    except OSError as error:
        raise ModelError(path, f"cannot be read ({error.strerror})", remedy) from error
    except UnicodeError as error:
        raise ModelError(path, "is not a label file in UTF-8", "save it as UTF-8") from error
    except ValueError as error:
        raise ModelError(path, f"is not a label file ({error})", remedy) from error
    if not labels:
        raise ModelError(path, "contains no labels", remedy)
    return labels


def parse_labels(content: bytes | str) -> tuple[str, ...]:
    """Return the labels, in the order of the outputs. Raises: ValueError.

    One per line, without the blanks around it; empty lines at the end and `# comment` lines do not
    count. Or numbered, as `0 label`. Or JSON, or what Python prints of it: a list,
    `{"0": "label"}`, `{"label": 0}`, Keras's `{"0": ["n01440764", "label"]}`, or one of these
    under a key of KEYS.
    """
    text = content if isinstance(content, str) else _decoded(content)
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return _of_json(_loaded(text))
        except (json.JSONDecodeError, RecursionError) as error:
            if _is_meant_as_json(text):  # else a label begins with a bracket
                raise ValueError(f"broken JSON: {error}") from error
    lines = [line.strip() for line in re.split("\r\n|\r|\n", text)]
    if any(line.startswith("# ") for line in lines):  # else "#" may be a label
        lines = [line for line in lines if line != "#" and not line.startswith("# ")]
    while lines and not lines[-1]:
        lines.pop()
    return _numbered(lines) or tuple(lines)


def described_labels(content: bytes) -> tuple[str, ...]:
    """Return the labels under a key of KEYS in a model's description; () where it has none."""
    with contextlib.suppress(ValueError, RecursionError):  # JSON and Unicode of any kind
        data = _loaded(_decoded(content))
        if isinstance(data, dict) and any(isinstance(data.get(key), list | dict) for key in KEYS):
            return _of_json(data)
    return ()


def _decoded(content: bytes) -> str:
    """Decode UTF-8, or UTF-16 with its mark, as Windows writes it. Raises: UnicodeError."""
    is_utf16 = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    text = content.decode("utf-16" if is_utf16 else "utf-8").rstrip(TEXT_ENDS)
    if "\0" in text:  # UTF-16 without its mark
        raise UnicodeError("zero bytes")
    return text


def _loaded(text: str) -> Any:
    """Read JSON, or what Python prints of it, as Ultralytics keeps it. Raises: JSONDecodeError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if len(text) > MOST_PYTHON:
            raise
        import ast  # which few files need

        with contextlib.suppress(ValueError, SyntaxError, MemoryError):
            return ast.literal_eval(text.strip())
        raise


def _is_meant_as_json(text: str) -> bool:
    """Whether text is in brackets: the last line closes what the first opens."""
    lines = text.strip().splitlines()
    closing = {"[": "]", "{": "}"}[lines[0][0]]
    return lines[-1].endswith(closing) and (len(lines) == 1 or not lines[0].endswith(closing))


def _numbered(lines: list[str]) -> tuple[str, ...]:
    """The labels of `0 label` lines; empty where the numbers are a part of the labels.

    They count the labels where they run from 0 or from 1 without a gap, and the labels differ
    without them: "1 euro" and "2 euro" do not, nor do "1 finger" and "2 fingers".
    """
    matches = [re.fullmatch(_NUMBERED, line) for line in lines if line]
    found = {int(match[1]): match[2] for match in matches if match}
    first = min(found, default=0)
    if first > 1 or len(found) < len(matches) or max(found, default=-1) - first + 1 != len(found):
        return ()
    differing = {label.casefold().rstrip("s") for label in found.values()}
    if len(differing) < (1 - MAX_EQUAL) * len(found):
        return ()
    return tuple(found[index] for index in sorted(found))


def _by_index(found: dict[int, str]) -> tuple[str, ...]:
    """The labels from 0, or 1; a gap has its index for a label. Empty where there is no sense."""
    if not found or min(found) > 1 or max(found) > 2 * len(found):
        return ()
    if sorted(found) == list(range(1, len(found) + 1)):
        return tuple(found[index] for index in sorted(found))
    return tuple(found.get(index, str(index)) for index in range(max(found) + 1))


def _of_json(data: Any, depth: int = MAX_DEPTH) -> tuple[str, ...]:
    if isinstance(data, list) and all(isinstance(label, str) for label in data):
        return tuple(label.strip() for label in data)
    if isinstance(data, dict):
        for pairs in (data.items(), ((label, index) for index, label in data.items())):
            found = dict(filter(None, (_indexed(index, label) for index, label in pairs)))
            if len(found) == len(data) and (labels := _by_index(found)):
                return labels
        inner = next((data[key] for key in KEYS if isinstance(data.get(key), list | dict)), None)
        if inner is not None and depth:
            return _of_json(inner, depth - 1)
    raise ValueError("JSON must be a list of labels, or labels by index")


def _indexed(index: Any, label: Any) -> tuple[int, str] | None:
    """(index, label) of one pair of a JSON object; None where it is none."""
    if isinstance(label, list) and label:
        label = label[-1]
    if not isinstance(label, str):
        return None
    if isinstance(index, str) and index.isdecimal():
        return int(index), label.strip()
    if isinstance(index, int) and not isinstance(index, bool) and index >= 0:
        return index, label.strip()
    return None


def fit(labels: tuple[str, ...], num_outputs: int) -> tuple[tuple[str, ...], str]:
    """Return a label for each score, and what was done to make them fit (empty: nothing).

    Where there are no labels, indices stand for them; one sigmoid stands for two labels; models of
    ImageNet have 1,000 outputs or, with the background first, 1,001. Raises: ValueError.
    """
    num_scores = max(num_outputs, 2)
    if not labels:
        names = tuple(str(index) for index in range(num_scores))
        return (
            names,
            NO_LABELS,
        )
    if len(labels) == num_scores:
        return labels, ""
    if "" in labels and len(filled := tuple(filter(None, labels))) == num_scores:
        return filled, "empty lines of the label file are ignored"
    if (len(labels), num_outputs) == (1, 1):
        return (f"not {labels[0]}", labels[0]), ""
    if num_outputs >= 2 and len(labels) == num_outputs + 1 and _has_background(labels):
        said = f"the model has no output for the first label ({labels[0]}), which is ignored"
        return labels[1:], said
    if (len(labels), num_outputs) == (IMAGENET, IMAGENET + 1):
        said = f"the labels lack the model's first output, which is used as {BACKGROUND}"
        return (BACKGROUND, *labels), said
    raise ValueError(f"{len(labels)} labels, {num_outputs} outputs")


def _has_background(labels: tuple[str, ...]) -> bool:
    return labels[0].strip("_ ").lower() == BACKGROUND or len(labels) == IMAGENET + 1


def fits(labels: tuple[str, ...], num_outputs: int) -> bool:
    """Whether there is a label for each output, or can be."""
    try:
        fit(labels, num_outputs)
    except ValueError:
        return False
    return True
