"""Files appear whole or not at all; and where those lie that are only kept to save time."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NAME = "edge-classify"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a reader sees the old or the new one. Raises: OSError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:  # SystemExit of a signal as well
        partial.unlink(missing_ok=True)
        raise


def settings_places(name: str, root: Path = Path("/")) -> tuple[Path, Path]:
    """Where a file of settings may be: the user's own, and the system's."""
    own = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    with contextlib.suppress(RuntimeError):  # a user without a home
        own = str(Path(own).expanduser())
    return Path(own) / NAME / name, root / "etc" / NAME / name


def cache_folder() -> Path:
    """Where what was found out may be kept; it need not exist, nor be one that can be written to.

    systemd's CACHE_DIRECTORY, or a folder in the user's cache.
    """
    given = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME", "")
    try:  # as the specification has it, a path that is not absolute is ignored
        return (Path(home) if home.startswith("/") else Path("~/.cache").expanduser()) / NAME
    except RuntimeError:  # a user without a home
        return Path(os.devnull)  # in which nothing can be written
