"""Saves the next frame as an example of a label, on a command."""

from __future__ import annotations

from collections.abc import Mapping

from edge.image.preprocess import encode_jpeg, part, read_image
from edge.service.control import Control
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.dataset import Dataset


class Kept(Sink):
    """A folder for each label, as `python -m convert` takes it.

    Of a zone its region is saved: its model is to learn what it will see.
    """

    def __init__(
        self, dataset: Dataset, control: Control, regions: Mapping[str, tuple[float, ...] | None]
    ) -> None:
        """Args: where they go, who names the label, and the region of each zone."""
        self.name = f"examples in {dataset.folder}"
        self._dataset, self._control, self._regions = dataset, control, regions

    def __call__(self, sighting: Sighting) -> bool:
        """Save the frame, if one is wanted. Raises: OSError, EdgeError, and the frame is lost."""
        label = self._control.keep_as.get(sighting.zone)
        if not label or sighting.frame is None:
            return False
        del self._control.keep_as[sighting.zone]
        pixels = part(read_image(sighting.frame.picture), self._regions[sighting.zone])
        jpeg = encode_jpeg(pixels)
        self._dataset.keep(jpeg, label, sighting.frame.captured_at, sighting.number, sighting.zone)
        return True
