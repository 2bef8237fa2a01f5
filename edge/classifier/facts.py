"""Facts about a model that its file does not carry, from options and configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from edge.errors import ConfigurationError
from edge.image import notation

if TYPE_CHECKING:
    from edge.classifier.model import Model

T = TypeVar("T")


def facts(labels: str, normalize: str, output: str, input_size: str) -> dict[str, Any]:
    """Return what Model takes, by texts as options have them; "" is left out.

    Raises: ConfigurationError.
    """
    from edge.image.preprocess import Normalization

    found: dict[str, Any] = {"labels": labels, "output": output}
    if normalize:
        rule = _read("normalize", notation.normalization, normalize)
        found["normalization"] = Normalization(*rule)
    if input_size:
        found["input_size"] = _read("input_size", notation.input_size, input_size)
    return {name: value for name, value in found.items() if value}


def _read(name: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(name, str(error), "correct the value, or remove it") from error


def reframe(model: Model, given: Mapping[str, Any]) -> None:
    """Let a model see images as is given, and else as it was trained.

    Args: the model; fields of Framing by name, of which those that are empty do not count.
    """
    if wanted := {name: value for name, value in given.items() if value}:
        model.input = replace(model.input, framing=replace(model.input.framing, **wanted))
