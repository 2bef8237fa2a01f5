"""Others at the same photos: the usual ten lines, and classifiers in environments of their own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

from edge.classifier.model import Model
from edge.classifier.runtime import default_num_threads, installed_runtimes
from edge.errors import EdgeError
from edge.files import cache_folder
from edge.image.framing import WHOLE
from edge.names import RUNTIMES

# As many lines as it takes that many people; our own options are not needed.
SCRIPT = """
import sys
import numpy as np
from PIL import Image
from {module}.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads={threads})
interpreter.allocate_tensors()
(input,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
image = Image.open(sys.argv[2]).convert("RGB").resize(tuple(input["shape"][2:0:-1]))
tensor = np.asarray(image, input["dtype"])[None]
interpreter.set_tensor(input["index"], tensor)
interpreter.invoke()
scores = interpreter.get_tensor(output["index"])[0]
print(scores.argmax(), scores.max())
"""
ANSWERING = """
print("ready", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    found = classifier.classify(load(line.rstrip()))
    label = found.classifications[0].categories[0].category_name
    print(1000 * (time.perf_counter() - began), label, flush=True)
"""
MEDIAPIPE = (
    """
import sys, time
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(BaseOptions(model_asset_path=sys.argv[1]), max_results=1)
classifier = vision.ImageClassifier.create_from_options(options)
load = mediapipe.Image.create_from_file
"""
    + ANSWERING
)
TASK_LIBRARY = (
    """
import sys, time
from tflite_support.task import vision
classifier = vision.ImageClassifier.create_from_file(sys.argv[1])
load = vision.TensorImage.create_from_file
"""
    + ANSWERING
)
PEERS = {
    "mediapipe": ("MediaPipe", "mediapipe", MEDIAPIPE),
    "task_library": ("Task Library", "tflite-support", TASK_LIBRARY),
}


@dataclass(frozen=True)
class Peer:
    """Another classifier at work in a process of its own: a path in, milliseconds out."""

    name: str
    process: subprocess.Popen[str] = field(repr=False)

    def __call__(self, path: Path) -> float:
        """Classify a photo; return the milliseconds that it took."""
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise EdgeError(self.name, "ended before its answer", "try it alone")
        return float(line.split()[0])


def usual_way(model: Model) -> Callable[[Path], int]:
    """What ten lines do, on the same runtime, with as many threads."""
    module = import_module(f"{RUNTIMES[installed_runtimes()[0]]}.interpreter")
    interpreter = module.Interpreter(model_path=str(model.path), num_threads=default_num_threads())
    interpreter.allocate_tensors()
    input, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    height, width = model.input.size

    def label(path: Path) -> int:
        """What the usual ten lines say of a photo."""
        pixels = np.asarray(Image.open(path).convert("RGB").resize((width, height)))
        if input["dtype"] == np.int8:
            pixels = pixels.astype(np.int16) - 128
        elif input["dtype"] == np.float32 and model.input.normalization:
            normalization = model.input.normalization
            pixels = (pixels - np.float32(normalization.mean)) / np.float32(normalization.std)
        interpreter.set_tensor(input["index"], pixels.astype(input["dtype"])[None])
        interpreter.invoke()
        return int(interpreter.get_tensor(output["index"])[0].argmax())

    return label


def decode(path: Path, model: Model) -> None:
    """Decode a JPEG at the DCT scale that the model needs, and nothing else."""
    with Image.open(path, formats=("JPEG",)) as image:
        by = WHOLE.reduction((image.height, image.width), model.input.size)
        image.draft(None, (image.width // by, image.height // by))
        image.load()


@contextlib.contextmanager
def opened(name: str, package: str, code: str, model: Path) -> Iterator[Peer]:
    """Start another classifier, installed into an environment of its own where it is not yet."""
    home = cache_folder() / "peers" / package
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        command = [python, *"-m pip install --quiet --only-binary :all:".split(), package]
        if subprocess.run(command, stdout=sys.stderr).returncode:
            raise EdgeError(package, "does not install for this Python", "remove it from the list")
        (home / "ready").touch()
    process = subprocess.Popen(
        [python, "-c", code, str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            if process.stdout.readline() != "ready\n":
                remedy = "try it alone; MediaPipe needs apt install libegl1 libgles2"
                raise EdgeError(package, "does not start, or rejects the model", remedy)
            yield Peer(name, process)
        finally:
            process.kill()
