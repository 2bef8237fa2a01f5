"""The folders that the service writes to: whether they can be written, and the remedy.

Stands on the standard library alone: edge-doctor reads it where numpy does not load.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.errors import EdgeError

STATE = "/var/lib/edge-classify"
SHARED_GROUP = "edge-classify"  # of the folder that install.sh --snapshots makes
# The unit hides these from the service: ProtectHome=yes.
HIDDEN = ("/home", "/root", "/run/user")
PROBE = bytes(4096)  # a full disk takes names, but no block
SYSTEMD_FOLDERS = ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CACHE_DIRECTORY")


class FolderError(EdgeError):
    """A folder cannot be written."""


def is_hidden(path: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the unit, as whose service this process runs, hides a path from it."""
    return _in_unit(environment) and any(path.is_relative_to(place) for place in HIDDEN)


def _in_unit(environment: Mapping[str, str]) -> bool:
    return any(name in environment for name in SYSTEMD_FOLDERS)


@dataclass(frozen=True)
class Folder:
    """A folder that the service writes to."""

    key: str  # of the configuration, such as "snapshots.folder"
    path: Path
    is_made: bool = False  # the service makes it where it is absent
    file: str = ""  # the name of a file in it that is appended to

    def check(self) -> None:
        """Write a file into it, and remove that again. Raises: FolderError."""
        try:
            with (
                self._there() as folder,
                tempfile.NamedTemporaryFile(dir=folder, prefix=".edge-") as file,
            ):
                file.write(PROBE)
                file.flush()
            if self.file and (self.path / self.file).exists():
                os.close(os.open(self.path / self.file, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))
        except OSError as error:
            raise self.fault(error) from error

    @contextmanager
    def _there(self) -> Iterator[Path]:
        """Have the folder for a moment: what is made for it is taken away again."""
        absent = [path for path in (self.path, *self.path.parents) if not os.path.lexists(path)]
        if not self.is_made:
            absent = []
        try:
            for path in reversed(absent):
                path.mkdir()
            yield self.path
        finally:
            for path in absent:
                with contextlib.suppress(OSError):  # in use by now, or never made
                    path.rmdir()

    def is_of_service(self, environment: Mapping[str, str] = os.environ) -> bool:
        """Whether it is the installed service's alone, and this process is another."""
        if _in_unit(environment):
            return False
        with contextlib.suppress(OSError, KeyError):
            if self.path.group() == SHARED_GROUP:
                return True
        return self.path.is_relative_to(STATE)

    def fault(self, error: OSError, environment: Mapping[str, str] = os.environ) -> FolderError:
        """Return why the folder cannot be written, and the remedy.

        Args:
            error: what writing ended with.
            environment: systemd names the folders of a unit in it.
        """
        reason = error.strerror or str(error)
        refused = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        if _in_unit(environment) and refused and not self._is_of_unit(environment):
            return self.outside_unit(reason)
        remedies = {
            errno.EROFS: f"sudo mount -o remount,rw {self.path}; if it fails: sudo dmesg | tail",
            errno.ENOENT: f"mkdir -p {self.path}",
            errno.ENOSPC: f"make room: df -h {self.path}",
        }
        usual = f"check its permissions: ls -ld {self.path}"
        fault = f"{self.key} cannot be written ({reason})"
        return FolderError(self.path, fault, remedies.get(error.errno or 0, usual))

    def outside_unit(self, reason: str) -> FolderError:
        """Return that the unit does not let the service write here."""
        if any(self.path.is_relative_to(place) for place in HIDDEN):
            fault = f"{self.key} cannot be written ({reason}: the service cannot see home folders)"
            return FolderError(self.path, fault, f"use a folder below {STATE} or /srv")
        fault = f"{self.key} cannot be written ({reason}: outside the unit's sandbox)"
        if self.key == "snapshots.folder":
            return FolderError(self.path, fault, f"sudo deploy/install.sh --snapshots {self.path}")
        remedy = f"use {STATE}, or: sudo systemctl edit edge-watch, ReadWritePaths={self.path}"
        return FolderError(self.path, fault, remedy)

    def _is_of_unit(self, environment: Mapping[str, str]) -> bool:
        """Whether systemd made the folder, or one above it, for the service."""
        given = ":".join(environment.get(name, "") for name in SYSTEMD_FOLDERS).split(":")
        here = self.path.resolve()
        return any(place and here.is_relative_to(Path(place).resolve()) for place in given)

    def how_to_see(self) -> str:
        """Return the command that lets one's own user read the files; "" if there is none."""
        if self.path.is_relative_to(STATE):
            return f"sudo cp -r {self.path} ~"
        with contextlib.suppress(OSError, KeyError):
            if self.path.group() == SHARED_GROUP:
                return f"sudo usermod -aG {SHARED_GROUP} $USER; then log in again"
        return ""
