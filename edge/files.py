"""Files appear whole or not at all; and where those lie that are only kept to save time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from edge.errors import ConfigurationError

NAME = "edge-classify"


def replace_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file whole or not at all; a reader sees the old or the new one. Raises: OSError.

    Args:
        path: the file.
        content: all of it.
        durable: whether that holds in a power cut too. Otherwise ext4 may keep the new name and
            lose the content, for up to 30 s. False saves a wait for the disk, for a file that is
            soon written again.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:  # SystemExit of a signal as well
        partial.unlink(missing_ok=True)
        raise


def lock(file: IO[Any], *, wait: bool = False) -> None:
    """Keep other processes from locking a file until it is closed; does nothing on Windows.

    Args:
        file: the open file.
        wait: whether to wait for the process that has locked it.

    Raises: BlockingIOError where another process has locked it, unless `wait`.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def settings_places(name: str, root: Path = Path("/")) -> tuple[Path, Path]:
    """Where a file of settings may be: the user's own, and the system's (as systemd has it)."""
    own = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    with contextlib.suppress(RuntimeError):  # a user without a home
        own = str(Path(own).expanduser())
    given = os.environ.get("CONFIGURATION_DIRECTORY", "").split(":")[0]
    system = Path(given) if given and root == Path("/") else root / "etc" / NAME
    return Path(own) / NAME / name, system / name


def secret(
    subject: str, file: str, variable: str, credential: str, environment: Mapping[str, str]
) -> str:
    """Read a secret of one line: the first line of `secret_text`, stripped.

    The arguments are its own. Raises: ConfigurationError.
    """
    text = secret_text(subject, file, variable, credential, environment)
    return text.partition("\n")[0].strip()


def secret_text(
    subject: str, file: str, variable: str, credential: str, environment: Mapping[str, str]
) -> str:
    """Read what has no place on a command line: the content of a file.

    Args:
        subject: the setting that names the file.
        file: "" where none is named: then it is the environment's variable, or else the file that
            systemd hands over (LoadCredential=).
        variable: its name.
        credential: its name.
        environment: with the variable, and systemd's CREDENTIALS_DIRECTORY.

    Returns: "" where there is none. Raises: ConfigurationError.
    """
    if not file:
        if environment.get(variable):
            return environment[variable]
        handed = Path(environment.get("CREDENTIALS_DIRECTORY", os.devnull)) / credential
        if not handed.is_file():
            return ""
        file = str(handed)
    try:
        return Path(file).read_text()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        fault = f"cannot be read ({why})"
        raise ConfigurationError(f"{subject} {file}", fault, "write the secret into it") from error


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
