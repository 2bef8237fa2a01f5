"""A .tflite image classifier, loaded and checked; the only class of the device with state."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edge import golden
from edge.errors import ModelError
from edge.metadata import Metadata, read_metadata
from edge.preprocess import PREPROCESSING_VERSION, InputSpec, Picture, preprocess
from edge.runtime import default_num_threads, native_chatter, open_interpreter
from edge.tensor import TensorSpec, dequantize

DEFAULT_MODEL = "hotdog.tflite"


def models_folder() -> Path:
    """Where the shipped models lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def default_model() -> Path:
    """The model that is used when none is named."""
    return models_folder() / DEFAULT_MODEL


def shipped_models() -> list[Path]:
    """All models that ship, by name."""
    return sorted(models_folder().glob("*.tflite"))


class Model:
    """An image classifier; close it, or use it as a context manager. Not for several threads."""

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        num_threads: int | None = None,
        runtime: str = "auto",
        verbose: bool = False,
    ) -> None:
        """Load a model, and check that it is one that can be used.

        Args:
            path: a .tflite file; None is the shipped default.
            num_threads: threads of one invoke; None is one a core, at most 4.
            runtime: "litert", "tflite", or "auto", the first of them that is installed.
            verbose: let the native runtime write to stderr.

        Raises: ModelError, RuntimeMissingError.
        """
        self.path = default_model() if path is None else Path(path)
        content = _read(self.path)
        self.metadata: Metadata = read_metadata(content, self.path)
        opened = open_interpreter(
            content,
            self.path,
            runtime=runtime,
            num_threads=num_threads or default_num_threads(),
            verbose=verbose,
        )
        self._interpreter: Any = opened.interpreter
        self.runtime = opened.runtime
        self.input = _input(self.path, self._interpreter, self.metadata)
        self.output = _output(self.path, self._interpreter)
        self.labels = _labels(self.path, self.output.shape[1], self.metadata.labels)
        self.warnings = _warnings(self.metadata)
        # The first invoke prepares the kernels, and is where a runtime tells of it.
        with native_chatter(shown=verbose):
            self.load_input(np.zeros((*self.input.size, 3), np.uint8))
            self._run()

    def load_input(self, picture: Picture) -> None:
        """Preprocess a picture straight into the interpreter's input buffer. Raises: ImageError."""
        # The view must not outlive the call: the interpreter refuses to invoke while one exists.
        preprocess(picture, self.input, out=self._interpreter.tensor(self.input.index)())

    def invoke(self) -> NDArray[np.float32]:
        """Run the model on what was loaded: (num_labels,) float32 scores in [0, 1].

        Raises: ModelError.
        """
        self._run()
        scores = dequantize(self._interpreter.get_tensor(self.output.index)[0], self.output)
        if not (scores.min() >= -0.01 and scores.max() <= 1.01):
            raise ModelError(
                self.path, "its outputs are not probabilities", "end it in a sigmoid or softmax"
            )
        if len(scores) == 1:  # one sigmoid for two labels: the probability of the second
            scores = np.concatenate([1 - scores, scores])
        return np.clip(scores, 0.0, 1.0)

    def _run(self) -> None:
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            fault = f"{self.runtime} cannot invoke it ({reason})"
            raise ModelError(self.path, fault, "copy the file again, or use another") from error

    def scores(self, picture: Picture) -> NDArray[np.float32]:
        """Classify a picture: (num_labels,) float32 scores in [0, 1]. Raises: ImageError."""
        self.load_input(picture)
        return self.invoke()

    def verify(self) -> int:
        """Invoke the golden vectors that the file carries, and return how many hold.

        Raises: ModelError where one gives other scores here than where the model was made.
        """
        vectors = self.metadata.edge.get("golden", {})
        tolerance = vectors.get("tolerance", 0.0)
        for seed, expected in enumerate(vectors.get("scores", [])):
            scores = self.scores(golden.draw(seed, self.input.size))
            change = float(np.abs(scores - np.asarray(expected, np.float32)).max())
            if not change <= tolerance:
                raise ModelError(
                    self.path,
                    f"golden vector {seed} is off by {change:.4f} on {self.runtime} "
                    f"(at most {tolerance:.4f} is right)",
                    "copy the file again, or use another runtime",
                )
        return len(vectors.get("scores", []))

    def close(self) -> None:
        """Give the interpreter's memory back."""
        self._interpreter = None

    def __enter__(self) -> Self:
        """Return the model itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the model."""
        self.close()


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(path, "no such model file", "check the path") from error
    except OSError as error:
        raise ModelError(
            path, f"cannot be read ({error.strerror})", "give a .tflite file"
        ) from error
    if not content:
        raise ModelError(path, "is empty", "copy the file again")
    return content


def _spec(detail: dict[str, Any]) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(length) for length in detail["shape"])
    dtype = np.dtype(detail["dtype"])
    return TensorSpec(int(detail["index"]), shape, dtype, float(scale), int(zero_point))


def _input(path: Path, interpreter: Any, metadata: Metadata) -> InputSpec:
    details = interpreter.get_input_details()
    if len(details) != 1:
        raise ModelError(
            path, f"must have one input. Received: {len(details)}", "give an image classifier"
        )
    spec = _spec(details[0])
    if len(spec.shape) != 4 or spec.shape[0] != 1 or spec.shape[3] != 3:
        raise ModelError(
            path,
            f"its input must be (1, height, width, 3). Received: {spec.shape}",
            "give an image classifier for RGB pictures",
        )
    if spec.dtype not in (np.float32, np.uint8, np.int8):
        raise ModelError(
            path,
            f"its input must be float32, uint8 or int8. Received: {spec.dtype}",
            "convert it again",
        )
    if spec.dtype == np.float32 and metadata.normalization is None:
        raise ModelError(
            path,
            "is a float model that does not say how its pixels are normalized",
            "give one with TFLite Metadata, such as python -m convert makes",
        )
    return InputSpec(
        spec.index, spec.shape, spec.dtype, spec.scale, spec.zero_point, metadata.normalization
    )


def _output(path: Path, interpreter: Any) -> TensorSpec:
    details = interpreter.get_output_details()
    specs = [_spec(detail) for detail in details]
    if len(specs) != 1 or len(specs[0].shape) != 2 or specs[0].shape[0] != 1:
        raise ModelError(
            path,
            f"must have one output (1, labels). Received: {[spec.shape for spec in specs]}",
            "give an image classifier",
        )
    return specs[0]


def _labels(path: Path, num_outputs: int, labels: tuple[str, ...]) -> tuple[str, ...]:
    num_labels = max(num_outputs, 2)  # one sigmoid stands for two labels
    if not labels:
        return tuple(str(index) for index in range(num_labels))
    if len(labels) != num_labels:
        raise ModelError(
            path,
            f"its labels and outputs disagree ({len(labels)} labels, {num_outputs} outputs)",
            "convert it again with the right labels",
        )
    return labels


def _warnings(metadata: Metadata) -> tuple[str, ...]:
    found = []
    if not metadata.labels:
        found.append("the model carries no labels; its indices stand for them")
    version = metadata.edge.get("preprocessing", {}).get("version", PREPROCESSING_VERSION)
    if version != PREPROCESSING_VERSION:
        found.append(
            f"the model was trained under version {version} of the preprocessing, this is version "
            f"{PREPROCESSING_VERSION}; train it again, or expect small differences"
        )
    return tuple(found)
