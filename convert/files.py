"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

from convert.errors import OutputError


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises: OutputError, on a full disk for instance."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        fault = f"cannot be written ({error.strerror})"
        raise OutputError(path, fault, "free some space, or give another -o") from error
    finally:
        partial.unlink(missing_ok=True)
