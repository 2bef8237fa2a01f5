"""Keep the newest result in a file that other programs can read at any time."""

from __future__ import annotations

from pathlib import Path

from edge.files import replace_file
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.folders import Folder


class Latest(Sink):
    """A file that is always whole; best in memory, such as systemd's runtime directory."""

    def __init__(self, path: Path) -> None:
        """Args: the file."""
        self.name, self.folder = str(path), Folder("latest", path.parent)
        self._path = path
        self._number = 0  # of the newest that is in it

    def __call__(self, sighting: Sighting) -> bool:
        """Replace the file, unless it is newer; return whether. Raises: OSError."""
        if sighting.number < self._number:  # a late one: there is a newer
            return False
        replace_file(self._path, sighting.line.encode(), durable=False)
        self._number = sighting.number
        return True
