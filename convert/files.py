"""Files appear whole or not at all, and one that cannot be written is told with its remedy."""

from __future__ import annotations

from pathlib import Path

from convert.errors import OutputError
from edge.files import replace_file


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises: OutputError, on a full disk for instance."""
    try:
        replace_file(path, content)
    except OSError as error:
        fault = f"cannot be written ({error.strerror})"
        raise OutputError(path, fault, "free some space, or give another -o") from error
