"""Which tool made a model, by the names in its graph, and what that tool does to images."""

from __future__ import annotations

from typing import NamedTuple

from edge.classifier.file.graph import Graph
from edge.image.preprocess import Normalization


class Maker(NamedTuple):
    """A tool that makes models, and what its own preprocessing does."""

    name: str
    resize: str  # see Framing
    normalization: Normalization  # of a float input


# https://github.com/googlecreativelab/teachablemachine-community (libraries/image): the centre
# square, then 2 * pixel / 255 - 1.
TEACHABLE_MACHINE = Maker("Teachable Machine", "crop", Normalization(127.5, 127.5))
# https://docs.edgeimpulse.com: "fit shortest axis" is the default, then pixel / 255.
EDGE_IMPULSE = Maker("Edge Impulse", "crop", Normalization(0.0, 255.0))


def maker_of(graph: Graph) -> Maker | None:
    """Return the tool that made a model; None if its tensor names do not show it."""
    parts = {part for name in graph.names for part in name.replace(";", "/").split("/")}
    # TensorFlow.js, in which it trains, numbers layers like this; no other tool nests them so.
    if any(part.startswith("dense_Dense") for part in parts) and any(
        part.startswith("sequential_") for part in parts
    ):
        return TEACHABLE_MACHINE
    inputs = {name for tensor in graph.inputs for name in tensor.names}
    if "y_pred" in parts and any("x_input" in name for name in inputs):
        return EDGE_IMPULSE
    return None
