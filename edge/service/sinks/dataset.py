"""Frames that someone has given a label: a folder a class, as `python -m convert` takes it."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from pathlib import Path

from edge.errors import EdgeError
from edge.files import replace_file

LONGEST_LABEL = 60  # characters
REMEDY = "use a short name that begins with a letter or a digit"


class LabelError(EdgeError):
    """A label that can be no folder's name."""


class QuotaError(EdgeError):
    """The folder is full."""


class Dataset:
    """A folder that grows by a photo at a time, within a quota; nothing in it is ever removed."""

    def __init__(self, folder: Path, *, max_files: int, max_bytes: float) -> None:
        """Args: the folder, made when it is needed; how many photos it may have, and how large."""
        self.folder = folder
        self._max_files, self._max_bytes = max_files, max_bytes

    def keep(self, jpeg: bytes, label: str, at: datetime, number: int, zone: str = "") -> Path:
        """Write a frame, or a zone's part of it, into its label's folder; return where it lies.

        Raises: LabelError, QuotaError, OSError.
        """
        folder = self.folder / folder_name(label)
        self._check_room(len(jpeg))
        folder.mkdir(parents=True, exist_ok=True)
        of_zone = zone and f"-{zone}"
        milliseconds = at.microsecond // 1000
        path = folder / f"{at:%Y%m%dT%H%M%S}.{milliseconds:03}Z-{number:06}{of_zone}.jpg"
        replace_file(path, jpeg)
        return path

    def _check_room(self, more: int) -> None:
        sizes = [path.stat().st_size for path in self.folder.glob("*/*.jpg")]
        if len(sizes) >= self._max_files or sum(sizes) + more > self._max_bytes:
            fault = f"quota reached ({len(sizes)} photos, {sum(sizes) / 1e6:.0f} MB)"
            raise QuotaError(self.folder, fault, "move them to the workstation")


def folder_name(label: str) -> str:
    """The label as a folder's name: itself but for slashes, which become _. Raises: LabelError."""
    text = unicodedata.normalize("NFC", label.strip())
    name = re.sub(r"[/\\]", "_", text)
    # A hidden folder would be ignored, control characters break listings, and what Windows and
    # FAT reject cannot be copied to a workstation.
    odd = not name.isprintable() or set(name) & set('<>:"|?*')
    if len(name) > LONGEST_LABEL or not re.match(r"\w", text) or name[-1] == "." or odd:
        raise LabelError(f"label {label[:LONGEST_LABEL]!r}", "cannot be a folder name", REMEDY)
    return name
