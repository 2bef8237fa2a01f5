"""A .tflite image classifier, loaded and checked; the only class of the device with state."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from edge.classifier import golden
from edge.classifier.answer import Outputs, choose_output, judged, must_sum_to_1
from edge.classifier.inputs import has_dynamic_size, input_shapes, input_spec, maker
from edge.classifier.labels import fit, given_labels
from edge.classifier.metadata import Metadata, read_metadata
from edge.classifier.outputs import OutputSpec
from edge.classifier.runtime import (
    Delegated,
    LoadTimes,
    OpenInterpreter,
    default_num_threads,
    native_chatter,
    open_interpreter,
    runtime_name,
)
from edge.errors import ModelError, ScoresError
from edge.image.preprocess import (
    PREPROCESSING_VERSION,
    Framing,
    InputSpec,
    Normalization,
    Picture,
    Size,
    fill,
    seen,
)

NEVER = 2.0  # a threshold that no score reaches

if TYPE_CHECKING:
    from numpy.typing import NDArray


DEFAULT_MODEL = "hotdog.tflite"


def models_folder() -> Path:
    """Where the shipped models lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def default_model() -> Path:
    """The model that is used when none is named."""
    return models_folder() / DEFAULT_MODEL


def shipped_models() -> list[Path]:
    """All models that ship, by name."""
    return sorted(models_folder().glob("*.tflite"))


def read_model(path: Path) -> bytes:
    """Read a model file. Raises: ModelError."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a FIFO would be waited for
            raise ModelError(path, "is not a regular file", "use a .tflite file")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(path, "no such model file", "check the path") from error
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise ModelError(path, fault, "use a .tflite file") from error
    if not content:
        raise ModelError(path, "is empty", "copy the file again")
    return content


def model_sha256(path: Path) -> str:
    """Return the sha256 of a model file, read once as long as it does not change.

    Raises: ModelError.
    """
    try:
        found = path.stat()
    except OSError:
        return hashlib.sha256(read_model(path)).hexdigest()  # which raises the fault
    key = (str(path), found.st_ino, found.st_size, found.st_mtime_ns)
    if key not in _HASHES:
        _HASHES[key] = hashlib.sha256(read_model(path)).hexdigest()
    return _HASHES[key]


_HASHES: dict[tuple[str, int, int, int], str] = {}


class Model:
    """An image classifier; close it, or use it as a context manager.

    `scores` and `classify` may be called by several threads: they take turns, for images go into
    the model's own memory and scores come out of it. Threads that are to classify at the same time
    need a model each. `load_input` and `invoke` are for one thread, or for who holds `lock`.

    Loading trusts the file, as the native runtimes do, and a damaged one can end the process:
    `edge.classifier.known.ensure_sound` validates a file of unknown origin in its own process.

    Attributes: `path`; `labels`, one for each score; `input` and `output`, the tensors; `metadata`,
    the file's metadata; `runtime`, its name and version; `runtime_name`, "litert" or
    "tflite"; `num_threads`, of one invoke; `warnings`, what is odd about the model; `notes`, how
    its outputs are understood; `load_times`.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        num_threads: int | None = None,
        runtime: str = "auto",
        verbose: bool = False,
        labels: str | os.PathLike[str] | Sequence[str] | None = None,
        normalization: Normalization | None = None,
        framing: Framing | None = None,
        output: str | None = None,
        input_size: Size | None = None,
    ) -> None:
        """Load a model, and check that it is one that can be used.

        Args:
            path: a .tflite file; None is the shipped default.
            num_threads: threads of one invoke; None is one a core, at most 4.
            runtime: "litert", "tflite", or "auto", the first of them that is installed.
            verbose: let the native runtime write to stderr.
            labels: a label file (see `labels.py`), or the labels; None: as in the file.
            normalization: of pixels 0..255, for a float32 or int8 input; None: as in the
                file. A uint8 input takes pixels as they are.
            framing: which part of an image the model sees; None: as in the file.
            output: name or index of the output that holds the scores; None finds it.
            input_size: (height, width) of an input whose size is dynamic; None is 224 x 224.

        Raises: ModelError, RuntimeMissingError.
        """
        self.path = default_model() if path is None else Path(path)
        given = () if labels is None else given_labels(labels)
        self.num_threads = num_threads or default_num_threads()
        content = read_model(self.path)
        self.metadata: Metadata = read_metadata(content, self.path)
        graph = self.metadata.graph
        opened = open_interpreter(
            content,
            self.path,
            runtime=runtime,
            num_threads=self.num_threads,
            verbose=verbose,
            customs=graph.customs,
            shapes=input_shapes(self.path, graph, input_size),
        )
        self._opened: OpenInterpreter | None = opened
        self.lock = threading.Lock()  # 2 microseconds of 1,700
        self.runtime = opened.runtime
        self.runtime_name = runtime_name(opened.runtime)
        self.input = input_spec(self.path, opened.inputs(), self.metadata, normalization, framing)
        names, specs = given or self.metadata.labels, opened.outputs()
        # The file names the output of its own labels, not that of other labels.
        labelled = None if given else self.metadata.labelled_output
        outputs = Outputs(self.path, specs, graph, names, labelled)
        chosen = choose_output(outputs, output)
        must_sum = not names and output is None and must_sum_to_1(chosen, outputs.end(chosen))
        self.labels, fitted = _fitted(self.path, names, chosen.num_outputs)
        # The first invoke prepares the kernels, and a runtime prints about it then.
        with native_chatter(shown=verbose):
            self.output, odd = self._judged(chosen, must_sum)
        self.warnings = tuple(
            filter(None, (fitted, odd, _version_warning(self.metadata), opened.warning))
        )
        self.notes = (*_notes(self.output, outputs), *_input_notes(self, normalization, framing))

    def _judged(self, output: OutputSpec, must_sum: bool) -> tuple[OutputSpec, str]:
        """Invoke, and find out by the values what the graph does not show: whether they are logits.

        Args: the output; whether its values are scores only if they add up to 1.

        Returns: the output, and what is odd about its values.

        Raises: ModelError, also where the model gives no numbers for any image.
        """
        opened, started = self._interpreter, time.perf_counter()
        values = [self._drawn(np.zeros((*self.input.size, 3), np.uint8), output)]
        first_ms = (time.perf_counter() - started) * 1000
        self.load_times = LoadTimes(opened.load_ms, opened.allocate_ms, first_ms)
        is_known = output.are_logits is not None and not must_sum
        if is_known and np.isfinite(values[0]).all():
            return output, ""
        draws = (golden.draw(seed, self.input.size) for seed in range(golden.NUM_GOLDEN))
        values += [self._drawn(picture, output) for picture in draws]
        numbers = [value for value in values if np.isfinite(value).all()]
        if not numbers:
            fault = "outputs NaN, or infinity, for every image"
            raise ModelError(self.path, fault, "convert it again, or check its weights")
        return judged(self.path, output, must_sum, numbers)

    def _drawn(self, picture: Picture, output: OutputSpec) -> NDArray[np.float32]:
        """What an output's values stand for, for an image."""
        self.load_input(picture)
        self._interpreter.invoke()
        return output.real(self._interpreter.view(output))

    def load_input(self, picture: Picture, input: InputSpec | None = None) -> None:
        """Preprocess an image straight into the interpreter's input buffer.

        Args:
            picture: a path, the content of an image file, pixels, or prepared.
            input: `self.input` with another framing; None: itself.

        Raises: ImageError.
        """
        pixels = seen(picture, input or self.input)
        # The interpreter rejects to invoke while a view of its buffer exists; what fails while one
        # does would keep it in its traceback.
        fill(self._interpreter.view(self.input), pixels, self.input)

    def invoke(self) -> NDArray[np.float32]:
        """Run the model on what was loaded: (num_labels,) float32 scores in [0, 1].

        Raises: ModelError; ScoresError where it gives no probabilities for that.
        """
        self._interpreter.invoke()
        values = self.output.real(self._interpreter.view(self.output))
        try:
            return self.output.probabilities(values)
        except ValueError as error:
            fault = f"does not output probabilities ({error})"
            raise ScoresError(self.path, fault, "check how its pixels are normalized") from error

    def scores(self, picture: Picture) -> NDArray[np.float32]:
        """Classify an image: (num_labels,) float32 scores in [0, 1].

        Raises: ImageError, ModelError.
        """
        with self.lock:
            self.load_input(picture)
            return self.invoke()

    def thresholds(self, given: float | None = None) -> NDArray[np.float64]:
        """Return the confidence threshold of each label: (num_labels,).

        Args:
            given: one for all labels; None: the file's own, else 0. A label that means none of the
                others has `NEVER` in any case: its images are always "unknown".
        """
        edge = self.metadata.edge
        own = edge.get("thresholds", {}) if given is None else {}
        common = float(edge.get("threshold") or 0.0) if given is None else given
        none = edge.get("unknown_labels", [])
        return np.array([NEVER if n in none else own.get(n, common) for n in self.labels])

    def verify(self) -> int:
        """Invoke the golden vectors that the file carries, and return how many hold.

        Raises: ModelError where one gives other scores here than where the model was made.
        """
        vectors = self.metadata.edge.get("golden", {})
        tolerance = vectors.get("tolerance", 0.0)
        for seed, expected in enumerate(vectors.get("scores", [])):
            scores = self.scores(golden.draw(seed, self.input.size))
            alike = len(expected) == len(scores)
            change = float(np.abs(scores - np.float32(expected)).max()) if alike else 1.0
            if not change <= tolerance:
                raise ModelError(
                    self.path,
                    f"golden vector {seed} is off by {change:.4f} on {self.runtime} "
                    f"(at most {tolerance:.4f} is allowed)",
                    "copy the file again, or use another runtime",
                )
        return len(vectors.get("scores", []))

    def delegated(self) -> Delegated | None:
        """Return how much of the graph a delegate took; None if unknown."""
        return self._interpreter.delegated()

    def close(self) -> None:
        """Give the interpreter's memory back; the model cannot be used after that."""
        self._opened = None

    @property
    def _interpreter(self) -> OpenInterpreter:
        if self._opened is None:
            raise ValueError("the model is closed")
        return self._opened

    def __enter__(self) -> Self:
        """Return the model itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the model."""
        self.close()


def _fitted(path: Path, labels: tuple[str, ...], num_outputs: int) -> tuple[tuple[str, ...], str]:
    """A label for each score, and what is odd about them. Raises: ModelError."""
    try:
        return fit(labels, num_outputs)
    except ValueError as error:
        fault = f"its labels and outputs disagree ({error})"
        raise ModelError(path, fault, "use the label file of this model") from error


def _version_warning(metadata: Metadata) -> str:
    version = metadata.edge.get("preprocessing", {}).get("version", PREPROCESSING_VERSION)
    if version == PREPROCESSING_VERSION:
        return ""
    return (
        f"the model was measured with version {version} of the preprocessing, but this is version "
        f"{PREPROCESSING_VERSION}; train or wrap it again, or expect small differences"
    )


def _notes(output: OutputSpec, outputs: Outputs) -> tuple[str, ...]:
    """How the scores are understood."""
    found = []
    if len(outputs.specs) > 1:
        name = (*outputs.graph.names_of(output.index)[-1:], "")[0]
        called = f"{name} {output.shape}".strip()
        found.append(f"of {len(outputs.specs)} outputs, {called} holds the scores (--output)")
    if output.are_logits:
        function = "a softmax" if output.num_outputs > 1 else "a sigmoid"
        found.append(f"the model outputs logits; {function} makes them probabilities")
    return tuple(found)


def _input_notes(
    model: Model, normalization: Normalization | None, framing: Framing | None
) -> tuple[str, ...]:
    """How images become its input."""
    found = []
    graph = model.metadata.graph
    made_by = maker(model.metadata)
    if made_by and not framing:
        how = f"images are framed by {made_by.resize}"
        found.append(f"made by {made_by.name}, judging by the names in it: {how}")
    if any(has_dynamic_size(tensor.shape) for tensor in graph.inputs):
        size = " x ".join(map(str, model.input.size))
        found.append(f"its input size is dynamic; {size} is used here (--input-size)")
    if normalization and model.input.dtype == np.uint8:
        found.append("a uint8 input takes pixels as they are: the normalization is ignored")
    return tuple(found)
