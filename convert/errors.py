"""What can go wrong on the workstation; as on the device, each with subject, fault and remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from edge.errors import EdgeError


class DatasetError(EdgeError):
    """A folder of photos cannot be used."""


class ConversionError(EdgeError):
    """A variant cannot be converted."""


def not_installed(package: str) -> ConversionError:
    """Make the error of a package that the workstation needs."""
    return ConversionError(package, "is not installed", "pip install 'edge-classify[convert]'")


class WeightsError(EdgeError):
    """Weights cannot be had, or belong to another network."""


class TrainingError(EdgeError):
    """A training cannot be begun, or continued."""


class OutputError(EdgeError):
    """A file cannot be written."""


@contextlib.contextmanager
def interruptible(words: Callable[[], str]) -> Iterator[None]:
    """Give a KeyboardInterrupt a message: what is kept, and how to go on. An inner one counts."""
    try:
        yield
    except KeyboardInterrupt as error:
        if error.args:
            raise
        raise KeyboardInterrupt(f"stopped; {words()}") from error
