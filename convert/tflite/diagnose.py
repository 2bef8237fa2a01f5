"""Name the layers in which an int8 model loses the most; in a process of its own.

    python -m convert.tflite.diagnose FLOAT.tflite INT8.tflite PIXELS.npy [COUNT]

Both files are of one network. All their activations are kept and compared by name, channel by
channel: one scale serves all channels of a tensor, so that one with large values drowns the
others, which an error of the tensor as a whole would hide.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.errors import ConversionError
from convert.tflite.process import last_words, run_module
from edge.image.preprocess import Pixels

NUM_PICTURES = 32  # at most: kept activations cost time, and more add nothing

# What names a layer that the converter has fused of several operations: where its weights went.
_WEIGHTED = ("/convolution", "/depthwise", "/MatMul")


def worst_layers(
    float_path: Path, int8_path: Path, pixels: Pixels, count: int = 5
) -> tuple[str, ...]:
    """Return the layers that lose most, worst first, such as "stem (0.31, 0.04 before)".

    The figure is the share that a layer's output has lost to quantization: per channel, root mean
    square error over standard deviation, at most 1; the mean over channels. "Before" is the
    maximum figure of the layer's inputs, and the difference of both ranks it.

    Args:
        float_path: the float32 variant.
        int8_path: an int8 variant of the same network.
        pixels: (num_photos, h, w, 3) uint8, at the models' size; the first NUM_PICTURES are used.
        count: how many layers at most.

    Raises: ConversionError.
    """
    with tempfile.TemporaryDirectory(dir=int8_path.parent, prefix=".work-") as folder:
        np.save(Path(folder) / "pixels.npy", pixels[:NUM_PICTURES])
        arguments = [str(float_path), str(int8_path), f"{folder}/pixels.npy", str(count)]
        done = run_module(__name__, *arguments)
    if done.returncode:
        fault = f"its layers cannot be compared ({last_words(done)})"
        raise ConversionError(int8_path.name, fault, "compare the variants' accuracy instead")
    return tuple(json.loads(done.stdout))


@dataclass
class Lost:
    """What quantization took from one activation, gathered image by image; per channel."""

    count: int = 0
    total: NDArray[np.float64] | float = 0.0
    squares: NDArray[np.float64] | float = 0.0
    errors: NDArray[np.float64] | float = 0.0

    def add(self, real: NDArray[Any], found: NDArray[Any]) -> None:
        """Add one image's activation, (..., channels), in float and dequantized from int8."""
        real, found = (a.reshape(-1, a.shape[-1]).astype(np.float64) for a in (real, found))
        self.count += len(real)
        self.total += real.sum(axis=0)
        self.squares += np.square(real).sum(axis=0)
        self.errors += np.square(found - real).sum(axis=0)

    @property
    def share(self) -> float:
        """0, nothing is lost, to 1, nothing is left; the mean over channels."""
        variance = self.squares / self.count - np.square(self.total / self.count)
        # A channel that never changes carries no information: its error is not counted.
        error = np.where(variance > 1e-12, self.errors / self.count, 0.0)
        ratio = error / np.maximum(variance, 1e-12)
        return float(np.sqrt(np.minimum(ratio, 1.0)).mean())


def compare(float_path: Path, int8_path: Path, pixels: Pixels) -> list[tuple[str, float, float]]:
    """Return (layer, share lost in its output, maximum share lost in its inputs), in order."""
    real, found = Activations(float_path), Activations(int8_path)
    shared = [name for name in found.names if name in real.names]
    lost = {name: Lost() for name in shared}
    for picture in pixels:
        real.invoke(picture)
        found.invoke(picture)
        for name in shared:
            lost[name].add(real.read(name), found.read(name))
    share = {name: gathered.share for name, gathered in lost.items()}
    return [
        (layer_name(name), share[name], max((share.get(i, 0.0) for i in inputs), default=0.0))
        for name, inputs in found.inputs_of.items()
        if name in share
    ]


class Activations:
    """A model whose activations can be read after it was invoked: no delegate, nothing reused."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            str(path),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        self._details = {d["index"]: d for d in self._interpreter.get_tensor_details()}
        operators = self._interpreter._get_ops_details()
        self.names = {
            self._details[index]["name"]: self._details[index]
            for operator in operators
            for index in operator["outputs"]
            if self._details[index]["dtype"] in (np.float32, np.int8)
        }
        self.inputs_of = {
            self._details[operator["outputs"][0]]["name"]: self._names_of(operator["inputs"])
            for operator in operators
        }

    def _names_of(self, indices: Iterable[int]) -> list[str]:
        return [self._details[index]["name"] for index in indices if index >= 0]

    def invoke(self, picture: Pixels) -> None:
        """Invoke on one (h, w, 3) image: pixels go in as they are."""
        detail = self._interpreter.get_input_details()[0]
        self._interpreter.set_tensor(detail["index"], picture[None].astype(detail["dtype"]))
        self._interpreter.invoke()

    def read(self, name: str) -> NDArray[np.float32]:
        """Return an activation, dequantized."""
        detail = self.names[name]
        values = self._interpreter.get_tensor(detail["index"]).astype(np.float32)
        scale, zero_point = detail["quantization"]
        return np.asarray((values - zero_point) * scale if scale else values, np.float32)


def layer_name(tensor: str) -> str:
    """Return the layer's name of a tensor's, as Keras exports it and the converter fuses it.

    "net_1/relu_1/Relu6;net_1/base_1/stem_1/convolution;..." is the layer "stem": the export puts
    "_1" behind every name.
    """
    parts = tensor.split(";")
    named = next(
        (part for part in parts if part.rstrip("0123456789").endswith(_WEIGHTED)), parts[0]
    )
    scopes = named.split("/")
    layer = scopes[-2] if len(scopes) > 1 else scopes[0]
    return layer.removesuffix("_1") if scopes[0].endswith("_1") else layer


def main() -> int:
    """Print the worst layers as a JSON list."""
    float_path, int8_path, pixels, *count = sys.argv[1:]
    found = compare(Path(float_path), Path(int8_path), np.load(pixels))
    found.sort(key=lambda layer: layer[2] - layer[1])
    worst = found[: int(count[0]) if count else 5]
    print(json.dumps([f"{name} ({lost:.2f}, {before:.2f} before)" for name, lost, before in worst]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
