"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a reader sees the old or the new one. Raises: OSError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:  # SystemExit of a signal as well
        partial.unlink(missing_ok=True)
        raise
