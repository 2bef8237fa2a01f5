"""Saves the next frame as an example of a label, on a command."""

from __future__ import annotations

from edge.image.preprocess import encode_jpeg, read_image
from edge.service.control import Control
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.dataset import Dataset


class Kept(Sink):
    """A folder for each label, as `python -m convert` takes it."""

    def __init__(self, dataset: Dataset, control: Control) -> None:
        """Args: where they go, and who names the label."""
        self.name = f"examples in {dataset.folder}"
        self._dataset, self._control = dataset, control

    def __call__(self, sighting: Sighting) -> bool:
        """Save the frame, if one is wanted. Raises: OSError, EdgeError, and the frame is lost."""
        label = self._control.keep_as
        if not label or sighting.frame is None:
            return False
        self._control.keep_as = ""
        jpeg = encode_jpeg(read_image(sighting.frame.picture))
        self._dataset.keep(jpeg, label, sighting.frame.captured_at, sighting.number)
        return True
