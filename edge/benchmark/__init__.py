"""The benchmark: how long a model takes on this machine, and how far that can be believed."""

from edge.benchmark.stages import DRAWN_SIZE, drawn_picture

__all__ = ["DRAWN_SIZE", "drawn_picture"]
