"""Which regions of a frame support its label: computed on request, beside the loop."""

from __future__ import annotations

import asyncio

from edge.classifier.classify import explained
from edge.classifier.model import Model
from edge.errors import EdgeError
from edge.image.preprocess import Pixels, encode_jpeg
from edge.service.web.controls import Control, fields_of
from edge.service.web.handler import RefusedError


class Explain(Control):
    """Sends what the model saw of a frame, red where it supports a label.

    The zone's own model is invoked some 50 times. The loop gets its turn between two of them, so
    that a frame waits for one invocation at most.
    """

    async def post(self) -> None:
        """Compute it in a thread, and send it. One at a time."""
        model, pixels, label = self._wanted()
        if self.station.explaining:
            raise RefusedError(409, "another frame is being explained; try again in a moment")
        self.station.explaining = True
        try:
            jpeg = await asyncio.to_thread(_explained, model, pixels, label)
        except (EdgeError, ValueError) as error:  # ValueError: a new model has closed this one
            raise RefusedError(409, "the model cannot be invoked now; try again") from error
        finally:
            self.station.explaining = False
        self.picture(jpeg)

    def _wanted(self) -> tuple[Model, Pixels, int]:
        """The model, what it saw of the frame, and the label's index. Raises: RefusedError."""
        fields = fields_of(self.request.body)
        number, label = fields.get("frame"), fields.get("label")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(label, str):
            raise RefusedError(400, 'the body must be {"frame": NUMBER, "label": "..."}')
        view = self.view_of(str(fields.get("zone", "")))
        model, shown = view.zone.models.model, view.pictures.shown(number)
        if label not in model.labels:
            raise RefusedError(400, "the model has no such label")
        if shown is None or shown.input is None:
            raise RefusedError(409, "that frame is no longer available; use the newest")
        return model, shown.input, model.labels.index(label)


def _explained(model: Model, pixels: Pixels, label: int) -> bytes:
    return encode_jpeg(explained(model, pixels, label))
