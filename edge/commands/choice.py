"""Restrict the labels of a result: --allow and --deny."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.classifier.classify import Choice
from edge.errors import ConfigurationError


def choice_of(labels: tuple[str, ...], allow: Sequence[str], deny: Sequence[str]) -> Choice:
    """Return the labels that a result may have.

    Args:
        labels: the model's.
        allow: what --allow was given, each a label or several with commas between; empty is all
            but those of `deny`.
        deny: the same of --deny.

    Raises: ConfigurationError where a label is none of the model's, or none is left.
    """
    named = _indices(labels, allow or deny, "--allow" if allow else "--deny")
    chosen = np.full(len(labels), not allow)
    chosen[named] = bool(allow)
    if not chosen.any():
        raise ConfigurationError("--deny", "excludes every label", "name fewer")
    return Choice(labels, chosen)


def _indices(labels: tuple[str, ...], given: Sequence[str], option: str) -> list[int]:
    """Where the named labels are; one that occurs twice counts twice."""
    names = set()
    for text in given:
        # Labels may hold commas, such as those of ImageNet: the whole is looked up first.
        for name in [text] if text in labels else text.split(","):
            label = name if name in labels else name.strip()
            if label not in labels:
                fault = f"the model has no label {label!r}"
                raise ConfigurationError(option, fault, _remedy(label, labels))
            names.add(label)
    return [index for index, label in enumerate(labels) if label in names]


def _remedy(name: str, labels: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    folded = {label.casefold(): label for label in reversed(labels)}
    if near := get_close_matches(name.casefold(), folded, n=1):
        return f"did you mean {folded[near[0]]!r}?"
    return f"it has {', '.join(map(repr, labels[:5]))}" + (", ..." if len(labels) > 5 else "")
